/* Stands in for libuv: a loop for each end, and time that passes only when it is told to. The files of the core
 * that wait and call the kernel themselves are compiled here, on the kernel in memory. */
#include <poll.h>
#include <sys/socket.h>
#include <uv.h>

#include "world.h"

static int fake_shutdown(int fd, int how);
static int fake_setsockopt(int fd, int level, int option, const void* value, socklen_t size);
static int fake_poll(struct pollfd* entries, nfds_t count, int timeout);

#define shutdown fake_shutdown
#define setsockopt fake_setsockopt
#define poll(entries, count, timeout) fake_poll(entries, count, timeout)
#include "../../src/core/channel.c"
#include "../../src/core/counts.c"
#include "../../src/core/ends.c"
#define now_ms flush_now_ms
#include "../../src/core/flush.c"
#include "../../src/core/gather.c"
#include "../../src/core/hub.c"
#include "../../src/core/missing.c"
#include "../../src/core/nesting.c"
#include "../../src/core/reading.c"
#include "../../src/core/spin.c"
#undef poll
#undef now_ms
#undef shutdown
#undef setsockopt

#define MAX_HANDLES 8

typedef struct {
  uv_handle_t* handle;
  uv_handle_type type;
  int is_active;
  int is_referenced;
  int events;
  uint64_t due;
  uv_poll_cb on_poll;
  uv_prepare_cb on_prepare;
  uv_timer_cb on_timer;
  uv_idle_cb on_idle;
  uv_close_cb on_close;
} slot_t;

static uv_loop_t loops[2];
static slot_t slots[2][MAX_HANDLES];
static uint64_t n_clock_reads;

uint64_t world_now;
int world_reports_errors;
void (*world_wait)(int timeout);

void world__loops_begin(void) {
  memset(slots, 0, sizeof(slots));
  world_now = 1000;
  world_reports_errors = 0;
}

uv_loop_t* world_loop(int end) {
  return &loops[end];
}

static slot_t* find_slot(const void* handle) {
  for (int i = 0; i < MAX_HANDLES; i++)
    if (slots[world_end][i].handle == handle) return &slots[world_end][i];
  world_fail("a libuv handle that is not open here");
  return NULL;
}

static int add_slot(uv_loop_t* loop, void* handle, uv_handle_type type) {
  if (loop != &loops[world_end]) world_fail("the other process's loop");
  for (int i = 0; i < MAX_HANDLES; i++) {
    slot_t* slot = &slots[world_end][i];
    if (slot->handle != NULL) continue;
    *slot = (slot_t){.handle = handle, .type = type, .is_referenced = 1};
    return 0;
  }
  world_fail("too many libuv handles");
  return UV_ENOMEM;
}

int uv_poll_init(uv_loop_t* loop, uv_poll_t* handle, int fd) {
  (void)fd;
  handle->loop = loop;
  return add_slot(loop, handle, UV_POLL);
}

int uv_poll_start(uv_poll_t* handle, int events, uv_poll_cb on_poll) {
  slot_t* slot = find_slot(handle);
  slot->is_active = 1;
  slot->events = events;
  slot->on_poll = on_poll;
  return 0;
}

int uv_poll_stop(uv_poll_t* handle) {
  find_slot(handle)->is_active = 0;
  return 0;
}

int uv_prepare_init(uv_loop_t* loop, uv_prepare_t* handle) {
  handle->loop = loop;
  return add_slot(loop, handle, UV_PREPARE);
}

int uv_prepare_start(uv_prepare_t* handle, uv_prepare_cb on_prepare) {
  slot_t* slot = find_slot(handle);
  slot->is_active = 1;
  slot->on_prepare = on_prepare;
  return 0;
}

int uv_prepare_stop(uv_prepare_t* handle) {
  find_slot(handle)->is_active = 0;
  return 0;
}

int uv_idle_init(uv_loop_t* loop, uv_idle_t* handle) {
  handle->loop = loop;
  return add_slot(loop, handle, UV_IDLE);
}

int uv_idle_start(uv_idle_t* handle, uv_idle_cb on_idle) {
  slot_t* slot = find_slot(handle);
  slot->is_active = 1;
  slot->on_idle = on_idle;
  return 0;
}

int uv_idle_stop(uv_idle_t* handle) {
  find_slot(handle)->is_active = 0;
  return 0;
}

int uv_timer_init(uv_loop_t* loop, uv_timer_t* handle) {
  handle->loop = loop;
  return add_slot(loop, handle, UV_TIMER);
}

