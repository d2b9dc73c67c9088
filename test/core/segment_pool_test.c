/* Segments from end to end: the pool, the map, the frames between them, and what a hostile peer may offer. */
#include "../../src/core/segment_pool.h"

#include <uv.h>

#include "end.h"
#include "memory.h"
#include "wire.h"

#define SIZE ((size_t)300000)

static end_t* a; /* sends */
static end_t* b; /* receives */
static fw_body_t* kept[FW_SEGMENTS_MAX];
static const uint8_t* kept_data[FW_SEGMENTS_MAX];
static size_t n_kept;
static wire_t wire;

static fw_segment_pool_t* pool(void) {
  return &a->channel->out.pool;
}

static fw_segment_map_t* map(void) {
  return &b->channel->in.segments;
}

static void keep_on_message(void* data, const fw_message_t* message) {
  if (message->is_shared) {
    kept_data[n_kept] = message->data;
    kept[n_kept++] = fw_message_keep(message);
  }
  end_on_message(data, message);
}

static end_t* sharing_end(int fd) {
  end_t* end = end_new_mute(fd);
  end->channel->options.disabled = 0;
  end->delivers = 1;
  fw__control_lay_hello(end->channel);
  return end;
}

static void begin(void) {
  int fds[2];
  CHECK(fw_socketpair(fds) == 0);
  a = sharing_end(fds[0]);
  b = sharing_end(fds[1]);
  n_kept = 0;
  wire_init(&wire, -1);
  end_pump(a, b);
}

static void end(void) {
  end_free(a);
  end_free(b);
  wire_free(&wire);
}

static void send_bytes(size_t size, uint8_t byte) {
  uint8_t* bytes = malloc(size);
  CHECK(bytes != NULL);
  memset(bytes, byte, size);
  CHECK_EQUAL(end_send(a, FW_LANE_USER, bytes, size, NULL), 0);
  free(bytes);
}

static void check_got(size_t i, size_t size, uint8_t byte) {
  CHECK(i < b->n_got);
  CHECK_EQUAL(b->got[i].size, size);
  for (size_t at = 0; at < size; at++) CHECK(b->got[i].data[at] == byte);
}

static size_t count_read(uint8_t kind) {
  size_t count = 0;
  for (size_t i = 0; i < b->n_frames; i++) count += b->frames[i] == kind;
  return count;
}

/* Both ends have one free segment that a message of SIZE fits in. */
static void warm_up(void) {
  send_bytes(SIZE, 1);
  end_pump(a, b);
  CHECK_EQUAL(pool()->count, 1);
  CHECK_EQUAL(pool()->segments[0]->state, FW_SEGMENT_FREE);
}

/* -------------------------------------------------------------------- the way */

static void the_first_goes_over_the_socket_and_the_next_ones_in_its_segment(void) {
  begin();
  warm_up();
  for (uint8_t i = 2; i < 9; i++) {
    send_bytes(SIZE - i, i);
    end_pump(a, b);
    check_got(i - 1u, SIZE - i, i);
  }
  CHECK_EQUAL(pool()->count, 1);
  CHECK_EQUAL(count_read(FW_KIND_SEGMENT), 1);
  CHECK_EQUAL(pool()->n_seen, 7);
  CHECK_EQUAL(pool()->segments[0]->fd, -1);
  end();
}

static void what_is_kept_is_not_used_again(void) {
  begin();
  b->channel->in.callbacks.on_message = keep_on_message;
  warm_up();
  send_bytes(SIZE, 2);
  end_pump(a, b);
  CHECK_EQUAL(n_kept, 1);
  CHECK_EQUAL(pool()->segments[0]->state, FW_SEGMENT_FILLED);
  CHECK_EQUAL(pool()->unseen, 0);
  send_bytes(SIZE, 3); /* there is none free: over the socket, and a second one is made */
  end_pump(a, b);
  CHECK_EQUAL(n_kept, 1);
  CHECK_EQUAL(kept_data[0][SIZE - 1], 2);
  check_got(2, SIZE, 3);
  CHECK_EQUAL(pool()->count, 2);
  fw_body_release(kept[0]);
  CHECK_EQUAL(b->n_released, 1);
  end_pump(a, b);
  CHECK_EQUAL(pool()->segments[0]->state, FW_SEGMENT_FREE);
  end();
}

static void what_is_kept_outlives_the_channel(void) {
  begin();
  b->channel->in.callbacks.on_message = keep_on_message;
  warm_up();
  send_bytes(SIZE, 2);
  end_pump(a, b);
  end();
  CHECK_EQUAL(kept_data[0][0], 2);
  CHECK_EQUAL(kept_data[0][SIZE - 1], 2);
  fw_body_release(kept[0]);
}

