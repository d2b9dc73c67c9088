/* Real descriptors for tests: pairs of connected sockets, listeners, a limit on descriptors. */
#ifndef SOCKETS_H
#define SOCKETS_H

#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static inline int tcp_listener(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(bind(fd, (struct sockaddr*)&address, sizeof(address)) == 0);
  CHECK(listen(fd, 16) == 0);
  return fd;
}

static inline void tcp_pair(int fds[2]) {
  struct sockaddr_in address;
  socklen_t size = sizeof(address);
  int listener = tcp_listener();
  CHECK(getsockname(listener, (struct sockaddr*)&address, &size) == 0);
  fds[0] = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(connect(fds[0], (struct sockaddr*)&address, size) == 0);
  fds[1] = accept(listener, NULL, NULL);
  CHECK(fds[1] >= 0);
  close(listener);
}

/* Closes `fd` so that the other end is reset, and waits until that arrived at `other`. */
static inline void tcp_reset(int fd, int other) {
  struct linger linger = {.l_onoff = 1, .l_linger = 0};
  struct pollfd entry = {.fd = other, .events = POLLIN};
  CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
  close(fd);
  CHECK(poll(&entry, 1, 5000) == 1);
}

static inline int udp_socket(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  CHECK(bind(fd, (struct sockaddr*)&address, sizeof(address)) == 0);
  return fd;
}

static inline void unix_pair(int fds[2]) {
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
}

static inline uint64_t inode_of(int fd) {
  struct stat status;
  CHECK(fstat(fd, &status) == 0);
  return (uint64_t)status.st_ino;
}

static inline int is_open(int fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

static inline void set_buffer(int fd, int option, int size) {
  CHECK(setsockopt(fd, SOL_SOCKET, option, &size, sizeof(size)) == 0);
}

/* From now on this process can open `count` more descriptors. */
static inline void limit_room(size_t count) {
  struct rlimit limit;
  rlim_t fd = 0;
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  for (size_t n_free = 0; n_free < count || is_open((int)fd); fd++) n_free += !is_open((int)fd);
  limit.rlim_cur = fd;
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static inline void unlimit_room(void) {
  struct rlimit limit;
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max < CHECK_MAX_FD ? limit.rlim_max : CHECK_MAX_FD;
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

#endif
