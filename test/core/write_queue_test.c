#include "../../src/core/write_queue.h"

#include <uv.h>

#include "end.h"
#include "wire.h"

static end_t* a; /* sends */
static end_t* b; /* receives */
static int tcp[2];

static void begin(void) {
  tcp_pair(tcp);
  end_pair(&a, &b);
  end_pump(a, b);
}

static void end(void) {
  end_free(a);
  end_free(b);
  close(tcp[0]);
  close(tcp[1]);
}

static fw_lane_out_t* lane_out(fw_lane_t lane) {
  return &a->channel->out.lanes[lane];
}

/* Both sides get as little room as the kernel gives. */
static void narrow(void) {
  set_buffer(a->fd, SO_SNDBUF, 1);
}

/* It repeats itself after a prime number of bytes, so that what is displaced by the size of anything shows. */
static uint8_t* pattern(size_t size, uint32_t seed) {
  static const size_t period = 4099;
  uint8_t* bytes = malloc(size > 0 ? size : 1);
  CHECK(bytes != NULL);
  for (size_t i = 0; i < size && i < period; i++) {
    seed = seed * 1664525 + 1013904223;
    bytes[i] = (uint8_t)(seed >> 24);
  }
  for (size_t at = period; at < size; at += period)
    memcpy(bytes + at, bytes, size - at < period ? size - at : period);
  return bytes;
}

static void send_pattern(fw_lane_t lane, size_t size, uint32_t seed,
                         const fw_handle_out_t* handle) {
  uint8_t* bytes = pattern(size, seed);
  CHECK_EQUAL(end_send(a, lane, bytes, size, handle), 0);
  free(bytes);
}

static void check_pattern(const end_message_t* got, size_t size, uint32_t seed) {
  uint8_t* bytes = pattern(size, seed);
  CHECK_EQUAL(got->size, size);
  CHECK(memcmp(got->data, bytes, size) == 0);
  free(bytes);
}

static void check_order(const char* const* texts, size_t count) {
  CHECK_EQUAL(b->n_got, count);
  for (size_t i = 0; i < count; i++) {
    if (!end_got_text(b, i, texts[i]))
      fprintf(stderr, "message %zu is %.*s\n", i, (int)b->got[i].size, b->got[i].data);
    CHECK(end_got_text(b, i, texts[i]));
  }
}

/* -------------------------------------------------------------------- order */

static void every_size_arrives_as_it_was_sent(void) {
  static const size_t sizes[] = {0,      1,      4096,   4097,   8192,   8193,
                                 16384,  32768,  32769,  65536,  262128, 262144,
                                 262145, 262136, 262137, 524272, 524273, 1000000};
  size_t count = sizeof(sizes) / sizeof(sizes[0]);
  begin();
  for (int lane = 0; lane < FW_N_LANES; lane++) {
    for (size_t i = 0; i < count; i++) send_pattern((fw_lane_t)lane, sizes[i], (uint32_t)i, NULL);
    end_pump(a, b);
  }
  CHECK_EQUAL(b->n_got, 2 * count);
  for (size_t i = 0; i < 2 * count; i++) {
    CHECK_EQUAL(b->got[i].lane, i < count ? FW_LANE_USER : FW_LANE_INTERNAL);
    check_pattern(&b->got[i], sizes[i % count], (uint32_t)(i % count));
  }
  CHECK_EQUAL(fw_write_queue_size(&a->channel->out), 0);
  end();
}

static void small_messages_share_an_allocation_and_keep_their_borders(void) {
  begin();
  for (uint32_t i = 0; i < 3000; i++) send_pattern(FW_LANE_USER, i % 97, i, NULL);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 3000);
  for (uint32_t i = 0; i < 3000; i++) check_pattern(&b->got[i], i % 97, i);
  CHECK_EQUAL(lane_out(FW_LANE_USER)->n_written, 3000);
  end();
}

static void the_order_of_both_lanes_is_kept(void) {
  static const char* const texts[] = {"u1", "u2", "i1", "u3", "i2", "i3", "u4"};
  begin();
  for (size_t i = 0; i < 7; i++)
    end_send_text(a, texts[i][0] == 'u' ? FW_LANE_USER : FW_LANE_INTERNAL, texts[i]);
  end_pump(a, b);
  check_order(texts, 7);
  end();
}

