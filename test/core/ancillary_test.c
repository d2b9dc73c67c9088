#include "../../src/core/ancillary.h"

#include <uv.h>

#include "sockets.h"

static void channel(int fds[2]) {
  CHECK_EQUAL(fw_socketpair(fds), 0);
}

static void close_both(int fds[2]) {
  close(fds[0]);
  close(fds[1]);
}

static ssize_t send_bytes(int fd, const void* bytes, size_t size, const int* fds, size_t n_fds) {
  struct iovec iov = {(void*)bytes, size};
  return fw_send(fd, &iov, 1, fds, n_fds);
}

static ssize_t receive_bytes(int fd, void* bytes, size_t size, fw_fd_set_t* set) {
  struct iovec iov = {bytes, size};
  fw_fd_set_init(set);
  return fw_recv(fd, &iov, 1, FW_SET_MAX, set);
}

/* A set of `count` as it arrives, of sockets that exist. */
static fw_fd_set_t received_set(size_t count) {
  int fds[2];
  int many[FW_SET_MAX];
  char byte;
  fw_fd_set_t set;
  channel(fds);
  for (size_t i = 0; i < count; i++) many[i] = fds[0];
  CHECK_EQUAL(send_bytes(fds[0], "x", 1, many, count), 1);
  CHECK_EQUAL(receive_bytes(fds[1], &byte, 1, &set), 1);
  CHECK_EQUAL(set.count, count);
  close_both(fds);
  return set;
}

