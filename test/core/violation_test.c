/* Section 9 of docs/protocol.md, rule by rule: a stream of bytes and descriptors goes in over a real
 * socket, whole and byte by byte, and the name of the broken rule comes out. */
#include <uv.h>

#include "end.h"
#include "memory.h"
#include "wire.h"

#define N_ITEMS(table) (sizeof(table) / sizeof((table)[0]))
#define MAX_STEPS 8192

static int tcp[2];
static int listener;

typedef struct {
  const char* rule;
  const char* what;
  void (*build)(wire_t* wire);
  size_t max_message_size; /* 0: the default */
} row_t;

/* Sends all of it in steps while the end reads: what the end said last. */
static int feed(end_t* end, const wire_t* wire, int fd, size_t step) {
  int status = 0;
  size_t at = 0;
  while (status == 0 && at < fw_buffer_size(&wire->bytes)) {
    at += wire_send_some(wire, fd, at, step);
    status = end_drain(end);
  }
  return status;
}

static void check_row(const row_t* row, size_t step) {
  int fds[2];
  wire_t wire;
  wire_init(&wire, tcp[0]);
  row->build(&wire);
  if (fw_buffer_size(&wire.bytes) / step > MAX_STEPS) {
    wire_free(&wire);
    return;
  }
  CHECK_EQUAL(fw_socketpair(fds), 0);
  end_t* end = end_new_mute(fds[1]);
  if (row->max_message_size > 0) end->channel->in.max_message_size = row->max_message_size;
  int status = feed(end, &wire, fds[0], step);
  const char* rule = status == UV_EPROTO ? end->channel->in.violation.rule : NULL;
  if (rule == NULL || strcmp(rule, row->rule) != 0)
    fprintf(stderr, "%s, in steps of %zu:\n", row->what, step);
  CHECK_RULE(rule, row->rule);
  end_free(end);
  close(fds[0]);
  wire_free(&wire);
}

static void check_rows(const row_t* rows, size_t count) {
  tcp_pair(tcp);
  listener = tcp_listener();
  for (size_t i = 0; i < count; i++) {
    check_row(&rows[i], 1);
    check_row(&rows[i], 7);
    check_row(&rows[i], SIZE_MAX / 2);
  }
  close(listener);
  close(tcp[0]);
  close(tcp[1]);
}

/* -------------------------------------------------------------------- hello */

static void no_hello(wire_t* wire) {
  wire_text(wire, FW_LANE_USER, "{}");
}

static void hello_twice(wire_t* wire) {
  wire_hello(wire);
  wire_text(wire, FW_LANE_USER, "{}");
  wire_hello(wire);
}

static void another_magic(wire_t* wire) {
  wire_hello(wire);
  memcpy(fw_buffer_bytes(&wire->bytes) + FW_FRAME_HEADER_SIZE, "firewire", 8);
}

static void a_later_version(wire_t* wire) {
  wire_hello(wire);
  fw_put_u16(fw_buffer_bytes(&wire->bytes) + FW_FRAME_HEADER_SIZE + 8, 2);
  fw_put_u16(fw_buffer_bytes(&wire->bytes) + FW_FRAME_HEADER_SIZE + 10, 9);
}

static void hello_comes_first_and_once(void) {
  static const row_t rows[] = {
      {"hello-first", "a message before HELLO", no_hello, 0},
      {"hello-first", "HELLO twice", hello_twice, 0},
      {"hello-magic", "another magic", another_magic, 0},
      {"version", "no version in common", a_later_version, 0},
  };
  check_rows(rows, N_ITEMS(rows));
}

/* ------------------------------------------------------------------ headers */

static void header(wire_t* wire, fw_frame_t frame) {
  wire_hello(wire);
  wire_header(wire, frame);
}

static void kind_0(wire_t* wire) {
  header(wire, (fw_frame_t){.kind = 0});
}

static void kind_20(wire_t* wire) {
  header(wire, (fw_frame_t){.kind = 20});
}

static void message_of_4_gib(wire_t* wire) {
  header(wire, (fw_frame_t){.kind = FW_KIND_USER, .encoding = 1, .size = UINT32_MAX});
}

static void credit_of_8_bytes(wire_t* wire) {
  header(wire, (fw_frame_t){.kind = FW_KIND_CREDIT, .size = 8});
}

static void message_with_an_unknown_flag(wire_t* wire) {
  header(wire, (fw_frame_t){.kind = FW_KIND_USER, .encoding = 1, .flags = 8});
}

