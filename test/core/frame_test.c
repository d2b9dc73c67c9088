#include "../../src/core/frame.h"

#include "check.h"

#define N_ITEMS(table) (sizeof(table) / sizeof((table)[0]))

static void integers_are_little_endian(void) {
  uint8_t bytes[8];
  fw_put_u16(bytes, 0x0102);
  CHECK(memcmp(bytes, "\x02\x01", 2) == 0);
  fw_put_u32(bytes, 0x01020304);
  CHECK(memcmp(bytes, "\x04\x03\x02\x01", 4) == 0);
  fw_put_u64(bytes, 0xf102030405060708);
  CHECK(memcmp(bytes, "\x08\x07\x06\x05\x04\x03\x02\xf1", 8) == 0);
  CHECK(fw_get_u64(bytes) == 0xf102030405060708);
  CHECK(fw_get_u32(bytes + 4) == 0xf1020304);
  CHECK(fw_get_u16(bytes + 6) == 0xf102);
}

static void a_header_lies_as_the_protocol_says(void) {
  static const uint8_t wanted[FW_FRAME_HEADER_SIZE] = {4, 3, 2, 1, 3, 1, 6, 1,
                                                       8, 7, 6, 5, 4, 3, 2, 1};
  fw_frame_t frame = {.size = 0x01020304,
                      .kind = FW_KIND_USER,
                      .flags = FW_FLAG_MORE,
                      .encoding = FW_ENCODING_BYTES,
                      .handles = 1,
                      .id = 0x0102030405060708};
  uint8_t bytes[FW_FRAME_HEADER_SIZE];
  fw_frame_t back;
  fw_frame_encode(bytes, &frame);
  CHECK(memcmp(bytes, wanted, sizeof(wanted)) == 0);
  fw_frame_decode(bytes, &back);
  CHECK(back.size == frame.size && back.id == frame.id);
  CHECK(back.kind == frame.kind && back.flags == frame.flags);
  CHECK(back.encoding == frame.encoding && back.handles == frame.handles);
}

static void an_allowed_header_passes(void) {
  static const fw_frame_t frames[] = {
      {.kind = FW_KIND_HELLO, .size = 32},
      {.kind = FW_KIND_HELLO, .size = 256},
      {.kind = FW_KIND_BATCH, .size = 4},
      {.kind = FW_KIND_USER, .encoding = 1},
      {.kind = FW_KIND_USER, .encoding = 6, .size = 262144, .flags = FW_FLAG_MORE},
      {.kind = FW_KIND_USER, .encoding = 4, .flags = FW_FLAG_MORE | FW_FLAG_CONTINUED},
      {.kind = FW_KIND_USER, .encoding = 5, .size = 26, .handles = 1, .id = 9},
      {.kind = FW_KIND_INTERNAL, .encoding = 2, .size = 1},
      {.kind = FW_KIND_CREDIT, .size = 16},
      {.kind = FW_KIND_LANDED, .id = 1},
      {.kind = FW_KIND_TAKEN, .size = 16},
      {.kind = FW_KIND_TAKEN, .size = 576 * 16},
      {.kind = FW_KIND_REFUSED, .size = 4, .id = 1},
      {.kind = FW_KIND_RESEND, .size = 576 * 8},
      {.kind = FW_KIND_HANDLE_FD, .size = 8, .handles = 1, .id = 1},
      {.kind = FW_KIND_WRITES_DONE, .id = 1, .flags = FW_FLAG_FAILED},
      {.kind = FW_KIND_COUNTS, .size = 1024 * 16},
      {.kind = FW_KIND_END},
      {.kind = FW_KIND_END, .size = 576 * 16},
  };
  for (size_t i = 0; i < N_ITEMS(frames); i++) CHECK_RULE(fw_frame_check(&frames[i]), NULL);
}

typedef struct {
  const char* rule;
  fw_frame_t frame;
} broken_t;

static void check_broken(const broken_t* broken, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const char* rule = fw_frame_check(&broken[i].frame);
    if (rule == NULL || strcmp(rule, broken[i].rule) != 0)
      fprintf(stderr, "row %zu, %s:\n", i, fw_frame_name(broken[i].frame.kind));
    CHECK_RULE(rule, broken[i].rule);
  }
}

