#include "../../src/core/read_queue.h"

#include <uv.h>

#include "end.h"
#include "wire.h"

static end_t* a; /* sends */
static end_t* b; /* receives */
static int tcp[2];
static wire_t wire;

static void begin(void) {
  tcp_pair(tcp);
  end_pair(&a, &b);
  end_pump(a, b);
  wire_init(&wire, tcp[0]);
}

static void end(void) {
  end_free(a);
  end_free(b);
  close(tcp[0]);
  close(tcp[1]);
  wire_free(&wire);
}

static fw_ledger_t* ledger(end_t* end) {
  return &end->channel->ledger;
}

static fw_lane_in_t* lane_in(fw_lane_t lane) {
  return &b->channel->in.lanes[lane];
}

/* Sends the wire built by hand in steps, as if `a` had. */
static void feed(size_t step) {
  size_t at = 0;
  while (at < fw_buffer_size(&wire.bytes)) {
    at += wire_send_some(&wire, a->fd, at, step);
    CHECK_EQUAL(end_drain(b), 0);
  }
}

static void first_piece(uint8_t kind, uint64_t total, uint32_t size) {
  wire_header(&wire, (fw_frame_t){.kind = kind,
                                  .encoding = FW_ENCODING_BYTES,
                                  .flags = FW_FLAG_MORE,
                                  .size = FW_TOTAL_SIZE + size});
  wire_u64(&wire, total);
  wire_zeros(&wire, size);
}

/* Of a message with a socket and 5 bytes, of which none is here yet. */
static void first_piece_with_socket(uint64_t id) {
  fw_block_t block = wire_tcp_block(&wire);
  wire_set(&wire, 1);
  wire_header(&wire, (fw_frame_t){.kind = FW_KIND_USER,
                                  .encoding = FW_ENCODING_BYTES,
                                  .flags = FW_FLAG_MORE,
                                  .handles = 1,
                                  .id = id,
                                  .size = FW_TOTAL_SIZE + FW_BLOCK_SIZE});
  wire_u64(&wire, FW_BLOCK_SIZE + 5);
  wire_block(&wire, &block);
}

static void next_piece_of(uint8_t kind, uint8_t flags, uint32_t size) {
  wire_header(&wire, (fw_frame_t){.kind = kind,
                                  .encoding = FW_ENCODING_BYTES,
                                  .flags = FW_FLAG_CONTINUED | flags,
                                  .size = size});
  wire_zeros(&wire, size);
}

/* ----------------------------------------------------------------- decoding */

static void messages_are_the_same_however_they_are_cut(void) {
  static const size_t steps[] = {1, 2, 15, 16, 17, 100, 1000000};
  for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
    begin();
    wire_text(&wire, FW_LANE_USER, "one");
    wire_text(&wire, FW_LANE_INTERNAL, "");
    wire_text(&wire, FW_LANE_USER, "a longer message, the third");
    wire_text(&wire, FW_LANE_INTERNAL, "four");
    feed(steps[i]);
    CHECK_EQUAL(b->n_got, 4);
    CHECK(end_got_text(b, 0, "one") && b->got[0].lane == FW_LANE_USER);
    CHECK(end_got_text(b, 1, "") && b->got[1].lane == FW_LANE_INTERNAL);
    CHECK(end_got_text(b, 2, "a longer message, the third"));
    CHECK(end_got_text(b, 3, "four") && b->got[3].encoding == FW_ENCODING_JSON);
    end();
  }
}

static void other_frames_may_stand_between_pieces(void) {
  static const size_t steps[] = {1, 11, 1000000};
  for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
    begin();
    first_piece(FW_KIND_USER, 20, 7);
    wire_text(&wire, FW_LANE_INTERNAL, "between");
    first_piece(FW_KIND_INTERNAL, 4, 0);
    next_piece_of(FW_KIND_USER, FW_FLAG_MORE, 0);
    wire_header(&wire, (fw_frame_t){.kind = FW_KIND_CREDIT, .size = 16});
    wire_u64(&wire, FW_USER_CREDIT + 7);
    wire_u64(&wire, FW_INTERNAL_CREDIT + 8);
    next_piece_of(FW_KIND_USER, 0, 13);
    next_piece_of(FW_KIND_INTERNAL, 0, 4);
    feed(steps[i]);
    CHECK_EQUAL(b->n_got, 3);
    CHECK(end_got_text(b, 0, "between"));
    CHECK(b->got[1].size == 20 && b->got[1].lane == FW_LANE_USER);
    CHECK(b->got[2].size == 4 && b->got[2].lane == FW_LANE_INTERNAL);
    CHECK_EQUAL(b->channel->out.lanes[FW_LANE_USER].limit, FW_USER_CREDIT + 7);
    end();
  }
}

