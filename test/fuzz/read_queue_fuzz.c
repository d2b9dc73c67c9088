/* What a hostile peer can do to the native decoder: bytes in any pieces with descriptors at any place, frames that are
 * nearly right, and an application that takes, refuses and drops what comes. No run leaves a descriptor behind or takes
 * memory on an announcement. */
// fuzz-sources: src/core/body.c src/core/segment.c src/core/segment_map.c src/core/segment_pool.c src/core/slot.c
// fuzz-sources: src/core/buffer.c src/core/frame.c src/core/ledger.c src/core/read_queue.c src/core/write_queue.c
// fuzz-sources: src/core/keys.c
// fuzz-sources: src/core/control.c test/fuzz/fake_fd_kind.c test/fuzz/fake_transport.c
#include "../../src/core/channel_state.h"
#include "peer.h"

#define MAX_IDS 64

static fw_channel_t channel;
static uint64_t ids[MAX_IDS]; /* handles that came with a message */
static size_t n_ids;
static int may_end;
static volatile uint32_t sink;

/* ------------------------------------------------------------- the channel */

void fw__channel_note_progress(fw_channel_t* ended, fw_wait_t kind) {
  (void)kind;
  (void)ended;
}

void fw__channel_tell_ending(fw_channel_t* ended) {
  (void)ended;
}

int fw__channel_delivers_no_more(const fw_channel_t* ended) {
  return may_end && !ended->end_laid && ended->ledger.n_adopted == 0;
}

int fw__channel_may_end(const fw_channel_t* ended) {
  return fw__channel_delivers_no_more(ended) && fw_write_queue_is_laid(&ended->out);
}

static void touch(const uint8_t* bytes, size_t size) {
  for (size_t i = 0; i < size; i++) sink += bytes[i];
}

static void on_message(void* data, const fw_message_t* message) {
  (void)data;
  check(!channel.in.dropping, "delivered what was to be dropped");
  touch(message->data, message->size);
  if (message->handle == NULL) return;
  touch(message->handle->buffered, message->handle->buffered_size);
  check(fw_ledger_find(&channel.ledger, message->handle->id) != NULL, "a handle without a place");
  if (n_ids < MAX_IDS) ids[n_ids++] = message->handle->id;
}

