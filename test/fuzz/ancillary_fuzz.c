/* Descriptors over a real socket: a peer that sends any bytes with any number of descriptors of any kind, a process that
 * has no room for them, BATCH frames that fit or do not. Each descriptor that comes out is the one that was sent,
 * close-on-exec, and none is left behind. */
// fuzz-sources: src/core/ancillary.c src/core/fd_kind.c
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../src/core/ancillary.h"
#include "../../src/core/closer.h"
#include "../../src/core/fd_kind.h"

#define N_SENT 6 /* different files to send */
#define N_LOW 16 /* below it the fuzzer may have some of its own, which come and go between runs */
#define OWN_FD 600 /* from here on lie those of this program */
#define MAX_ROOM 500
#define MAX_SETS 8 /* on their way */
#define MAX_IN_FLIGHT (MAX_SETS * FW_SET_MAX)

/* In place of src/core/closer.c: descriptors are counted behind each input, so none is closed later. */
int fw_closer_add(int fd) {
  (void)fd;
  return -1;
}

int fw_closer_is_stuck(void) {
  return 0;
}

typedef struct {
  const uint8_t* bytes;
  size_t size;
} input_t;

static input_t input;
static int wire[2];
static int sent[N_SENT];
static uint64_t inodes[N_SENT];
static uint8_t was_open[OWN_FD];
static int last_fd;

/* What is on its way: the sets in order, and which file each descriptor is. */
static uint8_t in_flight[MAX_SETS][FW_SET_MAX];
static size_t counts[MAX_SETS];
static size_t n_sets;

static void check(int is_true, const char* what) {
  if (is_true) return;
  fprintf(stderr, "failed: %s\n", what);
  abort();
}

static uint8_t next_byte(void) {
  if (input.size == 0) return 0;
  input.size--;
  return *input.bytes++;
}

/* ----------------------------------------------------------------- descriptors */

static int is_open(int fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

static void note_open_fds(int count) {
  for (int fd = 0; fd < count; fd++) was_open[fd] = (uint8_t)is_open(fd);
  last_fd = N_LOW - 1;
}

static void check_no_leaked_fds(void) {
  for (int fd = 0; fd <= last_fd; fd++)
    check(is_open(fd) == was_open[fd], "a descriptor was left behind or lost");
}

/* About so many can be opened. */
static void limit_room(int count) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = (rlim_t)(N_LOW + count);
  check(setrlimit(RLIMIT_NOFILE, &limit) == 0, "no limit");
}

static int out_of_the_way(int fd) {
  int moved = fcntl(fd, F_DUPFD_CLOEXEC, OWN_FD);
  check(moved >= OWN_FD, "no descriptor");
  close(fd);
  return moved;
}

static void open_files(void) {
  int pair[2];
  sent[0] = socket(AF_INET, SOCK_STREAM, 0);
  sent[1] = socket(AF_INET, SOCK_DGRAM, 0);
  check(fw_socketpair(pair) == 0 && fw_socketpair(wire) == 0, "no pair");
  sent[2] = pair[0];
  sent[3] = open("/dev/null", O_RDWR);
  sent[4] = memfd_create("fuzz", 0);
  wire[0] = out_of_the_way(wire[0]);
  wire[1] = out_of_the_way(wire[1]);
  for (int i = 0; i < N_SENT - 1; i++) sent[i] = out_of_the_way(sent[i]);
  sent[5] = wire[1]; /* a copy of the channel itself */
  for (int i = 0; i < N_SENT; i++) inodes[i] = fw_fd_inode(sent[i]);
  note_open_fds(OWN_FD);
}

/* --------------------------------------------------------------------- sending */

static size_t choose_fds(int fds[FW_SET_MAX], uint8_t which[FW_SET_MAX]) {
  uint8_t shape = next_byte();
  size_t count = shape == 255 ? FW_SET_MAX : shape & 64 ? (size_t)(shape & 7) : 1;
  for (size_t i = 0; i < count; i++) {
    which[i] = (uint8_t)((shape + i) % N_SENT);
    fds[i] = sent[which[i]];
  }
  return count;
}

/* As fw_send() does, and as a peer may that is not ours: two lots of descriptors in one call. */
static ssize_t send_in_two(const struct iovec* iov, const int* fds, size_t count) {
  union {
    struct cmsghdr header;
    char bytes[2 * CMSG_SPACE(sizeof(int) * FW_SET_MAX)];
  } control;
  size_t first = count / 2;
  size_t sizes[] = {first * sizeof(int), (count - first) * sizeof(int)};
  struct msghdr message = {.msg_iov = (struct iovec*)iov, .msg_iovlen = 1};
  memset(&control, 0, sizeof(control));
  message.msg_control = control.bytes;
  message.msg_controllen = CMSG_SPACE(sizes[0]) + CMSG_SPACE(sizes[1]);
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  for (int i = 0; i < 2; i++) {
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizes[i]);
    memcpy(CMSG_DATA(header), fds + (i == 0 ? 0 : first), sizes[i]);
    header = CMSG_NXTHDR(&message, header);
  }
  ssize_t size = sendmsg(wire[1], &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  return size < 0 ? -1 : size;
}