static void sets_find_their_frames_however_they_are_cut(void) {
  static const size_t steps[] = {1, 3, 20, 1000000};
  for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
    begin();
    wire_text(&wire, FW_LANE_USER, "plain");
    wire_set(&wire, 2);
    wire_socket(&wire, FW_LANE_USER, 1);
    wire_text(&wire, FW_LANE_USER, "plain");
    wire_socket(&wire, FW_LANE_INTERNAL, 2);
    wire_set(&wire, 1);
    wire_socket(&wire, FW_LANE_USER, 3);
    feed(steps[i]);
    CHECK_EQUAL(b->n_got, 5);
    CHECK_EQUAL(ledger(b)->n_received, 3);
    CHECK(b->got[1].handle.id == 1 && b->got[3].handle.id == 2 && b->got[4].handle.id == 3);
    for (size_t j = 0; j < 5; j++)
      if (b->got[j].handle.id != 0) end_take(b, j);
    end();
  }
}

static void memory_is_taken_as_bytes_arrive(void) {
  begin();
  first_piece(FW_KIND_USER, FW_MAX_MESSAGE_SIZE, 100);
  first_piece(FW_KIND_INTERNAL, FW_MAX_MESSAGE_SIZE, 100);
  feed(1000000);
  CHECK(lane_in(FW_LANE_USER)->partial.capacity <= FW_FRAME_MAX_PAYLOAD);
  CHECK(lane_in(FW_LANE_INTERNAL)->partial.capacity <= FW_FRAME_MAX_PAYLOAD);
  CHECK(b->channel->in.in.capacity <= 262144);
  end();
}

static void an_incomplete_frame_at_the_end_is_ignored(void) {
  begin();
  wire_text(&wire, FW_LANE_USER, "whole");
  wire_header(&wire, (fw_frame_t){.kind = FW_KIND_USER, .encoding = 1, .size = 100});
  wire_zeros(&wire, 99);
  feed(1000000);
  fw_fd_close(&a->fd);
  CHECK_EQUAL(end_drain(b), UV_EOF);
  CHECK_EQUAL(b->n_got, 1);
  end();
}

static void unannounced_descriptors_are_closed(void) {
  begin();
  wire_fds(&wire, 200);
  wire_text(&wire, FW_LANE_USER, "{}");
  wire_send_some(&wire, a->fd, 0, 1000);
  CHECK_EQUAL(end_drain(b), UV_EPROTO);
  CHECK_RULE(b->channel->in.violation.rule, "batch");
  end();
}

/* ------------------------------------------------------------------- credit */

static void credit_comes_back_when_a_message_is_delivered(void) {
  begin();
  b->delivers = 0;
  end_send_text(a, FW_LANE_USER, "0123456789");
  end_send_text(a, FW_LANE_INTERNAL, "01234");
  end_pump(a, b);
  CHECK_EQUAL(b->got[0].cost, 26);
  CHECK_EQUAL(lane_in(FW_LANE_USER)->credited, 0);
  CHECK_EQUAL(lane_in(FW_LANE_USER)->undelivered, 1);
  fw_read_queue_deliver(&b->channel->in, FW_LANE_USER, 1, 26);
  CHECK_EQUAL(lane_in(FW_LANE_USER)->credited, 26);
  CHECK_EQUAL(lane_in(FW_LANE_USER)->undelivered, 0);
  CHECK_EQUAL(lane_in(FW_LANE_INTERNAL)->credited, 0);
  end();
}