static void it_is_released_only_when_the_message_was_delivered(void) {
  begin();
  warm_up();
  b->delivers = 0;
  send_bytes(SIZE, 2);
  end_pump(a, b);
  CHECK_EQUAL(pool()->unseen, 0);
  CHECK_EQUAL(pool()->segments[0]->state, FW_SEGMENT_FILLED);
  fw_read_queue_deliver(&b->channel->in, FW_LANE_USER, 1, b->got[1].cost);
  end_pump(a, b);
  CHECK_EQUAL(pool()->segments[0]->state, FW_SEGMENT_FREE);
  end();
}

static void what_the_peer_has_not_seen_counts_as_queued(void) {
  begin();
  warm_up();
  uint64_t written = a->channel->out.lanes[FW_LANE_USER].n_written;
  send_bytes(SIZE, 2);
  CHECK_EQUAL(end_flush(a), 0);
  CHECK_EQUAL(pool()->unseen, SIZE);
  CHECK_EQUAL(fw_segment_pool_first_unseen(pool()), written + 1);
  end_pump(a, b);
  CHECK_EQUAL(pool()->unseen, 0);
  CHECK(fw_segment_pool_first_unseen(pool()) == UINT64_MAX);
  end();
}

static void a_cut_gives_back_what_did_not_leave(void) {
  begin();
  warm_up();
  send_bytes(SIZE, 2);
  fw_write_queue_cut(&a->channel->out);
  CHECK_EQUAL(pool()->unseen, 0);
  CHECK_EQUAL(pool()->segments[0]->state, FW_SEGMENT_FREE);
  end();
}

static void idle_ones_are_given_up_on_both_sides(void) {
  begin();
  warm_up();
  fw_segment_pool_age(pool());
  end_pump(a, b);
  CHECK_EQUAL(pool()->count, 1); /* it was used in that time */
  fw_segment_pool_age(pool());
  end_pump(a, b);
  CHECK_EQUAL(pool()->count, 0);
  CHECK_EQUAL(map()->count, 0);
  CHECK_EQUAL(map()->bytes, 0);
  CHECK(!fw_segment_pool_is_aging(pool()));
  end();
}

static void the_cap_holds_and_the_rest_goes_over_the_socket(void) {
  begin();
  b->channel->in.callbacks.on_message = keep_on_message;
  pool()->max_bytes = 1 << 20;
  warm_up();
  for (uint8_t i = 2; i < 12; i++) {
    send_bytes(SIZE, i);
    end_pump(a, b);
    check_got(i - 1u, SIZE, i);
  }
  CHECK(pool()->bytes <= pool()->max_bytes);
  CHECK_EQUAL(n_kept, pool()->count);
  for (size_t i = 0; i < n_kept; i++) fw_body_release(kept[i]);
  end_pump(a, b);
  end();
}

static void larger_ones_take_the_place_of_small_free_ones(void) {
  begin();
  pool()->max_bytes = 1 << 20;
  warm_up();
  send_bytes(900000, 2); /* over the socket; finds no room */
  end_pump(a, b);
  send_bytes(900000, 3);
  end_pump(a, b);
  CHECK_EQUAL(pool()->count, 1);
  CHECK(pool()->segments[0]->capacity >= 900000);
  end();
}

/* -------------------------------------------------------------------- refusal */

static void a_receiver_without_descriptors_refuses_and_loses_nothing(void) {
  begin();
  send_bytes(SIZE, 1);
  end_flush(a); /* the descriptor is on its way */
  limit_room(0);
  end_pump(a, b);
  unlimit_room();
  CHECK_EQUAL(pool()->count, 0);
  CHECK(pool()->pause > 0);
  check_got(0, SIZE, 1);
  send_bytes(SIZE, 2);
  end_pump(a, b);
  check_got(1, SIZE, 2);
  end();
}

static void a_sender_without_descriptors_uses_the_socket(void) {
  begin();
  limit_room(0);
  send_bytes(SIZE, 1);
  end_pump(a, b);
  unlimit_room();
  CHECK_EQUAL(pool()->count, 0);
  CHECK(pool()->pause > 0);
  check_got(0, SIZE, 1);
  end();
}

static void without_the_feature_nothing_is_offered(void) {
  int fds[2];
  CHECK(fw_socketpair(fds) == 0);
  a = sharing_end(fds[0]);
  b = end_new(fds[1]);
  b->delivers = 1;
  wire_init(&wire, -1);
  end_pump(a, b);
  send_bytes(SIZE, 1);
  send_bytes(SIZE, 2);
  end_pump(a, b);
  CHECK_EQUAL(count_read(FW_KIND_SEGMENT), 0);
  check_got(1, SIZE, 2);
  end();
}