static int is_kind(int kind) {
  return (kind >= FW_KIND_HELLO && kind <= FW_KIND_SLOT) || kind == FW_KIND_FINISHING;
}

static void a_kind_that_is_not_defined_is_found(void) {
  for (int kind = 0; kind < 256; kind++) {
    fw_frame_t frame = {.kind = (uint8_t)kind, .size = 0xffffffff};
    CHECK_RULE(fw_frame_check(&frame), is_kind(kind) ? "size" : "kind");
  }
}

static void a_size_that_the_kind_cannot_have_is_found(void) {
  static const broken_t broken[] = {
      {"size", {.kind = FW_KIND_HELLO, .size = 31}},
      {"size", {.kind = FW_KIND_HELLO, .size = 257}},
      {"size", {.kind = FW_KIND_BATCH, .size = 3}},
      {"size", {.kind = FW_KIND_BATCH, .size = 5}},
      {"size", {.kind = FW_KIND_USER, .encoding = 1, .size = 262145}},
      {"size", {.kind = FW_KIND_INTERNAL, .encoding = 1, .size = 262145}},
      {"size", {.kind = FW_KIND_CREDIT, .size = 8}},
      {"size", {.kind = FW_KIND_LANDED, .size = 1, .id = 1}},
      {"size", {.kind = FW_KIND_TAKEN, .size = 0}},
      {"size", {.kind = FW_KIND_TAKEN, .size = 24}},
      {"size", {.kind = FW_KIND_TAKEN, .size = 577 * 16}},
      {"size", {.kind = FW_KIND_REFUSED, .size = 8, .id = 1}},
      {"size", {.kind = FW_KIND_RESEND, .size = 0}},
      {"size", {.kind = FW_KIND_RESEND, .size = 12}},
      {"size", {.kind = FW_KIND_RESEND, .size = 577 * 8}},
      {"size", {.kind = FW_KIND_HANDLE_FD, .size = 0, .handles = 1, .id = 1}},
      {"size", {.kind = FW_KIND_WRITES_DONE, .size = 1, .id = 1}},
      {"size", {.kind = FW_KIND_COUNTS, .size = 0}},
      {"size", {.kind = FW_KIND_COUNTS, .size = 1025 * 16}},
      {"size", {.kind = FW_KIND_END, .size = 8}},
      {"size", {.kind = FW_KIND_END, .size = 577 * 16}},
  };
  check_broken(broken, N_ITEMS(broken));
}

static void a_field_that_must_be_0_is_found(void) {
  static const broken_t broken[] = {
      {"reserved", {.kind = FW_KIND_HELLO, .size = 32, .flags = 1}},
      {"reserved", {.kind = FW_KIND_HELLO, .size = 32, .id = 1}},
      {"reserved", {.kind = FW_KIND_HELLO, .size = 32, .encoding = 1}},
      {"reserved", {.kind = FW_KIND_BATCH, .size = 4, .id = 1}},
      {"reserved", {.kind = FW_KIND_USER, .encoding = 1, .flags = 8}},
      {"reserved", {.kind = FW_KIND_USER, .encoding = 1, .flags = 128}},
      {"reserved", {.kind = FW_KIND_USER, .encoding = 1, .id = 1}},
      {"reserved", {.kind = FW_KIND_INTERNAL, .encoding = 1, .flags = FW_FLAG_CONTINUED, .id = 1}},
      {"reserved", {.kind = FW_KIND_CREDIT, .size = 16, .id = 1}},
      {"reserved", {.kind = FW_KIND_LANDED, .id = 1, .flags = 1}},
      {"reserved", {.kind = FW_KIND_TAKEN, .size = 16, .id = 1}},
      {"reserved", {.kind = FW_KIND_RESEND, .size = 8, .id = 1}},
      {"reserved", {.kind = FW_KIND_HANDLE_FD, .size = 8, .handles = 1, .id = 1, .encoding = 1}},
      {"reserved", {.kind = FW_KIND_WRITES_DONE, .id = 1, .flags = 2}},
      {"reserved", {.kind = FW_KIND_COUNTS, .size = 16, .id = 1}},
      {"reserved", {.kind = FW_KIND_END, .id = 1}},
  };
  check_broken(broken, N_ITEMS(broken));
}

