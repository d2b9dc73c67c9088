#include "../../src/core/node_writer.h"

#include <uv.h>

#include "../../src/core/ancillary.h"
#include "../../src/core/fd_kind.h"
#include "sockets.h"

static fw_ledger_t ledger;
static fw_node_writer_t writer;
static int pair[2]; /* the writer's end, the peer's */
static int tcp[2];
static char settled[256]; /* token and outcome of each: T taken, R returned, C closed */

static void on_settled(void* data, const fw_sent_t* sent, fw_outcome_t outcome, uint32_t reason) {
  (void)data;
  (void)reason;
  size_t length = strlen(settled);
  snprintf(settled + length, sizeof(settled) - length, "%d%c", (int)sent->token,
           outcome == FW_OUTCOME_TAKEN      ? 'T'
           : outcome == FW_OUTCOME_RETURNED ? 'R'
                                            : 'C');
}

static void begin(fw_node_format_t format) {
  settled[0] = '\0';
  fw_ledger_init(&ledger, on_settled, NULL);
  fw_node_writer_init(&writer, format, &ledger);
  CHECK_EQUAL(fw_socketpair(pair), 0);
  tcp_pair(tcp);
}

static void end(void) {
  fw_node_writer_free(&writer);
  fw_ledger_free(&ledger);
  close(pair[0]);
  close(pair[1]);
  close(tcp[0]);
  close(tcp[1]);
}

static int commit(const char* text, const fw_handle_out_t* handle, fw_lane_t lane) {
  size_t size = strlen(text);
  uint8_t* room = fw_node_writer_begin(&writer, size);
  CHECK(room != NULL);
  memcpy(room, text, size);
  return fw_node_writer_commit(&writer, lane, size, handle);
}

static void put(const char* text) {
  CHECK_EQUAL(commit(text, NULL, FW_LANE_USER), 0);
}

static fw_handle_out_t handle_of(int fd, uint64_t token) {
  return (fw_handle_out_t){.fd = fd, .token = token, .type = FW_HANDLE_SOCKET};
}

static void put_handle(const char* text, uint64_t token) {
  fw_handle_out_t handle = handle_of(tcp[0], token);
  CHECK_EQUAL(commit(text, &handle, FW_LANE_USER), 0);
}

static void put_urgent(const char* text) {
  fw_bytes_t payload = {(const uint8_t*)text, strlen(text)};
  CHECK_EQUAL(fw_node_writer_put_urgent(&writer, payload), 0);
}

static int flush(void) {
  size_t written;
  return fw_node_writer_flush(&writer, pair[0], SIZE_MAX, &written);
}

/* What the peer has got: text, and how many descriptors came with it. */
static void check_got(const char* wanted, size_t n_fds) {
  char text[512];
  size_t length = 0;
  size_t count = 0;
  for (;;) {
    fw_fd_set_t set;
    struct iovec iov = {text + length, sizeof(text) - 1 - length};
    fw_fd_set_init(&set);
    ssize_t size = fw_recv(pair[1], &iov, 1, FW_SET_MAX, &set);
    if (size < 0) break;
    length += (size_t)size;
    count += set.count;
    fw_fd_set_drop(&set);
  }
  text[length] = '\0';
  if (strcmp(text, wanted) != 0) fprintf(stderr, "got \"%s\"\n", text);
  CHECK(strcmp(text, wanted) == 0);
  CHECK_EQUAL(count, n_fds);
}

static void writes_messages_in_order_each_with_its_end(void) {
  begin(FW_NODE_JSON);
  put("1");
  put("22");
  CHECK_EQUAL(writer.size, 5);
  CHECK_EQUAL(flush(), 0);
  check_got("1\n22\n", 0);
  CHECK_EQUAL(writer.size, 0);
  CHECK_EQUAL(writer.n_written[FW_LANE_USER], 2);
  end();
}

static void writes_the_length_before_an_advanced_message(void) {
  uint8_t bytes[16];
  begin(FW_NODE_ADVANCED);
  put("abc");
  CHECK_EQUAL(flush(), 0);
  CHECK_EQUAL(read(pair[1], bytes, sizeof(bytes)), 7);
  CHECK(memcmp(bytes, "\0\0\0\3abc", 7) == 0);
  end();
}

static void more_messages_than_one_sendmsg_takes_keep_their_order(void) {
  char text[8];
  begin(FW_NODE_JSON);
  for (int i = 0; i < 150; i++) put("x");
  CHECK_EQUAL(flush(), 0);
  for (int i = 0; i < 150; i++) {
    CHECK_EQUAL(read(pair[1], text, 2), 2);
    CHECK(memcmp(text, "x\n", 2) == 0);
  }
  end();
}

