/* Two whole channels against the model, on a kernel and a libuv in memory: what ledger_fuzz.c says of ledger and queues,
 * through the API and with the ends, the time limits and the flush at exit as they are. Every end comes to
 * its end, is reported once, and by then every handle is settled.
 *
 * As a program of its own (-DSTANDALONE): channel_fuzz --runs N --seed S, or --run K --seed S for one of them. */
// fuzz-sources: src/core/body.c src/core/segment.c src/core/segment_map.c src/core/segment_pool.c src/core/slot.c
// fuzz-sources: src/core/buffer.c src/core/frame.c src/core/ledger.c src/core/read_queue.c src/core/write_queue.c
// fuzz-sources: src/core/keys.c
// fuzz-sources: src/core/control.c src/core/trace.c test/fuzz/fake_fd_kind.c test/fuzz/fake_transport.c
// fuzz-sources: src/core/node_frame.c src/core/node_reader.c src/core/node_writer.c src/core/node_wire.c
// fuzz-sources: test/fuzz/fake_loop.c
// fuzz-sources: src/core/standby.c
#include "../../src/core/channel_state.h"
#include "model.h"

#define END_STALL_MS 5000
#define EXIT_STALL_MS 500
#define EXIT_TOTAL_MS 5000
#define PATIENCE_MS 3000 /* what is not over after that hangs */

typedef struct {
  fw_channel_t* channel; /* NULL when it is closed */
  int end;
  int is_ended;   /* on_end came, or fw_channel_end() said that it does not */
  int gave_up;    /* the other end refused handles and did not say END in time */
  int did_stall;  /* its end is reported though handles are open */
  int is_exiting; /* fw_channels_flush() was called */
  int is_own_end;
  int is_ending_told;
  int is_in_batch;
  uint32_t holds;
  uint64_t heard; /* of what an end waits for: descriptors, bytes of messages */
  uint64_t heard_at;
} party_t;

static party_t parties[2];
static int is_waiting; /* one end flushes and waits for the other */

/* ---------------------------------------------------------------- callbacks */

static void on_message(void* data, const fw_message_t* message) {
  const party_t* party = data;
  check(!party->is_ended, "a message after on_end");
  note_message(party->end, message);
}

/* RETURNED without a reason is in order when an end is involved. */
static int an_end_is_near(const party_t* party) {
  const fw_channel_t* channel = party->channel;
  if (channel == NULL) return 1;
  int did_stall =
      channel->is_own_end && (channel->waits != FW_WAIT_FLUSH || channel->deadline == 0);
  return channel->peer_ended || channel->is_eof || channel->is_closing || did_stall;
}

static void on_settled(void* data, uint64_t token, fw_outcome_t outcome, uint32_t reason) {
  const party_t* party = data;
  if (sides[party->end].is_dead) return;
  sides[party->end].may_return = an_end_is_near(party);
  note_settled(party->end, token, outcome, reason);
}

static void on_counts(void* data, uint64_t key, uint64_t closed) {
  (void)data, (void)key, (void)closed;
}

static void on_writes_done(void* data, uint64_t id, int failed) {
  note_writes_done(((party_t*)data)->end, id, failed);
}

static int is_sender_gone(const party_t* party) {
  return parties[1 - party->end].channel == NULL || sides[1 - party->end].did_close;
}

static uint64_t heard(const party_t* party) {
  const fw_lane_in_t* lanes = party->channel->in.lanes;
  return lanes[0].received + lanes[1].received + world_n_sets_read(party->end);
}

/* Nothing of that came for as long as it may take, and nothing lies in the socket. */
static int has_kept_silent(const party_t* party) {
  return heard(party) == party->heard && world_now - party->heard_at >= END_STALL_MS &&
         !world_has_fds(party->end);
}

static void on_lost(void* data, uint64_t id) {
  const party_t* party = data;
  TRACE("  %d: lost handle %d\n", party->end, (int)id);
  check(is_sender_gone(party) || has_kept_silent(party), "lost while the sender lives");
  for (int lane = 0; lane < FW_N_LANES; lane++) {
    const fw_held_t* held = party->channel->in.lanes[lane].held_head;
    for (; held != NULL; held = held->next) {
      size_t prefix = 24 + (size_t)held->message.block.buffered;
      if (!held->message.has_handle || held->message.handle_id != id) continue;
      sends[index_in(held->message.data + prefix, held->message.size - prefix)].is_lost = 1;
    }
  }
}

