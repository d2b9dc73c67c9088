/* The bytes of the native wire: headers, control payloads, the handle block. Pure: no memory, no I/O. */
#ifndef FW_FRAME_H
#define FW_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "../forkwire.h"
#include "frame_kinds.h"
#include "segment.h"

#define FW_FRAME_HEADER_SIZE 16
#define FW_FRAME_MAX_PAYLOAD 262144
#define FW_HELLO_SIZE 32
#define FW_HELLO_MAX_SIZE 256
#define FW_BLOCK_SIZE 24
#define FW_TOTAL_SIZE 8
#define FW_SEGMENT_REF_SIZE 16
#define FW_SET_MAX 253
#define FW_USER_CREDIT ((uint64_t)16 << 20)
#define FW_INTERNAL_CREDIT ((uint64_t)1 << 20)
#define FW_USER_HANDLES 512
#define FW_INTERNAL_HANDLES 64
#define FW_HANDLES_MAX (FW_USER_HANDLES + FW_INTERNAL_HANDLES)
#define FW_COUNTS_MAX 1024
#define FW_WRITES_MAX 4096

#define FW_KIND_ENTRY(name, number, ...) FW_KIND_##name = number,
typedef enum { FW_FRAME_KINDS(FW_KIND_ENTRY) FW_N_KINDS } fw_kind_t;
#undef FW_KIND_ENTRY

#define FW_FLAG_MORE 1
#define FW_FLAG_CONTINUED 2
#define FW_FLAG_SEGMENT 4
#define FW_FLAG_FAILED 1
#define FW_FLAG_REFUSED 1

/* Bits of HELLO's features. */
#define FW_FEATURE_SEGMENTS ((uint64_t)1)
#define FW_FEATURE_SLOTS ((uint64_t)2)
#define FW_FEATURE_STRINGS ((uint64_t)32)
#define FW_FEATURE_FINISHING ((uint64_t)16) /* bits 2 and 3 as kinds 20 to 23 */

typedef struct fw_frame_s {
  uint32_t size; /* payload bytes */
  uint8_t kind;
  uint8_t flags;
  uint8_t encoding;
  uint8_t handles;
  uint64_t id;
} fw_frame_t;

typedef struct fw_hello_s {
  uint16_t min_version;
  uint16_t max_version;
  uint32_t pid;
  uint64_t features;
  uint64_t max_message_size;
} fw_hello_t;

typedef struct fw_block_s {
  uint64_t inode;
  uint64_t key;
  uint8_t kind;
  uint8_t type;
  uint8_t flags;
  uint32_t buffered;
} fw_block_t;

typedef struct fw_range_s {
  uint64_t first;
  uint64_t last;
} fw_range_t;

static inline int fw_frame_is_message(const fw_frame_t* frame) {
  return frame->kind == FW_KIND_USER || frame->kind == FW_KIND_INTERNAL;
}

static inline fw_lane_t fw_frame_lane(const fw_frame_t* frame) {
  return frame->kind == FW_KIND_USER ? FW_LANE_USER : FW_LANE_INTERNAL;
}

void fw_put_u16(uint8_t* bytes, uint16_t value);
void fw_put_u32(uint8_t* bytes, uint32_t value);
void fw_put_u64(uint8_t* bytes, uint64_t value);
uint16_t fw_get_u16(const uint8_t* bytes);
uint32_t fw_get_u32(const uint8_t* bytes);
uint64_t fw_get_u64(const uint8_t* bytes);

void fw_frame_encode(uint8_t bytes[FW_FRAME_HEADER_SIZE], const fw_frame_t* frame);
void fw_frame_decode(const uint8_t bytes[FW_FRAME_HEADER_SIZE], fw_frame_t* ret_frame);
/* Everything that can be said of a header by itself: NULL, or the name of the broken rule. */
const char* fw_frame_check(const fw_frame_t* frame);

/* What a reader knows of the stream before a frame. */
typedef struct fw_stream_state_s {
  uint64_t features; /* in use: both ends said in HELLO that they have them */
  int hello_seen;
  int peer_ended; /* END came */
} fw_stream_state_t;

/* Whether a frame with a right header may come at this place of the stream: NULL, or the rule. */
const char* fw_frame_admit(const fw_frame_t* frame, const fw_stream_state_t* state);

void fw_hello_encode(uint8_t bytes[FW_HELLO_SIZE], const fw_hello_t* hello);
/* NULL, or the name of the broken rule. */
const char* fw_hello_decode(const uint8_t* bytes, fw_hello_t* ret_hello);

void fw_block_encode(uint8_t bytes[FW_BLOCK_SIZE], const fw_block_t* block);
const char* fw_block_decode(const uint8_t bytes[FW_BLOCK_SIZE], fw_block_t* ret_block);

/* Range i of a TAKEN or END payload, id i of a RESEND payload. */
fw_range_t fw_range_decode(const uint8_t* payload, size_t i);
void fw_range_encode(uint8_t* payload, size_t i, fw_range_t range);
/* Ascending and disjoint, no 0: NULL or the rule. */
const char* fw_ranges_check(const uint8_t* payload, size_t n_ranges);
const char* fw_ids_check(const uint8_t* payload, size_t n_ids);

#endif