static void everything_behind_a_handle_waits_for_its_acknowledgement(void) {
  begin(FW_NODE_JSON);
  put("before");
  put_handle("first", 1);
  put("between");
  put_handle("second", 2);
  put("after");
  CHECK_EQUAL(flush(), 0);
  check_got("before\nfirst\n", 1);
  CHECK_EQUAL(fw_node_writer_in_flight(&writer)->token, 1);
  fw_node_writer_acknowledged(&writer);
  CHECK(strcmp(settled, "1T") == 0);
  CHECK_EQUAL(flush(), 0);
  check_got("between\nsecond\n", 1);
  fw_node_writer_acknowledged(&writer);
  CHECK_EQUAL(flush(), 0);
  check_got("after\n", 0);
  CHECK(fw_node_writer_is_laid(&writer));
  CHECK(strcmp(settled, "1T2T") == 0);
  end();
}

static void an_acknowledgement_of_ours_waits_for_nothing(void) {
  begin(FW_NODE_JSON);
  put_handle("handle", 1);
  put("behind");
  CHECK_EQUAL(flush(), 0);
  put_urgent("ack");
  CHECK_EQUAL(flush(), 0);
  check_got("handle\nack\n", 1);
  end();
}

static void nothing_is_in_flight_that_was_not_sent(void) {
  begin(FW_NODE_JSON);
  CHECK(fw_node_writer_in_flight(&writer) == NULL);
  put_handle("handle", 1);
  CHECK(fw_node_writer_in_flight(&writer) == NULL);
  end();
}

static void a_refused_handle_is_sent_again_with_its_message(void) {
  begin(FW_NODE_JSON);
  put_handle("handle", 1);
  put("behind");
  CHECK_EQUAL(flush(), 0);
  check_got("handle\n", 1);
  CHECK_EQUAL(fw_node_writer_refused(&writer), 1);
  CHECK(fw_node_writer_in_flight(&writer) == NULL);
  CHECK_EQUAL(flush(), 0);
  check_got("", 0); /* not before it is told to */
  fw_node_writer_resend(&writer);
  CHECK_EQUAL(flush(), 0);
  check_got("handle\n", 1);
  CHECK_EQUAL(writer.n_written[FW_LANE_USER], 1);
  CHECK_EQUAL(fw_node_writer_refused(&writer), 2);
  fw_node_writer_resend(&writer);
  CHECK_EQUAL(flush(), 0);
  fw_node_writer_acknowledged(&writer);
  CHECK_EQUAL(flush(), 0);
  check_got("handle\nbehind\n", 1);
  CHECK_EQUAL(writer.n_written[FW_LANE_USER], 2);
  CHECK(strcmp(settled, "1T") == 0);
  end();
}

static void the_count_of_refusals_begins_anew_with_each_handle(void) {
  begin(FW_NODE_JSON);
  put_handle("a", 1);
  put_handle("b", 2);
  flush();
  CHECK_EQUAL(fw_node_writer_refused(&writer), 1);
  fw_node_writer_resend(&writer);
  flush();
  fw_node_writer_acknowledged(&writer);
  flush();
  CHECK_EQUAL(fw_node_writer_refused(&writer), 1);
  end();
}

static void a_socket_that_was_reset_is_not_sent_nor_is_its_message(void) {
  begin(FW_NODE_JSON);
  put_handle("gone", 1);
  put("next");
  tcp_reset(tcp[1], tcp[0]);
  tcp[1] = dup(tcp[0]);
  CHECK_EQUAL(flush(), 0);
  check_got("next\n", 0);
  CHECK(strcmp(settled, "1C") == 0);
  CHECK_EQUAL(writer.n_written[FW_LANE_USER], 2);
  CHECK_EQUAL(writer.size, 0);
  end();
}

static void put_writing(const char* text, uint64_t token) {
  fw_handle_out_t handle = handle_of(tcp[0], token);
  handle.dup = 1;
  handle.flags = FW_HANDLE_WRITES_PENDING;
  CHECK_EQUAL(commit(text, &handle, FW_LANE_USER), 0);
}

static void a_socket_with_unsent_writes_waits_for_them(void) {
  begin(FW_NODE_JSON);
  put_writing("handle", 1);
  put("behind");
  CHECK_EQUAL(flush(), 0);
  check_got("", 0);
  CHECK(fw_node_writer_waits_for_writes(&writer));
  fw_ledger_finish_writes(&ledger, 1, 0);
  CHECK(!fw_node_writer_waits_for_writes(&writer));
  CHECK_EQUAL(flush(), 0);
  check_got("handle\n", 1);
  end();
}

static void a_socket_whose_writes_failed_is_dropped(void) {
  begin(FW_NODE_JSON);
  put_writing("handle", 1);
  put("behind");
  fw_ledger_finish_writes(&ledger, 1, 1);
  CHECK_EQUAL(flush(), 0);
  check_got("behind\n", 0);
  CHECK(strcmp(settled, "1C") == 0);
  end();
}

static void a_socket_whose_writes_do_not_end_goes_back(void) {
  begin(FW_NODE_JSON);
  put_writing("handle", 1);
  put("behind");
  CHECK_EQUAL(flush(), 0);
  fw_node_writer_return_head(&writer);
  CHECK(strcmp(settled, "1R") == 0);
  fw_node_writer_return_head(&writer); /* nothing that waits for writes: nothing happens */
  CHECK_EQUAL(flush(), 0);
  check_got("behind\n", 0);
  end();
}