/* ------------------------------------------------------------- a hostile peer */

static void offer(uint64_t id, uint64_t size) {
  wire_set(&wire, 1);
  wire_header(&wire, (fw_frame_t){.kind = FW_KIND_SEGMENT, .handles = 1, .id = id, .size = 8});
  wire_u64(&wire, size);
}

static void use(uint64_t id, uint64_t size) {
  wire_header(&wire, (fw_frame_t){.kind = FW_KIND_USER,
                                  .encoding = FW_ENCODING_BYTES,
                                  .flags = FW_FLAG_SEGMENT,
                                  .size = FW_SEGMENT_REF_SIZE});
  wire_u64(&wire, id);
  wire_u64(&wire, size);
}

static int feed(void) {
  size_t at = 0;
  int status = 0;
  while (status == 0 && at < fw_buffer_size(&wire.bytes)) {
    at += wire_send_some(&wire, a->fd, at, SIZE_MAX / 2);
    status = end_drain(b);
  }
  return status;
}

static int is_refused(int fd, uint64_t size) {
  begin();
  wire.fd = fd;
  offer(1, size);
  CHECK_EQUAL(feed(), 0);
  int refused = map()->answer_refused;
  CHECK_EQUAL(map()->answer_id, 1);
  CHECK_EQUAL(map()->count, refused ? 0 : 1);
  end();
  close(fd);
  return refused;
}

static void only_sealed_memory_of_the_right_size_is_mapped(void) {
  FILE* file = tmpfile();
  int tcp[2];
  tcp_pair(tcp);
  CHECK(file != NULL && ftruncate(fileno(file), 4096) == 0);
  CHECK(!is_refused(memory_of(65536, ALL_SEALS), 65536));
  CHECK(is_refused(memory_of(65536, F_SEAL_GROW | F_SEAL_SEAL), 65536));
  CHECK(is_refused(memory_of(65536, F_SEAL_SHRINK | F_SEAL_SEAL), 65536));
  CHECK(is_refused(memory_of(65536, F_SEAL_SHRINK | F_SEAL_GROW), 65536));
  CHECK(is_refused(memory_of(4096, ALL_SEALS), 65536));
  CHECK(is_refused(memory_of(65536, ALL_SEALS), 4096));
  CHECK(is_refused(memory_of(0, ALL_SEALS), 4096));
  CHECK(is_refused(memory_with_hole(65536, 0, ALL_SEALS), 65536));
  CHECK(is_refused(memory_with_hole(1 << 20, (1 << 20) - 4096, ALL_SEALS), 1 << 20));
  CHECK(is_refused(fcntl(fileno(file), F_DUPFD_CLOEXEC, 0), 4096));
  CHECK(is_refused(fcntl(tcp[0], F_DUPFD_CLOEXEC, 0), 4096));
  fclose(file);
  close(tcp[0]);
  close(tcp[1]);
}

static void other_programs_inherit_none(void) {
  int fd = -1;
  uint8_t* memory;
  CHECK_EQUAL(fw_segment_create(65536, &memory, &fd), 0);
  CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  fw_segment_unmap(memory, 65536);
  close(fd);
}

/* A message that is being encoded has a segment already. */
static void only_what_was_laid_out_is_released(void) {
  uint8_t id[8];
  begin();
  send_bytes(SIZE, 1);
  end_pump(a, b);
  fw_segment_t* segment = fw_segment_pool_take(pool(), SIZE);
  CHECK(segment != NULL);
  fw_put_u64(id, segment->id);
  CHECK_RULE(fw_segment_pool_on_released(pool(), id, 1), "segment");
  fw_segment_pool_put_back(pool(), segment);
  end();
}

/* What the peer gives back behind the offer its reader pays for: what is mapped bounds that. */
static void no_more_is_mapped_than_this_end_allows(void) {
  begin();
  map()->max_bytes = 200000;
  wire.fd = memory_of(65536, ALL_SEALS);
  for (uint64_t id = 1; id <= 5; id++) {
    offer(id, 65536);
    CHECK_EQUAL(feed(), 0);
    CHECK_EQUAL(map()->answer_refused, id > 3);
    CHECK_EQUAL(end_flush(b), 0);
    fw_buffer_consume(&wire.bytes, fw_buffer_size(&wire.bytes));
    wire.n_sets = 0;
  }
  CHECK_EQUAL(map()->count, 3);
  CHECK(map()->bytes <= map()->max_bytes);
  close(wire.fd);
  end();
}

