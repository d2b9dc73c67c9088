/* Bytes and descriptors over a socket: sendmsg and recvmsg with SCM_RIGHTS, and the matching of
 * received sets of descriptors to the BATCH frames that announce them. */
#ifndef FW_ANCILLARY_H
#define FW_ANCILLARY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "fd_kind.h"
#include "frame.h"

/* A set of received descriptors. It owns those that nobody took out. */
typedef struct fw_fd_set_s {
  int fds[FW_SET_MAX];
  size_t count;
  size_t next;   /* the first that nobody took out */
  size_t owed;   /* frames that are still to claim one, by the BATCH frame */
  int truncated; /* the kernel dropped the last ones */
  int has_room;  /* truncated, though a descriptor was free */
  int present;
  int announced;   /* its BATCH frame came */
  int has_sender;  /* the kernel says who wrote the bytes it came with */
  uint32_t sender; /* the process, 0 when it is not to be seen from here */
} fw_fd_set_t;

/* Bytes sent (descriptors leave with the first), or a negative errno. Never SIGPIPE. */
ssize_t fw_send(int fd, const struct iovec* iov, size_t n_iov, const int* fds, size_t n_fds);

/* Bytes received, 0 at the end, or a negative errno. `ret_set` is filled when descriptors came or
 * were cut off; all are close-on-exec. It must be empty before. Of more than `max_fds` descriptors
 * the kernel keeps the last ones: they never come to be in this process. */
ssize_t fw_recv(int fd, const struct iovec* iov, size_t n_iov, size_t max_fds,
                fw_fd_set_t* ret_set);

/* Has the kernel say with each read who wrote it, or not; what different processes wrote does not come in one. Before
 * anybody can write. */
void fw_name_senders(int fd, int are_named);
/* The process that made the other end, 0 when that is not known. */
uint32_t fw_maker(int fd);

/* Bytes that can be received now, or SIZE_MAX where that is not known. */
size_t fw_unread(int fd);

void fw_fd_set_init(fw_fd_set_t* set);
/* Closes what it still owns. */
void fw_fd_set_drop(fw_fd_set_t* set);
/* A BATCH frame announced `count`: NULL, or the broken rule. */
const char* fw_fd_set_announce(fw_fd_set_t* set, uint32_t count);
static inline size_t fw_fd_set_left(const fw_fd_set_t* set) {
  return set->count - set->next;
}

/* The next descriptor for a frame that owns one. *ret_fd is -1 when it was cut off, FW_FD_BARRED when
 * it is the one at which the kernel stopped though another descriptor was free. NULL or the rule. */
const char* fw_fd_set_claim(fw_fd_set_t* set, int* ret_fd);

#endif