static void a_wrong_encoding_handle_or_id_is_found(void) {
  static const broken_t broken[] = {
      {"encoding", {.kind = FW_KIND_USER, .encoding = 0}},
      {"encoding", {.kind = FW_KIND_USER, .encoding = 9}},
      {"encoding", {.kind = FW_KIND_INTERNAL, .encoding = 8}},
      {"encoding", {.kind = FW_KIND_INTERNAL, .encoding = 255}},
      {"handles", {.kind = FW_KIND_USER, .encoding = 1, .handles = 2, .id = 1, .size = 24}},
      {"handles", {.kind = FW_KIND_USER, .encoding = 1, .handles = 1, .flags = FW_FLAG_CONTINUED}},
      {"handles", {.kind = FW_KIND_HELLO, .size = 32, .handles = 1}},
      {"handles", {.kind = FW_KIND_BATCH, .size = 4, .handles = 1}},
      {"handles", {.kind = FW_KIND_END, .handles = 1}},
      {"handles", {.kind = FW_KIND_HANDLE_FD, .size = 8, .id = 1}},
      {"handles", {.kind = FW_KIND_HANDLE_FD, .size = 8, .handles = 2, .id = 1}},
      {"handle-id", {.kind = FW_KIND_USER, .encoding = 1, .handles = 1, .size = 24}},
      {"ledger", {.kind = FW_KIND_LANDED}},
      {"ledger", {.kind = FW_KIND_REFUSED, .size = 4}},
      {"ledger", {.kind = FW_KIND_WRITES_DONE}},
      {"ledger", {.kind = FW_KIND_HANDLE_FD, .size = 8, .handles = 1}},
  };
  check_broken(broken, N_ITEMS(broken));
}

static void every_kind_has_its_name(void) {
  CHECK_RULE(fw_frame_name(FW_KIND_HELLO), "HELLO");
  CHECK_RULE(fw_frame_name(FW_KIND_WRITES_DONE), "WRITES_DONE");
  CHECK_RULE(fw_frame_name(FW_KIND_END), "END");
  CHECK_RULE(fw_frame_name(FW_KIND_SLOT), "SLOT");
  CHECK_RULE(fw_frame_name(FW_KIND_SLOT + 1), "?");
  CHECK_RULE(fw_frame_name(FW_KIND_FINISHING), "FINISHING");
  CHECK_RULE(fw_frame_name(0), "?");
  CHECK_RULE(fw_frame_name(20), "?");
  CHECK_RULE(fw_frame_name(255), "?");
}

static void hello_comes_back_as_it_was_sent(void) {
  fw_hello_t hello = {.min_version = 1,
                      .max_version = 7,
                      .pid = 0x12345678,
                      .features = 0xfedcba9876543210,
                      .max_message_size = 0x123456789a};
  uint8_t bytes[FW_HELLO_SIZE];
  fw_hello_t back;
  fw_hello_encode(bytes, &hello);
  CHECK(memcmp(bytes, "forkwire\x01\x00\x07\x00\x78\x56\x34\x12", 16) == 0);
  CHECK_RULE(fw_hello_decode(bytes, &back), NULL);
  CHECK(back.min_version == 1 && back.max_version == 7 && back.pid == hello.pid);
  CHECK(back.features == hello.features && back.max_message_size == hello.max_message_size);
}

static void hello_of_another_program_or_version_is_found(void) {
  fw_hello_t back;
  uint8_t bytes[FW_HELLO_SIZE];
  fw_hello_t newer = {.min_version = 2, .max_version = 3};
  fw_hello_t older = {.min_version = 0, .max_version = 0};
  fw_hello_encode(bytes, &newer);
  CHECK_RULE(fw_hello_decode(bytes, &back), "version");
  fw_hello_encode(bytes, &older);
  CHECK_RULE(fw_hello_decode(bytes, &back), "version");
  bytes[7] = 'E';
  CHECK_RULE(fw_hello_decode(bytes, &back), "hello-magic");
}