static void credit_is_owed_after_a_quarter(void) {
  begin();
  static uint8_t bytes[200000];
  uint64_t limits[FW_N_LANES];
  CHECK_EQUAL(end_send(a, FW_LANE_INTERNAL, bytes, sizeof(bytes), NULL), 0);
  end_flush(a);
  end_drain(b);
  CHECK(!fw_read_queue_owes_credit(&b->channel->in));
  CHECK_EQUAL(end_send(a, FW_LANE_INTERNAL, bytes, sizeof(bytes), NULL), 0);
  end_flush(a);
  end_drain(b);
  CHECK(fw_read_queue_owes_credit(&b->channel->in));
  fw_read_queue_credit(&b->channel->in, limits);
  CHECK_EQUAL(limits[FW_LANE_USER], FW_USER_CREDIT);
  CHECK_EQUAL(limits[FW_LANE_INTERNAL], FW_INTERNAL_CREDIT + 2 * (200000 + 16));
  CHECK(!fw_read_queue_owes_credit(&b->channel->in));
  end();
}

/* The peer asks for more than it gets: one largest message beyond the credit, and never more than that. */
static void a_peer_that_finishes_gets_a_bounded_limit(void) {
  begin();
  fw_read_queue_t* in = &b->channel->in;
  uint64_t limits[FW_N_LANES];
  in->max_message_size = 1 << 20;
  CHECK_RULE(fw_read_queue_want(in, 1000), NULL); /* less than it has */
  CHECK(!fw_read_queue_owes_credit(in));
  CHECK_RULE(fw_read_queue_want(in, UINT64_MAX), NULL);
  CHECK(fw_read_queue_owes_credit(in));
  fw_read_queue_credit(in, limits);
  CHECK_EQUAL(limits[FW_LANE_USER], FW_USER_CREDIT + (1 << 20));
  CHECK_EQUAL(limits[FW_LANE_INTERNAL], FW_INTERNAL_CREDIT);
  CHECK(!fw_read_queue_owes_credit(in));
  CHECK_RULE(fw_read_queue_want(in, 1000), "limit");
  end();
}

static void a_limit_that_was_asked_for_does_not_fall(void) {
  begin();
  fw_read_queue_t* in = &b->channel->in;
  uint64_t limits[FW_N_LANES];
  CHECK_RULE(fw_read_queue_want(in, FW_USER_CREDIT + 100), NULL);
  fw_read_queue_credit(in, limits);
  CHECK_EQUAL(limits[FW_LANE_USER], FW_USER_CREDIT + 100);
  fw_read_queue_deliver(in, FW_LANE_USER, 0, 50);
  CHECK(!fw_read_queue_owes_credit(in));
  fw_read_queue_credit(in, limits);
  CHECK_EQUAL(limits[FW_LANE_USER], FW_USER_CREDIT + 100);
  fw_read_queue_deliver(in, FW_LANE_USER, 0, FW_USER_CREDIT / 2);
  CHECK(fw_read_queue_owes_credit(in));
  fw_read_queue_credit(in, limits);
  CHECK_EQUAL(limits[FW_LANE_USER], FW_USER_CREDIT + FW_USER_CREDIT / 2 + 50);
  end();
}

static void a_message_in_pieces_is_credited_as_it_arrives(void) {
  begin();
  b->delivers = 0;
  first_piece(FW_KIND_USER, 1000, 100);
  feed(1000000);
  CHECK_EQUAL(lane_in(FW_LANE_USER)->credited, 16 + 8 + 100);
  end();
}

static void a_message_in_pieces_waits_for_those_before_it(void) {
  begin();
  b->delivers = 0;
  wire_text(&wire, FW_LANE_USER, "{}");
  first_piece(FW_KIND_USER, 1000, 100);
  first_piece(FW_KIND_INTERNAL, 1000, 50);
  feed(1000000);
  CHECK_EQUAL(lane_in(FW_LANE_USER)->credited, 0);
  CHECK_EQUAL(lane_in(FW_LANE_INTERNAL)->credited, 16 + 8 + 50);
  fw_read_queue_deliver(&b->channel->in, FW_LANE_USER, 1, 18);
  CHECK_EQUAL(lane_in(FW_LANE_USER)->credited, 18 + 16 + 8 + 100);
  end();
}

/* ---------------------------------------------------------- missing handles */

/* `a` sends; `b` reads it while it has room for `room` more descriptors. */
static void receive_with_room(size_t room) {
  CHECK_EQUAL(end_flush(a), 0);
  limit_room(room);
  CHECK_EQUAL(end_drain(b), 0);
  unlimit_room();
}

static void send_sockets(fw_lane_t lane, uint64_t first, uint64_t last) {
  for (uint64_t i = first; i <= last; i++) end_send_socket(a, lane, "handle", tcp[0], i);
}

