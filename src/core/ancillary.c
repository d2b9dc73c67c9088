#include "ancillary.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fd_kind.h"

#define SET_BYTES (sizeof(int) * FW_SET_MAX)

#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0 /* then cloexec_all() does it */
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* then SO_NOSIGPIPE is set on the socket */
#endif

#if defined(__linux__) && defined(SCM_CREDENTIALS)
#define HAS_CREDENTIALS 1
#define SENDER_SPACE CMSG_SPACE(sizeof(struct ucred))
#else
#define HAS_CREDENTIALS 0
#define SENDER_SPACE 0
#endif

typedef union {
  struct cmsghdr header; /* for its alignment */
  char bytes[CMSG_SPACE(SET_BYTES) + SENDER_SPACE];
} control_t;

static void attach_fds(struct msghdr* message, control_t* control, const int* fds, size_t n_fds) {
  size_t size = sizeof(int) * n_fds;
  memset(control, 0, CMSG_SPACE(size));
  message->msg_control = control->bytes;
  message->msg_controllen = CMSG_SPACE(size);
  struct cmsghdr* header = CMSG_FIRSTHDR(message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(size);
  memcpy(CMSG_DATA(header), fds, size);
}

ssize_t fw_send(int fd, const struct iovec* iov, size_t n_iov, const int* fds, size_t n_fds) {
  struct msghdr message = {.msg_iov = (struct iovec*)iov, .msg_iovlen = n_iov};
  int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
  int is_plain = n_fds == 0 && n_iov == 1; /* then there is a shorter way through the kernel */
  control_t control;
  ssize_t sent;
  if (n_fds > 0) attach_fds(&message, &control, fds, n_fds);
  do sent = is_plain ? send(fd, iov->iov_base, iov->iov_len, flags) : sendmsg(fd, &message, flags);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}

static void cloexec_all(const fw_fd_set_t* set) {
  if (MSG_CMSG_CLOEXEC != 0) return;
  for (size_t i = 0; i < set->count; i++) fw_fd_set_cloexec(set->fds[i]);
}

static void collect_sender(struct cmsghdr* header, fw_fd_set_t* set) {
#if HAS_CREDENTIALS
  struct ucred sender;
  if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_CREDENTIALS) return;
  memcpy(&sender, CMSG_DATA(header), sizeof(sender));
  set->has_sender = 1;
  set->sender = (uint32_t)sender.pid;
#else
  (void)header, (void)set;
#endif
}

static void collect(struct msghdr* message, fw_fd_set_t* set) {
  for (struct cmsghdr* header = CMSG_FIRSTHDR(message); header != NULL;
       header = CMSG_NXTHDR(message, header)) {
    collect_sender(header, set);
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(set->fds + set->count, CMSG_DATA(header), count * sizeof(int));
    set->count += count;
  }
  set->truncated = (message->msg_flags & MSG_CTRUNC) != 0;
  set->present = set->count > 0 || set->truncated;
  cloexec_all(set);
}

/* Exactly that many: CMSG_SPACE() may have room for one more. */
static void make_room(struct msghdr* message, control_t* control, size_t max_fds) {
  if (max_fds == 0) return;
  if (max_fds > FW_SET_MAX) max_fds = FW_SET_MAX;
  message->msg_control = control->bytes;
  message->msg_controllen = CMSG_LEN(sizeof(int) * max_fds);
}

ssize_t fw_recv(int fd, const struct iovec* iov, size_t n_iov, size_t max_fds,
                fw_fd_set_t* ret_set) {
  control_t control;
  struct msghdr message = {.msg_iov = (struct iovec*)iov, .msg_iovlen = n_iov};
  ssize_t received;
  make_room(&message, &control, max_fds);
  do received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (received < 0 && errno == EINTR);
  if (received < 0) return -errno;
  collect(&message, ret_set);
  if (ret_set->truncated) ret_set->has_room = fw_fd_room(fd, 1) > 0;
  return received;
}

void fw_name_senders(int fd, int are_named) {
#if HAS_CREDENTIALS
  setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &are_named, sizeof(are_named));
#else
  (void)fd, (void)are_named;
#endif
}

uint32_t fw_maker(int fd) {
#if HAS_CREDENTIALS
  struct ucred maker = {0};
  socklen_t size = sizeof(maker);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &maker, &size) != 0) return 0;
  return (uint32_t)maker.pid;
#else
  (void)fd;
  return 0;
#endif
}

size_t fw_unread(int fd) {
  int size = 0;
  return ioctl(fd, FIONREAD, &size) == 0 && size >= 0 ? (size_t)size : SIZE_MAX;
}

void fw_fd_set_init(fw_fd_set_t* set) {
  set->count = set->next = set->owed = 0;
  set->truncated = set->has_room = set->present = set->announced = 0;
  set->has_sender = 0;
  set->sender = 0;
}

void fw_fd_set_drop(fw_fd_set_t* set) {
  for (size_t i = set->next; i < set->count; i++) fw_fd_close_foreign(&set->fds[i]);
  fw_fd_set_init(set);
}

const char* fw_fd_set_announce(fw_fd_set_t* set, uint32_t count) {
  if (!set->present || set->announced) return "batch";
  if (count == 0 || count > FW_SET_MAX || count < set->count) return "batch";
  if (count > set->count && !set->truncated) return "batch";
  set->announced = 1;
  set->owed = count;
  return NULL;
}

const char* fw_fd_set_claim(fw_fd_set_t* set, int* ret_fd) {
  if (!set->announced || set->owed == 0) return "unowned";
  if (set->next < set->count) {
    *ret_fd = set->fds[set->next++];
  } else { /* only the first that was cut off may be what the kernel stopped at */
    *ret_fd = set->has_room ? FW_FD_BARRED : -1;
    set->has_room = 0;
  }
  if (--set->owed == 0) fw_fd_set_init(set);
  return NULL;
}

int fw_socketpair(int fds[2]) {
#ifdef SOCK_CLOEXEC
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return -errno;
#else
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return -errno;
  fw_fd_set_cloexec(fds[0]);
  fw_fd_set_cloexec(fds[1]);
#endif
  fw_name_senders(fds[0], 1);
  return 0;
}
