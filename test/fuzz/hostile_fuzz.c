/* A whole channel, the state machine with its ends, limits and the flush at exit, against a peer that writes any bytes and
 * descriptors. The application sends, takes, refuses, holds, ends, flushes and closes at any moment. Every handle is
 * settled once, the end is reported once and last, memory and descriptors stay within the limits, and once the peer is
 * gone the channel comes to its end. */
// fuzz-sources: src/core/body.c src/core/segment.c src/core/segment_map.c src/core/segment_pool.c src/core/slot.c
// fuzz-sources: src/core/buffer.c src/core/frame.c src/core/ledger.c src/core/read_queue.c src/core/write_queue.c
// fuzz-sources: src/core/keys.c
// fuzz-sources: src/core/control.c src/core/trace.c test/fuzz/fake_fd_kind.c test/fuzz/fake_transport.c
// fuzz-sources: src/core/node_frame.c src/core/node_reader.c src/core/node_writer.c src/core/node_wire.c
// fuzz-sources: test/fuzz/fake_loop.c
// fuzz-sources: src/core/standby.c
#include "../../src/core/channel_state.h"
#include "peer.h"

#define MAX_IDS 64
#define MAX_TOKENS 256
#define PATIENCE_MS 30000 /* what is not over after that hangs */
#define PEER 1

static fw_channel_t* channel; /* NULL when it is closed */
static int is_ended;
static int is_ending_told;
static int is_violated;
static int holds;
static int is_exiting;
static uint64_t ids[MAX_IDS]; /* handles that came with a message */
static size_t n_ids;
static uint64_t claims
    [MAX_IDS]; /* Node's wire: messages of the batch, which may say that they carry a handle */
static size_t n_claims;
static uint8_t settled[MAX_TOKENS]; /* by token: 1 sent, 2 settled */
static size_t n_tokens;
static volatile uint32_t sink;
static int n_waits;

static void touch(const uint8_t* bytes, size_t size) {
  for (size_t i = 0; i < size; i++) sink += bytes[i];
}

static void act(uint8_t what);

/* ---------------------------------------------------------------- callbacks */

static void on_message(void* data, const fw_message_t* message) {
  (void)data;
  check(!is_ended && channel != NULL, "a message after the end");
  check(!message->is_shared || (channel->in.stream.features & FW_FEATURE_SEGMENTS) != 0,
        "a message in memory that was not agreed on");
  check(message->size <= channel->options.max_message_size, "a message above its limit");
  touch(message->data, message->size);
  if (channel->options.wire != FW_WIRE_NATIVE) {
    if (n_claims < MAX_IDS) claims[n_claims++] = message->handle == NULL ? 0 : message->handle->id;
    return;
  }
  if (message->handle == NULL) return;
  touch(message->handle->buffered, message->handle->buffered_size);
  check(message->handle->type != FW_HANDLE_SERVER || channel->options.refused_types == 0,
        "a handle that is not wanted");
  if (n_ids < MAX_IDS) ids[n_ids++] = message->handle->id;
}

static void on_settled(void* data, uint64_t token, fw_outcome_t outcome, uint32_t reason) {
  (void)data, (void)reason;
  check(token < n_tokens && settled[token] == 1, "settled twice, or never sent");
  check(outcome >= FW_OUTCOME_TAKEN && outcome <= FW_OUTCOME_CLOSED, "another outcome");
  settled[token] = 2;
}

static void on_counts(void* data, uint64_t key, uint64_t closed) {
  (void)data;
  sink += (uint32_t)(key + closed);
}

static void on_writes_done(void* data, uint64_t id, int failed) {
  (void)data;
  sink += (uint32_t)id + (uint32_t)failed;
}

static void on_lost(void* data, uint64_t id) {
  (void)data;
  check(id != 0, "nothing was lost");
}

static void on_nack(void* data, uint64_t token, uint32_t count) {
  (void)data;
  check(token < n_tokens && settled[token] == 1 && count > 0, "nothing to be sent again");
}