static void the_order_is_kept_around_large_messages(void) {
  begin();
  send_pattern(FW_LANE_USER, 600000, 1, NULL);
  end_send_text(a, FW_LANE_INTERNAL, "i");
  send_pattern(FW_LANE_USER, 300000, 2, NULL);
  end_send_text(a, FW_LANE_USER, "u");
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 4);
  check_pattern(&b->got[0], 600000, 1);
  CHECK(end_got_text(b, 1, "i"));
  check_pattern(&b->got[2], 300000, 2);
  CHECK(end_got_text(b, 3, "u"));
  end();
}

static void an_internal_message_passes_user_messages_held_by_credit(void) {
  begin();
  b->delivers = 0;
  for (uint32_t i = 0; i < 17; i++) send_pattern(FW_LANE_USER, 1000000, i, NULL);
  end_send_text(a, FW_LANE_INTERNAL, "i");
  end_send_text(a, FW_LANE_USER, "u");
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 17); /* 16 MiB are 16.77 MB */
  CHECK(end_got_text(b, 16, "i"));
  for (size_t i = 0; i < 16; i++)
    fw_read_queue_deliver(&b->channel->in, FW_LANE_USER, 1, b->got[i].cost);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 19);
  check_pattern(&b->got[17], 1000000, 16);
  CHECK(end_got_text(b, 18, "u"));
  end();
}

static void an_internal_message_passes_user_handles_held_by_credit(void) {
  begin();
  for (uint64_t i = 1; i <= FW_USER_HANDLES + 2; i++)
    end_send_socket(a, FW_LANE_USER, "u", tcp[0], i);
  end_send_text(a, FW_LANE_USER, "behind");
  end_send_text(a, FW_LANE_INTERNAL, "i");
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, FW_USER_HANDLES + 1);
  CHECK(end_got_text(b, FW_USER_HANDLES, "i"));
  end_take(b, 0);
  end_take(b, 1);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, FW_USER_HANDLES + 4);
  CHECK(end_got_text(b, FW_USER_HANDLES + 3, "behind"));
  CHECK_EQUAL(a->n_outcomes, 2);
  end();
}

static void a_full_set_lets_nothing_pass(void) {
  begin();
  for (uint64_t i = 1; i <= FW_SET_MAX + 3; i++) end_send_socket(a, FW_LANE_USER, "u", tcp[0], i);
  end_send_text(a, FW_LANE_INTERNAL, "i");
  end_send_text(a, FW_LANE_USER, "last");
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, FW_SET_MAX + 5);
  CHECK(end_got_text(b, FW_SET_MAX + 3, "i"));
  CHECK(end_got_text(b, FW_SET_MAX + 4, "last"));
  end();
}

/* ------------------------------------------------------------------- credit */

static void a_message_larger_than_the_credit_gets_through(void) {
  begin();
  send_pattern(FW_LANE_INTERNAL, 5000000, 1, NULL);
  send_pattern(FW_LANE_USER, 20000000, 2, NULL);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 2);
  check_pattern(&b->got[0], 5000000, 1);
  check_pattern(&b->got[1], 20000000, 2);
  end();
}

static void a_large_message_waits_for_those_before_it(void) {
  begin();
  b->delivers = 0;
  end_send_text(a, FW_LANE_USER, "first");
  send_pattern(FW_LANE_USER, 20000000, 2, NULL);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 1);
  CHECK(lane_out(FW_LANE_USER)->sent <= FW_USER_CREDIT);
  fw_read_queue_deliver(&b->channel->in, FW_LANE_USER, 1, b->got[0].cost);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 2);
  check_pattern(&b->got[1], 20000000, 2);
  end();
}

static void sent_bytes_and_received_bytes_agree(void) {
  begin();
  for (uint32_t i = 0; i < 200; i++) {
    send_pattern(FW_LANE_USER, i * 991 % 70000, i, NULL);
    send_pattern(FW_LANE_INTERNAL, i * 37 % 9000, i, NULL);
  }
  send_pattern(FW_LANE_USER, 700000, 1, NULL);
  end_pump(a, b);
  for (int i = 0; i < FW_N_LANES; i++) {
    const fw_lane_in_t* in = &b->channel->in.lanes[i];
    CHECK_EQUAL(in->received, a->channel->out.lanes[i].sent);
    CHECK_EQUAL(in->credited, in->received);
    CHECK_EQUAL(in->undelivered, 0);
  }
  end();
}

