/* What a hostile peer can do to the native decoder: bytes in any pieces with real descriptors at any place, frames that
 * are nearly right, and an application that takes, refuses and drops what comes. No run leaves a descriptor
 * behind or takes memory on an announcement. */
// fuzz-sources: src/core/buffer.c src/core/frame.c src/core/ancillary.c src/core/fd_kind.c src/core/ledger.c
// fuzz-sources: src/core/read_queue.c src/core/write_queue.c src/core/control.c
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../src/core/ancillary.h"
#include "../../src/core/channel_state.h"
#include "../../src/core/fd_kind.h"

#define N_SOCKETS 4
#define N_LOW_FDS 64 /* where the fuzzer opens some of its own between runs */
#define MAX_FD 4096
#define MAX_IDS 64
#define MAX_PENDING ((size_t)1 << 20)

typedef struct {
  const uint8_t* bytes;
  size_t size;
} input_t;

static const uint8_t kinds[N_SOCKETS] = {FW_FD_TCP, FW_FD_TCP, FW_FD_UDP, FW_FD_UNIX};
static const uint8_t types[N_SOCKETS] = {FW_HANDLE_SERVER, FW_HANDLE_SOCKET, FW_HANDLE_DGRAM,
                                         FW_HANDLE_NATIVE};
static int sockets[N_SOCKETS];
static int wire[2];
static uint8_t was_open[MAX_FD]; /* before the run */
static int last_fd;

static input_t input;
static fw_channel_t channel;
static fw_buffer_t pending; /* bytes to be fed */
static fw_fd_set_t next_set;
static uint64_t ids[MAX_IDS]; /* handles that came with a message */
static size_t n_ids;
static uint64_t next_id;
static int may_end;
static volatile uint32_t sink;

static void check(int is_true, const char* what) {
  if (is_true) return;
  fprintf(stderr, "failed: %s\n", what);
  abort();
}

static uint8_t next_byte(void) {
  if (input.size == 0) return 0;
  input.size--;
  return *input.bytes++;
}

/* ------------------------------------------------------------- the channel */

void fw__channel_note_progress(fw_channel_t* ended) {
  (void)ended;
}