static void what_comes_behind_a_gap_waits_in_order(void) {
  begin();
  send_sockets(FW_LANE_USER, 1, 3);
  end_send_text(a, FW_LANE_USER, "behind");
  receive_with_room(1);
  CHECK_EQUAL(b->n_got, 1);
  CHECK_EQUAL(b->got[0].handle.id, 1);
  CHECK_EQUAL(ledger(b)->n_missing, 2);
  CHECK(fw_read_queue_is_holding(&b->channel->in));
  end_pump(a, b);
  CHECK_EQUAL(ledger(a)->landed_id, 1);
  fw_ledger_ask_missing(ledger(b), 1);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 2);
  CHECK_EQUAL(b->got[1].handle.id, 2);
  fw_ledger_ask_missing(ledger(b), 5);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 4);
  CHECK_EQUAL(b->got[2].handle.id, 3);
  CHECK(end_got_text(b, 3, "behind"));
  CHECK_EQUAL(ledger(a)->landed_id, 3);
  CHECK(!fw_read_queue_is_holding(&b->channel->in));
  for (size_t i = 0; i < 3; i++) end_take(b, i);
  end_pump(a, b);
  CHECK_EQUAL(a->n_outcomes, 3);
  end();
}

static void all_of_a_set_may_be_missing(void) {
  begin();
  send_sockets(FW_LANE_USER, 1, FW_SET_MAX + 10);
  receive_with_room(0);
  CHECK_EQUAL(b->n_got, 0);
  CHECK_EQUAL(ledger(b)->n_missing, FW_SET_MAX + 10);
  fw_ledger_ask_missing(ledger(b), SIZE_MAX);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, FW_SET_MAX + 10);
  for (size_t i = 0; i < b->n_got; i++) {
    CHECK_EQUAL(b->got[i].handle.id, i + 1);
    end_take(b, i);
  }
  end_pump(a, b);
  CHECK_EQUAL(a->n_outcomes, FW_SET_MAX + 10);
  end();
}

static void an_answer_that_is_cut_off_is_asked_for_again(void) {
  begin();
  send_sockets(FW_LANE_USER, 1, 4);
  receive_with_room(0);
  for (int i = 0; i < 3; i++) {
    fw_ledger_ask_missing(ledger(b), 4);
    end_flush(b);
    CHECK_EQUAL(end_drain(a), 0);
    receive_with_room(1);
    CHECK_EQUAL(ledger(b)->n_missing, 3 - i);
    CHECK_EQUAL(b->n_got, i + 1);
  }
  fw_ledger_ask_missing(ledger(b), 4);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 4);
  CHECK_EQUAL(ledger(a)->landed_id, 4);
  end();
}

static void those_behind_a_gap_make_room_for_it(void) {
  begin();
  send_sockets(FW_LANE_USER, 1, 2);
  receive_with_room(0);
  send_sockets(FW_LANE_USER, 3,
               5); /* these find room, and nobody can take them before the first two */
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 0);
  CHECK_EQUAL(ledger(b)->n_missing, 2);
  CHECK_EQUAL(fw_read_queue_make_room(&b->channel->in, 2), 2);
  CHECK_EQUAL(ledger(b)->n_missing, 4);
  CHECK_EQUAL(fw_ledger_find(ledger(b), 3)->state, FW_STATE_LANDED);
  CHECK_EQUAL(fw_read_queue_make_room(&b->channel->in, 2), 1);
  CHECK_EQUAL(fw_read_queue_make_room(&b->channel->in, 2), 0);
  fw_ledger_ask_missing(ledger(b), 2);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 2);
  CHECK_EQUAL(fw_read_queue_make_room(&b->channel->in, 2), 0); /* what was reported stays */
  fw_ledger_ask_missing(ledger(b), 3);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 5);
  for (size_t i = 0; i < 5; i++) CHECK_EQUAL(b->got[i].handle.id, i + 1);
  CHECK_EQUAL(ledger(a)->landed_id, 5);
  end();
}