static void counts_what_waits_and_what_is_written(void) {
  begin();
  CHECK_EQUAL(fw_write_queue_size(&a->channel->out), 0);
  end_send_text(a, FW_LANE_USER, "0123456789");
  end_send_text(a, FW_LANE_INTERNAL, "01234");
  CHECK_EQUAL(fw_write_queue_size(&a->channel->out), 16 + 10 + 16 + 5);
  CHECK(!fw_write_queue_is_laid(&a->channel->out));
  CHECK_EQUAL(end_flush(a), 0);
  CHECK_EQUAL(fw_write_queue_size(&a->channel->out), 0);
  CHECK(fw_write_queue_is_laid(&a->channel->out));
  CHECK_EQUAL(lane_out(FW_LANE_USER)->n_written, 1);
  CHECK_EQUAL(lane_out(FW_LANE_INTERNAL)->n_written, 1);
  end();
}

static void a_message_is_written_when_its_last_byte_is(void) {
  begin();
  narrow();
  send_pattern(FW_LANE_USER, 3000000, 1, NULL);
  CHECK_EQUAL(end_flush(a), UV_EAGAIN);
  CHECK_EQUAL(lane_out(FW_LANE_USER)->n_written, 0);
  end_pump(a, b);
  CHECK_EQUAL(lane_out(FW_LANE_USER)->n_written, 1);
  CHECK_EQUAL(b->n_got, 1);
  end();
}

static void a_flush_stops_at_its_budget(void) {
  size_t written;
  begin();
  for (uint32_t i = 0; i < 20; i++) send_pattern(FW_LANE_USER, 60000, i, NULL);
  CHECK_EQUAL(fw_write_queue_flush(&a->channel->out, a->fd, 100000, &written), UV_EAGAIN);
  CHECK(written >= 100000 && written < 300000);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 20);
  end();
}

static void what_was_begun_and_not_committed_is_forgotten(void) {
  begin();
  fw_write_queue_t* out = &a->channel->out;
  CHECK(fw_write_queue_begin(out, FW_LANE_USER, 100, NULL) != NULL);
  CHECK(fw_write_queue_begin(out, FW_LANE_INTERNAL, 100000, NULL) != NULL);
  CHECK(fw_write_queue_begin(out, FW_LANE_USER, 100000, NULL) != NULL);
  end_send_text(a, FW_LANE_USER, "kept");
  CHECK(fw_write_queue_begin(out, FW_LANE_USER, 50, NULL) != NULL);
  CHECK_EQUAL(fw_write_queue_size(out), 16 + 4);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 1);
  CHECK(fw_write_queue_begin(out, FW_LANE_USER, SIZE_MAX, NULL) == NULL);
  end();
}

static void less_may_be_committed_than_was_begun(void) {
  begin();
  static const size_t sizes[] = {100, 5000, 300000};
  for (size_t i = 0; i < 3; i++) {
    uint8_t* room = fw_write_queue_begin(&a->channel->out, FW_LANE_USER, sizes[i], NULL);
    memset(room, 'x', sizes[i] / 3);
    CHECK_EQUAL(fw_write_queue_commit(&a->channel->out, FW_LANE_USER, FW_ENCODING_LATIN1,
                                      sizes[i] / 3, NULL),
                0);
  }
  end_pump(a, b);
  for (size_t i = 0; i < 3; i++) {
    CHECK_EQUAL(b->got[i].size, sizes[i] / 3);
    CHECK_EQUAL(b->got[i].encoding, FW_ENCODING_LATIN1);
  }
  end();
}

/* ------------------------------------------------------------------ handles */

static void a_handle_arrives_with_its_message(void) {
  begin();
  fw_handle_out_t handle = {.fd = tcp[0],
                            .token = 5,
                            .key = 77,
                            .type = FW_HANDLE_SOCKET,
                            .flags = FW_HANDLE_COUNTED | FW_HANDLE_ALLOW_HALF_OPEN,
                            .buffered = (const uint8_t*)"already read",
                            .buffered_size = 12};
  CHECK_EQUAL(end_send(a, FW_LANE_USER, "{}", 2, &handle), 0);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 1);
  const fw_handle_in_t* got = &b->got[0].handle;
  CHECK(end_got_text(b, 0, "{}"));
  CHECK(got->id == 1 && got->key == 77 && got->kind == FW_FD_TCP);
  CHECK(got->type == FW_HANDLE_SOCKET && got->flags == handle.flags);
  CHECK(got->buffered_size == 12 && memcmp(got->buffered, "already read", 12) == 0);
  int fd = fw_ledger_adopt(&b->channel->ledger, 1);
  CHECK(inode_of(fd) == inode_of(tcp[0]) && fd != tcp[0]);
  close(fd);
  CHECK_EQUAL(fw_ledger_take(&b->channel->ledger, 1), 0);
  CHECK_EQUAL(a->channel->ledger.landed_id, 1);
  end_pump(a, b);
  CHECK(end_has_outcome(a, 0, 5, FW_OUTCOME_TAKEN));
  end();
}

