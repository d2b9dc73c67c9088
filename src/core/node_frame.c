#include "node_frame.h"

#include <string.h>
#include <uv.h>

#define LENGTH_SIZE 4

size_t fw_node_frame_prefix(fw_node_format_t format) {
  return format == FW_NODE_ADVANCED ? LENGTH_SIZE : 0;
}

size_t fw_node_frame_suffix(fw_node_format_t format) {
  return format == FW_NODE_JSON ? 1 : 0;
}

static int find_line(const uint8_t* bytes, size_t size, uint64_t max_size, size_t* scanned,
                     fw_node_frame_t* ret_frame) {
  const uint8_t* end = memchr(bytes + *scanned, '\n', size - *scanned);
  size_t length = end == NULL ? size : (size_t)(end - bytes);
  if (length > max_size) return UV_EMSGSIZE;
  *scanned = length;
  if (end == NULL) return 0;
  *ret_frame = (fw_node_frame_t){.payload = 0, .size = length, .whole = length + 1};
  return 1;
}

static int find_length(const uint8_t* bytes, size_t size, uint64_t max_size,
                       fw_node_frame_t* ret_frame) {
  if (size < LENGTH_SIZE) return 0;
  uint32_t length = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
                    (uint32_t)bytes[3];
  if (length > max_size) return UV_EMSGSIZE;
  if (size - LENGTH_SIZE < length) return 0;
  *ret_frame = (fw_node_frame_t){
      .payload = LENGTH_SIZE, .size = length, .whole = LENGTH_SIZE + (size_t)length};
  return 1;
}

int fw_node_frame_find(fw_node_format_t format, const uint8_t* bytes, size_t size,
                       uint64_t max_size, size_t* scanned, fw_node_frame_t* ret_frame) {
  if (size == 0) return 0;
  if (format == FW_NODE_JSON) return find_line(bytes, size, max_size, scanned, ret_frame);
  return find_length(bytes, size, max_size, ret_frame);
}

void fw_node_frame_seal(fw_node_format_t format, uint8_t* bytes, size_t size) {
  if (format == FW_NODE_JSON) {
    bytes[size] = '\n';
    return;
  }
  bytes[0] = (uint8_t)(size >> 24);
  bytes[1] = (uint8_t)(size >> 16);
  bytes[2] = (uint8_t)(size >> 8);
  bytes[3] = (uint8_t)size;
}
