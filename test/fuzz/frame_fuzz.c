/* Headers, HELLO, handle blocks and lists of ids from any bytes: what passes the checks is within the limits that the rest
 * of the core relies on, and encodes to the same bytes again. */
// fuzz-sources: src/core/frame.c
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/core/frame.h"

static void check(int is_true, const char* what) {
  if (is_true) return;
  fprintf(stderr, "failed: %s\n", what);
  abort();
}

static void header(const uint8_t* bytes) {
  uint8_t again[FW_FRAME_HEADER_SIZE];
  fw_frame_t frame;
  fw_frame_decode(bytes, &frame);
  fw_frame_encode(again, &frame);
  check(memcmp(bytes, again, sizeof(again)) == 0, "a header changes");
  check(fw_frame_name(frame.kind)[0] != 0, "a kind without a name");
  if (fw_frame_check(&frame) != NULL) return;
  int is_kind = frame.kind <= FW_KIND_SLOT || frame.kind == FW_KIND_FINISHING;
  check(frame.kind >= FW_KIND_HELLO && is_kind, "a kind that is not defined");
  check(frame.size <= FW_FRAME_MAX_PAYLOAD && frame.handles <= 1, "beyond the limits");
  int has_id = frame.id != 0 || frame.kind == FW_KIND_SLOT; /* there is only one */
  check(frame.handles == 0 || has_id, "a handle without an id");
  uint8_t last = frame.kind == FW_KIND_USER ? FW_ENCODING_STRINGS : FW_ENCODING_VIEWS;
  if (fw_frame_is_message(&frame))
    check(frame.encoding >= FW_ENCODING_JSON && frame.encoding <= last, "encoding");
  else check(frame.encoding == 0, "a control frame with an encoding");
}

static void hello(const uint8_t* bytes) {
  uint8_t again[FW_HELLO_SIZE];
  fw_hello_t hello;
  if (fw_hello_decode(bytes, &hello) != NULL) return;
  fw_hello_encode(again, &hello);
  check(memcmp(bytes, again, sizeof(again)) == 0, "HELLO changes");
}

static void block(const uint8_t* bytes) {
  uint8_t again[FW_BLOCK_SIZE];
  fw_block_t block;
  if (fw_block_decode(bytes, &block) != NULL) return;
  fw_block_encode(again, &block);
  check(memcmp(bytes, again, sizeof(again)) == 0, "a handle block changes");
}

static void ranges(const uint8_t* bytes, size_t count) {
  uint64_t last = 0;
  if (fw_ranges_check(bytes, count) != NULL) return;
  for (size_t i = 0; i < count; i++) {
    fw_range_t range = fw_range_decode(bytes, i);
    check(range.first > last && range.last >= range.first, "ranges that do not ascend");
    last = range.last;
  }
}

static void ids(const uint8_t* bytes, size_t count) {
  if (fw_ids_check(bytes, count) != NULL) return;
  for (size_t i = 1; i < count; i++)
    check(fw_get_u64(bytes + i * 8) > fw_get_u64(bytes + i * 8 - 8), "ids that do not ascend");
}

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size >= FW_FRAME_HEADER_SIZE) header(bytes);
  if (size >= FW_HELLO_SIZE) hello(bytes);
  if (size >= FW_BLOCK_SIZE) block(bytes);
  ranges(bytes, size / 16);
  ids(bytes, size / 8);
  return 0;
}