static void on_hello(void* data, uint32_t pid) {
  (void)data, (void)pid;
}

/* From here on nothing is accepted. */
static void on_ending(void* data) {
  party_t* party = data;
  if (sides[party->end].is_dead) return;
  check(!party->is_ending_told, "on_ending came twice");
  party->is_ending_told = 1;
  if (!party->channel->end_wanted) return; /* the peer refused a handle, and its END is to come */
  check(fw_channel_begin(party->channel, FW_LANE_USER, 4, NULL) != NULL, "no memory");
  check(fw_channel_commit(party->channel, FW_LANE_USER, FW_ENCODING_BYTES, 4, NULL) == UV_EPIPE,
        "a send was accepted at the end");
}

/* The listeners get some of what came; the rest is parked. */
static void on_batch(void* data) {
  party_t* party = data;
  if (sides[party->end].is_dead) return;
  check(!party->is_in_batch, "a batch within a batch");
  party->is_in_batch = 1;
  for (uint32_t count = choose(&choices, 4); count > 0; count--)
    give_one(party->end, (int)(count & 1), choose(&choices, 8));
  party->is_in_batch = 0;
}

static void on_progress(void* data) {
  const party_t* party = data;
  check(party->channel != NULL, "a callback after on_closed");
}

static void on_trace(void* data, const char* line) {
  TRACE("  %d: %s\n", ((party_t*)data)->end, line);
}

static void check_all_settled(int end) {
  for (size_t i = 0; i < n_sends; i++)
    if (sends[i].end == end && sends[i].has_handle)
      check(sends[i].is_settled, "its end is reported before a handle is settled");
}

static void on_end(void* data, fw_end_t end) {
  party_t* party = data;
  if (sides[party->end].is_dead) return;
  TRACE("  %d: on_end %d\n", party->end, end);
  check(!party->is_ended, "an end that was reported already");
  if (end == FW_END_VIOLATION)
    fprintf(stderr, "%d finds %s in kind %d\n", party->end,
            fw_channel_violation(party->channel)->rule, fw_channel_violation(party->channel)->kind);
  check(end != FW_END_VIOLATION, "a violation between two honest ends");
  party->is_ended = 1;
  sides[party->end].is_over = 1;
  const party_t* other = &parties[1 - party->end];
  party->gave_up = end == FW_END_PEER && other->channel != NULL && !other->channel->end_laid;
  check(!party->gave_up || has_kept_silent(party), "an end was given up that goes on");
  party->did_stall = end == FW_END_OWN && !fw_ledger_is_settled(&party->channel->ledger);
  if (!party->did_stall) check_all_settled(party->end);
}

static void on_closed(void* data) {
  party_t* party = data;
  TRACE("%d: closed\n", party->end);
  check(party->channel != NULL, "closed twice");
  party->channel = NULL;
  sides[party->end].is_over = 1;
}

/* ------------------------------------------------------- what the model asks */

static int adopt_id(int end, uint64_t id) {
  return fw_channel_adopt(parties[end].channel, id);
}

static int take_id(int end, uint64_t id) {
  return fw_channel_taken(parties[end].channel, id);
}

static int refuse_id(int end, uint64_t id, fw_refused_reason_t reason) {
  return fw_channel_refuse(parties[end].channel, id, reason);
}

static void credit(int end, fw_lane_t lane, size_t cost) {
  fw_channel_deliver(parties[end].channel, lane, 1, cost);
}

static int has_discarded(int end) {
  const fw_channel_t* channel = parties[end].channel;
  return (channel->end_laid || channel->is_closing) && sides[end].n_adopted == 0 &&
         channel->ledger.n_received == 0;
}

/* ---------------------------------------------------------------- operations */

/* Of both ends; 0: as many as usual. A small one makes senders look for acknowledgements. */
static uint32_t handle_credit;