static void end_with_an_id(wire_t* wire) {
  header(wire, (fw_frame_t){.kind = FW_KIND_END, .id = 1});
}

static void id_without_a_handle(wire_t* wire) {
  header(wire, (fw_frame_t){.kind = FW_KIND_USER, .encoding = 1, .id = 1});
}

static void encoding_8(wire_t* wire) {
  header(wire, (fw_frame_t){.kind = FW_KIND_INTERNAL, .encoding = 8});
}

static void odd_utf16(wire_t* wire) {
  header(wire, (fw_frame_t){.kind = FW_KIND_USER, .encoding = FW_ENCODING_UTF16, .size = 3});
  wire_zeros(wire, 3);
}

static void odd_utf16_in_pieces(wire_t* wire) {
  header(wire, (fw_frame_t){.kind = FW_KIND_USER,
                            .encoding = FW_ENCODING_UTF16,
                            .flags = FW_FLAG_MORE,
                            .size = 10});
  wire_u64(wire, 5);
  wire_zeros(wire, 2);
}

static void odd_utf16_behind_a_handle(wire_t* wire) {
  fw_block_t block = wire_tcp_block(wire);
  wire_hello(wire);
  wire_set(wire, 1);
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_USER,
                                 .encoding = FW_ENCODING_UTF16,
                                 .handles = 1,
                                 .id = 1,
                                 .size = FW_BLOCK_SIZE + 1});
  wire_block(wire, &block);
  wire_zeros(wire, 1);
}

static void two_handles(wire_t* wire) {
  header(wire,
         (fw_frame_t){.kind = FW_KIND_USER, .encoding = 1, .handles = 2, .id = 1, .size = 48});
}

static void handle_in_landed(wire_t* wire) {
  header(wire, (fw_frame_t){.kind = FW_KIND_LANDED, .handles = 1, .id = 1});
}

static void handle_in_a_continuation(wire_t* wire) {
  header(wire, (fw_frame_t){.kind = FW_KIND_USER,
                            .encoding = 1,
                            .flags = FW_FLAG_CONTINUED,
                            .handles = 1,
                            .id = 1,
                            .size = 24});
}

static void a_header_is_checked_by_itself(void) {
  static const row_t rows[] = {
      {"kind", "kind 0", kind_0, 0},
      {"kind", "kind 20", kind_20, 0},
      {"size", "a message of 4 GiB", message_of_4_gib, 0},
      {"size", "CREDIT of 8 bytes", credit_of_8_bytes, 0},
      {"reserved", "a message with a flag that is not defined", message_with_an_unknown_flag, 0},
      {"reserved", "END with an id", end_with_an_id, 0},
      {"reserved", "a message with an id and no handle", id_without_a_handle, 0},
      {"encoding", "encoding 8", encoding_8, 0},
      {"encoding", "UTF-16 of 3 bytes", odd_utf16, 0},
      {"encoding", "UTF-16 of 5 bytes in pieces", odd_utf16_in_pieces, 0},
      {"encoding", "UTF-16 of 1 byte behind a handle", odd_utf16_behind_a_handle, 0},
      {"handles", "two handles", two_handles, 0},
      {"handles", "a handle in LANDED", handle_in_landed, 0},
      {"handles", "a handle in a continuation", handle_in_a_continuation, 0},
  };
  check_rows(rows, N_ITEMS(rows));
}

/* ----------------------------------------------------------------- messages */

static void piece(wire_t* wire, uint8_t flags, uint8_t encoding, uint32_t size) {
  wire_header(
      wire, (fw_frame_t){.kind = FW_KIND_USER, .encoding = encoding, .flags = flags, .size = size});
}

static void first_piece(wire_t* wire, uint64_t total, uint32_t size) {
  piece(wire, FW_FLAG_MORE, FW_ENCODING_JSON, FW_TOTAL_SIZE + size);
  wire_u64(wire, total);
  wire_zeros(wire, size);
}

static void next_piece_of(wire_t* wire, uint8_t flags, uint32_t size) {
  piece(wire, FW_FLAG_CONTINUED | flags, FW_ENCODING_JSON, size);
  wire_zeros(wire, size);
}

static void continuation_of_nothing(wire_t* wire) {
  wire_hello(wire);
  next_piece_of(wire, 0, 2);
}

static void message_within_a_message(wire_t* wire) {
  wire_hello(wire);
  first_piece(wire, 10, 5);
  wire_text(wire, FW_LANE_USER, "{}");
}