static void a_large_message_with_a_handle_arrives_whole(void) {
  begin();
  uint8_t* buffered = pattern(300000, 9);
  fw_handle_out_t handle = {.fd = tcp[0],
                            .token = 1,
                            .type = FW_HANDLE_SOCKET,
                            .buffered = buffered,
                            .buffered_size = 300000};
  send_pattern(FW_LANE_USER, 400000, 3, &handle);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 1);
  check_pattern(&b->got[0], 400000, 3);
  CHECK_EQUAL(b->got[0].handle.buffered_size, 300000);
  CHECK(memcmp(b->got[0].handle.buffered, buffered, 300000) == 0);
  free(buffered);
  end_take(b, 0);
  end();
}

static void what_cannot_be_sent_leaves_the_queue_as_it_was(void) {
  begin();
  int pipes[2];
  CHECK(pipe(pipes) == 0);
  fw_handle_out_t handle = {.fd = pipes[0], .token = 1, .type = FW_HANDLE_NATIVE};
  CHECK_EQUAL(end_send(a, FW_LANE_USER, "{}", 2, &handle), UV_ENOTSUP);
  close(pipes[0]);
  close(pipes[1]);
  CHECK_EQUAL(fw_write_queue_size(&a->channel->out), 0);
  end_send_text(a, FW_LANE_USER, "next");
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 1);
  CHECK_EQUAL(a->n_outcomes, 0);
  end();
}

/* Sets of 253 and what is above, each descriptor with its own message. */
static void many_handles_travel_in_sets(void) {
  static const size_t counts[] = {1, 252, 253, 254, 506, 507};
  for (size_t row = 0; row < sizeof(counts) / sizeof(counts[0]); row++) {
    int sockets[3] = {udp_socket(), udp_socket(), udp_socket()};
    begin();
    for (uint64_t i = 0; i < counts[row]; i++) {
      fw_handle_out_t handle = {.fd = sockets[i % 3], .token = i, .type = FW_HANDLE_DGRAM};
      CHECK_EQUAL(end_send(a, FW_LANE_USER, &i, sizeof(i), &handle), 0);
    }
    end_pump(a, b);
    CHECK_EQUAL(b->n_got, counts[row]);
    for (uint64_t i = 0; i < counts[row]; i++) {
      CHECK(memcmp(b->got[i].data, &i, sizeof(i)) == 0);
      int fd = fw_ledger_find(&b->channel->ledger, i + 1)->fd;
      CHECK(inode_of(fd) == inode_of(sockets[i % 3]));
      end_take(b, i);
    }
    end_pump(a, b);
    CHECK_EQUAL(a->n_outcomes, counts[row]);
    end();
    for (int i = 0; i < 3; i++) close(sockets[i]);
  }
}

/* Partial writes of all kinds: what is read is cut at other places than what is written. */
static void partial_writes_send_each_descriptor_once(void) {
  begin();
  narrow();
  int sockets[2] = {udp_socket(), udp_socket()};
  for (uint32_t i = 0; i < 300; i++) {
    fw_handle_out_t handle = {.fd = sockets[i % 2], .dup = 1, .token = i, .type = FW_HANDLE_DGRAM};
    send_pattern(FW_LANE_USER, i * 409 % 40000, i, i % 3 != 0 ? &handle : NULL);
    if (i % 5 == 0) send_pattern(FW_LANE_INTERNAL, i * 31 % 5000, i, NULL);
  }
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 360);
  uint32_t n_user = 0;
  for (size_t i = 0; i < b->n_got; i++) {
    if (b->got[i].lane != FW_LANE_USER) continue;
    check_pattern(&b->got[i], n_user * 409 % 40000, n_user);
    CHECK_EQUAL(b->got[i].handle.id != 0, n_user % 3 != 0);
    if (b->got[i].handle.id != 0) {
      int fd = fw_ledger_find(&b->channel->ledger, b->got[i].handle.id)->fd;
      CHECK(inode_of(fd) == inode_of(sockets[n_user % 2]));
      end_take(b, i);
    }
    n_user++;
  }
  end_pump(a, b);
  CHECK_EQUAL(a->n_outcomes, 200);
  close(sockets[0]);
  close(sockets[1]);
  end();
}

