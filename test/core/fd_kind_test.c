#include "../../src/core/fd_kind.h"

#include <errno.h>
#include <sys/un.h>
#include <time.h>
#include <uv.h>

#include "sockets.h"

static int is_socket_fd(int fd) {
  struct stat status;
  CHECK(fstat(fd, &status) == 0);
  return S_ISSOCK(status.st_mode);
}

static fw_fd_info_t identify_and_close(int fd) {
  fw_fd_info_t info;
  CHECK(fd >= 0);
  CHECK_EQUAL(fw_fd_identify(fd, &info), 0);
  CHECK(!is_socket_fd(fd) || info.inode == inode_of(fd));
  CHECK(!is_socket_fd(fd) || fw_fd_inode(fd) == info.inode);
  close(fd);
  return info;
}

static void tells_the_kinds_that_travel(void) {
  CHECK_EQUAL(identify_and_close(socket(AF_INET, SOCK_STREAM, 0)).kind, FW_FD_TCP);
  CHECK_EQUAL(identify_and_close(socket(AF_UNIX, SOCK_STREAM, 0)).kind, FW_FD_UNIX);
  CHECK_EQUAL(identify_and_close(socket(AF_INET, SOCK_DGRAM, 0)).kind, FW_FD_UDP);
  int inet6 = socket(AF_INET6, SOCK_STREAM, 0);
  if (inet6 < 0) return; /* a machine without IPv6 */
  CHECK_EQUAL(identify_and_close(inet6).kind, FW_FD_TCP);
  CHECK_EQUAL(identify_and_close(socket(AF_INET6, SOCK_DGRAM, 0)).kind, FW_FD_UDP);
}

static void everything_else_is_other(void) {
  int pipes[2];
  CHECK(pipe(pipes) == 0);
  CHECK_EQUAL(identify_and_close(pipes[0]).kind, FW_FD_OTHER);
  CHECK_EQUAL(identify_and_close(pipes[1]).kind, FW_FD_OTHER);
  CHECK_EQUAL(identify_and_close(open("/dev/null", O_RDWR)).kind, FW_FD_OTHER);
  CHECK_EQUAL(identify_and_close(open("/", O_RDONLY)).kind, FW_FD_OTHER);
  CHECK_EQUAL(identify_and_close(socket(AF_UNIX, SOCK_DGRAM, 0)).kind, FW_FD_OTHER);
  CHECK_EQUAL(identify_and_close(socket(AF_UNIX, SOCK_SEQPACKET, 0)).kind, FW_FD_OTHER);
}

static void tells_a_listener_from_a_connection(void) {
  int fds[2];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  tcp_pair(fds);
  CHECK_EQUAL(identify_and_close(tcp_listener()).listening, 1);
  CHECK_EQUAL(identify_and_close(fds[0]).listening, 0);
  CHECK_EQUAL(identify_and_close(fds[1]).listening, 0);
  CHECK_EQUAL(identify_and_close(udp_socket()).listening, 0);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK(bind(fd, (struct sockaddr*)&address, sizeof(sa_family_t)) == 0 && listen(fd, 1) == 0);
  CHECK_EQUAL(identify_and_close(fd).listening, 1);
}

static void a_closed_descriptor_is_an_error_everywhere(void) {
  fw_fd_info_t info = {.inode = 77};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  close(fd);
  CHECK_EQUAL(fw_fd_identify(fd, &info), UV_EBADF);
  CHECK_EQUAL(fw_fd_dup(fd), UV_EBADF);
  CHECK_EQUAL(fw_fd_set_cloexec(fd), UV_EBADF);
  CHECK_EQUAL(fw_fd_set_nonblock(fd), UV_EBADF);
  CHECK_EQUAL(fw_fd_inode(fd), 0);
  CHECK_EQUAL(fw_fd_is_socket(fd, 1), 0);
  CHECK_EQUAL(fw_fd_room(fd, 4), 0);
}

static void close_leaves_minus_one_behind(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  int number = fd;
  fw_fd_close(&fd);
  CHECK_EQUAL(fd, -1);
  CHECK(!is_open(number));
  fw_fd_close(&fd);
  CHECK_EQUAL(fd, -1);
}

static void set_linger(int fd, int seconds) {
  struct linger linger = {.l_onoff = 1, .l_linger = seconds};
  CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
}

static void closing_what_a_peer_chose_waits_for_nobody(void) {
  int fds[2];
  char bytes[4096] = {0};
  tcp_pair(fds);
  set_linger(fds[0], 20);
  CHECK_EQUAL(fw_fd_set_nonblock(fds[0]), 0);
  while (send(fds[0], bytes, sizeof(bytes), 0) > 0) continue;
  time_t start = time(NULL);
  fw_fd_close_foreign(&fds[0]);
  CHECK(time(NULL) - start < 10);
  CHECK_EQUAL(fds[0], -1);
  close(fds[1]);
}

static void what_is_no_socket_is_closed_on_a_thread(void) {
  int pipes[2];
  char byte;
  CHECK(pipe(pipes) == 0);
  fw_fd_close_foreign(&pipes[1]);
  CHECK_EQUAL(pipes[1], -1);
  CHECK_EQUAL(read(pipes[0], &byte, 1), 0); /* when it is closed */
  close(pipes[0]);
}

