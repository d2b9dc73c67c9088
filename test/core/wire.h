/* Builds a stream of the native wire by hand, broken ones too, and sends it over a real socket with the
 * descriptors where they belong. */
#ifndef WIRE_H
#define WIRE_H

#include "../../src/core/ancillary.h"
#include "../../src/core/buffer.h"
#include "../../src/core/frame.h"
#include "sockets.h"

#define WIRE_MAX_SETS 8

typedef struct {
  size_t at; /* its first byte */
  size_t n_fds;
} wire_set_t;

typedef struct {
  fw_buffer_t bytes;
  wire_set_t sets[WIRE_MAX_SETS];
  size_t n_sets;
  int fd; /* what all sets consist of; borrowed */
} wire_t;

static inline void wire_init(wire_t* wire, int fd) {
  memset(wire, 0, sizeof(*wire));
  fw_buffer_init(&wire->bytes);
  wire->fd = fd;
}

static inline void wire_free(wire_t* wire) {
  fw_buffer_free(&wire->bytes);
}

static inline void wire_bytes(wire_t* wire, const void* bytes, size_t size) {
  CHECK(fw_buffer_append(&wire->bytes, bytes, size) == 0);
}

static inline void wire_u32(wire_t* wire, uint32_t value) {
  uint8_t bytes[4];
  fw_put_u32(bytes, value);
  wire_bytes(wire, bytes, sizeof(bytes));
}

static inline void wire_u64(wire_t* wire, uint64_t value) {
  uint8_t bytes[8];
  fw_put_u64(bytes, value);
  wire_bytes(wire, bytes, sizeof(bytes));
}

static inline void wire_zeros(wire_t* wire, size_t size) {
  uint8_t* room = fw_buffer_reserve(&wire->bytes, size);
  CHECK(room != NULL);
  memset(room, 0, size);
  fw_buffer_commit(&wire->bytes, size);
}

/* A header; its payload is appended with the functions above. */
static inline void wire_header(wire_t* wire, fw_frame_t frame) {
  uint8_t bytes[FW_FRAME_HEADER_SIZE];
  fw_frame_encode(bytes, &frame);
  wire_bytes(wire, bytes, sizeof(bytes));
}

static inline void wire_hello_of(wire_t* wire, fw_hello_t hello) {
  uint8_t payload[FW_HELLO_SIZE];
  fw_hello_encode(payload, &hello);
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_HELLO, .size = FW_HELLO_SIZE});
  wire_bytes(wire, payload, sizeof(payload));
}

static inline void wire_hello_with(wire_t* wire, uint64_t features) {
  wire_hello_of(wire, (fw_hello_t){.min_version = 1,
                                   .max_version = 1,
                                   .features = features,
                                   .max_message_size = FW_MAX_MESSAGE_SIZE});
}

static inline void wire_hello(wire_t* wire) {
  wire_hello_with(wire, 0);
}

/* `n_fds` descriptors leave with the next byte. */
static inline void wire_fds(wire_t* wire, size_t n_fds) {
  wire->sets[wire->n_sets++] = (wire_set_t){fw_buffer_size(&wire->bytes), n_fds};
}

static inline void wire_batch(wire_t* wire, uint32_t count) {
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_BATCH, .size = 4});
  wire_u32(wire, count);
}

static inline void wire_set(wire_t* wire, uint32_t n_fds) {
  wire_fds(wire, n_fds);
  wire_batch(wire, n_fds);
}

static inline void wire_text(wire_t* wire, fw_lane_t lane, const char* text) {
  uint8_t kind = lane == FW_LANE_USER ? FW_KIND_USER : FW_KIND_INTERNAL;
  uint32_t size = (uint32_t)strlen(text);
  wire_header(wire, (fw_frame_t){.kind = kind, .encoding = FW_ENCODING_JSON, .size = size});
  wire_bytes(wire, text, size);
}

static inline fw_block_t wire_tcp_block(const wire_t* wire) {
  return (fw_block_t){.inode = inode_of(wire->fd), .kind = FW_FD_TCP, .type = FW_HANDLE_SOCKET};
}

static inline void wire_block(wire_t* wire, const fw_block_t* block) {
  uint8_t bytes[FW_BLOCK_SIZE];
  fw_block_encode(bytes, block);
  wire_bytes(wire, bytes, sizeof(bytes));
}

/* A message of two bytes with this block. */
static inline void wire_block_message(wire_t* wire, fw_lane_t lane, uint64_t id,
                                      const fw_block_t* block) {
  uint8_t kind = lane == FW_LANE_USER ? FW_KIND_USER : FW_KIND_INTERNAL;
  wire_header(wire, (fw_frame_t){.kind = kind,
                                 .encoding = FW_ENCODING_JSON,
                                 .handles = 1,
                                 .id = id,
                                 .size = FW_BLOCK_SIZE + 2});
  wire_block(wire, block);
  wire_bytes(wire, "{}", 2);
}

/* The same with a TCP socket, of which the descriptor is to be in a set. */
static inline void wire_socket(wire_t* wire, fw_lane_t lane, uint64_t id) {
  fw_block_t block = wire_tcp_block(wire);
  wire_block_message(wire, lane, id, &block);
}

static inline void wire_handle_fd(wire_t* wire, uint64_t id, uint64_t inode) {
  wire_header(wire, (fw_frame_t){.kind = FW_KIND_HANDLE_FD, .handles = 1, .id = id, .size = 8});
  wire_u64(wire, inode);
}

/* Sends what begins at `at`, at most `step` bytes and not beyond where the next set begins. */
static inline size_t wire_send_some(const wire_t* wire, int fd, size_t at, size_t step) {
  int fds[FW_SET_MAX];
  size_t n_fds = 0;
  size_t end = at + step;
  if (end > fw_buffer_size(&wire->bytes)) end = fw_buffer_size(&wire->bytes);
  for (size_t i = 0; i < wire->n_sets; i++) {
    if (wire->sets[i].at == at) n_fds += wire->sets[i].n_fds;
    else if (wire->sets[i].at > at && wire->sets[i].at < end) end = wire->sets[i].at;
  }
  for (size_t i = 0; i < n_fds; i++) fds[i] = wire->fd;
  struct iovec iov = {fw_buffer_bytes(&wire->bytes) + at, end - at};
  ssize_t sent = fw_send(fd, &iov, 1, fds, n_fds);
  CHECK(sent > 0);
  return (size_t)sent;
}

#endif