static void a_pair_is_connected_and_close_on_exec(void) {
  int fds[2];
  char bytes[8];
  fw_fd_set_t set;
  channel(fds);
  for (int i = 0; i < 2; i++) CHECK(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
  CHECK_EQUAL(send_bytes(fds[1], "hello", 5, NULL, 0), 5);
  CHECK_EQUAL(receive_bytes(fds[0], bytes, sizeof(bytes), &set), 5);
  CHECK(memcmp(bytes, "hello", 5) == 0);
  CHECK(!set.present);
  close_both(fds);
}

static void gathers_and_scatters(void) {
  int fds[2];
  char head[3];
  char tail[8];
  fw_fd_set_t set;
  struct iovec out[2] = {{"ab", 2}, {"cdef", 4}};
  struct iovec in[2] = {{head, 3}, {tail, 8}};
  channel(fds);
  fw_fd_set_init(&set);
  CHECK_EQUAL(fw_send(fds[0], out, 2, NULL, 0), 6);
  CHECK_EQUAL(fw_recv(fds[1], in, 2, FW_SET_MAX, &set), 6);
  CHECK(memcmp(head, "abc", 3) == 0 && memcmp(tail, "def", 3) == 0);
  close_both(fds);
}

static void descriptors_arrive_in_order_and_close_on_exec(void) {
  int fds[2];
  int sent[3];
  char byte;
  fw_fd_set_t set;
  channel(fds);
  for (int i = 0; i < 3; i++) sent[i] = udp_socket();
  CHECK_EQUAL(send_bytes(fds[0], "x", 1, sent, 3), 1);
  CHECK_EQUAL(receive_bytes(fds[1], &byte, 1, &set), 1);
  CHECK(set.present && !set.truncated);
  CHECK_EQUAL(set.count, 3);
  for (int i = 0; i < 3; i++) {
    CHECK(inode_of(set.fds[i]) == inode_of(sent[i]));
    CHECK(fcntl(set.fds[i], F_GETFD) & FD_CLOEXEC);
    close(sent[i]);
  }
  fw_fd_set_drop(&set);
  close_both(fds);
}

static void one_sendmsg_carries_253_descriptors(void) {
  fw_fd_set_t set = received_set(FW_SET_MAX);
  CHECK(!set.truncated);
  fw_fd_set_drop(&set);
  CHECK(!set.present);
}

static void a_read_does_not_go_beyond_descriptors(void) {
  int fds[2];
  char bytes[16];
  fw_fd_set_t set;
  channel(fds);
  CHECK_EQUAL(send_bytes(fds[0], "ab", 2, NULL, 0), 2);
  CHECK_EQUAL(send_bytes(fds[0], "cd", 2, &fds[0], 1), 2);
  CHECK_EQUAL(send_bytes(fds[0], "ef", 2, &fds[1], 1), 2);
  CHECK_EQUAL(receive_bytes(fds[1], bytes, sizeof(bytes), &set), 4);
  CHECK_EQUAL(set.count, 1);
  fw_fd_set_drop(&set);
  CHECK_EQUAL(receive_bytes(fds[1], bytes, sizeof(bytes), &set), 2);
  CHECK_EQUAL(set.count, 1);
  fw_fd_set_drop(&set);
  close_both(fds);
}

static void a_full_socket_says_eagain_and_takes_no_descriptors(void) {
  int fds[2];
  char bytes[65536] = {0};
  fw_fd_set_t set;
  ssize_t status;
  size_t sent = 0;
  size_t received = 0;
  channel(fds);
  while ((status = send_bytes(fds[0], bytes, sizeof(bytes), NULL, 0)) > 0) sent += (size_t)status;
  CHECK_EQUAL(status, UV_EAGAIN);
  CHECK_EQUAL(send_bytes(fds[0], "x", 1, &fds[0], 1), UV_EAGAIN);
  while ((status = receive_bytes(fds[1], bytes, sizeof(bytes), &set)) > 0) {
    CHECK(!set.present);
    received += (size_t)status;
  }
  CHECK_EQUAL(status, UV_EAGAIN);
  CHECK_EQUAL(received, sent);
  close_both(fds);
}

static void a_partial_write_takes_the_descriptors_with_it(void) {
  int fds[2];
  static char bytes[1 << 20];
  fw_fd_set_t set;
  size_t n_sets = 0;
  ssize_t size;
  channel(fds);
  set_buffer(fds[0], SO_SNDBUF, 4096);
  ssize_t sent = send_bytes(fds[0], bytes, sizeof(bytes), &fds[1], 1);
  CHECK(sent > 0 && sent < (ssize_t)sizeof(bytes));
  while ((size = receive_bytes(fds[1], bytes, 1000, &set)) > 0) {
    sent -= size;
    n_sets += set.count;
    fw_fd_set_drop(&set);
  }
  CHECK_EQUAL(sent, 0);
  CHECK_EQUAL(n_sets, 1);
  close_both(fds);
}

static void the_end_is_0_and_writing_after_it_epipe(void) {
  int fds[2];
  char byte;
  fw_fd_set_t set;
  channel(fds);
  CHECK_EQUAL(send_bytes(fds[0], "x", 1, NULL, 0), 1);
  close(fds[0]);
  CHECK_EQUAL(receive_bytes(fds[1], &byte, 1, &set), 1);
  CHECK_EQUAL(receive_bytes(fds[1], &byte, 1, &set), 0);
  CHECK(!set.present);
  CHECK_EQUAL(send_bytes(fds[1], "x", 1, NULL, 0), UV_EPIPE); /* no signal */
  close(fds[1]);
}

static void a_bad_descriptor_is_an_error_and_nothing_leaves(void) {
  int fds[2];
  char byte;
  fw_fd_set_t set;
  channel(fds);
  int closed = udp_socket();
  close(closed);
  CHECK_EQUAL(send_bytes(fds[0], "x", 1, &closed, 1), UV_EBADF);
  CHECK_EQUAL(receive_bytes(fds[1], &byte, 1, &set), UV_EAGAIN);
  close_both(fds);
}

static void send_five_receive_with_room(size_t room, fw_fd_set_t* ret_set) {
  int fds[2];
  char byte;
  channel(fds);
  int many[5] = {fds[0], fds[1], fds[0], fds[1], fds[0]};
  CHECK_EQUAL(send_bytes(fds[0], "x", 1, many, 5), 1);
  limit_room(room);
  CHECK_EQUAL(receive_bytes(fds[1], &byte, 1, ret_set), 1);
  unlimit_room();
  for (size_t i = 0; i < ret_set->count; i++) CHECK(inode_of(ret_set->fds[i]) == inode_of(many[i]));
  close_both(fds);
}

static void a_process_without_room_gets_the_first_ones(void) {
  fw_fd_set_t set;
  send_five_receive_with_room(2, &set);
  CHECK(set.present && set.truncated);
  CHECK_EQUAL(set.count, 2);
  fw_fd_set_drop(&set);
}

static void a_set_of_which_nothing_arrived_is_still_a_set(void) {
  fw_fd_set_t set;
  send_five_receive_with_room(0, &set);
  CHECK(set.present && set.truncated);
  CHECK_EQUAL(set.count, 0);
  fw_fd_set_drop(&set);
  CHECK(!set.present);
}

static void an_announced_set_is_claimed_in_order(void) {
  fw_fd_set_t set = received_set(3);
  int first = set.fds[0];
  int second = set.fds[1];
  int third = set.fds[2];
  int fd = -1;
  CHECK_RULE(fw_fd_set_announce(&set, 3), NULL);
  CHECK_RULE(fw_fd_set_claim(&set, &fd), NULL);
  CHECK_EQUAL(fd, first);
  CHECK_RULE(fw_fd_set_claim(&set, &fd), NULL);
  CHECK_EQUAL(fd, second);
  close(first);
  close(second);
  CHECK(set.present);
  CHECK_RULE(fw_fd_set_claim(&set, &fd), NULL);
  CHECK_EQUAL(fd, third);
  close(third);
  CHECK(!set.present);
  CHECK_RULE(fw_fd_set_claim(&set, &fd), "unowned");
}

static void a_drop_closes_what_nobody_claimed(void) {
  fw_fd_set_t set = received_set(3);
  int fd = -1;
  CHECK_RULE(fw_fd_set_announce(&set, 3), NULL);
  CHECK_RULE(fw_fd_set_claim(&set, &fd), NULL);
  fw_fd_set_drop(&set);
  CHECK(is_open(fd));
  close(fd);
}

static void the_last_ones_of_a_truncated_set_are_missing(void) {
  fw_fd_set_t set;
  int fds[5];
  send_five_receive_with_room(2, &set);
  CHECK_RULE(fw_fd_set_announce(&set, 5), NULL);
  for (int i = 0; i < 5; i++) CHECK_RULE(fw_fd_set_claim(&set, &fds[i]), NULL);
  CHECK(fds[0] >= 0 && fds[1] >= 0);
  CHECK(fds[2] == -1 && fds[3] == -1 && fds[4] == -1);
  CHECK(!set.present);
  close(fds[0]);
  close(fds[1]);
}

static void a_count_that_does_not_fit_the_set_is_found(void) {
  fw_fd_set_t set = received_set(2);
  CHECK_RULE(fw_fd_set_announce(&set, 0), "batch");
  CHECK_RULE(fw_fd_set_announce(&set, 1), "batch");
  CHECK_RULE(fw_fd_set_announce(&set, 3), "batch");
  set.truncated = 1;
  CHECK_RULE(fw_fd_set_announce(&set, 1), "batch");
  CHECK_RULE(fw_fd_set_announce(&set, FW_SET_MAX + 1), "batch");
  CHECK_RULE(fw_fd_set_announce(&set, FW_SET_MAX), NULL);
  CHECK_RULE(fw_fd_set_announce(&set, FW_SET_MAX), "batch");
  fw_fd_set_drop(&set);
  CHECK_RULE(fw_fd_set_announce(&set, 1), "batch");
}

static void nothing_is_claimed_before_the_batch_frame(void) {
  fw_fd_set_t set = received_set(1);
  int fd = -1;
  CHECK_RULE(fw_fd_set_claim(&set, &fd), "unowned");
  CHECK_EQUAL(fd, -1);
  fw_fd_set_drop(&set);
}

/* Not even for a moment this process has more than it allows. */
static void no_more_come_than_may(void) {
  for (size_t most = 0; most <= 5; most++) {
    int fds[2];
    int sent[4];
    fw_fd_set_t set;
    CHECK_EQUAL(fw_socketpair(fds), 0);
    for (int i = 0; i < 4; i++) sent[i] = fds[0];
    struct iovec iov = {"x", 1};
    CHECK_EQUAL(fw_send(fds[0], &iov, 1, sent, 4), 1);
    uint8_t byte;
    struct iovec in = {&byte, 1};
    fw_fd_set_init(&set);
    CHECK_EQUAL(fw_recv(fds[1], &in, 1, most, &set), 1);
    CHECK_EQUAL(set.count, most < 4 ? most : 4);
    CHECK_EQUAL(set.truncated, most < 4);
    CHECK_EQUAL(set.has_room, most < 4);
    fw_fd_set_drop(&set);
    close(fds[0]);
    close(fds[1]);
  }
}

/* The kernel stops at the first that it does not let this process have: that one is to blame. */
static void of_those_that_were_cut_off_the_first_is_barred(void) {
  int fd = 0;
  fw_fd_set_t set;
  fw_fd_set_init(&set);
  set.present = set.truncated = set.has_room = 1;
  CHECK_RULE(fw_fd_set_announce(&set, 3), NULL);
  CHECK_RULE(fw_fd_set_claim(&set, &fd), NULL);
  CHECK_EQUAL(fd, FW_FD_BARRED);
  CHECK_RULE(fw_fd_set_claim(&set, &fd), NULL);
  CHECK_EQUAL(fd, -1);
  CHECK_RULE(fw_fd_set_claim(&set, &fd), NULL);
  CHECK_EQUAL(fd, -1);
  CHECK(!set.present);
}

int main(void) {
  unlimit_room();
  RUN(a_pair_is_connected_and_close_on_exec);
  RUN(gathers_and_scatters);
  RUN(descriptors_arrive_in_order_and_close_on_exec);
  RUN(one_sendmsg_carries_253_descriptors);
  RUN(a_read_does_not_go_beyond_descriptors);
  RUN(a_full_socket_says_eagain_and_takes_no_descriptors);
  RUN(a_partial_write_takes_the_descriptors_with_it);
  RUN(the_end_is_0_and_writing_after_it_epipe);
  RUN(a_bad_descriptor_is_an_error_and_nothing_leaves);
  RUN(a_process_without_room_gets_the_first_ones);
  RUN(a_set_of_which_nothing_arrived_is_still_a_set);
  RUN(an_announced_set_is_claimed_in_order);
  RUN(a_drop_closes_what_nobody_claimed);
  RUN(the_last_ones_of_a_truncated_set_are_missing);
  RUN(a_count_that_does_not_fit_the_set_is_found);
  RUN(nothing_is_claimed_before_the_batch_frame);
  RUN(no_more_come_than_may);
  RUN(of_those_that_were_cut_off_the_first_is_barred);
  return check_done();
}
