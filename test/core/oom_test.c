/* Without memory: each allocation of the core fails once, one after the other, in two ends that exchange everything there
 * is. Whatever was accepted arrives, or an end says that it has no memory; every handle is settled once, and no
 * descriptor and no byte is left behind. */
// link-flags: -Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc
#include "end.h"

#define MAX_ALLOCATIONS 100000
#define N_TOKENS 64
#define LARGE 300000

static long countdown = -1; /* allocations until one fails; negative: none does */
static int did_fail;

static int fails(void) {
  if (countdown < 0 || countdown-- > 0) return 0;
  did_fail = 1;
  return 1;
}

void* __real_malloc(size_t size);
void* __real_calloc(size_t count, size_t size);
void* __real_realloc(void* memory, size_t size);
void* __wrap_malloc(size_t size);
void* __wrap_calloc(size_t count, size_t size);
void* __wrap_realloc(void* memory, size_t size);

void* __wrap_malloc(size_t size) {
  return fails() ? NULL : __real_malloc(size);
}

void* __wrap_calloc(size_t count, size_t size) {
  return fails() ? NULL : __real_calloc(count, size);
}

void* __wrap_realloc(void* memory, size_t size) {
  return fails() ? NULL : __real_realloc(memory, size);
}

/* ------------------------------------------------------------------- two ends */

typedef struct {
  fw_channel_t channel;
  int fd;
  int said_no; /* it told somebody that there is no memory */
  int is_over;
  size_t n_accepted;
  size_t n_came;
  size_t n_refused; /* came without their message: the handle was not as declared, or lost */
  uint8_t settled[N_TOKENS];
  uint64_t n_tokens;
  uint64_t ids[N_TOKENS];
  size_t n_ids;
} side_t;

static side_t* sides[2];

static void on_message(void* data, const fw_message_t* message) {
  side_t* side = data;
  side->n_came++;
  fw_read_queue_deliver(&side->channel.in, message->lane, 1, message->cost);
  if (message->handle != NULL) side->ids[side->n_ids++] = message->handle->id;
}

static void on_settled(void* data, const fw_sent_t* sent, fw_outcome_t outcome, uint32_t reason) {
  side_t* side = data;
  (void)outcome, (void)reason;
  CHECK(sent->token < side->n_tokens);
  CHECK_EQUAL(side->settled[sent->token], 0);
  side->settled[sent->token] = 1;
}

static void on_counts(void* data, uint64_t key, uint64_t closed) {
  (void)data, (void)key, (void)closed;
}

static void on_writes_done(void* data, uint64_t id, int failed) {
  (void)data, (void)id, (void)failed;
}

static void on_hello(void* data, uint32_t pid) {
  (void)data, (void)pid;
}

static void on_lost(void* data, uint64_t id) {
  (void)id;
  ((side_t*)data)->n_refused++;
}

static const char* on_control(void* data, const fw_frame_t* frame, const uint8_t* payload) {
  return fw__control_read(&((side_t*)data)->channel, frame, payload);
}

static side_t* open_side(int fd) {
  static const fw_read_callbacks_t reads = {.on_message = on_message, .on_control = on_control};
  side_t* side = __real_calloc(1, sizeof(*side));
  fw_channel_t* channel = &side->channel;
  side->fd = fd;
  channel->callbacks.on_counts = on_counts;
  channel->callbacks.on_writes_done = on_writes_done;
  channel->callbacks.on_hello = on_hello;
  channel->data = side;
  fw_ledger_init(&channel->ledger, on_settled, side);
  fw_read_queue_init(&channel->in, &channel->ledger, &reads, side);
  fw_write_queue_init(&channel->out, &channel->ledger, fw__control_lay, channel);
  fw__control_lay_hello(channel);
  return side;
}

static void close_side(side_t* side) {
  fw_write_queue_cut(&side->channel.out);
  fw_read_queue_give_up_missing(&side->channel.in, on_lost);
  fw_read_queue_free(&side->channel.in);
  fw_write_queue_free(&side->channel.out);
  fw_ledger_free(&side->channel.ledger);
  for (uint64_t i = 0; i < side->n_tokens; i++) CHECK_EQUAL(side->settled[i], 1);
  fw_fd_close(&side->fd);
  free(side);
}

static void flush_side(side_t* side) {
  size_t written;
  if (side->is_over) return;
  int status = fw_write_queue_flush(&side->channel.out, side->fd, SIZE_MAX, &written);
  if (status == UV_ENOMEM) side->said_no = side->is_over = 1;
  else CHECK(status == 0 || status == UV_EAGAIN || status == UV_EPIPE);
}