static void on_hello(void* data, uint32_t pid) {
  (void)data;
  sink += pid;
}

static void on_ending(void* data) {
  (void)data;
  check(!is_ending_told, "on_ending came twice");
  is_ending_told = 1;
}

static void on_batch(void* data) {
  (void)data;
  check(channel != NULL, "a batch after the end");
  for (size_t i = 0; i < n_claims && !channel->is_closing; i++) {
    uint8_t what = next_byte();
    if (what & 128) continue; /* a plain message */
    int64_t id = fw_channel_claim(channel, FW_LANE_USER, claims[i], what % 8);
    if (id > 0 && n_ids < MAX_IDS) ids[n_ids++] = (uint64_t)id;
  }
  n_claims = 0;
  act(next_byte());
}

static void on_progress(void* data) {
  (void)data;
  check(channel != NULL, "progress after the end");
}

static void on_end(void* data, fw_end_t end) {
  (void)data;
  check(!is_ended, "an end that was reported already");
  is_ended = 1;
  is_violated = end == FW_END_VIOLATION;
  const fw_violation_t* violation = fw_channel_violation(channel);
  if (is_violated)
    check(violation != NULL && violation->rule != NULL, "a violation without a rule");
  if (is_violated) sink += (uint32_t)fw_frame_name(violation->kind)[0];
}

static void on_closed(void* data) {
  (void)data;
  check(channel != NULL, "closed twice");
  channel = NULL;
}

static void on_trace(void* data, const char* line) {
  (void)data;
  sink += (uint32_t)line[0];
}

/* ------------------------------------------------------------- the application */

static void send_one(uint8_t shape) {
  fw_handle_out_t handle = {.fd = sockets[1], .dup = 1, .token = n_tokens};
  fw_lane_t lane = shape & 1 ? FW_LANE_INTERNAL : FW_LANE_USER;
  int has_handle = (shape & 2) && n_tokens < MAX_TOKENS;
  size_t size = shape & 4 ? (size_t)next_byte() * 300 : shape >> 3;
  handle.type = FW_HANDLE_SOCKET;
  if (shape & 8) handle.flags = FW_HANDLE_WRITES_PENDING;
  const fw_handle_out_t* given = has_handle ? &handle : NULL;
  uint8_t* room = fw_channel_begin(channel, lane, size, given);
  check(room != NULL, "no memory");
  memset(room, 'x', size);
  /* It may be settled within the call. */
  if (has_handle) settled[n_tokens++] = 1;
  int status = fw_channel_commit(channel, lane, FW_ENCODING_BYTES, size, given);
  if (status == 0) return;
  check(status == UV_EPIPE || status == UV_EMSGSIZE || status == UV_ENOBUFS, "another status");
  if (has_handle) n_tokens--;
}

static void answer(uint8_t what) {
  if (n_ids == 0) return;
  uint64_t id = ids[what % n_ids];
  int fd = what & 128 ? -1 : fw_channel_adopt(channel, id);
  if (fd >= 0) world_adopt(fd);
  if (fd >= 0) world_close(fd);
  if (what & 64) fw_channel_taken(channel, id);
  else fw_channel_refuse(channel, id, FW_REFUSED_POLICY);
}

static void hold_or_release(uint8_t what) {
  if (what & 1 && holds < 3) {
    holds++;
    fw_channel_hold(channel);
  } else if (holds > 0) {
    holds--;
    fw_channel_release(channel);
  }
}

static void end_somehow(uint8_t what) {
  if (what < 100) fw_channel_end(channel);
  else if (what < 120) fw_channel_close(channel);
  else if (what < 150) fw_channel_reject_message(channel);
  else if (what < 170) fw_channel_peer_died(channel);
  else if (what < 180 && !is_exiting) {
    is_exiting = 1;
    fw_channels_flush(&channel, 1);
  } else if (what < 200) fw_channels_write_out(&channel, 1);
}