static void open_party(party_t* party, int end) {
  static const fw_callbacks_t callbacks = {.on_message = on_message,
                                           .on_settled = on_settled,
                                           .on_counts = on_counts,
                                           .on_writes_done = on_writes_done,
                                           .on_lost = on_lost,
                                           .on_hello = on_hello,
                                           .on_ending = on_ending,
                                           .on_batch = on_batch,
                                           .on_progress = on_progress,
                                           .on_end = on_end,
                                           .on_closed = on_closed};
  fw_callbacks_t given = callbacks;
  if (is_tracing) given.on_trace = on_trace;
  fw_options_t options = {.end_stall_ms = END_STALL_MS,
                          .exit_stall_ms = EXIT_STALL_MS,
                          .exit_total_ms = EXIT_TOTAL_MS,
                          .credit_handles = handle_credit,
                          .disabled = FW_DISABLE_SEGMENTS};
  memset(party, 0, sizeof(*party));
  party->end = end;
  world_end = end;
  int status = fw_channel_open(world_loop(end), world_open_channel(), &options, &given, party,
                               &party->channel);
  check(status == 0, "a channel does not open");
}

static void send_one(party_t* party, fw_lane_t lane, int has_handle) {
  fw_handle_out_t handle;
  const fw_channel_t* channel = party->channel;
  if (channel == NULL || channel->is_closing || channel->end_wanted || party->is_ended) return;
  if (party->is_ending_told) return;
  if (n_sends == MAX_SENDS) return;
  send_t* sent = new_send(party->end, lane, has_handle, &handle);
  const fw_handle_out_t* given = has_handle ? &handle : NULL;
  uint8_t* body = fw_channel_begin(party->channel, lane, sent->size, given);
  check(body != NULL, "no memory");
  fill_body(body, sent->size);
  note_accepted(sent);
  int status = fw_channel_commit(party->channel, lane, FW_ENCODING_BYTES, sent->size, given);
  check(status == 0, "a send was not accepted");
  if (has_handle && !sent->is_moved) world_close(handle.fd);
}

static void note_heard(party_t* party) {
  if (party->channel == NULL || heard(party) == party->heard) return;
  party->heard = heard(party);
  party->heard_at = world_now;
}

/* The loop of a process that flushed for its exit does not run any more. */
static void run_party(party_t* party, size_t read_size, size_t write_room, size_t fd_room) {
  if (party->is_exiting) return;
  int is_late = party->channel != NULL && party->channel->deadline != 0 &&
                party->channel->deadline <= world_now;
  world_read_size = is_late ? NO_LIMIT : read_size; /* what came before is all there */
  world_write_room = write_room;
  world_fd_room = fd_room;
  TRACE("%d: turn at %llu\n", party->end, (unsigned long long)world_now);
  world_run_loop(party->end);
  note_heard(party);
  world_write_room = choose(&choices, 2) == 0 ? choose(&choices, 300) : NO_LIMIT;
}

static void end_party(party_t* party) {
  if (party->channel == NULL || party->is_own_end || party->is_ended) return;
  TRACE("%d: ends\n", party->end);
  party->is_own_end = 1;
  sides[party->end].is_over = 1;
  if (!fw_channel_end(party->channel)) return;
  check(!party->is_ended, "on_end came although nothing is outstanding");
  party->is_ended = 1;
  check_all_settled(party->end);
}

static void release_all(party_t* party) {
  for (; party->channel != NULL && party->holds > 0; party->holds--)
    fw_channel_release(party->channel);
}

static void close_party(party_t* party) {
  if (party->channel == NULL) return;
  TRACE("%d: is closed\n", party->end);
  sides[party->end].did_close = sides[party->end].is_over = 1;
  fw_channel_close(party->channel);
}

static void kill_party(party_t* party) {
  if (party->channel == NULL) return;
  TRACE("%d: dies\n", party->end);
  sides[party->end].is_dead = sides[party->end].is_over = 1;
  sides[party->end].n_adopted = 0;
  fw_channel_close(party->channel);
  world_run_loop(party->end);
  check(party->channel == NULL, "a closed channel stays");
  world_kill(party->end);
}

/* The other end goes on while this one waits. */
static void wait_for_other(int timeout) {
  int end = world_end;
  is_waiting++;
  check(is_waiting < 10000, "a flush waits for ever");
  world_now += timeout < 20 ? (uint64_t)timeout + 1 : 20;
  if (!sides[1 - end].is_dead && choose(&choices, 4) > 0)
    run_party(&parties[1 - end], NO_LIMIT, NO_LIMIT, NO_LIMIT);
  world_end = end;
  world_write_room = NO_LIMIT;
}