int uv_timer_start(uv_timer_t* handle, uv_timer_cb on_timer, uint64_t timeout, uint64_t repeat) {
  slot_t* slot = find_slot(handle);
  (void)repeat;
  slot->is_active = 1;
  slot->due = world_now + timeout;
  slot->on_timer = on_timer;
  return 0;
}

int uv_timer_stop(uv_timer_t* handle) {
  find_slot(handle)->is_active = 0;
  return 0;
}

void uv_ref(uv_handle_t* handle) {
  find_slot(handle)->is_referenced = 1;
}

void uv_unref(uv_handle_t* handle) {
  find_slot(handle)->is_referenced = 0;
}

/* A loop of the model is never about to end: something else is always alive. */
int uv_loop_alive(const uv_loop_t* loop) {
  (void)loop;
  return 1;
}

void uv_close(uv_handle_t* handle, uv_close_cb on_close) {
  slot_t* slot = find_slot(handle);
  if (slot->on_close != NULL) world_fail("a libuv handle is closed twice");
  slot->is_active = 0;
  slot->on_close = on_close;
}

int uv_is_closing(const uv_handle_t* handle) {
  return find_slot(handle)->on_close != NULL;
}

uint64_t uv_now(const uv_loop_t* loop) {
  (void)loop;
  return world_now;
}

uint64_t uv_hrtime(void) {
  return world_now * 1000000 + n_clock_reads++ % 100000;
}

/* Mostly a loop that goes round at once: what waits over turns has a timer. */
int uv_backend_timeout(const uv_loop_t* loop) {
  (void)loop;
  return n_clock_reads % 4 == 0 ? -1 : 0;
}

int fw__descendant_open(uint32_t pid) {
  (void)pid;
  return UV_ESRCH;
}

static int fake_shutdown(int fd, int how) {
  (void)fd, (void)how;
  world_shutdown(world_end);
  return 0;
}

static int fake_setsockopt(int fd, int level, int option, const void* value, socklen_t size) {
  (void)fd, (void)level, (void)option, (void)value, (void)size;
  return 0;
}

static int fake_poll(struct pollfd* entries, nfds_t count, int timeout) {
  (void)entries, (void)count;
  world_wait(timeout);
  return 0;
}

/* --------------------------------------------------------------------- a turn */

static void run_timer(slot_t* slot) {
  if (!slot->is_active || slot->due > world_now) return;
  slot->is_active = 0;
  slot->on_timer((uv_timer_t*)slot->handle);
}

static void run_poll(slot_t* slot) {
  int events = world_is_readable(world_end) ? UV_READABLE : 0;
  if (world_write_room > 0 || world_is_gone(world_end)) events |= UV_WRITABLE;
  events &= slot->events;
  if (!slot->is_active || events == 0) return;
  if (world_reports_errors && world_is_gone(world_end)) {
    slot->is_active = 0;
    world_read_size = SIZE_MAX; /* a short read means that nothing is left, once the peer is gone */
    slot->on_poll((uv_poll_t*)slot->handle, UV_EBADF, 0);
    return;
  }
  slot->on_poll((uv_poll_t*)slot->handle, 0, events);
}

static void run_close(slot_t* slot) {
  uv_handle_t* handle = slot->handle;
  uv_close_cb on_close = slot->on_close;
  if (on_close == NULL) return;
  memset(slot, 0, sizeof(*slot));
  on_close(handle);
}

void world_run_loop(int end) {
  world_end = end;
  for (int i = 0; i < MAX_HANDLES; i++)
    if (slots[end][i].type == UV_TIMER) run_timer(&slots[end][i]);
  for (int i = 0; i < MAX_HANDLES; i++)
    if (slots[end][i].type == UV_IDLE && slots[end][i].is_active)
      slots[end][i].on_idle((uv_idle_t*)slots[end][i].handle);
  for (int i = 0; i < MAX_HANDLES; i++)
    if (slots[end][i].type == UV_PREPARE && slots[end][i].is_active)
      slots[end][i].on_prepare((uv_prepare_t*)slots[end][i].handle);
  for (int i = 0; i < MAX_HANDLES; i++)
    if (slots[end][i].type == UV_POLL) run_poll(&slots[end][i]);
  for (int i = 0; i < MAX_HANDLES; i++) run_close(&slots[end][i]);
}

int64_t world_next_timer(int end) {
  int64_t next = -1;
  for (int i = 0; i < MAX_HANDLES; i++) {
    const slot_t* slot = &slots[end][i];
    if (slot->type != UV_TIMER || !slot->is_active) continue;
    int64_t left = slot->due > world_now ? (int64_t)(slot->due - world_now) : 0;
    if (next < 0 || left < next) next = left;
  }
  return next;
}