int fw__channel_may_end(const fw_channel_t* ended) {
  return may_end && !ended->end_laid && ended->ledger.n_adopted == 0 &&
         fw_write_queue_is_laid(&ended->out);
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

static void open_channel(void) {
  static const fw_read_callbacks_t reads = {.on_message = on_message,
                                            .on_control = fw__control_read};
  memset(&channel, 0, sizeof(channel));
  channel.callbacks.on_counts = on_counts;
  channel.callbacks.on_writes_done = on_writes_done;
  channel.callbacks.on_hello = on_hello;
  fw_ledger_init(&channel.ledger, on_settled, &channel);
  fw_read_queue_init(&channel.in, &channel.ledger, &reads, &channel);
  fw_write_queue_init(&channel.out, &channel.ledger, fw__control_lay, &channel);
  fw__control_lay_hello(&channel);
  n_ids = 0;
  next_id = 1;
  may_end = 0;
}

static void close_channel(void) {
  fw_read_queue_give_up_missing(&channel.in, on_lost);
  fw_write_queue_cut(&channel.out);
  fw_ledger_return_all(&channel.ledger);
  fw_ledger_discard_all(&channel.ledger);
  fw_read_queue_free(&channel.in);
  fw_write_queue_free(&channel.out);
  fw_ledger_free(&channel.ledger);
}

/* Writes what the channel has to say; nobody listens. */
static void flush(void) {
  static uint8_t bytes[65536];
  size_t written;
  fw_write_queue_flush(&channel.out, wire[0], 1 << 20, &written);
  while (recv(wire[1], bytes, sizeof(bytes), MSG_DONTWAIT) > 0) continue;
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

/* ---------------------------------------------------------------- the peer */

static void put(const void* bytes, size_t size) {
  if (fw_buffer_size(&pending) + size > MAX_PENDING) return;
  check(fw_buffer_append(&pending, bytes, size) == 0, "no memory");
}

static void put_header(fw_frame_t frame) {
  uint8_t bytes[FW_FRAME_HEADER_SIZE];
  fw_frame_encode(bytes, &frame);
  put(bytes, sizeof(bytes));
}

static void put_input(size_t size) {
  if (size > input.size) size = input.size;
  put(input.bytes, size);
  input.bytes += size;
  input.size -= size;
}

static void put_zeros(size_t size) {
  static const uint8_t zeros[1024];
  for (; size > sizeof(zeros); size -= sizeof(zeros)) put(zeros, sizeof(zeros));
  put(zeros, size);
}

static void put_u64(uint64_t value) {
  uint8_t bytes[8];
  fw_put_u64(bytes, value);
  put(bytes, sizeof(bytes));
}

static void put_hello(void) {
  uint8_t bytes[FW_HELLO_SIZE];
  fw_hello_t hello = {.min_version = 1, .max_version = 1, .max_message_size = 1 << 20};
  fw_hello_encode(bytes, &hello);
  put_header((fw_frame_t){.kind = FW_KIND_HELLO, .size = FW_HELLO_SIZE});
  put(bytes, sizeof(bytes));
}

/* A frame whose fields are the input's, mostly such as are allowed. */
static void put_frame(void) {
  fw_frame_t frame = {.kind = next_byte() % 15};
  uint8_t shape = next_byte();
  frame.size = next_byte() * (shape & 64 ? 300u : 1u);
  frame.flags = shape & 3;
  if (shape & 4) frame.id = next_byte();
  if (shape & 8) frame.handles = 1;
  if (shape & 16) frame.encoding = 1 + (shape >> 5) % 6;
  put_header(frame);
  size_t there = frame.size < input.size ? frame.size : input.size;
  put_input(there);
  put_zeros(frame.size - there);
}

/* A control frame with numbers of 64 bits that are small. */
static void put_numbers(void) {
  uint8_t shape = next_byte();
  uint8_t kind = FW_KIND_CREDIT + shape % 9;
  uint32_t count = 1 + (shape >> 4) % 6;
  put_header((fw_frame_t){.kind = kind, .size = count * 8});
  for (uint32_t i = 0; i < count; i++)
    put_u64(kind == FW_KIND_CREDIT ? (uint64_t)next_byte() << 22 : next_byte());
}

static void put_id(void) {
  static const uint8_t with_id[] = {FW_KIND_LANDED, FW_KIND_REFUSED, FW_KIND_WRITES_DONE};
  uint8_t kind = with_id[next_byte() % 3];
  put_header(
      (fw_frame_t){.kind = kind, .size = kind == FW_KIND_REFUSED ? 4 : 0, .id = next_byte()});
  if (kind == FW_KIND_REFUSED) put("\1\0\0\0", 4);
}

static fw_block_t next_block(uint8_t shape) {
  int i = shape % N_SOCKETS;
  fw_block_t block = {.inode = fw_fd_inode(sockets[i]), .kind = kinds[i], .type = types[i]};
  if (shape & 16) block.type = FW_HANDLE_SOCKET;
  block.flags = (shape >> 5) & 3;
  block.buffered = shape & 128 ? 3 : 0;
  return block;
}

/* A message with a handle, whole or its first piece. */
static void put_handle(void) {
  uint8_t bytes[FW_BLOCK_SIZE];
  uint8_t shape = next_byte();
  fw_block_t block = next_block(next_byte());
  fw_frame_t frame = {.kind = shape & 1 ? FW_KIND_USER : FW_KIND_INTERNAL,
                      .encoding = FW_ENCODING_JSON,
                      .handles = 1,
                      .id = shape & 2 ? next_id++ : shape >> 4,
                      .size = FW_BLOCK_SIZE + 8};
  if (shape & 4) frame.flags = FW_FLAG_MORE;
  if (shape & 4) frame.size += FW_TOTAL_SIZE;
  put_header(frame);
  if (shape & 4) put_u64(FW_BLOCK_SIZE + 8 + next_byte());
  fw_block_encode(bytes, &block);
  put(bytes, sizeof(bytes));
  put_zeros(8);
}

static void put_handle_fd(void) {
  uint8_t id = next_byte();
  put_header((fw_frame_t){.kind = FW_KIND_HANDLE_FD, .handles = 1, .id = id, .size = 8});
  put_u64(fw_fd_inode(sockets[next_byte() % N_SOCKETS]));
}

static void put_batch(void) {
  uint8_t count[4] = {next_byte()};
  put_header((fw_frame_t){.kind = FW_KIND_BATCH, .size = 4});
  put(count, sizeof(count));
}

/* Descriptors that come with the next bytes, and perhaps their BATCH frame. */
static void attach(void) {
  uint8_t shape = next_byte();
  size_t count = (shape & 7) % 6;
  if (next_set.present) return;
  next_set.truncated = (shape & 32) != 0;
  for (size_t i = 0; i < count; i++) {
    int fd = fw_fd_dup(sockets[((shape >> 3) + i) % N_SOCKETS]);
    check(fd >= 0 && fd < MAX_FD, "no descriptor");
    if (fd > last_fd) last_fd = fd;
    next_set.fds[next_set.count++] = fd;
  }
  next_set.present = count > 0 || next_set.truncated;
}

/* ----------------------------------------------------------------- feeding */

static void check_memory(void) {
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
  if (fd >= 0) close(fd);
}

static void credit(uint8_t what) {
  fw_lane_t lane = what & 1 ? FW_LANE_USER : FW_LANE_INTERNAL;
  fw_lane_in_t* in = &channel.in.lanes[lane];
  if (in->undelivered > 0) fw_read_queue_deliver(&channel.in, lane, 1, what);
}

static void drop(void) {
  fw_read_queue_drop_messages(&channel.in);
  may_end = 1;
}

static int operate(void) {
  uint8_t what = next_byte();
  switch (what % 16) {
    case 0:
      put_input(next_byte());
      break;
    case 1:
    case 2:
      put_frame();
      break;
    case 3:
      put_numbers();
      break;
    case 4:
      put_id();
      break;
    case 5:
    case 6:
      put_handle();
      break;
    case 7:
      put_handle_fd();
      break;
    case 8:
      put_batch();
      break;
    case 9:
      attach();
      break;
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
      if (what > 200) drop();
      else flush();
  }
  return 0;
}

static int is_open(int fd) {
  return fcntl(fd, F_GETFD) >= 0;
}

static void note_open_fds(int count) {
  for (int fd = 0; fd < count; fd++) was_open[fd] = (uint8_t)is_open(fd);
  last_fd = N_LOW_FDS - 1;
}

static void check_no_leaked_fds(void) {
  for (int fd = 0; fd <= last_fd; fd++)
    check(is_open(fd) == was_open[fd], "a descriptor was left behind or lost");
}

static void open_sockets(void) {
  int pair[2];
  sockets[0] = socket(AF_INET, SOCK_STREAM, 0);
  check(listen(sockets[0], 1) == 0, "no listener");
  sockets[1] = socket(AF_INET, SOCK_STREAM, 0);
  sockets[2] = socket(AF_INET, SOCK_DGRAM, 0);
  check(fw_socketpair(pair) == 0, "no pair");
  sockets[3] = pair[0];
  check(fw_socketpair(wire) == 0, "no pair");
  note_open_fds(MAX_FD);
}

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (last_fd == 0) open_sockets();
  note_open_fds(N_LOW_FDS);
  input = (input_t){bytes, size};
  uint8_t shape = next_byte();
  open_channel();
  if (shape & 1) send_handles(shape >> 5);
  if (!(shape & 2)) put_hello();
  if (shape & 4) channel.in.max_message_size = 5000;
  int status = 0;
  while (status == 0 && input.size > 0) status = operate();
  if (status == 0) status = feed_all(shape & 8 ? 1 + (size_t)(shape >> 4) : SIZE_MAX);
  fw_fd_set_drop(&next_set);
  fw_buffer_free(&pending);
  flush();
  close_channel();
  check_no_leaked_fds();
  return 0;
}
