#include "../../src/core/node_reader.h"

#include <uv.h>

#include "sockets.h"

#define ACK "{\"cmd\":\"ack\"}"
#define NACK "{\"cmd\":\"nack\"}"
#define MAX_LOG 4096

/* What the reader reported: payloads with ';' behind, '*' where descriptors came with them, '+' and '-' for
 * acknowledgements. */
static char seen[MAX_LOG];
static uint64_t ids[64];
static size_t n_seen;

static void on_message(void* data, const fw_message_t* message) {
  (void)data;
  size_t length = strlen(seen);
  snprintf(seen + length, sizeof(seen) - length, "%.*s%s;", (int)message->size,
           (const char*)message->data, message->handle != NULL ? "*" : "");
  ids[n_seen++ % 64] = message->handle != NULL ? message->handle->id : 0;
}

static void on_acknowledged(void* data, int is_ack) {
  (void)data;
  strcat(seen, is_ack ? "+" : "-");
}

static fw_node_reader_t new_reader(fw_node_format_t format) {
  const fw_node_reader_callbacks_t callbacks = {on_message, on_acknowledged};
  fw_node_reader_t reader;
  fw_node_reader_init(&reader, format, &callbacks, NULL);
  reader.ack = (fw_bytes_t){(const uint8_t*)ACK, strlen(ACK)};
  reader.nack = (fw_bytes_t){(const uint8_t*)NACK, strlen(NACK)};
  seen[0] = '\0';
  n_seen = 0;
  return reader;
}

static int receive_with(fw_node_reader_t* reader, const void* bytes, size_t size,
                        fw_fd_set_t* set) {
  struct iovec iov[2];
  CHECK_EQUAL(fw_node_reader_prepare(reader, iov), 1);
  CHECK(iov[0].iov_len >= size);
  memcpy(iov[0].iov_base, bytes, size);
  return fw_node_reader_received(reader, size, set);
}

static int receive(fw_node_reader_t* reader, const char* text) {
  fw_fd_set_t set;
  fw_fd_set_init(&set);
  return receive_with(reader, text, strlen(text), &set);
}

/* With a set of `count` descriptors; their numbers in `fds`. */
static int receive_fds(fw_node_reader_t* reader, const char* text, int* fds, size_t count) {
  fw_fd_set_t set;
  fw_fd_set_init(&set);
  for (size_t i = 0; i < count; i++) set.fds[i] = fds[i] = udp_socket();
  set.count = count;
  set.present = 1;
  return receive_with(reader, text, strlen(text), &set);
}

static void reports_messages_in_order_however_they_are_split(void) {
  fw_node_reader_t reader = new_reader(FW_NODE_JSON);
  CHECK_EQUAL(receive(&reader, "1\n22\n3"), 0);
  CHECK_EQUAL(receive(&reader, "33"), 0);
  CHECK_EQUAL(receive(&reader, "\n4\n"), 0);
  CHECK(strcmp(seen, "1;22;333;4;") == 0);
  fw_node_reader_free(&reader);
}

static void knows_acknowledgements_by_their_bytes(void) {
  fw_node_reader_t reader = new_reader(FW_NODE_JSON);
  receive(&reader, "1\n" ACK "\n" NACK "\n{\"cmd\":\"ack\",\"a\":1}\n2\n");
  CHECK(strcmp(seen, "1;+-{\"cmd\":\"ack\",\"a\":1};2;") == 0);
  fw_node_reader_free(&reader);
}

static void knows_them_with_blanks_between_their_parts(void) {
  fw_node_reader_t reader = new_reader(FW_NODE_JSON);
  receive(&reader, "{\"cmd\": \"ack\"}\n \t{ \"cmd\" : \"nack\" } \r\n");
  CHECK(strcmp(seen, "+-") == 0);
  receive(&reader, "{\"cmd\":\" ack\"}\n{\"cmd\":\"ack\"\n \n\n");
  CHECK(strcmp(seen, "+-{\"cmd\":\" ack\"};{\"cmd\":\"ack\"; ;;") == 0);
  fw_node_reader_free(&reader);
  reader = new_reader(FW_NODE_ADVANCED);
  fw_fd_set_t set;
  fw_fd_set_init(&set);
  receive_with(&reader, "\0\0\0\16{\"cmd\": \"ack\"}", 18, &set);
  CHECK(strcmp(seen, "{\"cmd\": \"ack\"};") == 0);
  fw_node_reader_free(&reader);
}

static void reads_advanced_messages_one_byte_at_a_time(void) {
  const char bytes[] = "\0\0\0\3abc\0\0\0\0\0\0\0\1x";
  fw_node_reader_t reader = new_reader(FW_NODE_ADVANCED);
  fw_fd_set_t set;
  fw_fd_set_init(&set);
  for (size_t i = 0; i < sizeof(bytes) - 1; i++)
    CHECK_EQUAL(receive_with(&reader, bytes + i, 1, &set), 0);
  CHECK(strcmp(seen, "abc;;x;") == 0);
  fw_node_reader_free(&reader);
}

static void refuses_what_is_larger_than_the_limit(void) {
  fw_node_reader_t reader = new_reader(FW_NODE_JSON);
  reader.max_message_size = 4;
  CHECK_EQUAL(receive(&reader, "1\n12345"), UV_EPROTO);
  CHECK_RULE(reader.violation.rule, "too-large");
  CHECK_EQUAL(reader.violation.offset, 2);
  fw_node_reader_free(&reader);
}