static void continuation_after_the_last(wire_t* wire) {
  wire_hello(wire);
  first_piece(wire, 10, 5);
  next_piece_of(wire, 0, 5);
  next_piece_of(wire, 0, 5);
}

static void another_encoding_in_a_continuation(wire_t* wire) {
  wire_hello(wire);
  first_piece(wire, 10, 5);
  piece(wire, FW_FLAG_CONTINUED, FW_ENCODING_BYTES, 5);
}

static void total_of_0(wire_t* wire) {
  wire_hello(wire);
  first_piece(wire, 0, 0);
}

static void no_room_for_total(wire_t* wire) {
  wire_hello(wire);
  piece(wire, FW_FLAG_MORE, FW_ENCODING_JSON, 7);
  wire_zeros(wire, 7);
}

static void first_piece_above_total(wire_t* wire) {
  wire_hello(wire);
  first_piece(wire, 4, 5);
}

static void first_piece_as_long_as_total(wire_t* wire) {
  wire_hello(wire);
  first_piece(wire, 5, 5);
}

static void body_below_total(wire_t* wire) {
  wire_hello(wire);
  first_piece(wire, 10, 5);
  next_piece_of(wire, 0, 4);
}

static void body_above_total(wire_t* wire) {
  wire_hello(wire);
  first_piece(wire, 10, 5);
  next_piece_of(wire, FW_FLAG_MORE, 2);
  next_piece_of(wire, 0, 4);
}

static void body_complete_and_more(wire_t* wire) {
  wire_hello(wire);
  first_piece(wire, 10, 5);
  next_piece_of(wire, FW_FLAG_MORE, 5);
}

static void total_above_the_limit(wire_t* wire) {
  wire_hello(wire);
  first_piece(wire, 1001, 0);
}

static void body_above_the_limit(wire_t* wire) {
  wire_hello(wire);
  piece(wire, 0, FW_ENCODING_JSON, 1001);
  wire_zeros(wire, 1001);
}

static void total_above_1_gib(wire_t* wire) {
  wire_hello(wire);
  first_piece(wire, FW_MAX_MESSAGE_SIZE + 1, 0);
}

static void total_of_2_to_the_64th(wire_t* wire) {
  wire_hello(wire);
  first_piece(wire, UINT64_MAX, 0);
}

static void user_messages_beyond_16_mib(wire_t* wire) {
  wire_hello(wire);
  for (int i = 0; i < 64; i++) {
    piece(wire, 0, FW_ENCODING_BYTES, 262144);
    wire_zeros(wire, 262144);
  }
}

static void internal_messages_beyond_1_mib(wire_t* wire) {
  wire_hello(wire);
  for (int i = 0; i < 4; i++) {
    wire_header(wire, (fw_frame_t){.kind = FW_KIND_INTERNAL,
                                   .encoding = FW_ENCODING_BYTES,
                                   .size = 262144 - FW_FRAME_HEADER_SIZE});
    wire_zeros(wire, 262144 - FW_FRAME_HEADER_SIZE);
  }
  wire_text(wire, FW_LANE_INTERNAL, "");
}

static void a_message_is_checked_as_a_whole(void) {
  static const row_t rows[] = {
      {"sequence", "a continuation of nothing", continuation_of_nothing, 0},
      {"sequence", "a message within a message", message_within_a_message, 0},
      {"sequence", "a continuation after the last piece", continuation_after_the_last, 0},
      {"sequence", "another encoding", another_encoding_in_a_continuation, 0},
      {"total", "total of 0", total_of_0, 0},
      {"total", "no room for total", no_room_for_total, 0},
      {"total", "a first piece above total", first_piece_above_total, 0},
      {"total", "MORE though all is there", first_piece_as_long_as_total, 0},
      {"total", "a body below total", body_below_total, 0},
      {"total", "a body above total", body_above_total, 0},
      {"total", "a body that is complete and MORE", body_complete_and_more, 0},
      {"too-large", "total above the limit", total_above_the_limit, 1000},
      {"too-large", "a body above the limit", body_above_the_limit, 1000},
      {"too-large", "total above 1 GiB", total_above_1_gib, 0},
      {"too-large", "total of 2^64 - 1", total_of_2_to_the_64th, 0},
      {"credit", "16 MiB of user messages and their headers", user_messages_beyond_16_mib, 0},
      {"credit", "1 MiB of internal messages and one more", internal_messages_beyond_1_mib, 0},
  };
  check_rows(rows, N_ITEMS(rows));
}

/* ------------------------------------------------------------------ handles */