#define LARGE ((size_t)600000)

static const char* large(void) {
  static char text[LARGE + 1];
  memset(text, 'x', LARGE);
  return text;
}

static void what_the_kernel_takes_in_pieces_arrives_as_a_whole(void) {
  static char got[LARGE + 8];
  size_t whole = LARGE + strlen("\na\n");
  size_t length = 0;
  begin(FW_NODE_JSON);
  set_buffer(pair[0], SO_SNDBUF, 1);
  put_handle(large(), 1);
  CHECK_EQUAL(flush(), UV_EAGAIN);
  put_urgent("a"); /* behind the rest, before what waits */
  while (length < whole) {
    fw_fd_set_t set;
    struct iovec iov = {got + length, sizeof(got) - length};
    fw_fd_set_init(&set);
    ssize_t size = fw_recv(pair[1], &iov, 1, FW_SET_MAX, &set);
    CHECK_EQUAL(set.count, length == 0);
    CHECK(size > 0);
    fw_fd_set_drop(&set);
    length += (size_t)size;
    flush();
  }
  CHECK_EQUAL(length, whole);
  CHECK(memcmp(got, large(), LARGE) == 0);
  CHECK(memcmp(got + LARGE, "\na\n", 3) == 0);
  end();
}

static void a_cut_leaves_what_was_begun_and_no_more(void) {
  begin(FW_NODE_JSON);
  set_buffer(pair[0], SO_SNDBUF, 1);
  put(large());
  put_handle("handle", 1);
  put("after");
  CHECK_EQUAL(flush(), UV_EAGAIN);
  fw_node_writer_cut(&writer);
  fw_ledger_return_all(&ledger);
  CHECK(strcmp(settled, "1R") == 0);
  CHECK(fw_node_writer_is_laid(&writer));
  CHECK(writer.size > 0 && writer.size < LARGE);
  end();
}

static void a_cut_in_the_middle_of_a_handle_leaves_nothing_in_flight(void) {
  begin(FW_NODE_JSON);
  set_buffer(pair[0], SO_SNDBUF, 1);
  put_handle(large(), 1);
  CHECK_EQUAL(flush(), UV_EAGAIN);
  fw_node_writer_cut(&writer);
  fw_ledger_return_all(&ledger);
  CHECK(strcmp(settled, "1R") == 0);
  CHECK(fw_node_writer_in_flight(&writer) == NULL);
  CHECK(fw_node_writer_is_laid(&writer));
  end();
}

static void a_handle_that_cannot_be_sent_leaves_everything_as_it_was(void) {
  fw_handle_out_t handle = handle_of(-1, 1);
  begin(FW_NODE_JSON);
  put("before");
  CHECK_EQUAL(commit("handle", &handle, FW_LANE_USER), UV_EBADF);
  CHECK_EQUAL(writer.size, 7);
  put("after");
  CHECK_EQUAL(flush(), 0);
  check_got("before\nafter\n", 0);
  CHECK(strcmp(settled, "") == 0);
  end();
}

static void messages_of_each_lane_are_counted_apart(void) {
  begin(FW_NODE_JSON);
  put("u");
  CHECK_EQUAL(commit("i", NULL, FW_LANE_INTERNAL), 0);
  put_urgent("ack");
  CHECK_EQUAL(flush(), 0);
  check_got("ack\nu\ni\n", 0);
  CHECK_EQUAL(writer.n_written[FW_LANE_USER], 1);
  CHECK_EQUAL(writer.n_written[FW_LANE_INTERNAL], 1);
  end();
}

int main(void) {
  RUN(writes_messages_in_order_each_with_its_end);
  RUN(writes_the_length_before_an_advanced_message);
  RUN(more_messages_than_one_sendmsg_takes_keep_their_order);
  RUN(everything_behind_a_handle_waits_for_its_acknowledgement);
  RUN(an_acknowledgement_of_ours_waits_for_nothing);
  RUN(nothing_is_in_flight_that_was_not_sent);
  RUN(a_refused_handle_is_sent_again_with_its_message);
  RUN(the_count_of_refusals_begins_anew_with_each_handle);
  RUN(a_socket_that_was_reset_is_not_sent_nor_is_its_message);
  RUN(a_socket_with_unsent_writes_waits_for_them);
  RUN(a_socket_whose_writes_failed_is_dropped);
  RUN(a_socket_whose_writes_do_not_end_goes_back);
  RUN(what_the_kernel_takes_in_pieces_arrives_as_a_whole);
  RUN(a_cut_leaves_what_was_begun_and_no_more);
  RUN(a_cut_in_the_middle_of_a_handle_leaves_nothing_in_flight);
  RUN(a_handle_that_cannot_be_sent_leaves_everything_as_it_was);
  RUN(messages_of_each_lane_are_counted_apart);
  return check_done();
}