static void on_settled(void* data, const fw_sent_t* sent, fw_outcome_t outcome, uint32_t reason) {
  (void)data, (void)outcome, (void)reason;
  check(sent->token == 77, "another token");
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

static void on_hello(void* data, uint32_t pid) {
  (void)data;
  sink += pid;
}

/* The two large buffers stay from run to run: to make and free them is most of what a short run costs. */
static fw_buffer_t kept[2];

static fw_buffer_t empty(fw_buffer_t buffer) {
  buffer.start = buffer.end = 0;
  return buffer;
}

static void open_channel(uint8_t shape) {
  static const fw_read_callbacks_t reads = {.on_message = on_message,
                                            .on_control = fw__control_read};
  memset(&channel, 0, sizeof(channel));
  channel.options.disabled = shape & 16 ? FW_DISABLE_SEGMENTS : 0;
  channel.options.low_latency = (shape & 32) != 0;
  channel.callbacks.on_counts = on_counts;
  channel.callbacks.on_writes_done = on_writes_done;
  channel.callbacks.on_hello = on_hello;
  fw_ledger_init(&channel.ledger, on_settled, &channel);
  fw_read_queue_init(&channel.in, &channel.ledger, &reads, &channel);
  fw_write_queue_init(&channel.out, &channel.ledger, fw__control_lay, &channel);
  channel.in.in = empty(kept[0]);
  channel.out.out = empty(kept[1]);
  fw__control_lay_hello(&channel);
  n_ids = 0;
  may_end = 0;
}

static void close_channel(void) {
  fw_read_queue_give_up_missing(&channel.in, on_lost);
  fw_write_queue_cut(&channel.out);
  fw_ledger_return_all(&channel.ledger);
  fw_ledger_discard_all(&channel.ledger);
  kept[0] = channel.in.in;
  kept[1] = channel.out.out;
  fw_buffer_init(&channel.in.in);
  fw_buffer_init(&channel.out.out);
  fw_read_queue_free(&channel.in);
  fw_write_queue_free(&channel.out);
  fw_ledger_free(&channel.ledger);
}

/* Writes what the channel has to say; nobody reads it. */
static void flush(void) {
  size_t written;
  world_write_room = SIZE_MAX;
  fw_write_queue_flush(&channel.out, 0, 1 << 20, &written);
}

static void send_handles(int count) {
  for (int i = 0; i < count; i++) {
    fw_handle_out_t handle = {.fd = sockets[1], .dup = i & 1, .token = 77};
    handle.type = FW_HANDLE_SOCKET;
    uint8_t* room = fw_write_queue_begin(&channel.out, FW_LANE_USER, 2, &handle);
    check(room != NULL, "no memory");
    memcpy(room, "{}", 2);
    fw_write_queue_commit(&channel.out, FW_LANE_USER, FW_ENCODING_JSON, 2, &handle);
  }
  flush();
}

/* ----------------------------------------------------------------- feeding */

static void check_memory(void) {
  check_features(&channel.in);
  check(channel.in.in.capacity <= (1 << 19), "the read buffer grows");
  for (int i = 0; i < FW_N_LANES; i++) {
    const fw_inbound_t* partial = &channel.in.lanes[i].partial;
    check(partial->capacity <= 2 * partial->size + FW_FRAME_MAX_PAYLOAD,
          "memory was taken on an announcement");
  }
}

/* At most `size` bytes, with the descriptors that are ready. 0 or what the queue said. */
static int feed(size_t size) {
  struct iovec iov[2];
  size_t n_iov = fw_read_queue_prepare(&channel.in, iov);
  size_t fed = 0;
  check(n_iov > 0, "no memory");
  for (size_t i = 0; i < n_iov; i++) {
    size_t part = fw_buffer_size(&pending);
    if (part > size - fed) part = size - fed;
    if (part > iov[i].iov_len) part = iov[i].iov_len;
    if (part == 0) break;
    memcpy(iov[i].iov_base, fw_buffer_bytes(&pending), part);
    fw_buffer_consume(&pending, part);
    fed += part;
  }
  if (fed == 0) return 0;
  int status = fw_read_queue_received(&channel.in, fed, &next_set);
  check(!next_set.present, "a set was not taken over");
  check(status == 0 || status == UV_EPROTO, "another status");
  if (status == UV_EPROTO) check(channel.in.violation.rule != NULL, "a violation without a rule");
  check_memory();
  return status;
}

static int feed_all(size_t step) {
  int status = 0;
  while (status == 0 && fw_buffer_size(&pending) > 0) status = feed(step);
  return status;
}

/* -------------------------------------------------------------------- runs */

/* What the application does with a handle that came. */
static void answer(uint8_t what) {
  if (n_ids == 0) return;
  uint64_t id = ids[what % n_ids];
  int fd = what & 128 ? -1 : fw_ledger_adopt(&channel.ledger, id);
  if (what & 64) fw_ledger_take(&channel.ledger, id);
  else fw_ledger_refuse(&channel.ledger, id, FW_REFUSED_POLICY);
  if (fd < 0) return;
  world_adopt(fd);
  world_close(fd);
}

static void credit(uint8_t what) {
  fw_lane_t lane = what & 1 ? FW_LANE_USER : FW_LANE_INTERNAL;
  fw_lane_in_t* in = &channel.in.lanes[lane];
  if (in->undelivered > 0) fw_read_queue_deliver(&channel.in, lane, 1, what);
}

static void limit(void) {
  channel.in.max_message_size = 5000;
  channel.in.refused_encodings = 1u << FW_ENCODING_V8 | 1u << FW_ENCODING_BYTES;
  channel.ledger.refused_types = 1u << FW_HANDLE_SERVER;
  channel.ledger.credit[FW_LANE_USER] = 2;
}

static void drop(void) {
  fw_read_queue_drop_messages(&channel.in);
  may_end = 1;
}

static int operate(void) {
  uint8_t what = next_byte();
  switch (what % 16) {
    case 10:
      return feed(1 + (size_t)next_byte());
    case 11:
      return feed_all(SIZE_MAX);
    case 12:
      answer(next_byte());
      break;
    case 13:
      credit(next_byte());
      break;
    case 14:
      fw_ledger_ask_missing(&channel.ledger, next_byte() % 8);
      flush();
      break;
    default:
      if (what % 16 < N_PEER_STEPS) peer_step(what % 16);
      else if (what > 200) drop();
      else flush();
  }
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  peer_begin();
  input = (input_t){bytes, size};
  uint8_t shape = next_byte();
  open_channel(shape);
  if (shape & 1) send_handles(shape >> 5);
  if (!(shape & 2)) put_hello(shape >> 6);
  if (shape & 4) limit();
  int status = 0;
  while (status == 0 && input.size > 0) status = operate();
  if (status == 0) status = feed_all(shape & 8 ? 1 + (size_t)(shape >> 4) : SIZE_MAX);
  flush();
  close_channel();
  peer_end();
  check(world_n_open(0) == 0, "a descriptor was left behind");
  return 0;
}