static void broken_block(wire_t* wire, const fw_block_t* block) {
  wire_hello(wire);
  wire_set(wire, 1);
  wire_block_message(wire, FW_LANE_USER, 1, block);
}

static void block_of_kind_0(wire_t* wire) {
  fw_block_t block = wire_tcp_block(wire);
  block.kind = 0;
  broken_block(wire, &block);
}

static void block_of_type_7(wire_t* wire) {
  fw_block_t block = wire_tcp_block(wire);
  block.type = 7;
  broken_block(wire, &block);
}

static void block_with_an_unknown_flag(wire_t* wire) {
  fw_block_t block = wire_tcp_block(wire);
  block.flags = 16;
  broken_block(wire, &block);
}

static void tcp_as_dgram(wire_t* wire) {
  fw_block_t block = wire_tcp_block(wire);
  block.type = FW_HANDLE_DGRAM;
  broken_block(wire, &block);
}

static void udp_as_socket(wire_t* wire) {
  fw_block_t block = wire_tcp_block(wire);
  block.kind = FW_FD_UDP;
  broken_block(wire, &block);
}

static void buffered_above_the_body(wire_t* wire) {
  fw_block_t block = wire_tcp_block(wire);
  block.buffered = 3;
  broken_block(wire, &block);
}

static void block_too_short(wire_t* wire) {
  wire_hello(wire);
  wire_set(wire, 1);
  wire_header(wire,
              (fw_frame_t){.kind = FW_KIND_USER, .encoding = 1, .handles = 1, .id = 1, .size = 23});
  wire_zeros(wire, 23);
}

static void block_in_two_frames(wire_t* wire) {
  wire_hello(wire);
  wire_set(wire, 1);
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_USER,
                                 .encoding = 1,
                                 .flags = FW_FLAG_MORE,
                                 .handles = 1,
                                 .id = 1,
                                 .size = FW_TOTAL_SIZE + 23});
  wire_u64(wire, 26);
  wire_zeros(wire, 23);
}

static void total_below_the_block(wire_t* wire) {
  fw_block_t block = wire_tcp_block(wire);
  wire_hello(wire);
  wire_set(wire, 1);
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_USER,
                                 .encoding = 1,
                                 .flags = FW_FLAG_MORE,
                                 .handles = 1,
                                 .id = 1,
                                 .size = FW_TOTAL_SIZE + FW_BLOCK_SIZE});
  wire_u64(wire, 23);
  wire_block(wire, &block);
}

static void block_with_a_reserved_byte(wire_t* wire) {
  wire_hello(wire);
  wire_set(wire, 1);
  wire_socket(wire, FW_LANE_USER, 1);
  fw_buffer_bytes(&wire->bytes)[fw_buffer_size(&wire->bytes) - 2 - FW_BLOCK_SIZE + 19] = 1;
}

static void first_id_2(wire_t* wire) {
  wire_hello(wire);
  wire_set(wire, 1);
  wire_socket(wire, FW_LANE_USER, 2);
}

static void same_id_in_both_lanes(wire_t* wire) {
  wire_hello(wire);
  wire_set(wire, 2);
  wire_socket(wire, FW_LANE_USER, 1);
  wire_socket(wire, FW_LANE_INTERNAL, 1);
}

static void handle_without_an_id(wire_t* wire) {
  wire_hello(wire);
  wire_set(wire, 1);
  wire_socket(wire, FW_LANE_USER, 0);
}

static void sockets(wire_t* wire, fw_lane_t lane, uint64_t first, uint32_t count) {
  while (count > 0) {
    uint32_t n_set = count < FW_SET_MAX ? count : FW_SET_MAX;
    wire_set(wire, n_set);
    for (uint32_t i = 0; i < n_set; i++) wire_socket(wire, lane, first++);
    count -= n_set;
  }
}

static void handles_513_user(wire_t* wire) {
  wire_hello(wire);
  sockets(wire, FW_LANE_USER, 1, 513);
}

static void handles_65_internal(wire_t* wire) {
  wire_hello(wire);
  sockets(wire, FW_LANE_INTERNAL, 1, 65);
}