static void send_some(void) {
  static const uint8_t bytes[256];
  int fds[FW_SET_MAX];
  uint8_t which[FW_SET_MAX];
  uint8_t shape = next_byte();
  struct iovec iov = {(void*)bytes, 1 + (size_t)(shape & 63)};
  size_t count = shape & 64 ? choose_fds(fds, which) : 0;
  if (count > 0 && n_sets == MAX_SETS) return;
  ssize_t size = shape & 128 && count > 1 ? send_in_two(&iov, fds, count)
                                          : fw_send(wire[1], &iov, 1, fds, count);
  if (size < 0 || count == 0) return;
  memcpy(in_flight[n_sets], which, count);
  counts[n_sets++] = count;
}

/* ------------------------------------------------------------------- receiving */

/* The descriptors are the first of those that were sent, in order. */
static void check_set(const fw_fd_set_t* set) {
  check(n_sets > 0, "a set that was not sent");
  check(set->count <= counts[0], "more descriptors than were sent");
  check(set->count == counts[0] || set->truncated, "fewer descriptors, and nobody says so");
  for (size_t i = 0; i < set->count; i++) {
    int fd = set->fds[i];
    if (fd > last_fd) last_fd = fd;
    check(fcntl(fd, F_GETFD) == FD_CLOEXEC, "a descriptor that is not close-on-exec");
    check(fw_fd_inode(fd) == inodes[in_flight[0][i]], "another descriptor");
  }
}

static void claim_all(fw_fd_set_t* set, uint32_t announced) {
  size_t count = set->count;
  for (uint32_t i = 0; i < announced; i++) {
    int fd = -2;
    check(fw_fd_set_claim(set, &fd) == NULL, "an announced descriptor cannot be claimed");
    check((fd >= 0) == (i < count), "a descriptor in another place");
    if (fd >= 0) check(fw_fd_inode(fd) == inodes[in_flight[0][i]], "claimed another descriptor");
    fw_fd_close(&fd);
    if (next_byte() == 255) return; /* the rest is dropped */
  }
  check(!set->present, "a set that is used up is still there");
}

/* What a BATCH frame says, mostly the truth. */
static void announce(fw_fd_set_t* set) {
  uint8_t shape = next_byte();
  uint32_t said = shape < 192 ? (uint32_t)counts[0] : (uint32_t)next_byte() * (shape & 7);
  int fits = said > 0 && said <= FW_SET_MAX && said >= set->count &&
             (said == set->count || set->truncated);
  const char* rule = fw_fd_set_announce(set, said);
  check((rule == NULL) == fits, "what a BATCH frame may say");
  if (rule != NULL) return;
  check(fw_fd_set_announce(set, said) != NULL, "announced twice");
  claim_all(set, said);
}

static void receive_some(void) {
  uint8_t bytes[300];
  int fd;
  fw_fd_set_t set;
  struct iovec iov[2] = {{bytes, 1 + (size_t)next_byte() % 16}, {bytes + 16, 280}};
  fw_fd_set_init(&set);
  check(fw_fd_set_claim(&set, &fd) != NULL, "claimed from nothing");
  check(fw_fd_set_announce(&set, 1) != NULL, "announced nothing");
  ssize_t size = fw_recv(wire[0], iov, 1 + next_byte() % 2, FW_SET_MAX, &set);
  if (size <= 0) {
    check(!set.present, "descriptors without a byte");
    return;
  }
  if (!set.present) return;
  check_set(&set);
  announce(&set);
  fw_fd_set_drop(&set);
  check(!set.present, "a dropped set is still there");
  n_sets--;
  memmove(in_flight, in_flight + 1, n_sets * sizeof(in_flight[0]));
  memmove(counts, counts + 1, n_sets * sizeof(counts[0]));
}

/* ------------------------------------------------------------------------ runs */

static void operate(void) {
  uint8_t what = next_byte();
  if (what % 8 < 4) send_some();
  else if (what % 8 < 7) receive_some();
  else limit_room(what < 128 ? what >> 4 : MAX_ROOM);
}

/* Nothing stays on the wire for the next run. */
static void drain(void) {
  input.size = 0;
  limit_room(MAX_ROOM);
  uint8_t bytes[4096];
  struct iovec iov = {bytes, sizeof(bytes)};
  fw_fd_set_t set;
  fw_fd_set_init(&set);
  while (fw_recv(wire[0], &iov, 1, FW_SET_MAX, &set) > 0) fw_fd_set_drop(&set);
  n_sets = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (wire[0] == 0) open_files();
  note_open_fds(N_LOW);
  input = (input_t){bytes, size};
  while (input.size > 0) operate();
  drain();
  check_no_leaked_fds();
  return 0;
}