static void a_moved_socket_that_is_reset_while_queued_is_dropped(void) {
  int reset[2];
  begin();
  tcp_pair(reset);
  end_send_text(a, FW_LANE_USER, "before");
  end_send_socket(a, FW_LANE_USER, "gone", reset[1], 1);
  end_send_socket(a, FW_LANE_USER, "kept", tcp[0], 2);
  end_send_text(a, FW_LANE_USER, "after");
  tcp_reset(reset[0], reset[1]);
  end_pump(a, b);
  check_order((const char* const[]){"before", "kept", "after"}, 3);
  CHECK(end_has_outcome(a, 0, 1, FW_OUTCOME_CLOSED));
  CHECK_EQUAL(b->got[1].handle.id, 1);
  CHECK_EQUAL(lane_out(FW_LANE_USER)->n_written, 4); /* dropped counts, in order */
  CHECK_EQUAL(fw_write_queue_size(&a->channel->out), 0);
  CHECK(is_open(reset[1]));
  close(reset[1]);
  end();
}

static void a_dropped_message_is_counted_behind_those_before_it(void) {
  int reset[2];
  size_t written;
  begin();
  tcp_pair(reset);
  end_send_text(a, FW_LANE_USER, "before");
  end_send_socket(a, FW_LANE_USER, "gone", reset[1], 1);
  tcp_reset(reset[0], reset[1]);
  CHECK_EQUAL(fw_write_queue_flush(&a->channel->out, a->fd, 0, &written), UV_EAGAIN);
  CHECK_EQUAL(lane_out(FW_LANE_USER)->n_written, 0);
  CHECK_EQUAL(a->n_outcomes, 0);
  end_pump(a, b);
  CHECK_EQUAL(lane_out(FW_LANE_USER)->n_written, 2);
  CHECK_EQUAL(a->n_outcomes, 1);
  close(reset[1]);
  end();
}

static void nothing_passes_a_message_that_is_dropped(void) {
  int reset[2];
  begin();
  tcp_pair(reset);
  end_send_text(a, FW_LANE_USER, "u1");
  end_send_socket(a, FW_LANE_USER, "gone", reset[1], 1);
  end_send_text(a, FW_LANE_USER, "u2");
  end_send_text(a, FW_LANE_INTERNAL, "i");
  end_send_text(a, FW_LANE_USER, "u3");
  tcp_reset(reset[0], reset[1]);
  end_pump(a, b);
  check_order((const char* const[]){"u1", "u2", "i", "u3"}, 4);
  close(reset[1]);
  end();
}

static void a_duplicate_travels_also_when_it_is_reset(void) {
  int reset[2];
  begin();
  tcp_pair(reset);
  fw_handle_out_t handle = {.fd = reset[1], .dup = 1, .token = 1, .type = FW_HANDLE_NATIVE};
  CHECK_EQUAL(end_send(a, FW_LANE_USER, "{}", 2, &handle), 0);
  tcp_reset(reset[0], reset[1]);
  close(reset[1]);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 1);
  CHECK_EQUAL(a->n_outcomes, 0);
  end();
}

/* ---------------------------------------------------------------------- cut */

static size_t count_frames(const end_t* end, uint8_t kind) {
  size_t count = 0;
  for (size_t i = 0; i < end->n_frames; i++) count += end->frames[i] == kind;
  return count;
}

static void put_landed(uint64_t id) {
  fw_frame_t frame = {.kind = FW_KIND_LANDED, .id = id};
  CHECK_EQUAL(fw_write_queue_put(&a->channel->out, &frame, NULL), 0);
}