static void gives_the_descriptor_to_a_message_that_begins_in_the_same_read(void) {
  int fd;
  int is_cut;
  fw_node_reader_t reader = new_reader(FW_NODE_JSON);
  receive_fds(&reader, "plain\nhandle\n", &fd, 1);
  CHECK(strcmp(seen, "plain*;handle*;") == 0);
  CHECK_EQUAL(fw_node_reader_claim(&reader, ids[1], &is_cut), fd);
  CHECK_EQUAL(fw_node_reader_claim(&reader, ids[1], &is_cut), -1);
  CHECK(!is_cut);
  fw_node_reader_settle(&reader);
  close(fd);
  fw_node_reader_free(&reader);
}

static void keeps_it_for_a_message_that_goes_on_in_the_next_read(void) {
  int fd;
  int is_cut;
  fw_node_reader_t reader = new_reader(FW_NODE_JSON);
  receive_fds(&reader, "han", &fd, 1);
  fw_node_reader_settle(&reader);
  CHECK(is_open(fd));
  receive(&reader, "dle\nnext\n");
  CHECK(strcmp(seen, "handle*;next;") == 0);
  CHECK_EQUAL(fw_node_reader_claim(&reader, ids[0], &is_cut), fd);
  close(fd);
  fw_node_reader_free(&reader);
}

static void closes_what_nobody_claimed(void) {
  int fds[3];
  fw_node_reader_t reader = new_reader(FW_NODE_JSON);
  receive_fds(&reader, "plain\n", fds, 3);
  CHECK(is_open(fds[0]));
  fw_node_reader_settle(&reader);
  for (size_t i = 0; i < 3; i++) CHECK(!is_open(fds[i]));
  fw_node_reader_free(&reader);
}

static void closes_what_comes_in_the_middle_of_a_message(void) {
  int fd;
  fw_node_reader_t reader = new_reader(FW_NODE_JSON);
  receive(&reader, "begun");
  receive_fds(&reader, "more", &fd, 1);
  fw_node_reader_settle(&reader);
  CHECK(!is_open(fd));
  receive(&reader, "\n");
  CHECK(strcmp(seen, "begunmore;") == 0);
  fw_node_reader_free(&reader);
}

static void closes_the_older_of_two_unclaimed_sets(void) {
  int old;
  int recent;
  fw_node_reader_t reader = new_reader(FW_NODE_JSON);
  receive_fds(&reader, "a", &old, 1);
  fw_node_reader_settle(&reader);
  receive_fds(&reader, "a\nb", &recent, 1);
  fw_node_reader_settle(&reader);
  CHECK(!is_open(old));
  CHECK(is_open(recent));
  fw_node_reader_free(&reader);
  CHECK(!is_open(recent));
}

static void says_when_the_kernel_had_no_descriptor_free(void) {
  int is_cut = 0;
  fw_node_reader_t reader = new_reader(FW_NODE_JSON);
  fw_fd_set_t set;
  fw_fd_set_init(&set);
  set.present = set.truncated = 1;
  receive_with(&reader, "handle\n", 7, &set);
  CHECK_EQUAL(fw_node_reader_claim(&reader, ids[0], &is_cut), -1);
  CHECK(is_cut);
  fw_fd_set_init(&set);
  set.present = set.truncated = set.has_room = 1;
  receive_with(&reader, "handle\n", 7, &set);
  CHECK_EQUAL(fw_node_reader_claim(&reader, ids[1], &is_cut), FW_FD_BARRED);
  CHECK(is_cut);
  fw_node_reader_free(&reader);
}

static void drops_messages_and_descriptors_but_not_acknowledgements(void) {
  int fd;
  fw_node_reader_t reader = new_reader(FW_NODE_JSON);
  fw_node_reader_drop_messages(&reader);
  receive_fds(&reader, "handle\n" ACK "\n", &fd, 1);
  CHECK(strcmp(seen, "+") == 0);
  CHECK(!is_open(fd));
  fw_node_reader_free(&reader);
}

static void is_full_until_a_listener_had_enough(void) {
  fw_node_reader_t reader = new_reader(FW_NODE_JSON);
  reader.max_undelivered = 10;
  receive(&reader, "1234\n");
  CHECK(!fw_node_reader_is_full(&reader));
  receive(&reader, "1234\n");
  CHECK(fw_node_reader_is_full(&reader));
  fw_node_reader_deliver(&reader, 5);
  CHECK(!fw_node_reader_is_full(&reader));
  fw_node_reader_deliver(&reader, 100);
  CHECK_EQUAL(reader.undelivered, 0);
  fw_node_reader_free(&reader);
}

int main(void) {
  RUN(reports_messages_in_order_however_they_are_split);
  RUN(knows_acknowledgements_by_their_bytes);
  RUN(knows_them_with_blanks_between_their_parts);
  RUN(reads_advanced_messages_one_byte_at_a_time);
  RUN(refuses_what_is_larger_than_the_limit);
  RUN(gives_the_descriptor_to_a_message_that_begins_in_the_same_read);
  RUN(keeps_it_for_a_message_that_goes_on_in_the_next_read);
  RUN(closes_what_nobody_claimed);
  RUN(closes_what_comes_in_the_middle_of_a_message);
  RUN(closes_the_older_of_two_unclaimed_sets);
  RUN(says_when_the_kernel_had_no_descriptor_free);
  RUN(drops_messages_and_descriptors_but_not_acknowledgements);
  RUN(is_full_until_a_listener_had_enough);
  return check_done();
}