static void exit_party(party_t* party) {
  if (party->channel == NULL || party->is_exiting) return;
  TRACE("%d: flushes for its exit\n", party->end);
  uint64_t start = world_now;
  party->is_exiting = 1;
  is_waiting = 0;
  sides[party->end].is_over = 1;
  world_read_size = world_fd_room = NO_LIMIT;
  fw_channels_flush(&party->channel, 1);
  check(world_now - start <= EXIT_TOTAL_MS + 100, "a flush takes too long");
}

static void writes_done(party_t* party, size_t start, int failed) {
  send_t* sent = party->channel != NULL ? pending_writes(party->end, start) : NULL;
  if (sent == NULL) return;
  TRACE("%d: writes of %zu are done\n", party->end, (size_t)(sent - sends));
  sent->writes = failed ? WRITES_FAILED : WRITES_DONE;
  fw_channel_writes_done(party->channel, token_of(sent), failed);
}

static void hold(party_t* party) {
  if (party->channel == NULL || party->holds > 2) return;
  party->holds++;
  fw_channel_hold(party->channel);
}

static void release(party_t* party) {
  if (party->channel == NULL || party->holds == 0) return;
  party->holds--;
  fw_channel_release(party->channel);
}

/* Somebody noticed the death before the socket's end. */
static void peer_died(party_t* party) {
  if (party->channel == NULL || !sides[1 - party->end].is_dead) return;
  world_read_size = NO_LIMIT;
  fw_channel_peer_died(party->channel);
}

static void rare(party_t* party) {
  uint32_t what = choose(&choices, 64);
  if (what < 16) end_party(party);
  else if (what < 18) kill_party(party);
  else if (what < 20) close_party(party);
  else if (what < 24) exit_party(party);
  else if (what < 28) hold(party);
  else if (what < 36) peer_died(party);
  else if (what < 38) world_now += 6000;
  else if (what < 40) world_reports_errors = !world_reports_errors;
  else release(party);
}

static size_t choose_room(void) {
  return choose(&choices, 3) > 0 ? NO_LIMIT : choose(&choices, 4);
}

static void run_some(party_t* party) {
  size_t read_size = 1 + choose(&choices, 200);
  size_t write_room = choose(&choices, 300);
  run_party(party, read_size, write_room, choose_room());
}

static void some_writes_done(party_t* party) {
  size_t start = choose(&choices, 64);
  writes_done(party, start, choose(&choices, 4) == 0);
}

static void operate(party_t* party) {
  uint32_t what = choose(&choices, 32);
  n_operations++;
  world_end = party->end;
  world_segment_size = choose(&choices, 4) == 0 ? 1 + choose(&choices, 200) : 32768;
  if (sides[party->end].is_dead) return;
  if (what < 4) send_one(party, FW_LANE_USER, 0);
  else if (what < 9) send_one(party, FW_LANE_USER, 1);
  else if (what < 11) send_one(party, FW_LANE_INTERNAL, what & 1);
  else if (what < 13) run_some(party);
  else if (what < 20) run_party(party, NO_LIMIT, NO_LIMIT, choose_room());
  else if (what < 23) give_one(party->end, FW_LANE_USER, choose(&choices, 8));
  else if (what < 24) give_one(party->end, FW_LANE_INTERNAL, choose(&choices, 8));
  else if (what < 26 && party->channel != NULL) resolve_one(party->end, choose(&choices, 3) > 0);
  else if (what < 28) world_now += choose(&choices, 50);
  else if (what < 29) some_writes_done(party);
  else if (what < 30) reset_one(party->end, choose(&choices, 64));
  else if (choose(&choices, 3) == 0) world_is_short = !world_is_short;
  else rare(party);
}

/* -------------------------------------------------------------- the end of a run */

static void turn(party_t* party) {
  if (sides[party->end].is_dead) return;
  world_segment_size = 32768;
  world_is_short = 0;
  world_write_room = NO_LIMIT;
  run_party(party, NO_LIMIT, NO_LIMIT, NO_LIMIT);
  world_write_room = NO_LIMIT;
  if (party->channel == NULL) return;
  give_all(party->end);
  while (party->channel != NULL && sides[party->end].n_adopted > 0) resolve_one(party->end, 1);
}

static int is_quiet(void) {
  for (int i = 0; i < 2; i++) {
    const fw_channel_t* channel = parties[i].channel;
    if (channel == NULL) continue;
    if (channel->is_closing || channel->is_scheduled || channel->ledger.n_missing > 0) return 0;
    if (fw_channel_queued(channel) > 0 || (world_unread(i) > 0 && !channel->is_eof)) return 0;
    if (channel->write_retry_at != 0 || (channel->end_wanted && !channel->end_laid)) return 0;
    if (world_is_readable(i) && !channel->is_eof) return 0;
  }
  return 1;
}