/* Any function of the channel, also from within a callback. */
static void act(uint8_t what) {
  if (channel == NULL || channel->is_closing) return;
  switch (what % 12) {
    case 0:
    case 1:
      send_one(next_byte());
      break;
    case 2:
    case 3:
      answer(next_byte());
      break;
    case 4:
      fw_channel_deliver(channel, what & 16 ? FW_LANE_INTERNAL : FW_LANE_USER, 1, 20);
      break;
    case 5:
      hold_or_release(next_byte());
      break;
    case 6:
      fw_channel_add_closed(channel, next_byte(), next_byte());
      break;
    case 7:
      fw_channel_writes_done(channel, next_byte(), what & 16);
      break;
    case 8:
      fw_channel_retry_missing(channel);
      break;
    case 9:
      if (what & 128) end_somehow(next_byte());
      break;
    case 10:
      fw_channel_flush(channel);
      break;
    default:
      sink += (uint32_t)fw_channel_queued(channel) + fw_channel_peer_pid(channel);
  }
}

/* ------------------------------------------------------------------- the peer */

/* Writes what it has, up to `size` bytes, with the descriptors that are ready. */
static void feed(size_t size) {
  int fds[FW_SET_MAX];
  struct iovec iov = {fw_buffer_bytes(&pending), fw_buffer_size(&pending)};
  if (iov.iov_len > size) iov.iov_len = size;
  if (iov.iov_len == 0) return;
  world_end = PEER;
  for (size_t i = 0; i < next_set.count; i++) fds[i] = next_set.fds[i];
  world_write_room = SIZE_MAX;
  ssize_t sent = fw_send(0, &iov, 1, fds, next_set.count);
  drop_set();
  world_end = PEER;
  if (sent > 0) fw_buffer_consume(&pending, (size_t)sent);
  else fw_buffer_consume(&pending, fw_buffer_size(&pending));
  world_end = 0;
}

static void read_replies(size_t size) {
  static uint8_t bytes[4096];
  fw_fd_set_t set;
  struct iovec iov = {bytes, size < sizeof(bytes) ? size + 1 : sizeof(bytes)};
  world_end = PEER;
  world_read_size = SIZE_MAX;
  world_fd_room = SIZE_MAX;
  fw_fd_set_init(&set);
  if (fw_recv(0, &iov, 1, FW_SET_MAX, &set) > 0) fw_fd_set_drop(&set);
  world_end = 0;
}

/* ----------------------------------------------------------------------- runs */

static void check_memory(void) {
  if (channel == NULL) return;
  check_features(&channel->in);
  check(channel->in.in.capacity <= (1 << 19), "the read buffer grows");
  for (int i = 0; i < FW_N_LANES; i++) {
    const fw_inbound_t* partial = &channel->in.lanes[i].partial;
    check(partial->capacity <= 2 * partial->size + FW_FRAME_MAX_PAYLOAD,
          "memory was taken on an announcement");
  }
  check(channel->ledger.n_received <= FW_HANDLES_MAX && channel->ledger.n_refused <= FW_HANDLES_MAX,
        "more handles than the credit");
  check(fw_buffer_size(&channel->out.out) <= (1 << 20), "what is owed to the peer grows");
}

static void run_loop(uint8_t what) {
  if (is_exiting) return; /* that process runs no loop any more */
  world_read_size = what & 1 ? SIZE_MAX : 1 + (size_t)(what >> 1);
  world_fd_room = what & 2 ? SIZE_MAX : (size_t)(what >> 6);
  world_write_room = what & 4 ? SIZE_MAX : (size_t)(what >> 3) * 16;
  world_is_short = what == 255;
  world_run_loop(0);
  world_end = 0;
  check_memory();
}

static void wait_for_peer(int timeout) {
  check(++n_waits < 2000, "a flush waits for ever");
  world_now += timeout < 100 ? (uint64_t)timeout + 1 : 100;
  if (input.size > 0) feed(next_byte());
  read_replies(4096);
  world_write_room = SIZE_MAX;
}