static void a_message_in_pieces_makes_room_as_well(void) {
  begin();
  wire_set(&wire, 1);
  wire_socket(&wire, FW_LANE_USER, 1);
  limit_room(0);
  feed(1000000);
  unlimit_room();
  wire_free(&wire);
  wire_init(&wire, tcp[0]);
  first_piece_with_socket(2);
  feed(1000000);
  CHECK_EQUAL(fw_read_queue_make_room(&b->channel->in, 2), 1);
  CHECK_EQUAL(ledger(b)->n_missing, 2);
  CHECK_EQUAL(fw_read_queue_make_room(&b->channel->in, 2), 0);
  fw_ledger_ask_missing(ledger(b), 2);
  wire_free(&wire);
  wire_init(&wire, tcp[0]);
  wire_set(&wire, 2);
  wire_handle_fd(&wire, 1, inode_of(tcp[0]));
  wire_handle_fd(&wire, 2, inode_of(tcp[0]));
  next_piece_of(FW_KIND_USER, 0, 5);
  feed(1000000);
  CHECK_EQUAL(b->n_got, 2);
  CHECK(b->got[0].handle.id == 1 && b->got[1].handle.id == 2 && b->got[1].size == 5);
  end();
}

static void internal_messages_pass_user_messages_that_wait(void) {
  begin();
  send_sockets(FW_LANE_USER, 1, 1);
  end_send_text(a, FW_LANE_USER, "u");
  end_send_text(a, FW_LANE_INTERNAL, "i");
  receive_with_room(0);
  CHECK_EQUAL(b->n_got, 1);
  CHECK(end_got_text(b, 0, "i"));
  end();
}

static void user_messages_wait_behind_internal_ones_that_do(void) {
  begin();
  send_sockets(FW_LANE_INTERNAL, 1, 1);
  end_send_text(a, FW_LANE_USER, "u");
  send_sockets(FW_LANE_USER, 2, 2);
  end_send_text(a, FW_LANE_INTERNAL, "i");
  receive_with_room(0);
  CHECK_EQUAL(b->n_got, 0);
  fw_ledger_ask_missing(ledger(b), 1);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 3);
  CHECK(b->got[0].handle.id == 1 && end_got_text(b, 1, "u") && end_got_text(b, 2, "i"));
  fw_ledger_ask_missing(ledger(b), 1);
  end_pump(a, b);
  CHECK_EQUAL(b->got[3].handle.id, 2);
  end();
}

static void a_message_in_pieces_waits_with_its_handle(void) {
  begin();
  static uint8_t bytes[700000];
  fw_handle_out_t handle = {.fd = tcp[0], .token = 1, .type = FW_HANDLE_SOCKET};
  memset(bytes, 'x', sizeof(bytes));
  CHECK_EQUAL(end_send(a, FW_LANE_USER, bytes, sizeof(bytes), &handle), 0);
  limit_room(0);
  for (int i = 0; i < 100; i++) {
    end_flush(a);
    CHECK_EQUAL(end_drain(b), 0);
  }
  unlimit_room();
  CHECK_EQUAL(b->n_got, 0);
  fw_ledger_ask_missing(ledger(b), 1);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 1);
  CHECK(b->got[0].size == sizeof(bytes) && memcmp(b->got[0].data, bytes, sizeof(bytes)) == 0);
  end();
}

static void what_waits_is_credited_when_it_is_delivered(void) {
  begin();
  b->delivers = 0;
  send_sockets(FW_LANE_USER, 1, 1);
  end_send_text(a, FW_LANE_USER, "0123456789");
  receive_with_room(0);
  CHECK_EQUAL(lane_in(FW_LANE_USER)->credited, 0);
  fw_ledger_ask_missing(ledger(b), 1);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 2);
  CHECK_EQUAL(b->got[1].cost, 26);
  fw_read_queue_deliver(&b->channel->in, FW_LANE_USER, 2, b->got[0].cost + b->got[1].cost);
  CHECK_EQUAL(lane_in(FW_LANE_USER)->credited, lane_in(FW_LANE_USER)->received);
  end();
}

static void small_messages_that_wait_take_no_more_than_their_credit(void) {
  static const size_t count = 4000;
  begin();
  send_sockets(FW_LANE_USER, 1, 1);
  receive_with_room(0);
  uint64_t received = lane_in(FW_LANE_USER)->received;
  for (size_t i = 0; i < count; i++) {
    end_send_text(a, FW_LANE_USER, i % 100 == 0 ? "x" : "");
    if (i % 100 != 99) continue;
    CHECK_EQUAL(end_flush(a), 0);
    CHECK_EQUAL(end_drain(b), 0);
  }
  uint64_t cost = lane_in(FW_LANE_USER)->received - received;
  const fw_held_t* held = lane_in(FW_LANE_USER)->held_head;
  CHECK(held->next == NULL);
  CHECK(held->behind.capacity <= 2 * cost);
  fw_ledger_ask_missing(ledger(b), 1);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, count + 1);
  for (size_t i = 0; i < count; i++) CHECK(end_got_text(b, i + 1, i % 100 == 0 ? "x" : ""));
  CHECK_EQUAL(lane_in(FW_LANE_USER)->credited, lane_in(FW_LANE_USER)->received);
  end();
}