/* Runs both until nothing is left to do; time passes only for what waits for it. */
static void settle_down(void) {
  uint64_t start = world_now;
  for (int n_quiet = 0; n_quiet < 3; n_quiet = is_quiet() ? n_quiet + 1 : 0) {
    for (int i = 0; i < 2; i++) turn(&parties[i]);
    world_now += 5;
    check(world_now - start < PATIENCE_MS, "two ends do not come to rest");
  }
}

static void check_quiet(const party_t* party) {
  const fw_ledger_t* ledger = &party->channel->ledger;
  check(fw_ledger_is_settled(ledger), "a handle is not settled");
  check(ledger->n_received == 0 && ledger->n_missing == 0, "a handle is not answered");
  check(ledger->n_open_in[0] == 0 && ledger->n_open_in[1] == 0, "handle credit was lost");
  for (int lane = 0; lane < FW_N_LANES; lane++) {
    const fw_lane_in_t* in = &party->channel->in.lanes[lane];
    check(in->credited == in->received, "credit was lost");
    check(fw_channel_written(party->channel, (fw_lane_t)lane) == sides[party->end].n_accepted[lane],
          "a message is not counted as written");
  }
  check_all_came(party->end);
}

static int is_ending(const party_t* party) {
  return party->channel == NULL || sides[party->end].is_over || party->channel->end_wanted;
}

static void end_both(void) {
  uint32_t first = choose(&choices, 3);
  for (int i = 0; i < 2; i++) {
    world_end = i;
    while (parties[i].channel != NULL && pending_writes(i, 0) != NULL)
      writes_done(&parties[i], 0, 0);
  }
  settle_down();
  for (int i = 0; i < 2; i++) {
    world_end = i;
    if (first == 2 || (int)first == i) end_party(&parties[i]);
  }
  settle_down();
  for (int i = 0; i < 2; i++) {
    world_end = i;
    end_party(&parties[i]);
  }
  settle_down();
}

/* The process is gone. Whether everything it sent has to arrive. */
static int finish_exit(party_t* party) {
  const fw_channel_t* channel = party->channel;
  if (!party->is_exiting || channel == NULL) return 0;
  int is_flushed = fw_channel_queued(channel) == 0 && !channel->is_closing && !channel->is_broken &&
                   !channel->is_eof && !party->is_own_end && !is_ending(&parties[1 - party->end]);
  kill_party(party);
  return is_flushed;
}

static void end_run(void) {
  int is_orderly = 1;
  int is_flushed[2];
  for (int i = 0; i < 2; i++) {
    world_end = i;
    release_all(&parties[i]);
    is_flushed[i] = finish_exit(&parties[i]);
  }
  settle_down();
  for (int i = 0; i < 2; i++) {
    if (is_flushed[i] && !sides[1 - i].is_dead) check_all_came(1 - i);
    if (sides[i].is_dead || sides[i].did_close) is_orderly = 0;
  }
  if (!is_ending(&parties[0]) && !is_ending(&parties[1]))
    for (int i = 0; i < 2; i++) check_quiet(&parties[i]);
  end_both();
  for (int i = 0; i < 2; i++) {
    check(parties[i].channel == NULL, "an end does not come to its end");
    check(parties[i].is_ended || sides[i].is_dead || sides[i].did_close, "its end is not reported");
  }
  if (is_orderly && !parties[0].gave_up && !parties[1].gave_up) check_writes_told();
  check_settled();
  for (int i = 0; i < 2; i++) check(world_n_open(i) == 0, "a descriptor leaked");
}

static void run(void) {
  world_begin();
  world__loops_begin();
  model_begin();
  world_wait = wait_for_other;
  world_segment_size = 32768;
  world_write_room = world_read_size = world_fd_room = NO_LIMIT;
  world_is_short = 0;
  handle_credit = choose(&choices, 2) * choose(&choices, 4);
  for (int i = 0; i < 2; i++) open_party(&parties[i], i);
  while (!choices_are_over(&choices)) {
    if (choices.bytes == NULL) choices.left--;
    operate(&parties[choose(&choices, 2)]);
  }
  end_run();
}