static void operate(void) {
  uint8_t what = next_byte();
  switch (what % 16) {
    case 10:
      feed(1 + (size_t)next_byte());
      break;
    case 11:
      feed(SIZE_MAX);
      run_loop(255 - 2);
      break;
    case 12:
      run_loop(next_byte());
      break;
    case 13:
      world_now += what & 128 ? 3000 : what >> 4;
      break;
    case 14:
      read_replies(next_byte());
      break;
    case 15:
      act(next_byte());
      break;
    default:
      peer_step(what % 16);
  }
}

static void open_channel(uint8_t shape) {
  static const uint8_t ack[] = {'a', 'c', 'k'};
  static const uint8_t nack[] = {'n', 'a', 'k'};
  fw_callbacks_t callbacks = {.on_message = on_message,
                              .on_settled = on_settled,
                              .on_counts = on_counts,
                              .on_writes_done = on_writes_done,
                              .on_lost = on_lost,
                              .on_nack = on_nack,
                              .on_hello = on_hello,
                              .on_ending = on_ending,
                              .on_batch = on_batch,
                              .on_progress = on_progress,
                              .on_end = on_end,
                              .on_closed = on_closed,
                              .on_trace = shape & 1 ? on_trace : NULL};
  fw_options_t options = {.end_stall_ms = 5000, .exit_stall_ms = 500, .exit_total_ms = 5000};
  if (shape & 2) options.max_message_size = 5000;
  if (shape & 2) options.max_queue_bytes = 50000;
  if (shape & 4) options.credit_bytes = FW_MIN_CREDIT;
  if (shape & 4) options.credit_handles = 2;
  if (shape & 4) options.disabled = FW_DISABLE_SEGMENTS;
  if (shape & 8) options.refused_types = 1u << FW_HANDLE_SERVER;
  if (shape & 8) options.refused_encodings = 1u << FW_ENCODING_V8;
  if (shape & 64) options.wire = shape & 128 ? FW_WIRE_NODE_ADVANCED : FW_WIRE_NODE_JSON;
  options.ack = (fw_bytes_t){ack, sizeof(ack)};
  options.nack = (fw_bytes_t){nack, sizeof(nack)};
  check(fw_channel_open(world_loop(0), world_open_channel(), &options, &callbacks, NULL,
                        &channel) == 0,
        "a channel does not open");
}

static void begin(uint8_t shape) {
  set_end = PEER;
  peer_begin();
  world__loops_begin();
  world_wait = wait_for_peer;
  world_segment_size = shape & 32 ? 64 : 32768;
  world_write_room = world_read_size = world_fd_room = SIZE_MAX;
  world_is_short = 0;
  is_ended = is_ending_told = is_violated = holds = is_exiting = n_waits = 0;
  n_ids = n_tokens = n_claims = 0;
  open_channel(shape);
  if (!(shape & 80)) put_hello(shape & 3);
  if (shape & 64) put("{}\n", 3);
}

/* The peer is gone, or its process is known to be dead. */
static void finish(void) {
  uint64_t start = world_now;
  feed(SIZE_MAX);
  world_end = PEER;
  world_disconnect(PEER);
  world_end = 0;
  if (is_exiting && channel != NULL) fw_channel_close(channel);
  is_exiting = 0;
  while (channel != NULL) {
    while (holds > 0 && channel != NULL && !channel->is_closing) hold_or_release(0);
    run_loop(255 - 128);
    world_now += 20;
    for (size_t i = 0; channel != NULL && i < n_ids; i++)
      fw_channel_refuse(channel, ids[i], FW_REFUSED_UNUSABLE);
    for (uint64_t i = 0; channel != NULL && i < n_tokens; i++)
      fw_channel_writes_done(channel, i, 1);
    check(world_now - start < PATIENCE_MS, "it does not come to its end");
  }
  for (size_t i = 0; i < n_tokens; i++) check(settled[i] == 2, "a handle was never settled");
}

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  input = (input_t){bytes, size};
  begin(next_byte());
  while (input.size > 0) operate();
  finish();
  peer_end();
  check(world_n_open(0) == 0, "a descriptor leaked");
  return 0;
}