static void small_messages_that_wait_are_dropped_with_credit(void) {
  begin();
  send_sockets(FW_LANE_USER, 1, 1);
  for (int i = 0; i < 10; i++) end_send_text(a, FW_LANE_USER, "behind");
  receive_with_room(0);
  fw_read_queue_drop_messages(&b->channel->in);
  CHECK_EQUAL(b->n_got, 0);
  CHECK_EQUAL(lane_in(FW_LANE_USER)->credited, lane_in(FW_LANE_USER)->received);
  end();
}

static void a_lost_handle_takes_its_message_along_and_no_other(void) {
  begin();
  send_sockets(FW_LANE_USER, 1, 2);
  end_send_text(a, FW_LANE_USER, "behind");
  receive_with_room(1);
  fw_fd_close(&a->fd);
  fw_read_queue_give_up_missing(&b->channel->in, end_on_lost);
  CHECK_EQUAL(b->n_lost, 1);
  CHECK_EQUAL(b->lost[0], 2);
  CHECK_EQUAL(b->n_got, 2);
  CHECK(end_got_text(b, 1, "behind"));
  CHECK_EQUAL(lane_in(FW_LANE_USER)->credited, lane_in(FW_LANE_USER)->received);
  end();
}

static void a_handle_that_is_not_as_declared_is_refused_with_its_message(void) {
  begin();
  fw_block_t block = wire_tcp_block(&wire);
  block.type = FW_HANDLE_SERVER;
  wire_set(&wire, 2);
  wire_block_message(&wire, FW_LANE_USER, 1, &block);
  wire_socket(&wire, FW_LANE_USER, 2);
  feed(1000000);
  CHECK_EQUAL(b->n_got, 1);
  CHECK_EQUAL(b->got[0].handle.id, 2);
  CHECK_EQUAL(ledger(b)->n_refused, 1);
  CHECK_EQUAL(ledger(b)->refused[0].reason, FW_REFUSED_MISMATCH);
  CHECK_EQUAL(lane_in(FW_LANE_USER)->credited, lane_in(FW_LANE_USER)->received);
  end();
}

static void another_socket_in_the_answer_lets_those_behind_go_on(void) {
  begin();
  int other = udp_socket();
  send_sockets(FW_LANE_USER, 1, 1);
  end_send_text(a, FW_LANE_USER, "behind");
  receive_with_room(0);
  fw_ledger_ask_missing(ledger(b), 1);
  wire.fd = other;
  wire_set(&wire, 1);
  wire_handle_fd(&wire, 1, inode_of(tcp[0]));
  feed(1000000);
  CHECK_EQUAL(b->n_got, 1);
  CHECK(end_got_text(b, 0, "behind"));
  CHECK_EQUAL(ledger(b)->n_refused, 1);
  CHECK_EQUAL(lane_in(FW_LANE_USER)->credited, lane_in(FW_LANE_USER)->received);
  close(other);
  end();
}

/* The answer comes while the message still does. */
static void a_message_in_pieces_goes_with_its_refused_handle(void) {
  begin();
  int other = udp_socket();
  fw_block_t block = wire_tcp_block(&wire);
  first_piece_with_socket(1);
  limit_room(0);
  feed(1000000);
  unlimit_room();
  fw_ledger_ask_missing(ledger(b), 1);
  wire_free(&wire);
  wire_init(&wire, other);
  wire_set(&wire, 1);
  wire_handle_fd(&wire, 1, block.inode);
  next_piece_of(FW_KIND_USER, 0, 5);
  wire_text(&wire, FW_LANE_USER, "behind");
  feed(1000000);
  CHECK_EQUAL(b->n_got, 1);
  CHECK(end_got_text(b, 0, "behind"));
  CHECK_EQUAL(ledger(b)->n_refused, 1);
  CHECK_EQUAL(lane_in(FW_LANE_USER)->credited, lane_in(FW_LANE_USER)->received);
  close(other);
  end();
}

