#include "frame.h"

#include <string.h>

#define HELLO_MAGIC "forkwire"
#define PAIR_SIZE 16
#define BLOCK_FLAGS \
  (FW_HANDLE_WRITES_PENDING | FW_HANDLE_ALLOW_HALF_OPEN | FW_HANDLE_COUNTED | FW_HANDLE_KEPT_OPEN)

/* What the frame kinds' list says of each kind, by its number. */
typedef struct {
  const char* name;
  uint32_t min_size;
  uint32_t max_size;
  uint32_t unit;
  uint8_t flags;
  uint8_t handles;
  const char* id;
  uint64_t feature;
  uint16_t gated;
  uint8_t may_follow_end;
} kind_rule_t;

enum { NO_FD, MAY_FD, ONE_FD };
enum { NO, YES };
#define EVERY 256 /* beside the flags of a header, which are 8 bits */

static const char no_id[] = "no id";
static const char if_fd[] = "an id with a descriptor";
#define NO_ID no_id
#define IF_FD if_fd

#define RULE(name, number, min, max, unit, flags, handles, id, feature, gated, end) \
  [number] = {#name, min, max, unit, flags, handles, id, feature, gated, end},
static const kind_rule_t kind_rules[FW_N_KINDS] = {[0] = {.name = "?", .id = NO_ID},
                                                   FW_FRAME_KINDS(RULE)};

static int is_known(uint8_t kind) {
  return kind > 0 && kind < FW_N_KINDS && kind_rules[kind].name != NULL;
}

void fw_put_u16(uint8_t* bytes, uint16_t value) {
  bytes[0] = (uint8_t)value;
  bytes[1] = (uint8_t)(value >> 8);
}

void fw_put_u32(uint8_t* bytes, uint32_t value) {
  fw_put_u16(bytes, (uint16_t)value);
  fw_put_u16(bytes + 2, (uint16_t)(value >> 16));
}

void fw_put_u64(uint8_t* bytes, uint64_t value) {
  fw_put_u32(bytes, (uint32_t)value);
  fw_put_u32(bytes + 4, (uint32_t)(value >> 32));
}

uint16_t fw_get_u16(const uint8_t* bytes) {
  return (uint16_t)(bytes[0] | (bytes[1] << 8));
}

uint32_t fw_get_u32(const uint8_t* bytes) {
  return (uint32_t)fw_get_u16(bytes) | ((uint32_t)fw_get_u16(bytes + 2) << 16);
}

uint64_t fw_get_u64(const uint8_t* bytes) {
  return (uint64_t)fw_get_u32(bytes) | ((uint64_t)fw_get_u32(bytes + 4) << 32);
}

void fw_frame_encode(uint8_t bytes[FW_FRAME_HEADER_SIZE], const fw_frame_t* frame) {
  fw_put_u32(bytes, frame->size);
  bytes[4] = frame->kind;
  bytes[5] = frame->flags;
  bytes[6] = frame->encoding;
  bytes[7] = frame->handles;
  fw_put_u64(bytes + 8, frame->id);
}

void fw_frame_decode(const uint8_t bytes[FW_FRAME_HEADER_SIZE], fw_frame_t* ret_frame) {
  ret_frame->size = fw_get_u32(bytes);
  ret_frame->kind = bytes[4];
  ret_frame->flags = bytes[5];
  ret_frame->encoding = bytes[6];
  ret_frame->handles = bytes[7];
  ret_frame->id = fw_get_u64(bytes + 8);
}

static const char* check_message(const fw_frame_t* frame) {
  uint8_t last = frame->kind == FW_KIND_USER ? FW_ENCODING_STRINGS : FW_ENCODING_VIEWS;
  if (frame->encoding < FW_ENCODING_JSON || frame->encoding > last) return "encoding";
  if (frame->flags & FW_FLAG_CONTINUED) {
    if (frame->handles > 0) return "handles";
    if (frame->id != 0) return "reserved";
  }
  if (frame->flags & FW_FLAG_SEGMENT) {
    if (frame->flags != FW_FLAG_SEGMENT) return "reserved";
    if (frame->handles > 0) return "handles";
    if (frame->size != FW_SEGMENT_REF_SIZE) return "size";
  }
  return NULL;
}

static const char* check_id(const kind_rule_t* rule, const fw_frame_t* frame) {
  int has_id = frame->id != 0;
  if (rule->id == NO_ID) return has_id ? "reserved" : NULL;
  if (rule->id != IF_FD) return has_id ? NULL : rule->id;
  if (has_id == (frame->handles == 1)) return NULL;
  return has_id ? "reserved" : "handle-id";
}

const char* fw_frame_check(const fw_frame_t* frame) {
  const char* broken;
  if (!is_known(frame->kind)) return "kind";
  const kind_rule_t* rule = &kind_rules[frame->kind];
  if (frame->size < rule->min_size || frame->size > rule->max_size) return "size";
  if (frame->size % rule->unit != 0) return "size";
  if (frame->flags & ~rule->flags) return "reserved";
  if (frame->handles > (rule->handles == NO_FD ? 0 : 1)) return "handles";
  if (fw_frame_is_message(frame)) broken = check_message(frame);
  else broken = frame->encoding != 0 ? "reserved" : NULL;
  if (broken == NULL) broken = check_id(rule, frame);
  if (broken != NULL) return broken;
  return rule->handles == ONE_FD && frame->handles != 1 ? "handles" : NULL;
}

const char* fw_frame_admit(const fw_frame_t* frame, const fw_stream_state_t* state) {
  const kind_rule_t* rule = &kind_rules[frame->kind];
  int is_gated = ((frame->flags | EVERY) & rule->gated) != 0;
  if ((frame->kind == FW_KIND_HELLO) == state->hello_seen) return "hello-first";
  if (state->peer_ended && !rule->may_follow_end) return "after-end";
  if (is_gated && (state->features & rule->feature) == 0) return "feature";
  if (frame->encoding == FW_ENCODING_STRINGS && (state->features & FW_FEATURE_STRINGS) == 0)
    return "feature";
  return NULL;
}

const char* fw_frame_name(uint8_t kind) {
  return kind_rules[is_known(kind) ? kind : 0].name;
}

void fw_hello_encode(uint8_t bytes[FW_HELLO_SIZE], const fw_hello_t* hello) {
  memcpy(bytes, HELLO_MAGIC, 8);
  fw_put_u16(bytes + 8, hello->min_version);
  fw_put_u16(bytes + 10, hello->max_version);
  fw_put_u32(bytes + 12, hello->pid);
  fw_put_u64(bytes + 16, hello->features);
  fw_put_u64(bytes + 24, hello->max_message_size);
}

const char* fw_hello_decode(const uint8_t* bytes, fw_hello_t* ret_hello) {
  if (memcmp(bytes, HELLO_MAGIC, 8) != 0) return "hello-magic";
  ret_hello->min_version = fw_get_u16(bytes + 8);
  ret_hello->max_version = fw_get_u16(bytes + 10);
  ret_hello->pid = fw_get_u32(bytes + 12);
  ret_hello->features = fw_get_u64(bytes + 16);
  ret_hello->max_message_size = fw_get_u64(bytes + 24);
  if (ret_hello->min_version > FW_VERSION || ret_hello->max_version < FW_VERSION) return "version";
  return NULL;
}

void fw_block_encode(uint8_t bytes[FW_BLOCK_SIZE], const fw_block_t* block) {
  fw_put_u64(bytes, block->inode);
  fw_put_u64(bytes + 8, block->key);
  bytes[16] = block->kind;
  bytes[17] = block->type;
  bytes[18] = block->flags;
  bytes[19] = 0;
  fw_put_u32(bytes + 20, block->buffered);
}

static int is_dgram_type(uint8_t type) {
  return type == FW_HANDLE_DGRAM || type == FW_HANDLE_DGRAM_NATIVE;
}

const char* fw_block_decode(const uint8_t bytes[FW_BLOCK_SIZE], fw_block_t* ret_block) {
  ret_block->inode = fw_get_u64(bytes);
  ret_block->key = fw_get_u64(bytes + 8);
  ret_block->kind = bytes[16];
  ret_block->type = bytes[17];
  ret_block->flags = bytes[18];
  ret_block->buffered = fw_get_u32(bytes + 20);
  if (bytes[19] != 0) return "reserved";
  if (ret_block->kind < FW_FD_TCP || ret_block->kind > FW_FD_UDP) return "handle-block";
  if (ret_block->type < FW_HANDLE_SOCKET || ret_block->type > FW_HANDLE_BOUND)
    return "handle-block";
  if (ret_block->flags & ~BLOCK_FLAGS) return "handle-block";
  if ((ret_block->kind == FW_FD_UDP) != is_dgram_type(ret_block->type)) return "handle-block";
  return NULL;
}

fw_range_t fw_range_decode(const uint8_t* payload, size_t i) {
  fw_range_t range = {fw_get_u64(payload + i * PAIR_SIZE), fw_get_u64(payload + i * PAIR_SIZE + 8)};
  return range;
}

void fw_range_encode(uint8_t* payload, size_t i, fw_range_t range) {
  fw_put_u64(payload + i * PAIR_SIZE, range.first);
  fw_put_u64(payload + i * PAIR_SIZE + 8, range.last);
}

const char* fw_ranges_check(const uint8_t* payload, size_t n_ranges) {
  uint64_t last = 0;
  for (size_t i = 0; i < n_ranges; i++) {
    fw_range_t range = fw_range_decode(payload, i);
    if (range.first <= last || range.last < range.first) return "ranges";
    last = range.last;
  }
  return NULL;
}

const char* fw_ids_check(const uint8_t* payload, size_t n_ids) {
  uint64_t last = 0;
  for (size_t i = 0; i < n_ids; i++) {
    uint64_t id = fw_get_u64(payload + i * 8);
    if (id <= last) return "ranges";
    last = id;
  }
  return NULL;
}