static void a_handle_is_declared_as_it_should(void) {
  static const row_t rows[] = {
      {"handle-block", "kind 0", block_of_kind_0, 0},
      {"handle-block", "type 7", block_of_type_7, 0},
      {"handle-block", "a flag that is not defined", block_with_an_unknown_flag, 0},
      {"handle-block", "TCP as dgram", tcp_as_dgram, 0},
      {"handle-block", "UDP as socket", udp_as_socket, 0},
      {"handle-block", "more buffered bytes than body", buffered_above_the_body, 0},
      {"handle-block", "a frame of 23 bytes", block_too_short, 0},
      {"handle-block", "a block in two frames", block_in_two_frames, 0},
      {"total", "a total below the block", total_below_the_block, 0},
      {"reserved", "a reserved byte in the block", block_with_a_reserved_byte, 0},
      {"handle-id", "2 is the first id", first_id_2, 0},
      {"handle-id", "the same id in both lanes", same_id_in_both_lanes, 0},
      {"handle-id", "no id", handle_without_an_id, 0},
      {"handle-credit", "513 user handles", handles_513_user, 0},
      {"handle-credit", "65 internal handles", handles_65_internal, 0},
  };
  check_rows(rows, N_ITEMS(rows));
}

/* --------------------------------------------------------------------- sets */

static void batch_without_a_set(wire_t* wire) {
  wire_hello(wire);
  wire_batch(wire, 1);
}

static void batch_of_fewer(wire_t* wire) {
  wire_hello(wire);
  wire_fds(wire, 2);
  wire_batch(wire, 1);
}

static void batch_of_more(wire_t* wire) {
  wire_hello(wire);
  wire_fds(wire, 1);
  wire_batch(wire, 2);
}

static void batch_of_0(wire_t* wire) {
  wire_hello(wire);
  wire_fds(wire, 1);
  wire_batch(wire, 0);
}

static void batch_of_254(wire_t* wire) {
  wire_hello(wire);
  wire_fds(wire, 253);
  wire_batch(wire, 254);
}

static void set_not_used_up(wire_t* wire) {
  wire_hello(wire);
  wire_set(wire, 2);
  wire_socket(wire, FW_LANE_USER, 1);
  wire_set(wire, 1);
}

static void set_on_a_plain_message(wire_t* wire) {
  wire_hello(wire);
  wire_fds(wire, 3);
  wire_text(wire, FW_LANE_USER, "{}");
}

static void set_on_hello(wire_t* wire) {
  wire_fds(wire, 253);
  wire_hello(wire);
}

/* Behind a set in use one may wait, a third has no place. */
static void two_waiting_sets(wire_t* wire) {
  wire_hello(wire);
  wire_set(wire, 2);
  wire_socket(wire, FW_LANE_USER, 1);
  for (int i = 0; i < 2; i++) {
    wire_fds(wire, 1);
    wire_text(wire, FW_LANE_USER, "{}");
  }
}

static void handle_without_a_set(wire_t* wire) {
  wire_hello(wire);
  wire_socket(wire, FW_LANE_USER, 1);
}

static void handle_beyond_the_set(wire_t* wire) {
  wire_hello(wire);
  wire_set(wire, 1);
  wire_socket(wire, FW_LANE_USER, 1);
  wire_socket(wire, FW_LANE_USER, 2);
}

static void handle_fd_without_a_set(wire_t* wire) {
  wire_hello(wire);
  wire_handle_fd(wire, 1, 1);
}

static void sets_and_their_frames_match_one_to_one(void) {
  static const row_t rows[] = {
      {"batch", "BATCH without a set", batch_without_a_set, 0},
      {"batch", "BATCH says fewer than came", batch_of_fewer, 0},
      {"batch", "BATCH says more than came", batch_of_more, 0},
      {"batch", "BATCH says 0", batch_of_0, 0},
      {"batch", "BATCH says 254", batch_of_254, 0},
      {"batch", "a set that is not used up", set_not_used_up, 0},
      {"batch", "a set on a plain message", set_on_a_plain_message, 0},
      {"batch", "a set on HELLO", set_on_hello, 0},
      {"batch", "a second waiting set", two_waiting_sets, 0},
      {"unowned", "a handle without a set", handle_without_a_set, 0},
      {"unowned", "a handle beyond its set", handle_beyond_the_set, 0},
      {"unowned", "HANDLE_FD without a set", handle_fd_without_a_set, 0},
  };
  check_rows(rows, N_ITEMS(rows));
}

/* ------------------------------------------------------------------- ledger */

static void with_id(wire_t* wire, uint8_t kind, uint64_t id) {
  wire_hello(wire);
  wire_header(wire, (fw_frame_t){.kind = kind, .id = id});
}

static void landed_unsent(wire_t* wire) {
  with_id(wire, FW_KIND_LANDED, 1);
}