/* ----------------------------------------------------------------- dropping */

static void dropped_messages_are_credited_and_their_handles_closed(void) {
  begin();
  send_sockets(FW_LANE_USER, 1, 2);
  end_send_text(a, FW_LANE_USER, "plain");
  receive_with_room(1);
  CHECK_EQUAL(b->n_got, 1);
  fw_read_queue_drop_messages(&b->channel->in);
  CHECK(!fw_read_queue_is_holding(&b->channel->in));
  CHECK_EQUAL(ledger(b)->n_received, 1); /* what was given to a listener is its business */
  send_sockets(FW_LANE_USER, 3, 5);
  end_send_text(a, FW_LANE_INTERNAL, "plain");
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 1);
  CHECK_EQUAL(ledger(b)->n_received, 1);
  CHECK_EQUAL(ledger(b)->received_id, 5);
  for (int i = 0; i < FW_N_LANES; i++) CHECK_EQUAL(lane_in(i)->credited, lane_in(i)->received);
  end();
}

static void large_messages_are_dropped_without_being_kept(void) {
  begin();
  static uint8_t bytes[900000];
  fw_handle_out_t handle = {.fd = tcp[0], .token = 1, .type = FW_HANDLE_SOCKET};
  CHECK_EQUAL(end_send(a, FW_LANE_USER, bytes, sizeof(bytes), &handle), 0);
  set_buffer(a->fd, SO_SNDBUF, 1);
  CHECK_EQUAL(end_flush(a), UV_EAGAIN);
  CHECK_EQUAL(end_drain(b), 0);
  CHECK(lane_in(FW_LANE_USER)->is_partial);
  CHECK_EQUAL(ledger(b)->n_received, 1);
  fw_read_queue_drop_messages(&b->channel->in);
  CHECK(lane_in(FW_LANE_USER)->partial.data == NULL);
  CHECK_EQUAL(ledger(b)->n_received, 0); /* its handle is closed at once */
  CHECK_EQUAL(end_send(a, FW_LANE_USER, bytes, sizeof(bytes), NULL), 0);
  end_pump(a, b);
  CHECK(lane_in(FW_LANE_USER)->partial.data == NULL);
  CHECK_EQUAL(b->n_got, 0);
  CHECK_EQUAL(lane_in(FW_LANE_USER)->credited, lane_in(FW_LANE_USER)->received);
  end();
}

/* RESEND is on its way when the receiver stops delivering: the sender sees nothing wrong. */
static void an_answer_to_one_that_was_dropped_is_closed(void) {
  begin();
  send_sockets(FW_LANE_USER, 1, 3);
  receive_with_room(0);
  fw_ledger_ask_missing(ledger(b), 1);
  CHECK_EQUAL(end_flush(b), 0);
  fw_ledger_ask_missing(ledger(b), 2);
  fw_read_queue_drop_messages(&b->channel->in);
  b->channel->end_wanted = 1;
  end_pump(a, b);
  CHECK(a->channel->peer_ended);
  CHECK_EQUAL(ledger(a)->n_resend, 0);
  CHECK_EQUAL(ledger(b)->n_received, 0);
  CHECK_EQUAL(a->n_outcomes, 1); /* the third, which was not asked for */
  CHECK_EQUAL(a->outcomes[0].outcome, FW_OUTCOME_RETURNED);
  CHECK_EQUAL(a->outcomes[0].reason, FW_REFUSED_ENDING);
  fw_ledger_return_all(ledger(a));
  CHECK_EQUAL(a->n_outcomes, 3);
  end();
}

/* A listener that ends the channel still has its message. */
static void drop_on_message(void* data, const fw_message_t* message) {
  end_t* end = data;
  fw_read_queue_drop_messages(&end->channel->in);
  end_on_message(data, message);
}

static void dropping_leaves_the_message_in_hand(void) {
  begin();
  static uint8_t bytes[600000];
  memset(bytes, 'x', sizeof(bytes));
  b->channel->in.callbacks.on_message = drop_on_message;
  CHECK_EQUAL(end_send(a, FW_LANE_USER, bytes, sizeof(bytes), NULL), 0);
  end_send_text(a, FW_LANE_USER, "dropped");
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 1);
  CHECK(b->got[0].size == sizeof(bytes) && memcmp(b->got[0].data, bytes, sizeof(bytes)) == 0);
  end();
}

