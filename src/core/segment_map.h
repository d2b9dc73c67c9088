/* The peer's segments, as they are mapped here: which of them a message lies in, and when the peer may use them again, which
 * is once the message was delivered and nobody keeps its bytes. What is kept outlives the channel. */
#ifndef FW_SEGMENT_MAP_H
#define FW_SEGMENT_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "body.h"
#include "segment.h"

typedef struct fw_segment_map_s fw_segment_map_t;

typedef enum {
  FW_MAPPED_FREE,
  FW_MAPPED_HELD,     /* a message lies in it that was not delivered */
  FW_MAPPED_KEPT,     /* delivered, and somebody keeps its bytes */
  FW_MAPPED_RELEASED, /* the peer is to be told */
} fw_mapped_state_t;

typedef struct fw_mapped_s {
  fw_body_t body;
  fw_segment_map_t* map; /* NULL: the channel is gone */
  uint64_t id;
  uint64_t number; /* HELD: of its message in its lane, 0 before it is reported */
  uint8_t* memory;
  size_t size;
  size_t populated; /* bytes whose pages this process has */
  fw_mapped_state_t state;
  uint8_t is_kept;
} fw_mapped_t;

struct fw_segment_map_s {
  fw_mapped_t* entries[FW_SEGMENTS_MAX]; /* ascending ids */
  size_t count;
  size_t n_released;
  uint64_t bytes;
  uint64_t max_bytes; /* what this end maps of them; more is refused */
  uint64_t last_id;
  uint64_t answer_id; /* MAPPED is due for it, or 0 */
  int answer_refused;
  uint64_t n_seen; /* messages in segments, in all */
  uint64_t n_seen_told;
  void (*on_released)(void* data);
  void* data;
};

/* `on_released` is called when RELEASED is due and no call of the channel's led to it. */
void fw_segment_map_init(fw_segment_map_t* map, void (*on_released)(void* data), void* data);
/* What is kept stays mapped until it is released. */
void fw_segment_map_free(fw_segment_map_t* map);

/* The peer offers one: NULL or the broken rule. Borrows `fd` (-1: it did not arrive). */
const char* fw_segment_map_add(fw_segment_map_t* map, uint64_t id, uint64_t size, int fd);
/* The peer forgot it. */
const char* fw_segment_map_remove(fw_segment_map_t* map, uint64_t id);
/* A message of `size` bytes lies in it. */
const char* fw_segment_map_hold(fw_segment_map_t* map, uint64_t id, uint64_t size,
                                fw_mapped_t** ret_mapped);
/* Its bytes are wanted beyond the delivery. */
fw_body_t* fw_mapped_keep(fw_mapped_t* mapped);
/* Its message is dropped. */
void fw_mapped_drop(fw_mapped_t* mapped);
/* The first `n_delivered` messages of the lane were delivered. */
void fw_segment_map_delivered(fw_segment_map_t* map, uint64_t n_delivered);
/* The ids that are to be RELEASED; they are free afterwards. Their number. */
size_t fw_segment_map_take_released(fw_segment_map_t* map, uint64_t ret_ids[FW_SEGMENTS_MAX]);

#endif
