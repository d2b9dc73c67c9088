/* The ledger and both queues of two ends against the model, in random interleavings on a kernel in memory: no
 * descriptor is lost, doubled or leaked, every handle is settled once with the right outcome, messages
 * keep their order, and neither end ever finds fault with the other.
 *
 * As a program of its own (-DSTANDALONE): ledger_fuzz --runs N --seed S, or --run K --seed S for one of them. */
// fuzz-sources: src/core/body.c src/core/segment.c src/core/segment_map.c src/core/segment_pool.c src/core/slot.c
// fuzz-sources: src/core/buffer.c src/core/frame.c src/core/ledger.c src/core/read_queue.c src/core/write_queue.c
// fuzz-sources: src/core/keys.c
// fuzz-sources: src/core/control.c test/fuzz/fake_fd_kind.c test/fuzz/fake_transport.c
#include "../../src/core/channel_state.h"
#include "model.h"

typedef struct {
  fw_channel_t channel; /* only what needs no loop */
  int end;
  int is_open;
  int is_own_end;
} party_t;

static party_t parties[2];

/* --------------------------------------------------------- what the core asks */

void fw__channel_note_progress(fw_channel_t* channel, fw_wait_t kind) {
  (void)kind;
  (void)channel;
}

void fw__channel_tell_ending(fw_channel_t* channel) {
  (void)channel;
}

int fw__channel_delivers_no_more(const fw_channel_t* channel) {
  return channel->end_wanted && !channel->end_laid && channel->ledger.n_adopted == 0;
}

int fw__channel_may_end(const fw_channel_t* channel) {
  return fw__channel_delivers_no_more(channel) && fw_write_queue_is_laid(&channel->out);
}

static void on_settled(void* data, const fw_sent_t* sent, fw_outcome_t outcome, uint32_t reason) {
  const party_t* party = data;
  const send_t* known = &sends[sent->token - TOKEN_BASE];
  if (known->id != 0) check(known->id == sent->id, "settled under another id");
  note_settled(party->end, sent->token, outcome, reason);
}

static void on_message(void* data, const fw_message_t* message) {
  note_message(((party_t*)data)->end, message);
}

static void on_writes_done(void* data, uint64_t id, int failed) {
  note_writes_done(((party_t*)data)->end, id, failed);
}

static void on_hello(void* data, uint32_t pid) {
  (void)data, (void)pid;
}

/* Its message is still held, or in pieces. */
static void on_lost(void* data, uint64_t id) {
  const party_t* party = data;
  check(!parties[1 - party->end].is_open, "lost while the sender lives");
  for (int lane = 0; lane < FW_N_LANES; lane++) {
    const fw_held_t* held = party->channel.in.lanes[lane].held_head;
    for (; held != NULL; held = held->next) {
      size_t prefix = 24 + (size_t)held->message.block.buffered;
      if (!held->message.has_handle || held->message.handle_id != id) continue;
      sends[index_in(held->message.data + prefix, held->message.size - prefix)].is_lost = 1;
    }
  }
}

static const char* on_control(void* data, const fw_frame_t* frame, const uint8_t* payload) {
  party_t* party = data;
  if (frame->kind == FW_KIND_END) sides[party->end].may_return = 1;
  return fw__control_read(&party->channel, frame, payload);
}

static void lay_control(void* data) {
  fw__control_lay(&((party_t*)data)->channel);
}

/* ------------------------------------------------------- what the model asks */

static int adopt_id(int end, uint64_t id) {
  return fw_ledger_adopt(&parties[end].channel.ledger, id);
}

static int take_id(int end, uint64_t id) {
  return fw_ledger_take(&parties[end].channel.ledger, id);
}

static int refuse_id(int end, uint64_t id, fw_refused_reason_t reason) {
  return fw_ledger_refuse(&parties[end].channel.ledger, id, (uint32_t)reason);
}

static void credit(int end, fw_lane_t lane, size_t cost) {
  fw_read_queue_deliver(&parties[end].channel.in, lane, 1, cost);
}

static int has_discarded(int end) {
  (void)end;
  return 0;
}

/* ----------------------------------------------------------- the life of an end */

static void open_party(party_t* party, int end) {
  static const fw_read_callbacks_t reads = {.on_message = on_message, .on_control = on_control};
  fw_channel_t* channel = &party->channel;
  memset(party, 0, sizeof(*party));
  party->end = end;
  party->is_open = 1;
  channel->data = party;
  channel->options.disabled = FW_DISABLE_SEGMENTS;
  channel->callbacks.on_writes_done = on_writes_done;
  channel->callbacks.on_hello = on_hello;
  fw_ledger_init(&channel->ledger, on_settled, party);
  fw_read_queue_init(&channel->in, &channel->ledger, &reads, party);
  fw_write_queue_init(&channel->out, &channel->ledger, lay_control, party);
  fw__control_lay_hello(channel);
}