static void writes_done_is_told_with_its_id(void) {
  begin();
  fw_handle_out_t handle = {.fd = tcp[0], .type = FW_HANDLE_SOCKET};
  handle.flags = FW_HANDLE_WRITES_PENDING;
  for (uint64_t token = 1; token <= 3; token++) {
    handle.token = token;
    CHECK_EQUAL(end_send(a, FW_LANE_USER, "{}", 2, &handle), 0);
  }
  fw_ledger_finish_writes(ledger(a), 1, 0); /* it is still queued */
  end_pump(a, b);
  CHECK_EQUAL(b->got[0].handle.flags, 0);
  CHECK_EQUAL(b->got[1].handle.flags, FW_HANDLE_WRITES_PENDING);
  CHECK_EQUAL(ledger(b)->n_writes_in, 2);
  fw_ledger_finish_writes(ledger(a), 3, 1);
  fw_ledger_finish_writes(ledger(a), 2, 0);
  end_pump(a, b);
  CHECK_EQUAL(b->n_writes_done, 2);
  CHECK(b->writes_done[0] == 2 && !b->writes_failed[0]);
  CHECK(b->writes_done[1] == 3 && b->writes_failed[1]);
  CHECK_EQUAL(ledger(b)->n_writes_in, 0);
  end();
}

static void writes_of_a_refused_handle_are_still_told(void) {
  begin();
  fw_block_t block = wire_tcp_block(&wire);
  block.type = FW_HANDLE_SERVER;
  block.flags = FW_HANDLE_WRITES_PENDING;
  wire_set(&wire, 1);
  wire_block_message(&wire, FW_LANE_USER, 1, &block);
  wire_header(&wire, (fw_frame_t){.kind = FW_KIND_WRITES_DONE, .id = 1});
  feed(1000000);
  CHECK_EQUAL(b->n_got, 0);
  CHECK_EQUAL(b->n_writes_done, 1);
  end();
}

int main(void) {
  unlimit_room();
  RUN(messages_are_the_same_however_they_are_cut);
  RUN(other_frames_may_stand_between_pieces);
  RUN(sets_find_their_frames_however_they_are_cut);
  RUN(memory_is_taken_as_bytes_arrive);
  RUN(an_incomplete_frame_at_the_end_is_ignored);
  RUN(unannounced_descriptors_are_closed);
  RUN(credit_comes_back_when_a_message_is_delivered);
  RUN(a_peer_that_finishes_gets_a_bounded_limit);
  RUN(a_limit_that_was_asked_for_does_not_fall);
  RUN(credit_is_owed_after_a_quarter);
  RUN(a_message_in_pieces_is_credited_as_it_arrives);
  RUN(a_message_in_pieces_waits_for_those_before_it);
  RUN(what_comes_behind_a_gap_waits_in_order);
  RUN(all_of_a_set_may_be_missing);
  RUN(an_answer_that_is_cut_off_is_asked_for_again);
  RUN(those_behind_a_gap_make_room_for_it);
  RUN(a_message_in_pieces_makes_room_as_well);
  RUN(internal_messages_pass_user_messages_that_wait);
  RUN(user_messages_wait_behind_internal_ones_that_do);
  RUN(a_message_in_pieces_waits_with_its_handle);
  RUN(what_waits_is_credited_when_it_is_delivered);
  RUN(small_messages_that_wait_take_no_more_than_their_credit);
  RUN(small_messages_that_wait_are_dropped_with_credit);
  RUN(a_lost_handle_takes_its_message_along_and_no_other);
  RUN(a_handle_that_is_not_as_declared_is_refused_with_its_message);
  RUN(another_socket_in_the_answer_lets_those_behind_go_on);
  RUN(a_message_in_pieces_goes_with_its_refused_handle);
  RUN(dropped_messages_are_credited_and_their_handles_closed);
  RUN(large_messages_are_dropped_without_being_kept);
  RUN(an_answer_to_one_that_was_dropped_is_closed);
  RUN(dropping_leaves_the_message_in_hand);
  RUN(writes_done_is_told_with_its_id);
  RUN(writes_of_a_refused_handle_are_still_told);
  return check_done();
}