static void a_cut_drops_messages_and_keeps_control_frames(void) {
  begin();
  end_send_socket(b, FW_LANE_USER, "handle", tcp[0], 1);
  CHECK_EQUAL(end_flush(b), 0);
  end_send_text(a, FW_LANE_USER, "dropped");
  send_pattern(FW_LANE_INTERNAL, 300000, 1, NULL);
  put_landed(1);
  fw_write_queue_cut(&a->channel->out);
  CHECK_EQUAL(fw_write_queue_size(&a->channel->out), 16);
  CHECK(fw_write_queue_is_laid(&a->channel->out));
  CHECK_EQUAL(end_flush(a), 0);
  CHECK_EQUAL(end_drain(b), 0);
  CHECK_EQUAL(b->n_got, 0);
  CHECK_EQUAL(b->channel->ledger.landed_id, 1);
  end();
}

/* Wherever the kernel stopped: what follows the cut is understood, and END is the last. */
static void a_cut_leaves_the_front_frame_whole(void) {
  static const size_t sizes[] = {100, 3000, 8000, 9000, 200000, 262144, 900000};
  for (size_t row = 0; row < sizeof(sizes) / sizeof(sizes[0]); row++) {
    uint32_t count = sizes[row] < 10000 ? 100 : 10; /* far more than the kernel takes */
    begin();
    narrow();
    for (uint32_t i = 0; i < count; i++) send_pattern(FW_LANE_USER, sizes[row], i, NULL);
    CHECK_EQUAL(end_flush(a), UV_EAGAIN);
    fw_write_queue_cut(&a->channel->out);
    CHECK(fw_write_queue_is_laid(&a->channel->out));
    CHECK(fw_write_queue_size(&a->channel->out) <= FW_FRAME_HEADER_SIZE + FW_FRAME_MAX_PAYLOAD);
    a->channel->end_wanted = 1;
    end_pump(a, b);
    CHECK(b->channel->peer_ended);
    CHECK(b->n_got < count);
    CHECK_EQUAL(b->n_got, lane_out(FW_LANE_USER)->n_written);
    for (uint32_t i = 0; i < b->n_got; i++) check_pattern(&b->got[i], sizes[row], i);
    end();
  }
}

static void a_cut_keeps_handles_queued_that_did_not_leave(void) {
  begin();
  narrow();
  send_pattern(FW_LANE_USER, 1000000, 1, NULL);
  CHECK_EQUAL(end_flush(a), UV_EAGAIN);
  for (uint64_t i = 1; i <= 3; i++) end_send_socket(a, FW_LANE_USER, "handle", tcp[0], i);
  CHECK_EQUAL(end_flush(a), UV_EAGAIN);
  fw_write_queue_cut(&a->channel->out);
  CHECK_EQUAL(a->n_outcomes, 0);
  CHECK_EQUAL(a->channel->ledger.n_open, 0);
  fw_ledger_return_queued(&a->channel->ledger);
  CHECK_EQUAL(a->n_outcomes, 3);
  for (uint64_t i = 0; i < 3; i++) CHECK(end_has_outcome(a, i, i + 1, FW_OUTCOME_RETURNED));
  end_pump(a, b);
  CHECK_EQUAL(b->channel->ledger.received_id, 0);
  end();
}

/* A set of which the descriptors left is used up also after a cut: their frames stay. */
static void a_cut_keeps_the_frames_of_a_set_that_left(void) {
  begin();
  narrow();
  for (uint64_t i = 1; i <= 200; i++) {
    fw_handle_out_t handle = {
        .fd = tcp[0], .token = i, .type = FW_HANDLE_SOCKET, .flags = FW_HANDLE_WRITES_PENDING};
    send_pattern(FW_LANE_USER, 200, (uint32_t)i, &handle);
  }
  CHECK_EQUAL(end_flush(a), UV_EAGAIN);
  size_t n_sent = a->channel->ledger.n_open;
  CHECK(n_sent > 0);
  CHECK(lane_out(FW_LANE_USER)->n_written < n_sent);
  fw_write_queue_cut(&a->channel->out);
  fw_ledger_return_queued(&a->channel->ledger);
  for (uint64_t i = 1; i <= 200; i++) fw_ledger_finish_writes(&a->channel->ledger, i, 0);
  a->channel->end_wanted = 1;
  end_pump(a, b);
  CHECK_EQUAL(b->channel->ledger.received_id, n_sent);
  CHECK_EQUAL(b->n_got, n_sent);
  CHECK_EQUAL(b->n_writes_done, n_sent);
  CHECK(!b->channel->in.set.present);
  CHECK(b->channel->peer_ended);
  end();
}

