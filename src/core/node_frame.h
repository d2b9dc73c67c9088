/* The bytes of stock Node's wire, reference: Node's internal/child_process/serialization. Where a message
 * begins and ends: 'json' has a line feed behind it, 'advanced' its length, four bytes big-endian, before it.
 * Pure: no memory, no I/O, and no look into a message. */
#ifndef FW_NODE_FRAME_H
#define FW_NODE_FRAME_H

#include <stddef.h>
#include <stdint.h>

typedef enum { FW_NODE_JSON, FW_NODE_ADVANCED } fw_node_format_t;

/* A message in a stream: offsets from where it begins. */
typedef struct fw_node_frame_s {
  size_t payload; /* where its payload begins */
  size_t size;    /* bytes of payload */
  size_t whole;   /* bytes of all of it */
} fw_node_frame_t;

/* Bytes before and behind a payload. */
size_t fw_node_frame_prefix(fw_node_format_t format);
size_t fw_node_frame_suffix(fw_node_format_t format);

/* Looks for the end of the message that begins at `bytes`. `scanned` is the caller's, 0 at the beginning of a
 * message, so that no byte is looked at twice. 1: ret_frame is it; 0: more bytes are needed; UV_EMSGSIZE: its
 * payload is larger than max_size. */
int fw_node_frame_find(fw_node_format_t format, const uint8_t* bytes, size_t size,
                       uint64_t max_size, size_t* scanned, fw_node_frame_t* ret_frame);

/* Completes a message whose payload of `size` bytes lies prefix bytes behind `bytes`, with room for the suffix. */
void fw_node_frame_seal(fw_node_format_t format, uint8_t* bytes, size_t size);

#endif
