/* How two whole channels end, where it depends on the order of things and on time limits: on the
 * kernel and the libuv in memory of the fuzz targets, where time passes only when the test says so. */
// sources: src/core/body.c src/core/buffer.c src/core/control.c src/core/frame.c src/core/keys.c
// sources: src/core/ledger.c src/core/node_frame.c src/core/node_reader.c src/core/node_wire.c
// sources: src/core/node_writer.c src/core/read_queue.c src/core/segment.c src/core/segment_map.c
// sources: src/core/segment_pool.c src/core/slot.c src/core/standby.c src/core/trace.c
// sources: src/core/write_queue.c
// sources: test/fuzz/fake_fd_kind.c test/fuzz/fake_loop.c test/fuzz/fake_transport.c
#include "../../src/core/channel_state.h"
#include "../fuzz/world.h"
#include "check.h"

#define STALL_MS 5000
#define NO_LIMIT ((size_t)1 << 40)
#define PIECES_SIZE ((size_t)3 << 20)

typedef struct {
  fw_channel_t* channel; /* NULL when it is closed */
  int end;
  int delivers; /* messages are credited as they come */
  size_t n_messages;
  size_t n_lost;
  fw_end_t ended; /* 0: not yet */
  int other_said_end;
  fw_outcome_t outcome;
  uint32_t reason;
} party_t;

static party_t parties[2];

static void on_message(void* data, const fw_message_t* message) {
  party_t* party = data;
  party->n_messages++;
  if (party->delivers) fw_channel_deliver(party->channel, message->lane, 1, message->cost);
}

static void on_settled(void* data, uint64_t token, fw_outcome_t outcome, uint32_t reason) {
  party_t* party = data;
  (void)token;
  party->outcome = outcome;
  party->reason = reason;
}

static void on_lost(void* data, uint64_t id) {
  (void)id;
  ((party_t*)data)->n_lost++;
}

static void on_hello(void* data, uint32_t pid) {
  (void)data, (void)pid;
}

static void on_event(void* data) {
  (void)data;
}

static void on_end(void* data, fw_end_t end) {
  party_t* party = data;
  const fw_channel_t* other = parties[1 - party->end].channel;
  party->ended = end;
  party->other_said_end = other != NULL && other->end_laid;
}

static void on_closed(void* data) {
  ((party_t*)data)->channel = NULL;
}

static void open_both(const fw_options_t* options) {
  static const fw_callbacks_t callbacks = {.on_message = on_message,
                                           .on_settled = on_settled,
                                           .on_lost = on_lost,
                                           .on_hello = on_hello,
                                           .on_ending = on_event,
                                           .on_batch = on_event,
                                           .on_progress = on_event,
                                           .on_end = on_end,
                                           .on_closed = on_closed};
  world_begin();
  world__loops_begin();
  world_segment_size = 32768;
  world_write_room = world_read_size = world_fd_room = NO_LIMIT;
  world_is_short = 0;
  for (int end = 0; end < 2; end++) {
    party_t* party = &parties[end];
    *party = (party_t){.end = end, .delivers = 1};
    world_end = end;
    CHECK_EQUAL(fw_channel_open(world_loop(end), world_open_channel(), options, &callbacks, party,
                                &party->channel),
                0);
  }
}

static void turn(int end) {
  world_run_loop(end);
}

static void turns(int count) {
  for (int i = 0; i < count; i++) {
    turn(0);
    turn(1);
    world_now += 10;
  }
}

static void send_bytes(int end, size_t size) {
  world_end = end;
  uint8_t* body = fw_channel_begin(parties[end].channel, FW_LANE_USER, size, NULL);
  CHECK(body != NULL);
  memset(body, 'x', size);
  CHECK_EQUAL(fw_channel_commit(parties[end].channel, FW_LANE_USER, FW_ENCODING_BYTES, size, NULL),
              0);
}

static void send_socket(int end) {
  world_end = end;
  int fd = world_open(FW_FD_TCP, 0);
  fw_handle_out_t handle = {.fd = fd, .dup = 1, .token = 1, .type = FW_HANDLE_SOCKET};
  uint8_t* body = fw_channel_begin(parties[end].channel, FW_LANE_USER, 1, &handle);
  CHECK(body != NULL);
  *body = 'x';
  CHECK_EQUAL(fw_channel_commit(parties[end].channel, FW_LANE_USER, FW_ENCODING_BYTES, 1, &handle),
              0);
  world_close(fd);
}

static void end_channel(int end) {
  world_end = end;
  fw_channel_end(parties[end].channel);
}

static void take_all(int end) {
  world_end = end;
  for (uint64_t id = 1; id <= parties[end].channel->ledger.received_id; id++) {
    int fd = fw_channel_adopt(parties[end].channel, id);
    CHECK(fd >= 0);
    CHECK_EQUAL(fw_channel_taken(parties[end].channel, id), 0);
    world_adopt(fd);
    world_close(fd);
  }
}