static void landed_0(wire_t* wire) {
  with_id(wire, FW_KIND_LANDED, 0);
}

static void writes_done_unknown(wire_t* wire) {
  with_id(wire, FW_KIND_WRITES_DONE, 1);
}

static void ranges(wire_t* wire, uint8_t kind, uint64_t first, uint64_t last) {
  wire_hello(wire);
  wire_header(wire, (fw_frame_t){.kind = kind, .size = 16});
  wire_u64(wire, first);
  wire_u64(wire, last);
}

static void taken_unsent(wire_t* wire) {
  ranges(wire, FW_KIND_TAKEN, 1, 1);
}

static void taken_everything(wire_t* wire) {
  ranges(wire, FW_KIND_TAKEN, 1, UINT64_MAX);
}

static void taken_backwards(wire_t* wire) {
  ranges(wire, FW_KIND_TAKEN, 2, 1);
}

static void end_took_unsent(wire_t* wire) {
  ranges(wire, FW_KIND_END, 1, 1);
}

static void end_took_0(wire_t* wire) {
  ranges(wire, FW_KIND_END, 0, 1);
}

static void refused_unsent(wire_t* wire) {
  wire_hello(wire);
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_REFUSED, .id = 1, .size = 4});
  wire_u32(wire, 1);
}

static void resend_unsent(wire_t* wire) {
  wire_hello(wire);
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_RESEND, .size = 8});
  wire_u64(wire, 1);
}

static void resend_backwards(wire_t* wire) {
  wire_hello(wire);
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_RESEND, .size = 16});
  wire_u64(wire, 2);
  wire_u64(wire, 1);
}

static void handle_fd_of_none_missing(wire_t* wire) {
  wire_hello(wire);
  wire_set(wire, 2);
  wire_socket(wire, FW_LANE_USER, 1);
  wire_handle_fd(wire, 1, inode_of(wire->fd));
}

static void handle_fd_unknown(wire_t* wire) {
  wire_hello(wire);
  wire_set(wire, 1);
  wire_handle_fd(wire, 9, inode_of(wire->fd));
}

static void writes_done_twice(wire_t* wire) {
  fw_block_t block = wire_tcp_block(wire);
  block.flags = FW_HANDLE_WRITES_PENDING;
  broken_block(wire, &block);
  for (int i = 0; i < 2; i++) wire_header(wire, (fw_frame_t){.kind = FW_KIND_WRITES_DONE, .id = 1});
}

static void user_credit_that_falls(wire_t* wire) {
  wire_hello(wire);
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_CREDIT, .size = 16});
  wire_u64(wire, FW_USER_CREDIT - 1);
  wire_u64(wire, FW_INTERNAL_CREDIT);
}

static void internal_credit_that_falls(wire_t* wire) {
  wire_hello(wire);
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_CREDIT, .size = 16});
  wire_u64(wire, FW_USER_CREDIT + 1);
  wire_u64(wire, FW_INTERNAL_CREDIT - 1);
}

static void what_is_said_of_handles_fits_the_ledger(void) {
  static const row_t rows[] = {
      {"ledger", "LANDED of one not sent", landed_unsent, 0},
      {"ledger", "LANDED 0", landed_0, 0},
      {"ledger", "TAKEN of one not sent", taken_unsent, 0},
      {"ledger", "TAKEN of everything", taken_everything, 0},
      {"ledger", "END took one not sent", end_took_unsent, 0},
      {"ledger", "REFUSED of one not sent", refused_unsent, 0},
      {"ledger", "RESEND of one not sent", resend_unsent, 0},
      {"ledger", "HANDLE_FD of one that is there", handle_fd_of_none_missing, 0},
      {"ledger", "HANDLE_FD of one not sent", handle_fd_unknown, 0},
      {"ledger", "WRITES_DONE of one not sent", writes_done_unknown, 0},
      {"ledger", "WRITES_DONE twice", writes_done_twice, 0},
      {"ranges", "TAKEN backwards", taken_backwards, 0},
      {"ranges", "END took 0", end_took_0, 0},
      {"ranges", "RESEND backwards", resend_backwards, 0},
      {"limit", "user credit that falls", user_credit_that_falls, 0},
      {"limit", "internal credit that falls", internal_credit_that_falls, 0},
  };
  check_rows(rows, N_ITEMS(rows));
}

/* ---------------------------------------------------------------- after END */

static void ended(wire_t* wire) {
  wire_hello(wire);
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_END});
}