static void return_everything(party_t* party) {
  fw_write_queue_cut(&party->channel.out);
  fw_ledger_return_all(&party->channel.ledger);
}

static void close_party(party_t* party) {
  if (!party->is_open) return;
  TRACE("%d: closes\n", party->end);
  world_end = party->end;
  party->is_open = 0;
  sides[party->end].is_over = sides[party->end].may_return = 1;
  return_everything(party);
  fw_ledger_discard_all(&party->channel.ledger);
  world_disconnect(party->end);
  fw_read_queue_free(&party->channel.in);
  fw_write_queue_free(&party->channel.out);
  fw_ledger_free(&party->channel.ledger);
}

static void kill_party(party_t* party) {
  sides[party->end].is_dead = 1;
  close_party(party);
  world_kill(party->end);
  sides[party->end].n_adopted = 0;
}

static void start_dropping(party_t* party) {
  sides[party->end].is_over = 1;
  fw_read_queue_drop_messages(&party->channel.in);
}

static void flush(party_t* party, size_t room) {
  size_t written;
  fw_channel_t* channel = &party->channel;
  if (!party->is_open || channel->did_shutdown || channel->is_broken) return;
  world_end = party->end;
  world_write_room = room;
  int status = fw_write_queue_flush(&channel->out, party->end, NO_LIMIT, &written);
  if (status == UV_EPIPE) channel->is_broken = 1;
  else check(status == 0 || status == UV_EAGAIN || status == -ETOOMANYREFS, "a write failed");
}

/* The rest of this part does as channel.c. */
static void settle_peer_end(party_t* party) {
  fw_channel_t* channel = &party->channel;
  if (channel->peer_end_settled || channel->ledger.n_adopted > 0) return;
  if (fw_read_queue_is_holding(&channel->in)) return;
  channel->peer_end_settled = 1;
  start_dropping(party);
  channel->end_wanted = 1;
  return_everything(party);
  flush(party, choose(&choices, 4) == 0 ? choose(&choices, 200) : NO_LIMIT);
}

/* A peer that ended may have shut down its side while it waits for WRITES_DONE. */
static void settle_eof(party_t* party) {
  const fw_channel_t* channel = &party->channel;
  int owes = channel->ledger.n_writes_out > 0 || fw_write_queue_size(&channel->out) > 0;
  if (channel->peer_end_settled && owes && !channel->is_broken) return;
  sides[party->end].may_return = 1;
  fw_read_queue_give_up_missing(&party->channel.in, on_lost);
  close_party(party);
}

static void finish(party_t* party) {
  fw_channel_t* channel = &party->channel;
  if (!channel->end_laid || fw_write_queue_size(&channel->out) > 0) return;
  if (channel->ledger.n_writes_out > 0) return;
  if (channel->ledger.n_writes_in == 0) {
    close_party(party);
  } else if (!channel->did_shutdown) {
    channel->did_shutdown = 1;
    world_shutdown(party->end);
  }
}

static void advance(party_t* party) {
  fw_channel_t* channel = &party->channel;
  if (!party->is_open) return;
  world_end = party->end;
  if (channel->peer_ended) settle_peer_end(party);
  if (channel->is_eof) settle_eof(party);
  if (!party->is_open) return;
  if (channel->end_wanted && !channel->end_laid) flush(party, NO_LIMIT);
  if (channel->peer_end_settled) finish(party);
}

/* ---------------------------------------------------------------- operations */

static void send_one(party_t* party, fw_lane_t lane, int has_handle) {
  fw_handle_out_t handle;
  fw_write_queue_t* out = &party->channel.out;
  if (!party->is_open || party->channel.end_wanted || n_sends == MAX_SENDS) return;
  send_t* sent = new_send(party->end, lane, has_handle, &handle);
  const fw_handle_out_t* given = has_handle ? &handle : NULL;
  uint8_t* body = fw_write_queue_begin(out, lane, sent->size, given);
  check(body != NULL, "no memory");
  fill_body(body, sent->size);
  note_accepted(sent);
  int status = fw_write_queue_commit(out, lane, FW_ENCODING_BYTES, sent->size, given);
  check(status == 0, "a send was not accepted");
  if (has_handle && !sent->is_moved) world_close(handle.fd);
}

static void receive(party_t* party, size_t size, size_t fd_room) {
  struct iovec iov[2];
  fw_fd_set_t set;
  fw_channel_t* channel = &party->channel;
  if (!party->is_open || channel->is_eof) return;
  world_end = party->end;
  world_read_size = size;
  world_fd_room = fd_room;
  fw_fd_set_init(&set);
  size_t n_iov = fw_read_queue_prepare(&channel->in, iov);
  check(n_iov > 0, "no memory");
  ssize_t received = fw_recv(party->end, iov, n_iov, fw_read_queue_fd_room(&channel->in), &set);
  if (received == -EAGAIN) return;
  if (received == 0) {
    channel->is_eof = 1;
    return;
  }
  int status = fw_read_queue_received(&channel->in, (size_t)received, &set);
  if (status != 0)
    fprintf(stderr, "%d finds %s in kind %d\n", party->end, channel->in.violation.rule,
            channel->in.violation.kind);
  check(status == 0, "a violation between two honest ends");
  check(!set.present, "a set was left to the caller");
}

