#include "../../src/core/node_frame.h"

#include <uv.h>

#include "check.h"

#define LIMIT 1024

static int find(fw_node_format_t format, const char* bytes, size_t size, size_t* scanned,
                fw_node_frame_t* frame) {
  return fw_node_frame_find(format, (const uint8_t*)bytes, size, LIMIT, scanned, frame);
}

static void a_line_ends_a_json_message(void) {
  fw_node_frame_t frame;
  size_t scanned = 0;
  CHECK_EQUAL(find(FW_NODE_JSON, "{}\n[]\n", 6, &scanned, &frame), 1);
  CHECK_EQUAL(frame.payload, 0);
  CHECK_EQUAL(frame.size, 2);
  CHECK_EQUAL(frame.whole, 3);
}

static void an_empty_line_is_a_message(void) {
  fw_node_frame_t frame;
  size_t scanned = 0;
  CHECK_EQUAL(find(FW_NODE_JSON, "\n", 1, &scanned, &frame), 1);
  CHECK_EQUAL(frame.size, 0);
  CHECK_EQUAL(frame.whole, 1);
}

static void no_byte_of_a_line_is_looked_at_twice(void) {
  char text[8] = "abc";
  fw_node_frame_t frame;
  size_t scanned = 0;
  CHECK_EQUAL(find(FW_NODE_JSON, text, 3, &scanned, &frame), 0);
  CHECK_EQUAL(scanned, 3);
  memcpy(text, "\n\n\nd\n", 5); /* what was scanned may not decide any more */
  CHECK_EQUAL(find(FW_NODE_JSON, text, 5, &scanned, &frame), 1);
  CHECK_EQUAL(frame.size, 4);
}

static void a_line_may_be_as_long_as_the_limit(void) {
  char text[LIMIT + 2];
  fw_node_frame_t frame;
  size_t scanned = 0;
  memset(text, 'x', sizeof(text));
  text[LIMIT] = '\n';
  CHECK_EQUAL(find(FW_NODE_JSON, text, LIMIT, &scanned, &frame), 0);
  CHECK_EQUAL(find(FW_NODE_JSON, text, LIMIT + 1, &scanned, &frame), 1);
  CHECK_EQUAL(frame.size, LIMIT);
  text[LIMIT] = 'x';
  scanned = 0;
  CHECK_EQUAL(find(FW_NODE_JSON, text, LIMIT + 1, &scanned, &frame), UV_EMSGSIZE);
}

static void a_length_comes_before_an_advanced_message(void) {
  fw_node_frame_t frame;
  size_t scanned = 0;
  CHECK_EQUAL(find(FW_NODE_ADVANCED, "\0\0\0\3abcd", 8, &scanned, &frame), 1);
  CHECK_EQUAL(frame.payload, 4);
  CHECK_EQUAL(frame.size, 3);
  CHECK_EQUAL(frame.whole, 7);
}

static void a_length_may_come_byte_by_byte(void) {
  fw_node_frame_t frame;
  size_t scanned = 0;
  for (size_t size = 0; size < 6; size++)
    CHECK_EQUAL(find(FW_NODE_ADVANCED, "\0\0\0\2ab", size, &scanned, &frame), 0);
  CHECK_EQUAL(find(FW_NODE_ADVANCED, "\0\0\0\2ab", 6, &scanned, &frame), 1);
}

static void a_length_is_unsigned(void) {
  fw_node_frame_t frame;
  size_t scanned = 0;
  CHECK_EQUAL(find(FW_NODE_ADVANCED, "\x80\0\0\0", 4, &scanned, &frame), UV_EMSGSIZE);
  CHECK_EQUAL(fw_node_frame_find(FW_NODE_ADVANCED, (const uint8_t*)"\x80\0\0\0x", 5, UINT32_MAX,
                                 &scanned, &frame),
              0);
  CHECK_EQUAL(fw_node_frame_find(FW_NODE_ADVANCED, (const uint8_t*)"\xff\xff\xff\xff", 4,
                                 UINT32_MAX, &scanned, &frame),
              0);
}

static void what_is_sealed_is_found_again(void) {
  const fw_node_format_t formats[] = {FW_NODE_JSON, FW_NODE_ADVANCED};
  for (size_t i = 0; i < 2; i++) {
    uint8_t bytes[512];
    fw_node_frame_t frame;
    size_t scanned = 0;
    size_t prefix = fw_node_frame_prefix(formats[i]);
    memset(bytes, 'x', sizeof(bytes));
    fw_node_frame_seal(formats[i], bytes, 300);
    size_t whole = prefix + 300 + fw_node_frame_suffix(formats[i]);
    CHECK_EQUAL(fw_node_frame_find(formats[i], bytes, whole - 1, LIMIT, &scanned, &frame), 0);
    CHECK_EQUAL(fw_node_frame_find(formats[i], bytes, whole, LIMIT, &scanned, &frame), 1);
    CHECK_EQUAL(frame.payload, prefix);
    CHECK_EQUAL(frame.size, 300);
    CHECK_EQUAL(frame.whole, whole);
  }
}

int main(void) {
  RUN(a_line_ends_a_json_message);
  RUN(an_empty_line_is_a_message);
  RUN(no_byte_of_a_line_is_looked_at_twice);
  RUN(a_line_may_be_as_long_as_the_limit);
  RUN(a_length_comes_before_an_advanced_message);
  RUN(a_length_may_come_byte_by_byte);
  RUN(a_length_is_unsigned);
  RUN(what_is_sealed_is_found_again);
  return check_done();
}
