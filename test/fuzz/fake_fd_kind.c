/* Stands in for src/core/fd_kind.c: descriptors of two processes, in memory. Numbers are not used twice, so
 * that a descriptor that was closed is always found out. */
#include "../../src/core/fd_kind.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "world.h"

#define MAX_FDS 16384
#define FIRST_FD 1000
#define FIRST_INODE 5000

typedef enum { CLOSED, CORE, APPLICATION } holder_t;

typedef struct {
  uint32_t socket;
  uint8_t holder; /* holder_t */
  uint8_t end;
  uint8_t is_channel;
} entry_t;

typedef struct {
  uint8_t kind; /* fw_fd_kind_t */
  uint8_t listening;
  uint8_t reset;
  uint8_t barred;
} socket_t;

static entry_t entries[MAX_FDS];
static size_t n_entries;
static socket_t sockets[MAX_FDS];
static size_t n_sockets;

int world_end;
void (*world_explain)(void);

void world_fail(const char* why) {
  fprintf(stderr, "\nfailed: %s\n", why);
  if (world_explain != NULL) world_explain();
  abort();
}

void world__fds_begin(void) {
  n_entries = n_sockets = 0;
}

void world_begin(void) {
  world_end = 0;
  world__fds_begin();
  world__streams_begin();
}

static entry_t* find(int fd) {
  if (fd < FIRST_FD || (size_t)(fd - FIRST_FD) >= n_entries) world_fail("no such descriptor");
  entry_t* entry = &entries[fd - FIRST_FD];
  if (entry->end != world_end) world_fail("a descriptor of the other process");
  return entry;
}

static entry_t* find_open(int fd) {
  entry_t* entry = find(fd);
  if (entry->holder == CLOSED) world_fail("a closed descriptor");
  return entry;
}

static int add(uint32_t socket, holder_t holder) {
  if (n_entries == MAX_FDS) return -EMFILE;
  entries[n_entries] =
      (entry_t){.socket = socket, .holder = (uint8_t)holder, .end = (uint8_t)world_end};
  return FIRST_FD + (int)n_entries++;
}

int world_open(fw_fd_kind_t kind, int listening) {
  if (n_sockets == MAX_FDS) return -EMFILE;
  sockets[n_sockets] = (socket_t){.kind = (uint8_t)kind, .listening = (uint8_t)listening};
  return add((uint32_t)n_sockets++, APPLICATION);
}

/* Shared memory of src/core/segment.c: the kernel's own. */
static int is_real(int fd) {
  return fd >= 0 && fd < FIRST_FD;
}

uint32_t world_socket(int fd) {
  if (!is_real(fd)) return find_open(fd)->socket;
  if (n_sockets == MAX_FDS) world_fail("too many sockets");
  sockets[n_sockets] = (socket_t){.kind = FW_FD_OTHER};
  return (uint32_t)n_sockets++;
}

void world_adopt(int fd) {
  if (find_open(fd)->holder != CORE) world_fail("the core gave away what was not its own");
  find(fd)->holder = APPLICATION;
}

int world_open_channel(void) {
  int fd = world_open(FW_FD_UNIX, 0);
  find(fd)->is_channel = 1;
  find(fd)->holder = CORE;
  return fd;
}

void world_close(int fd) {
  if (find_open(fd)->holder != APPLICATION) world_fail("the model closed the core's descriptor");
  find(fd)->holder = CLOSED;
}

void world_reset_socket(int fd) {
  sockets[find_open(fd)->socket].reset = 1;
}

void world_bar_socket(int fd) {
  sockets[find_open(fd)->socket].barred = 1;
}

int world_is_barred(uint32_t socket) {
  return sockets[socket].barred;
}

int world_install(uint32_t socket) {
  return add(socket, CORE);
}

void world_kill(int end) {
  for (size_t i = 0; i < n_entries; i++)
    if (entries[i].end == end) entries[i].holder = CLOSED;
}

size_t world_n_open(int end) {
  size_t count = 0;
  for (size_t i = 0; i < n_entries; i++)
    count += entries[i].end == end && entries[i].holder != CLOSED;
  return count;
}

/* ---------------------------------------------------- what the core uses */

int fw_fd_identify(int fd, fw_fd_info_t* ret_info) {
  const entry_t* entry = find_open(fd);
  const socket_t* socket = &sockets[entry->socket];
  ret_info->inode = FIRST_INODE + entry->socket;
  ret_info->kind = (fw_fd_kind_t)socket->kind;
  ret_info->listening = socket->listening;
  return 0;
}

void fw_fd_close(int* fd) {
  if (is_real(*fd)) {
    close(*fd);
  } else if (*fd >= 0) {
    entry_t* entry = find(*fd);
    if (entry->holder == CLOSED) world_fail("the core closed a descriptor twice");
    if (entry->holder != CORE) world_fail("the core closed the application's descriptor");
    entry->holder = CLOSED;
    if (entry->is_channel) world_disconnect(entry->end);
  }
  *fd = -1;
}

void fw_fd_close_foreign(int* fd) {
  fw_fd_close(fd);
}

int fw_fd_can_be_closed(int fd) {
  if (!is_real(fd)) find_open(fd);
  return 1;
}

void fw_fd_linger_off(int fd) {
  find_open(fd);
}

int fw_fd_dup(int fd) {
  return add(find_open(fd)->socket, CORE);
}

int fw_fd_set_cloexec(int fd) {
  find_open(fd);
  return 0;
}

int fw_fd_set_nonblock(int fd) {
  find_open(fd);
  return 0;
}

size_t fw_fd_room(int fd, size_t wanted) {
  find_open(fd);
  return wanted < world_fd_room ? wanted : world_fd_room;
}

int fw_fd_is_reset(int fd) {
  return sockets[find_open(fd)->socket].reset;
}