static fw_block_t good_block(void) {
  return (fw_block_t){.inode = 1, .kind = FW_FD_TCP, .type = FW_HANDLE_SOCKET};
}

static const char* check_block(const fw_block_t* block) {
  uint8_t bytes[FW_BLOCK_SIZE];
  fw_block_t back;
  fw_block_encode(bytes, block);
  return fw_block_decode(bytes, &back);
}

static void a_handle_block_comes_back_as_it_was_sent(void) {
  fw_block_t block = {.inode = 0x0102030405060708,
                      .key = 0x1112131415161718,
                      .kind = FW_FD_UDP,
                      .type = FW_HANDLE_DGRAM,
                      .flags = 15,
                      .buffered = 0x21222324};
  uint8_t bytes[FW_BLOCK_SIZE];
  fw_block_t back;
  fw_block_encode(bytes, &block);
  CHECK(bytes[0] == 8 && bytes[8] == 0x18 && bytes[16] == 3 && bytes[17] == 4 && bytes[18] == 15);
  CHECK(bytes[19] == 0 && bytes[20] == 0x24);
  CHECK_RULE(fw_block_decode(bytes, &back), NULL);
  CHECK(back.inode == block.inode && back.key == block.key && back.buffered == block.buffered);
  CHECK(back.kind == block.kind && back.type == block.type && back.flags == block.flags);
  bytes[19] = 1;
  CHECK_RULE(fw_block_decode(bytes, &back), "reserved");
}

static void a_type_goes_with_its_kinds_only(void) {
  for (uint8_t kind = 0; kind < 6; kind++) {
    for (uint8_t type = 0; type < 9; type++) {
      fw_block_t block = good_block();
      block.kind = kind;
      block.type = type;
      int is_dgram = type == FW_HANDLE_DGRAM || type == FW_HANDLE_DGRAM_NATIVE;
      int is_stream = type >= FW_HANDLE_SOCKET && type <= FW_HANDLE_BOUND && !is_dgram;
      int is_good = (kind == FW_FD_UDP && is_dgram) ||
                    ((kind == FW_FD_TCP || kind == FW_FD_UNIX) && is_stream);
      CHECK_RULE(check_block(&block), is_good ? NULL : "handle-block");
    }
  }
}

static void a_flag_that_is_not_defined_is_found(void) {
  for (int flags = 0; flags < 256; flags++) {
    fw_block_t block = good_block();
    block.flags = (uint8_t)flags;
    CHECK_RULE(check_block(&block), flags < 16 ? NULL : "handle-block");
  }
}

static void ranges_ascend_and_do_not_touch_0(void) {
  static const struct {
    const char* rule;
    size_t count;
    fw_range_t ranges[3];
  } rows[] = {
      {NULL, 0, {{0, 0}}},
      {NULL, 1, {{1, 1}}},
      {NULL, 3, {{1, 1}, {2, 9}, {11, UINT64_MAX}}},
      {"ranges", 1, {{0, 1}}},
      {"ranges", 1, {{2, 1}}},
      {"ranges", 2, {{1, 5}, {5, 6}}},
      {"ranges", 2, {{7, 8}, {1, 2}}},
      {"ranges", 3, {{1, 1}, {2, 2}, {2, 2}}},
  };
  uint8_t payload[3 * 16];
  for (size_t i = 0; i < N_ITEMS(rows); i++) {
    for (size_t j = 0; j < rows[i].count; j++) fw_range_encode(payload, j, rows[i].ranges[j]);
    CHECK_RULE(fw_ranges_check(payload, rows[i].count), rows[i].rule);
    for (size_t j = 0; j < rows[i].count; j++)
      CHECK(fw_range_decode(payload, j).last == rows[i].ranges[j].last);
  }
}

static void ids_ascend_and_are_not_0(void) {
  static const struct {
    const char* rule;
    uint64_t ids[2];
  } rows[] = {{NULL, {1, 2}},
              {NULL, {5, UINT64_MAX}},
              {"ranges", {0, 1}},
              {"ranges", {3, 3}},
              {"ranges", {4, 3}}};
  uint8_t payload[16];
  for (size_t i = 0; i < N_ITEMS(rows); i++) {
    fw_put_u64(payload, rows[i].ids[0]);
    fw_put_u64(payload + 8, rows[i].ids[1]);
    CHECK_RULE(fw_ids_check(payload, 2), rows[i].rule);
  }
}