static void message_after_end(wire_t* wire) {
  ended(wire);
  wire_text(wire, FW_LANE_USER, "{}");
}

static void internal_message_after_end(wire_t* wire) {
  ended(wire);
  wire_text(wire, FW_LANE_INTERNAL, "{}");
}

static void continuation_after_end(wire_t* wire) {
  wire_hello(wire);
  first_piece(wire, 10, 5);
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_END});
  next_piece_of(wire, 0, 5);
}

static void end_after_end(wire_t* wire) {
  ended(wire);
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_END});
}

static void taken_after_end(wire_t* wire) {
  ended(wire);
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_TAKEN, .size = 16});
  wire_zeros(wire, 16);
}

static void refused_after_end(wire_t* wire) {
  ended(wire);
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_REFUSED, .id = 1, .size = 4});
  wire_u32(wire, 1);
}

static void counts_after_end(wire_t* wire) {
  ended(wire);
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_COUNTS, .size = 16});
  wire_zeros(wire, 16);
}

static void little_may_follow_end(void) {
  static const row_t rows[] = {
      {"after-end", "a user message", message_after_end, 0},
      {"after-end", "an internal message", internal_message_after_end, 0},
      {"after-end", "the rest of a message", continuation_after_end, 0},
      {"after-end", "END", end_after_end, 0},
      {"after-end", "TAKEN", taken_after_end, 0},
      {"after-end", "REFUSED", refused_after_end, 0},
      {"after-end", "COUNTS", counts_after_end, 0},
  };
  check_rows(rows, N_ITEMS(rows));
}

/* ----------------------------------------------------------------- features */

/* A frame of every kind and flag that needs a feature, with a descriptor where it owns one. */
static void gated_frame(wire_t* wire, int i) {
  if (i == 0 || i == 1) wire_set(wire, 1);
  switch (i) {
    case 0:
      wire_header(wire, (fw_frame_t){.kind = FW_KIND_SEGMENT, .handles = 1, .id = 1, .size = 8});
      wire_u64(wire, 65536);
      break;
    case 1:
      wire_header(wire, (fw_frame_t){.kind = FW_KIND_SLOT, .handles = 1});
      break;
    case 2:
      wire_header(wire, (fw_frame_t){.kind = FW_KIND_USER,
                                     .encoding = FW_ENCODING_LATIN1,
                                     .flags = FW_FLAG_SEGMENT,
                                     .size = FW_SEGMENT_REF_SIZE});
      wire_u64(wire, 1);
      wire_u64(wire, 10);
      break;
    case 3:
      wire_header(wire, (fw_frame_t){.kind = FW_KIND_RELEASED, .size = 8});
      wire_u64(wire, 1);
      break;
    case 4:
      wire_header(wire, (fw_frame_t){.kind = FW_KIND_MAPPED, .id = 1});
      break;
    case 5:
      wire_header(wire, (fw_frame_t){.kind = FW_KIND_SEEN, .id = 1});
      break;
    case 6:
      wire_header(wire, (fw_frame_t){.kind = FW_KIND_FINISHING, .size = 8});
      wire_u64(wire, FW_USER_CREDIT + 1);
      break;
    case 7:
      wire_header(wire, (fw_frame_t){.kind = FW_KIND_USER, .encoding = FW_ENCODING_STRINGS});
      break;
    default:
      wire_header(wire, (fw_frame_t){.kind = FW_KIND_UNMAP, .id = 1});
  }
}

#define N_GATED 9
#define ALL (FW_FEATURE_SEGMENTS | FW_FEATURE_SLOTS | FW_FEATURE_FINISHING | FW_FEATURE_STRINGS)
#define NONE (FW_DISABLE_SEGMENTS | FW_DISABLE_SLOTS | FW_DISABLE_FINISHING | FW_DISABLE_STRINGS)

static uint64_t feature_of(int i) {
  if (i == 1) return FW_FEATURE_SLOTS;
  if (i == 7) return FW_FEATURE_STRINGS;
  return i == 6 ? FW_FEATURE_FINISHING : FW_FEATURE_SEGMENTS;
}

static uint32_t switch_of(int i) {
  if (i == 1) return FW_DISABLE_SLOTS;
  if (i == 7) return FW_DISABLE_STRINGS;
  return i == 6 ? FW_DISABLE_FINISHING : FW_DISABLE_SEGMENTS;
}

static int n_maps(void) {
  char line[512];
  int count = 0;
  FILE* maps = fopen("/proc/self/maps", "r");
  CHECK(maps != NULL);
  while (fgets(line, sizeof(line), maps) != NULL) count += strstr(line, "memfd:test") != NULL;
  fclose(maps);
  return count;
}