static const char* broken_rule(void (*build)(void)) {
  begin();
  wire.fd = memory_of(65536, ALL_SEALS);
  offer(1, 65536);
  CHECK_EQUAL(feed(), 0);
  CHECK_EQUAL(end_flush(b), 0);
  fw_buffer_consume(&wire.bytes, fw_buffer_size(&wire.bytes));
  wire.n_sets = 0;
  build();
  int status = feed();
  const char* rule = status == UV_EPROTO ? b->channel->in.violation.rule : NULL;
  close(wire.fd);
  end();
  return rule;
}

static void use_twice(void) {
  b->delivers = 0;
  use(1, 10);
  use(1, 10);
}

static void use_once(void) {
  use(1, 65536);
}

static void use_more_than_there_is(void) {
  use(1, 65537);
}

static void use_nothing(void) {
  use(1, 0);
}

static void use_unknown(void) {
  use(2, 10);
}

static void use_more_than_a_message_may_have(void) {
  b->channel->in.max_message_size = 100;
  use(1, 101);
}

static void offer_same_id(void) {
  offer(1, 65536);
}

static void offer_before_the_answer(void) {
  offer(2, 65536);
  offer(3, 65536);
}

static void offer_too_much(void) {
  offer(2, FW_SEGMENT_BYTES_MAX);
}

static void unmap_while_held(void) {
  b->delivers = 0;
  use(1, 10);
  wire_header(&wire, (fw_frame_t){.kind = FW_KIND_UNMAP, .id = 1});
}

static void unmap_unknown(void) {
  wire_header(&wire, (fw_frame_t){.kind = FW_KIND_UNMAP, .id = 9});
}

static void mapped_of_what_was_not_offered(void) {
  wire_header(&wire, (fw_frame_t){.kind = FW_KIND_MAPPED, .id = 1});
}

static void seen_of_what_was_not_sent(void) {
  wire_header(&wire, (fw_frame_t){.kind = FW_KIND_SEEN, .id = 1});
}

static void released_of_what_was_not_sent(void) {
  wire_header(&wire, (fw_frame_t){.kind = FW_KIND_RELEASED, .size = 8});
  wire_u64(&wire, 1);
}

static void what_breaks_the_rules_is_found(void) {
  CHECK_RULE(broken_rule(use_once), NULL);
  CHECK_RULE(broken_rule(use_twice), "segment");
  CHECK_RULE(broken_rule(use_more_than_there_is), "segment");
  CHECK_RULE(broken_rule(use_nothing), "segment");
  CHECK_RULE(broken_rule(use_unknown), "segment");
  CHECK_RULE(broken_rule(use_more_than_a_message_may_have), "too-large");
  CHECK_RULE(broken_rule(offer_same_id), "segment");
  CHECK_RULE(broken_rule(offer_before_the_answer), "segment");
  CHECK_RULE(broken_rule(offer_too_much), "segment");
  CHECK_RULE(broken_rule(unmap_while_held), "segment");
  CHECK_RULE(broken_rule(unmap_unknown), "segment");
  CHECK_RULE(broken_rule(mapped_of_what_was_not_offered), "segment");
  CHECK_RULE(broken_rule(seen_of_what_was_not_sent), "segment");
  CHECK_RULE(broken_rule(released_of_what_was_not_sent), "segment");
}

int main(void) {
  RUN(the_first_goes_over_the_socket_and_the_next_ones_in_its_segment);
  RUN(what_is_kept_is_not_used_again);
  RUN(what_is_kept_outlives_the_channel);
  RUN(it_is_released_only_when_the_message_was_delivered);
  RUN(what_the_peer_has_not_seen_counts_as_queued);
  RUN(a_cut_gives_back_what_did_not_leave);
  RUN(idle_ones_are_given_up_on_both_sides);
  RUN(the_cap_holds_and_the_rest_goes_over_the_socket);
  RUN(larger_ones_take_the_place_of_small_free_ones);
  RUN(a_receiver_without_descriptors_refuses_and_loses_nothing);
  RUN(a_sender_without_descriptors_uses_the_socket);
  RUN(without_the_feature_nothing_is_offered);
  RUN(only_sealed_memory_of_the_right_size_is_mapped);
  RUN(other_programs_inherit_none);
  RUN(only_what_was_laid_out_is_released);
  RUN(no_more_is_mapped_than_this_end_allows);
  RUN(what_breaks_the_rules_is_found);
  return check_done();
}