/* What it reads until nothing is there. */
static void drain_side(side_t* side) {
  while (!side->is_over) {
    struct iovec iov[2];
    fw_fd_set_t set;
    fw_fd_set_init(&set);
    size_t n_iov = fw_read_queue_prepare(&side->channel.in, iov);
    if (n_iov == 0) {
      side->said_no = side->is_over = 1;
      return;
    }
    ssize_t size = fw_recv(side->fd, iov, n_iov, FW_SET_MAX, &set);
    if (size <= 0) return;
    int status = fw_read_queue_received(&side->channel.in, (size_t)size, &set);
    CHECK(!set.present);
    if (status == UV_ENOMEM) side->said_no = side->is_over = 1;
    else CHECK_EQUAL(status, 0);
  }
}

static void pump(void) {
  for (int i = 0; i < 8; i++) {
    for (int j = 0; j < 2; j++) flush_side(sides[j]);
    for (int j = 0; j < 2; j++) drain_side(sides[j]);
  }
}

/* ------------------------------------------------------------------ a scenario */

static void send_one(side_t* side, fw_lane_t lane, size_t size, int fd, uint8_t flags) {
  fw_handle_out_t handle = {.fd = fd,
                            .dup = 1,
                            .token = side->n_tokens,
                            .type = FW_HANDLE_SOCKET,
                            .flags = flags,
                            .buffered = (const uint8_t*)"xyz",
                            .buffered_size = 3};
  const fw_handle_out_t* given = fd >= 0 ? &handle : NULL;
  fw_write_queue_t* out = &side->channel.out;
  uint8_t* room = side->is_over ? NULL : fw_write_queue_begin(out, lane, size, given);
  if (room == NULL) {
    side->said_no = 1;
    return;
  }
  memset(room, 'x', size);
  int status = fw_write_queue_commit(out, lane, FW_ENCODING_BYTES, size, given);
  CHECK(status == 0 || status == UV_ENOMEM);
  if (status == UV_ENOMEM) side->said_no = 1;
  if (status != 0) return;
  side->n_accepted++;
  if (fd >= 0) side->n_tokens++;
}

static void take_all(side_t* side) {
  for (size_t i = 0; i < side->n_ids; i++) {
    int fd = fw_ledger_adopt(&side->channel.ledger, side->ids[i]);
    if (fd < 0) continue;
    CHECK_EQUAL(fw_ledger_take(&side->channel.ledger, side->ids[i]), 0);
    close(fd);
  }
}

static void exchange(int fd) {
  for (int i = 0; i < 2; i++) {
    send_one(sides[i], FW_LANE_USER, 20, -1, 0);
    send_one(sides[i], FW_LANE_USER, LARGE, -1, 0);
    send_one(sides[i], FW_LANE_INTERNAL, 5000, -1, 0);
    send_one(sides[i], FW_LANE_USER, 10, fd, 0);
    send_one(sides[i], FW_LANE_USER, LARGE, fd, FW_HANDLE_WRITES_PENDING);
    send_one(sides[i], FW_LANE_INTERNAL, 10, fd, 0);
  }
  pump();
  take_all(sides[1]);
  fw_ledger_finish_writes(&sides[0]->channel.ledger, 1, 0);
  pump();
}

/* A descriptor does not fit: what comes behind it waits, and is released by the answer. */
static void exchange_with_a_gap(int fd) {
  send_one(sides[0], FW_LANE_USER, 10, fd, 0);
  send_one(sides[0], FW_LANE_USER, 10, fd, 0);
  send_one(sides[0], FW_LANE_USER, 5000, -1, 0);
  limit_room(0);
  flush_side(sides[0]);
  drain_side(sides[1]);
  unlimit_room();
  fw_ledger_ask_missing(&sides[1]->channel.ledger, 8);
  pump();
  take_all(sides[1]);
  pump();
}

/* All that was accepted came, or somebody said no. */
static void check_arrival(void) {
  if (sides[0]->said_no || sides[1]->said_no) return;
  for (int i = 0; i < 2; i++) CHECK_EQUAL(sides[1 - i]->n_came, sides[i]->n_accepted);
}

static void run_scenario(long n_before_failure) {
  int fds[2];
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(fw_socketpair(fds) == 0);
  countdown = n_before_failure;
  did_fail = 0;
  for (int i = 0; i < 2; i++) sides[i] = open_side(fds[i]);
  pump();
  exchange(fd);
  exchange_with_a_gap(fd);
  countdown = -1;
  pump(); /* there is memory again */
  check_arrival();
  for (int i = 0; i < 2; i++) close_side(sides[i]);
  close(fd);
}

static void every_allocation_may_fail(void) {
  long n = 0;
  do {
    run_scenario(n++);
    CHECK(n < MAX_ALLOCATIONS);
  } while (did_fail);
  CHECK(n > 20); /* the scenario does allocate */
}

int main(void) {
  RUN(every_allocation_may_fail);
  return check_done();
}
