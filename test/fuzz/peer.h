/* What a hostile peer writes: frames that are nearly right, or not at all, with descriptors at any place. The
 * decisions come from the fuzzer's input; what was written lies in `pending` and `next_set`. */
#ifndef PEER_H
#define PEER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/core/ancillary.h"
#include "../../src/core/buffer.h"
#include "../../src/core/fd_kind.h"
#include "../../src/core/read_queue.h"
#include "world.h"

#define N_SOCKETS 4
#define MAX_PENDING ((size_t)100000)

typedef struct {
  const uint8_t* bytes;
  size_t size;
} input_t;

static const uint8_t kinds[N_SOCKETS] = {FW_FD_TCP, FW_FD_TCP, FW_FD_UDP, FW_FD_UNIX};
static const uint8_t types[N_SOCKETS] = {FW_HANDLE_SERVER, FW_HANDLE_SOCKET, FW_HANDLE_DGRAM,
                                         FW_HANDLE_NATIVE};

static input_t input;
static fw_buffer_t pending;  /* bytes to be fed */
static fw_fd_set_t next_set; /* that leaves with the next of them */
static int set_end; /* whose descriptors those are: 0 the channel's, as received; 1 the peer's */
static int sockets[N_SOCKETS]; /* of the channel's end */
static uint32_t socket_ids[N_SOCKETS];
static uint64_t next_id; /* of a handle, where it is right */

static void check(int is_true, const char* what) {
  if (!is_true) world_fail(what);
}

static uint8_t next_byte(void) {
  if (input.size == 0) return 0;
  input.size--;
  return *input.bytes++;
}

/* World and peer as they are when a run begins. */
static void peer_begin(void) {
  world_begin();
  for (int i = 0; i < N_SOCKETS; i++) {
    sockets[i] = world_open((fw_fd_kind_t)kinds[i], i == 0);
    socket_ids[i] = world_socket(sockets[i]);
  }
  fw_fd_set_init(&next_set);
  fw_buffer_consume(&pending, fw_buffer_size(&pending));
  next_id = 1;
}

static void drop_set(void) {
  world_end = set_end;
  fw_fd_set_drop(&next_set);
  world_end = 0;
}

static void peer_end(void) {
  drop_set();
  for (int i = 0; i < N_SOCKETS; i++) world_close(sockets[i]);
}

static uint64_t inode_of(int fd) {
  fw_fd_info_t info;
  fw_fd_identify(fd, &info);
  return info.inode;
}

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

static void put_hello(uint64_t features) {
  uint8_t bytes[FW_HELLO_SIZE];
  fw_hello_t hello = {.min_version = 1,
                      .max_version = 1,
                      .features = features,
                      .max_message_size = FW_MAX_MESSAGE_SIZE};
  fw_hello_encode(bytes, &hello);
  put_header((fw_frame_t){.kind = FW_KIND_HELLO, .size = FW_HELLO_SIZE});
  put(bytes, sizeof(bytes));
}

/* A frame whose fields are the input's, mostly such as are allowed. */
static void put_frame(void) {
  fw_frame_t frame = {.kind = next_byte() % (FW_N_KINDS + 1)};
  uint8_t shape = next_byte();
  frame.size = next_byte() * (shape & 64 ? 300u : 1u);
  frame.flags = shape & 128 ? FW_FLAG_SEGMENT : shape & 3;
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

/* A right frame of shared memory, whether that is in use or not. */
static void put_gated(uint8_t shape) {
  static const fw_frame_t frames[] = {
      {.kind = FW_KIND_SEGMENT, .size = 8, .handles = 1},
      {.kind = FW_KIND_SLOT, .handles = 1},
      {.kind = FW_KIND_USER, .flags = FW_FLAG_SEGMENT, .encoding = 1, .size = 16},
      {.kind = FW_KIND_RELEASED, .size = 8},
      {.kind = FW_KIND_MAPPED},
      {.kind = FW_KIND_SEEN},
      {.kind = FW_KIND_UNMAP},
      {.kind = FW_KIND_FINISHING, .size = 8},
  };
  fw_frame_t frame = frames[shape % (sizeof(frames) / sizeof(frames[0]))];
  int has_id = frame.size == 0 ? frame.kind != FW_KIND_SLOT : frame.kind == FW_KIND_SEGMENT;
  if (has_id) frame.id = 1 + (shape >> 3) % 4;
  put_header(frame);
  if (frame.size > 0) put_u64(1 + (shape >> 3) % 4);
  if (frame.size > 8) put_u64(next_byte());
}

static void put_id(void) {
  static const uint8_t with_id[] = {FW_KIND_LANDED, FW_KIND_REFUSED, FW_KIND_WRITES_DONE};
  uint8_t shape = next_byte();
  if (shape & 128) {
    put_gated(shape & 127);
    return;
  }
  uint8_t kind = with_id[shape % 3];
  put_header(
      (fw_frame_t){.kind = kind, .size = kind == FW_KIND_REFUSED ? 4 : 0, .id = next_byte()});
  if (kind == FW_KIND_REFUSED) put("\1\0\0\0", 4);
}

static fw_block_t next_block(uint8_t shape) {
  int i = shape % N_SOCKETS;
  fw_block_t block = {.inode = inode_of(sockets[i]), .kind = kinds[i], .type = types[i]};
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
  put_u64(inode_of(sockets[next_byte() % N_SOCKETS]));
}

static void put_batch(void) {
  uint8_t count[4] = {next_byte()};
  put_header((fw_frame_t){.kind = FW_KIND_BATCH, .size = 4});
  put(count, sizeof(count));
}

/* Descriptors that come with the next bytes. */
static void attach(void) {
  uint8_t shape = next_byte();
  size_t count = (shape & 7) % 6;
  if (next_set.present) return;
  next_set.truncated = (shape & 32) != 0;
  world_end = set_end;
  for (size_t i = 0; i < count; i++) {
    int fd = world_install(socket_ids[((shape >> 3) + i) % N_SOCKETS]);
    check(fd >= 0, "the world is too small");
    next_set.fds[next_set.count++] = fd;
  }
  world_end = 0;
  next_set.present = count > 0 || next_set.truncated;
}

/* One step of the peer: `what` below N_PEER_STEPS. */
#define N_PEER_STEPS 10

/* Messages of stock Node's wire: lines, lengths, acknowledgements. */
static void put_node_message(void) {
  uint8_t shape = next_byte();
  uint8_t size = shape & 7;
  const char* body = shape & 8 ? "ack" : shape & 16 ? "nak" : "{}[]123";
  if (shape & 24) size = 3;
  uint8_t length[4] = {0, 0, (uint8_t)(shape & 128 ? next_byte() : 0), size};
  if (shape & 32) put(length, sizeof(length));
  put(body, size);
  if (shape & 64) put("\n", 1);
}
static void peer_step(uint8_t what) {
  switch (what) {
    case 0:
      if (next_byte() & 1) put_node_message();
      else put_input(next_byte());
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
    default:
      attach();
  }
}

/* Nothing of a feature that is not in use has an effect. */
static inline void check_features(const fw_read_queue_t* queue) {
  uint64_t features = queue->stream.features;
  const fw_segment_map_t* map = &queue->segments;
  if ((features & FW_FEATURE_SEGMENTS) == 0)
    check(map->last_id == 0 && map->n_seen == 0, "shared memory that was not agreed on");
  if ((features & FW_FEATURE_SLOTS) == 0)
    check(!queue->has_slot && queue->slot.segment.memory == NULL, "a slot that nobody asked for");
  check(map->bytes <= map->max_bytes, "more shared memory than this end allows");
}

#endif