static void close_both(void) {
  for (int end = 0; end < 2; end++) {
    world_end = end;
    if (parties[end].channel != NULL) fw_channel_close(parties[end].channel);
    turn(end);
    CHECK(parties[end].channel == NULL);
    CHECK_EQUAL(world_n_open(end), 0);
  }
}

static void a_descriptor_cut_off_behind_a_time_limit_is_asked_for_again(void) {
  open_both(NULL);
  turns(2);
  send_socket(0);
  turn(0);
  world_fd_room = 0;
  turn(1);
  CHECK_EQUAL(parties[1].n_messages, 0);
  end_channel(0);
  world_fd_room = 1;
  turns(1); /* END */
  turn(1);  /* RESEND */
  turn(0);  /* its answer */
  CHECK(world_has_fds(1));
  CHECK_EQUAL(parties[1].channel->ledger.n_missing, 1);
  world_now += STALL_MS + 1000; /* meanwhile this process is busy */
  world_fd_room = 0;
  turn(1);
  CHECK_EQUAL(parties[1].n_lost, 0);
  world_fd_room = NO_LIMIT;
  turns(5);
  CHECK_EQUAL(parties[1].n_messages, 1);
  CHECK_EQUAL(parties[1].n_lost, 0);
  close_both();
}

static void a_large_message_in_pieces_keeps_the_peer_that_ends(void) {
  open_both(NULL);
  turns(2);
  world_write_room = 0;
  send_bytes(0, PIECES_SIZE);
  end_channel(0);
  world_write_room = NO_LIMIT;
  send_socket(1);
  turn(1);
  for (int i = 0; i < 8; i++) { /* less than the limit between two pieces */
    world_write_room = 300000;
    turn(0);
    world_write_room = NO_LIMIT;
    turn(1);
    world_now += STALL_MS - 1000;
  }
  CHECK_EQUAL(parties[1].reason, FW_REFUSED_ENDING);
  CHECK_EQUAL(parties[1].n_messages, 0);
  CHECK_EQUAL(parties[1].ended, 0);
  turns(5);
  CHECK_EQUAL(parties[1].n_messages, 1);
  CHECK_EQUAL(parties[1].ended, FW_END_PEER);
  close_both();
}

static void a_peer_may_use_its_own_time_limit_up_before_it_says_end(void) {
  fw_options_t options = {.credit_bytes = FW_MIN_CREDIT, .disabled = FW_DISABLE_FINISHING};
  open_both(&options);
  turns(2);
  parties[1].delivers = 0;
  send_bytes(0, 1);
  turns(1);
  send_bytes(0, FW_MIN_CREDIT); /* some of it waits for credit that does not come */
  end_channel(0);
  send_socket(1);
  turns(3);
  CHECK_EQUAL(parties[1].reason, FW_REFUSED_ENDING);
  for (int i = 0; i < 2 * STALL_MS / 100 && !parties[1].ended; i++) {
    if (i == 10) send_socket(1); /* the answer begins the limit of that end anew */
    turn(1);
    turn(0);
    world_now += 100;
  }
  CHECK_EQUAL(parties[1].ended, FW_END_PEER);
  CHECK(parties[1].other_said_end);
  close_both();
}

static void a_handle_that_a_busy_peer_may_take_does_not_come_back(void) {
  open_both(NULL);
  turns(2);
  send_socket(0);
  end_channel(0);
  for (int i = 0; i < 5; i++) {
    turn(0);
    world_now += STALL_MS;
  }
  CHECK_EQUAL(parties[0].ended, FW_END_OWN);
  CHECK_EQUAL(parties[0].outcome, 0);
  turn(1); /* after all that time */
  CHECK_EQUAL(parties[1].n_messages, 1);
  take_all(1);
  turns(3);
  CHECK_EQUAL(parties[0].outcome, FW_OUTCOME_TAKEN);
  close_both();
}

static void a_handle_that_is_never_answered_comes_back_all_the_same(void) {
  open_both(NULL);
  turns(2);
  send_socket(0);
  end_channel(0);
  for (int i = 0; i < 65; i++) {
    turn(0);
    world_now += STALL_MS;
  }
  CHECK_EQUAL(parties[0].outcome, FW_OUTCOME_RETURNED);
  CHECK(parties[0].channel == NULL);
  close_both();
}

int main(void) {
  RUN(a_descriptor_cut_off_behind_a_time_limit_is_asked_for_again);
  RUN(a_large_message_in_pieces_keeps_the_peer_that_ends);
  RUN(a_peer_may_use_its_own_time_limit_up_before_it_says_end);
  RUN(a_handle_that_a_busy_peer_may_take_does_not_come_back);
  RUN(a_handle_that_is_never_answered_comes_back_all_the_same);
  return check_done();
}