static void ask_missing(party_t* party, size_t room) {
  if (!party->is_open || party->channel.is_eof) return;
  if (party->channel.ledger.n_missing == 0) return;
  if (room == 0) room = fw_read_queue_make_room(&party->channel.in, 2);
  fw_ledger_ask_missing(&party->channel.ledger, room);
}

static void finish_writes(party_t* party, size_t start, int failed) {
  send_t* sent = party->is_open ? pending_writes(party->end, start) : NULL;
  if (sent == NULL) return;
  TRACE("%d: finishes writes of %zu\n", party->end, (size_t)(sent - sends));
  sent->writes = failed ? WRITES_FAILED : WRITES_DONE;
  fw_ledger_finish_writes(&party->channel.ledger, token_of(sent), failed);
}

static void end_party(party_t* party) {
  if (!party->is_open || party->is_own_end || party->channel.end_wanted) return;
  TRACE("%d: ends\n", party->end);
  world_end = party->end;
  party->is_own_end = party->channel.end_wanted = 1;
  start_dropping(party);
  flush(party, choose(&choices, 2) == 0 ? choose(&choices, 500) : NO_LIMIT);
}

/* An end without progress: END leaves before what is queued. */
static void cut_party(party_t* party) {
  side_t* side = &sides[party->end];
  if (!party->is_open || !party->is_own_end || party->channel.end_laid) return;
  TRACE("%d: cuts\n", party->end);
  world_end = party->end;
  int may_return = side->may_return;
  side->may_return = 1;
  fw_write_queue_cut(&party->channel.out);
  fw_ledger_return_queued(&party->channel.ledger);
  side->may_return = may_return;
  flush(party, NO_LIMIT);
}

static void burst(party_t* party) {
  uint32_t count = 1 + choose(&choices, 300);
  int lane = choose(&choices, 8) == 0 ? FW_LANE_INTERNAL : FW_LANE_USER;
  for (uint32_t i = 0; i < count; i++) send_one(party, (fw_lane_t)lane, 1);
}

/* As the process does that is about to end. */
static void drop_party(party_t* party) {
  TRACE("%d: drops\n", party->end);
  world_end = party->end;
  start_dropping(party);
}

/* What happens rarely ends much. */
static void rare(party_t* party) {
  uint32_t what = choose(&choices, 64);
  if (what < 12) end_party(party);
  else if (what < 18) cut_party(party);
  else if (what < 20 && party->is_open) drop_party(party);
  else if (what < 22 && party->is_open) kill_party(party);
  else if (what < 23 && party->is_open) {
    sides[party->end].did_close = 1;
    close_party(party);
  } else if (what < 25) burst(party);
  else finish_writes(party, what, what & 1);
}

static size_t choose_room(void) {
  return choose(&choices, 3) > 0 ? NO_LIMIT : choose(&choices, 4);
}

static void receive_some(party_t* party) {
  size_t size = 1 + choose(&choices, 200);
  receive(party, size, choose_room());
}

static void finish_some_writes(party_t* party) {
  size_t start = choose(&choices, 64);
  finish_writes(party, start, choose(&choices, 4) == 0);
}

static void operate(party_t* party) {
  uint32_t what = choose(&choices, 32);
  world_end = party->end;
  n_operations++;
  world_segment_size = choose(&choices, 4) == 0 ? 1 + choose(&choices, 200) : 32768;
  if (what < 4) send_one(party, FW_LANE_USER, 0);
  else if (what < 9) send_one(party, FW_LANE_USER, 1);
  else if (what < 11) send_one(party, FW_LANE_INTERNAL, what & 1);
  else if (what < 13) flush(party, choose(&choices, 300));
  else if (what < 16) flush(party, NO_LIMIT);
  else if (what < 19) receive_some(party);
  else if (what < 23) receive(party, NO_LIMIT, choose_room());
  else if (what < 26) give_one(party->end, FW_LANE_USER, choose(&choices, 8));
  else if (what < 27) give_one(party->end, FW_LANE_INTERNAL, choose(&choices, 8));
  else if (what < 28) resolve_one(party->end, choose(&choices, 3) > 0);
  else if (what < 29) ask_missing(party, choose(&choices, 5));
  else if (what < 30) finish_some_writes(party);
  else if (what < 31) reset_one(party->end, choose(&choices, 64));
  else if (choose(&choices, 2) == 0) world_is_short = !world_is_short;
  else rare(party);
  advance(party);
}