/* WRITES_DONE is laid out behind a frame that does not leave. */
static void a_cut_takes_back_what_was_said_of_dropped_handles(void) {
  begin();
  narrow();
  send_pattern(FW_LANE_USER, 500, 1, NULL);
  fw_handle_out_t handle = {.fd = tcp[0], .token = 1, .type = FW_HANDLE_SOCKET};
  handle.flags = FW_HANDLE_WRITES_PENDING;
  send_pattern(FW_LANE_USER, 500, 2, &handle);
  fw_ledger_finish_writes(&a->channel->ledger, 1, 1); /* failed, so that it is told */
  for (uint32_t i = 0; i < 40; i++) send_pattern(FW_LANE_USER, 500, i, NULL);
  size_t written;
  CHECK_EQUAL(fw_write_queue_flush(&a->channel->out, a->fd, 0, &written), UV_EAGAIN);
  CHECK_EQUAL(a->channel->ledger.n_writes_out, 0);
  fw_write_queue_cut(&a->channel->out);
  fw_ledger_return_queued(&a->channel->ledger);
  a->channel->end_wanted = 1;
  end_pump(a, b);
  CHECK_EQUAL(b->n_writes_done, 0);
  CHECK(b->channel->peer_ended);
  end();
}

static void a_cut_of_a_large_message_behind_a_set_that_left_is_whole(void) {
  begin();
  narrow();
  fw_handle_out_t handle = {.fd = tcp[0], .token = 1, .type = FW_HANDLE_SOCKET};
  send_pattern(FW_LANE_USER, 7000, 1, &handle);
  handle.token = 2;
  send_pattern(FW_LANE_USER, 1000000, 2, &handle);
  CHECK_EQUAL(end_flush(a), UV_EAGAIN);
  CHECK_EQUAL(a->channel->ledger.n_open, 2);
  fw_write_queue_cut(&a->channel->out);
  a->channel->end_wanted = 1;
  end_pump(a, b);
  CHECK_EQUAL(b->channel->ledger.received_id, 2);
  CHECK_EQUAL(b->n_got, 1);
  CHECK(b->channel->peer_ended);
  CHECK_EQUAL(count_frames(b, FW_KIND_USER), 2);
  end();
}

int main(void) {
  unlimit_room();
  RUN(every_size_arrives_as_it_was_sent);
  RUN(small_messages_share_an_allocation_and_keep_their_borders);
  RUN(the_order_of_both_lanes_is_kept);
  RUN(the_order_is_kept_around_large_messages);
  RUN(an_internal_message_passes_user_messages_held_by_credit);
  RUN(an_internal_message_passes_user_handles_held_by_credit);
  RUN(a_full_set_lets_nothing_pass);
  RUN(a_message_larger_than_the_credit_gets_through);
  RUN(a_large_message_waits_for_those_before_it);
  RUN(sent_bytes_and_received_bytes_agree);
  RUN(counts_what_waits_and_what_is_written);
  RUN(a_message_is_written_when_its_last_byte_is);
  RUN(a_flush_stops_at_its_budget);
  RUN(what_was_begun_and_not_committed_is_forgotten);
  RUN(less_may_be_committed_than_was_begun);
  RUN(a_handle_arrives_with_its_message);
  RUN(a_large_message_with_a_handle_arrives_whole);
  RUN(what_cannot_be_sent_leaves_the_queue_as_it_was);
  RUN(many_handles_travel_in_sets);
  RUN(partial_writes_send_each_descriptor_once);
  RUN(a_moved_socket_that_is_reset_while_queued_is_dropped);
  RUN(a_dropped_message_is_counted_behind_those_before_it);
  RUN(nothing_passes_a_message_that_is_dropped);
  RUN(a_duplicate_travels_also_when_it_is_reset);
  RUN(a_cut_drops_messages_and_keeps_control_frames);
  RUN(a_cut_leaves_the_front_frame_whole);
  RUN(a_cut_keeps_handles_queued_that_did_not_leave);
  RUN(a_cut_keeps_the_frames_of_a_set_that_left);
  RUN(a_cut_takes_back_what_was_said_of_dropped_handles);
  RUN(a_cut_of_a_large_message_behind_a_set_that_left_is_whole);
  return check_done();
}