/* Every kind that is not of version 1's core, and every flag of such a one, needs its feature. */
static void what_needs_a_feature_is_not_admitted_without_it(void) {
  static const struct {
    uint64_t feature;
    fw_frame_t frame;
  } gated[] = {
      {FW_FEATURE_SEGMENTS, {.kind = FW_KIND_SEGMENT}},
      {FW_FEATURE_SEGMENTS, {.kind = FW_KIND_MAPPED}},
      {FW_FEATURE_SEGMENTS, {.kind = FW_KIND_MAPPED, .flags = FW_FLAG_REFUSED}},
      {FW_FEATURE_SEGMENTS, {.kind = FW_KIND_SEEN}},
      {FW_FEATURE_SEGMENTS, {.kind = FW_KIND_RELEASED}},
      {FW_FEATURE_SEGMENTS, {.kind = FW_KIND_UNMAP}},
      {FW_FEATURE_SEGMENTS, {.kind = FW_KIND_USER, .flags = FW_FLAG_SEGMENT}},
      {FW_FEATURE_SLOTS, {.kind = FW_KIND_SLOT}},
      {FW_FEATURE_FINISHING, {.kind = FW_KIND_FINISHING}},
  };
  for (size_t i = 0; i < N_ITEMS(gated); i++) {
    fw_stream_state_t state = {.hello_seen = 1};
    CHECK_RULE(fw_frame_admit(&gated[i].frame, &state), "feature");
    state.features = ~gated[i].feature;
    CHECK_RULE(fw_frame_admit(&gated[i].frame, &state), "feature");
    state.features = gated[i].feature;
    CHECK_RULE(fw_frame_admit(&gated[i].frame, &state), NULL);
    state.peer_ended = 1;
    CHECK_RULE(fw_frame_admit(&gated[i].frame, &state), "after-end");
  }
}

static void what_needs_no_feature_is_admitted_where_it_may_come(void) {
  static const uint8_t behind_end[] = {FW_KIND_BATCH,  FW_KIND_CREDIT,    FW_KIND_LANDED,
                                       FW_KIND_RESEND, FW_KIND_HANDLE_FD, FW_KIND_WRITES_DONE};
  for (uint8_t kind = FW_KIND_BATCH; kind <= FW_KIND_END; kind++) {
    fw_frame_t frame = {.kind = kind};
    fw_stream_state_t state = {0};
    CHECK_RULE(fw_frame_admit(&frame, &state), "hello-first");
    state.hello_seen = 1;
    CHECK_RULE(fw_frame_admit(&frame, &state), NULL);
    state.peer_ended = 1;
    int may_follow = memchr(behind_end, kind, sizeof(behind_end)) != NULL;
    CHECK_RULE(fw_frame_admit(&frame, &state), may_follow ? NULL : "after-end");
  }
}

int main(void) {
  RUN(integers_are_little_endian);
  RUN(a_header_lies_as_the_protocol_says);
  RUN(an_allowed_header_passes);
  RUN(a_kind_that_is_not_defined_is_found);
  RUN(a_size_that_the_kind_cannot_have_is_found);
  RUN(a_field_that_must_be_0_is_found);
  RUN(a_wrong_encoding_handle_or_id_is_found);
  RUN(every_kind_has_its_name);
  RUN(hello_comes_back_as_it_was_sent);
  RUN(hello_of_another_program_or_version_is_found);
  RUN(a_handle_block_comes_back_as_it_was_sent);
  RUN(a_type_goes_with_its_kinds_only);
  RUN(a_flag_that_is_not_defined_is_found);
  RUN(ranges_ascend_and_do_not_touch_0);
  RUN(ids_ascend_and_are_not_0);
  RUN(what_needs_a_feature_is_not_admitted_without_it);
  RUN(what_needs_no_feature_is_admitted_where_it_may_come);
  return check_done();
}