/* -------------------------------------------------------------- the end of a run */

/* Everything that can move does, once. */
static void turn(party_t* party) {
  world_segment_size = 32768;
  world_is_short = 0;
  size_t unread = 0;
  while (party->is_open && world_unread(party->end) != unread) {
    unread = world_unread(party->end);
    receive(party, NO_LIMIT, NO_LIMIT);
    advance(party);
  }
  receive(party, NO_LIMIT, NO_LIMIT);
  give_all(party->end);
  while (party->is_open && sides[party->end].n_adopted > 0) resolve_one(party->end, 1);
  ask_missing(party, 600);
  flush(party, NO_LIMIT);
  advance(party);
}

/* A number that differs when anything moved. */
static uint64_t progress(void) {
  uint64_t hash = 0;
  for (int i = 0; i < 2; i++) {
    const fw_channel_t* channel = &parties[i].channel;
    if (!parties[i].is_open) continue;
    const uint64_t values[] = {channel->in.offset,
                               channel->ledger.received_id,
                               channel->end_laid,
                               channel->is_eof,
                               channel->did_shutdown,
                               channel->ledger.n_missing,
                               fw_write_queue_size(&channel->out),
                               world_unread(i)};
    for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++)
      hash = (hash ^ values[j]) * 0x9e3779b97f4a7c15 + 1;
  }
  return hash;
}

static void settle_down(void) {
  uint64_t before;
  do {
    before = progress();
    for (int i = 0; i < 2; i++) turn(&parties[i]);
  } while (progress() != before);
}

static void check_credit(const party_t* party) {
  for (int lane = 0; lane < FW_N_LANES; lane++) {
    const fw_lane_in_t* in = &party->channel.in.lanes[lane];
    const fw_lane_out_t* out = &parties[1 - party->end].channel.out.lanes[lane];
    check(in->credited == in->received, "credit was lost");
    check(in->received == out->sent, "the ends count differently");
    check(out->n_written == out->n_queued, "a message is not counted as written");
  }
}

/* Both are open, neither ends: everything came and was answered. */
static void check_quiet(const party_t* party) {
  const fw_ledger_t* ledger = &party->channel.ledger;
  check(fw_ledger_is_settled(ledger), "a handle is not settled");
  check(fw_ledger_all_landed(ledger), "a handle did not land");
  check(ledger->n_received == 0 && ledger->n_missing == 0, "a handle is not answered");
  check(ledger->n_resend == 0 && ledger->n_resend_ids == 0, "a descriptor is still asked for");
  check(ledger->n_open_in[0] == 0 && ledger->n_open_in[1] == 0, "handle credit was lost");
  check(fw_write_queue_size(&party->channel.out) == 0, "bytes were left behind");
  check(!party->channel.in.set.present, "a set is not used up");
  check_credit(party);
  check_all_came(party->end);
}

static int is_ending(const party_t* party) {
  return !party->is_open || sides[party->end].is_over || party->channel.end_wanted;
}

/* Both end in some order; what is left then is nothing. */
static void end_both(void) {
  uint32_t first = choose(&choices, 3);
  for (uint32_t i = 0; i < 2; i++) {
    while (parties[i].is_open && pending_writes((int)i, 0) != NULL)
      finish_writes(&parties[i], 0, 0);
    settle_down();
  }
  if (first != 1) end_party(&parties[0]);
  if (first != 0) end_party(&parties[1]);
  settle_down();
  for (int i = 0; i < 2; i++) end_party(&parties[i]);
  settle_down();
  for (int i = 0; i < 2; i++) check(!parties[i].is_open, "an end does not come to its end");
}

static void end_run(void) {
  int is_orderly = 1;
  settle_down();
  for (int i = 0; i < 2; i++) {
    int is_dying = sides[i].is_over && !parties[i].channel.end_wanted; /* it dropped only */
    if (parties[i].is_open && is_dying) kill_party(&parties[i]);
    if (sides[i].is_dead || sides[i].did_close) is_orderly = 0;
  }
  if (!is_ending(&parties[0]) && !is_ending(&parties[1]))
    for (int i = 0; i < 2; i++) check_quiet(&parties[i]);
  end_both();
  if (is_orderly) check_writes_told();
  check_settled();
  for (int i = 0; i < 2; i++) check(world_n_open(i) == 0, "a descriptor leaked");
}

static void run(void) {
  world_begin();
  model_begin();
  world_segment_size = 32768;
  world_is_short = 0;
  for (int i = 0; i < 2; i++) open_party(&parties[i], i);
  while (!choices_are_over(&choices)) {
    if (choices.bytes == NULL) choices.left--;
    operate(&parties[choose(&choices, 2)]);
  }
  end_run();
}
