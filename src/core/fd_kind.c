#include "fd_kind.h"

#include "closer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/auxv.h>
#include <sys/xattr.h>
#endif

#define ROOM_MAX 64

static int socket_option(int fd, int option, int fallback) {
  int value = 0;
  socklen_t size = sizeof(value);
  return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : fallback;
}

static int socket_family(int fd) {
  struct sockaddr_storage address = {0};
  socklen_t size = sizeof(address);
  if (getsockname(fd, (struct sockaddr*)&address, &size) != 0) return -1;
  return address.ss_family;
}

static fw_fd_kind_t socket_kind(int fd) {
#ifdef SO_PROTOCOL
  /* One call says it for nearly all sockets that travel. */
  int protocol = socket_option(fd, SO_PROTOCOL, -1);
  if (protocol == IPPROTO_TCP) return FW_FD_TCP;
  if (protocol == IPPROTO_UDP) return FW_FD_UDP;
#endif
  int family = socket_family(fd);
  int type = socket_option(fd, SO_TYPE, -1);
  int is_inet = family == AF_INET || family == AF_INET6;
  if (is_inet && type == SOCK_STREAM) return FW_FD_TCP;
  if (is_inet && type == SOCK_DGRAM) return FW_FD_UDP;
  if (family == AF_UNIX && type == SOCK_STREAM) return FW_FD_UNIX;
  return FW_FD_OTHER;
}

/* One call says of a TCP socket, which is what travels most, that it is one and whether it listens. */
static int identify_tcp(int fd, fw_fd_info_t* ret_info) {
#if defined(__linux__) && defined(TCP_INFO)
  uint8_t state = 0; /* the first byte of struct tcp_info */
  socklen_t size = sizeof(state);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &size) != 0 || size != sizeof(state)) return 0;
  ret_info->kind = FW_FD_TCP;
  ret_info->listening = state == TCP_LISTEN;
  return 1;
#else
  (void)fd;
  (void)ret_info;
  return 0;
#endif
}

/* 1 or 0, or a negative errno. Unlike fstat() this asks no file system, which may not answer. */
static int is_socket(int fd) {
  int type;
  socklen_t size = sizeof(type);
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0) return 1;
  return errno == ENOTSOCK ? 0 : -errno;
}

int fw_fd_identify(int fd, fw_fd_info_t* ret_info) {
  struct stat status;
  *ret_info = (fw_fd_info_t){.kind = FW_FD_OTHER};
  int is_tcp = identify_tcp(fd, ret_info);
  int known = is_tcp ? 1 : is_socket(fd);
  if (known <= 0) return known;
  if (fstat(fd, &status) != 0) return -errno;
  ret_info->inode = (uint64_t)status.st_ino;
  if (is_tcp) return 0;
  ret_info->kind = socket_kind(fd);
  if (ret_info->kind == FW_FD_TCP || ret_info->kind == FW_FD_UNIX)
    ret_info->listening = socket_option(fd, SO_ACCEPTCONN, 0) != 0;
  return 0;
}

void fw_fd_close(int* fd) {
  /* After EINTR the descriptor is gone on Linux and must not be closed again. */
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

void fw_fd_linger_off(int fd) {
  struct linger linger = {0};
  socklen_t size = sizeof(linger);
  if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size) != 0) return;
  if (!linger.l_onoff || linger.l_linger == 0) return; /* 0: a reset, at once */
  linger.l_onoff = 0;
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* Shared memory, as segments are. */
static int is_memory(int fd) {
#ifdef F_GET_SEALS
  return fcntl(fd, F_GET_SEALS) >= 0;
#else
  (void)fd;
  return 0;
#endif
}

static int closes_at_once(int fd) {
  return is_socket(fd) > 0 || is_memory(fd);
}

void fw_fd_close_foreign(int* fd) {
  if (*fd < 0) return;
  if (closes_at_once(*fd)) fw_fd_linger_off(*fd);
  else if (fw_closer_add(*fd) == 0) *fd = -1;
  fw_fd_close(fd);
}

int fw_fd_can_be_closed(int fd) {
  return !fw_closer_is_stuck() || closes_at_once(fd);
}

int fw_fd_dup(int fd) {
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return copy < 0 ? -errno : copy;
}

int fw_fd_set_cloexec(int fd) {
  int flags = fcntl(fd, F_GETFD);
  if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) != 0) return -errno;
  return 0;
}

int fw_fd_set_nonblock(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return -errno;
  return 0;
}

size_t fw_fd_room(int fd, size_t wanted) {
  int copies[ROOM_MAX];
  size_t count = 0;
  if (wanted > ROOM_MAX) wanted = ROOM_MAX;
  while (count < wanted && (copies[count] = fw_fd_dup(fd)) >= 0) count++;
  for (size_t i = 0; i < count; i++) fw_fd_close(&copies[i]);
  return count;
}

int fw_fd_is_hung_up(int fd) {
  struct pollfd entry = {.fd = fd, .events = 0};
  return poll(&entry, 1, 0) > 0 && (entry.revents & POLLHUP) != 0;
}

int fw_fd_is_reset(int fd) {
  struct pollfd entry = {.fd = fd, .events = 0};
  if (poll(&entry, 1, 0) <= 0) return 0;
  return (entry.revents & (POLLERR | POLLNVAL)) != 0;
}

int fw_fd_is_socket(int fd, uint64_t inode) {
  return is_socket(fd) > 0 && fw_fd_inode(fd) == inode;
}

uint64_t fw_fd_inode(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 ? (uint64_t)status.st_ino : 0;
}

int fw_program_is_privileged(const char* path) {
  struct stat status;
  if (stat(path, &status) != 0) return 0;
  if (status.st_mode & (S_ISUID | S_ISGID)) return 1;
#ifdef __linux__
  return getxattr(path, "security.capability", NULL, 0) > 0;
#else
  return 0;
#endif
}

const char* fw_program_started_as(void) {
#ifdef __linux__
  const char* path = (const char*)getauxval(AT_EXECFN); /* NOLINT(performance-no-int-to-ptr) */
  return path == NULL ? "" : path;
#else
  return "";
#endif
}