static void check_gated(int i, uint64_t said, uint32_t disabled, int low_latency, size_t step) {
  int fds[2];
  wire_t wire;
  int memory = memory_of(i == 1 ? FW_SLOT_SIZE : 65536, ALL_SEALS);
  wire_init(&wire, memory);
  wire_hello_with(&wire, said);
  gated_frame(&wire, i);
  CHECK_EQUAL(fw_socketpair(fds), 0);
  end_t* end = end_new_mute(fds[1]);
  end->channel->options.disabled = disabled;
  end->channel->options.low_latency = low_latency;
  CHECK_EQUAL(feed(end, &wire, fds[0], step), UV_EPROTO);
  CHECK_RULE(end->channel->in.violation.rule, "feature");
  CHECK_EQUAL(end->channel->in.segments.count, 0);
  CHECK_EQUAL(end->n_got, 0);
  CHECK_EQUAL(n_maps(), 0);
  end_free(end);
  close(fds[0]);
  close(memory);
  wire_free(&wire);
}

/* Neither where this end does without the feature nor where the peer does, or both. */
static void nothing_of_a_feature_that_is_not_in_use_takes_effect(void) {
  for (int i = 0; i < N_GATED; i++) {
    for (size_t step = 1; step < 1000; step += 900) {
      check_gated(i, 0, 0, 1, step);
      check_gated(i, ALL & ~feature_of(i), 0, 1, step);
      check_gated(i, ALL, NONE, 1, step);
      check_gated(i, ALL, switch_of(i), 1, step);
      if (i == 1) check_gated(i, ALL, 0, 0, step);
    }
  }
}

/* Two sets behind an incomplete BATCH, with a credit of 16 and 64. */
static void sets_without_a_frame_are_charged_to_the_credit(void) {
  int fds[2];
  wire_t wire;
  tcp_pair(tcp);
  wire_init(&wire, tcp[0]);
  wire_hello(&wire);
  wire_fds(&wire, 50);
  wire_zeros(&wire, 1);
  wire_fds(&wire, 31);
  wire_zeros(&wire, 1);
  CHECK_EQUAL(fw_socketpair(fds), 0);
  end_t* end = end_new_mute(fds[1]);
  end->channel->ledger.credit[FW_LANE_USER] = 16;
  CHECK_EQUAL(feed(end, &wire, fds[0], SIZE_MAX / 2), UV_EPROTO);
  CHECK_RULE(end->channel->in.violation.rule, "handle-credit");
  end_free(end);
  close(fds[0]);
  wire_free(&wire);
  close(tcp[0]);
  close(tcp[1]);
}

/* A violation says where it was. */
static void a_violation_names_frame_and_offset(void) {
  int fds[2];
  wire_t wire;
  tcp_pair(tcp);
  wire_init(&wire, tcp[0]);
  wire_hello(&wire);
  wire_text(&wire, FW_LANE_USER, "{}");
  size_t offset = fw_buffer_size(&wire.bytes);
  wire_header(&wire, (fw_frame_t){.kind = FW_KIND_LANDED, .id = 77});
  CHECK_EQUAL(fw_socketpair(fds), 0);
  end_t* end = end_new_mute(fds[1]);
  CHECK_EQUAL(feed(end, &wire, fds[0], 5), UV_EPROTO);
  CHECK_EQUAL(end->channel->in.violation.kind, FW_KIND_LANDED);
  CHECK_EQUAL(end->channel->in.violation.offset, offset);
  CHECK_EQUAL(end->channel->in.violation.detail, 77);
  CHECK_EQUAL(end->n_got, 1);
  end_free(end);
  close(fds[0]);
  wire_free(&wire);
  close(tcp[0]);
  close(tcp[1]);
}

int main(void) {
  unlimit_room();
  RUN(hello_comes_first_and_once);
  RUN(a_header_is_checked_by_itself);
  RUN(a_message_is_checked_as_a_whole);
  RUN(a_handle_is_declared_as_it_should);
  RUN(sets_and_their_frames_match_one_to_one);
  RUN(what_is_said_of_handles_fits_the_ledger);
  RUN(little_may_follow_end);
  RUN(sets_without_a_frame_are_charged_to_the_credit);
  RUN(nothing_of_a_feature_that_is_not_in_use_takes_effect);
  RUN(a_violation_names_frame_and_offset);
  return check_done();
}