static void linger_is_taken_off_and_a_reset_stays(void) {
  struct linger linger;
  socklen_t size = sizeof(linger);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  set_linger(fd, 20);
  fw_fd_linger_off(fd);
  CHECK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size) == 0);
  CHECK_EQUAL(linger.l_onoff, 0);
  set_linger(fd, 0);
  fw_fd_linger_off(fd);
  CHECK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size) == 0);
  CHECK_EQUAL(linger.l_onoff, 1);
  close(fd);
}

static void a_duplicate_is_the_same_socket_and_close_on_exec(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  int copy = fw_fd_dup(fd);
  CHECK(copy >= 0 && copy != fd);
  CHECK(inode_of(copy) == inode_of(fd));
  CHECK(fcntl(copy, F_GETFD) & FD_CLOEXEC);
  close(fd);
  close(copy);
}

static void sets_its_flags_and_keeps_others(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_EQUAL(fw_fd_set_cloexec(fd), 0);
  CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  CHECK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_APPEND) == 0);
  CHECK_EQUAL(fw_fd_set_nonblock(fd), 0);
  CHECK((fcntl(fd, F_GETFL) & (O_NONBLOCK | O_APPEND)) == (O_NONBLOCK | O_APPEND));
  close(fd);
}

static void room_is_what_can_be_opened(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK_EQUAL(fw_fd_room(fd, 0), 0);
  CHECK_EQUAL(fw_fd_room(fd, 5), 5);
  limit_room(3);
  CHECK_EQUAL(fw_fd_room(fd, 5), 3);
  CHECK_EQUAL(fw_fd_room(fd, 2), 2);
  limit_room(0);
  CHECK_EQUAL(fw_fd_room(fd, 5), 0);
  CHECK_EQUAL(fw_fd_dup(fd), UV_EMFILE);
  unlimit_room();
  CHECK(fw_fd_room(fd, 100000) > 0); /* bounded, and on the stack */
  close(fd);
}

static void a_reset_connection_is_found(void) {
  int fds[2];
  tcp_pair(fds);
  CHECK_EQUAL(fw_fd_is_reset(fds[1]), 0);
  CHECK_EQUAL(fw_fd_is_reset(fds[0]), 0);
  tcp_reset(fds[0], fds[1]);
  CHECK_EQUAL(fw_fd_is_reset(fds[1]), 1);
  close(fds[1]);
  CHECK_EQUAL(fw_fd_is_reset(fds[1]), 1); /* closed by its owner */
}

static void an_orderly_end_is_no_reset(void) {
  int fds[2];
  tcp_pair(fds);
  CHECK(send(fds[0], "bytes", 5, 0) == 5);
  close(fds[0]);
  struct pollfd entry = {.fd = fds[1], .events = POLLIN};
  CHECK(poll(&entry, 1, 5000) == 1);
  CHECK_EQUAL(fw_fd_is_reset(fds[1]), 0);
  close(fds[1]);
}

static void a_socket_is_known_by_its_inode(void) {
  int fds[2];
  unix_pair(fds);
  CHECK_EQUAL(fw_fd_is_socket(fds[0], inode_of(fds[0])), 1);
  CHECK_EQUAL(fw_fd_is_socket(fds[0], inode_of(fds[1])), 0);
  int file = open("/dev/null", O_RDWR);
  CHECK_EQUAL(fw_fd_is_socket(file, inode_of(file)), 0);
  close(file);
  close(fds[0]);
  close(fds[1]);
}

static void a_setuid_program_is_privileged(void) {
  char path[] = "/tmp/forkwire-test-XXXXXX";
  int fd = mkstemp(path);
  CHECK(fd >= 0);
  CHECK(fchmod(fd, 0755) == 0);
  CHECK_EQUAL(fw_program_is_privileged(path), 0);
  CHECK(fchmod(fd, 04755) == 0);
  CHECK_EQUAL(fw_program_is_privileged(path), 1);
  CHECK(fchmod(fd, 02755) == 0);
  CHECK_EQUAL(fw_program_is_privileged(path), 1);
  unlink(path);
  close(fd);
  CHECK_EQUAL(fw_program_is_privileged(path), 0);
}

int main(void) {
  unlimit_room();
  RUN(tells_the_kinds_that_travel);
  RUN(everything_else_is_other);
  RUN(tells_a_listener_from_a_connection);
  RUN(a_closed_descriptor_is_an_error_everywhere);
  RUN(close_leaves_minus_one_behind);
  RUN(closing_what_a_peer_chose_waits_for_nobody);
  RUN(what_is_no_socket_is_closed_on_a_thread);
  RUN(linger_is_taken_off_and_a_reset_stays);
  RUN(a_duplicate_is_the_same_socket_and_close_on_exec);
  RUN(sets_its_flags_and_keeps_others);
  RUN(room_is_what_can_be_opened);
  RUN(a_reset_connection_is_found);
  RUN(an_orderly_end_is_no_reset);
  RUN(a_socket_is_known_by_its_inode);
  RUN(a_setuid_program_is_privileged);
  return check_done();
}
