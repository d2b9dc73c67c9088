/* The sender's segments: memory that the peer has mapped too, for bodies of large messages. Each is made once, offered, and
 * used for one message after the other: filled, held by the peer until it says RELEASED, free again. Given up when
 * it was not used for a while.
 *
 * NEW -> OFFERED -> FREE <-> FILLED        NEW: made, its descriptor has not left
 *           \______> DROPPED <__/          DROPPED: the peer is to be told, or has refused it */
#ifndef FW_SEGMENT_POOL_H
#define FW_SEGMENT_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "segment.h"

typedef enum {
  FW_SEGMENT_NEW,
  FW_SEGMENT_OFFERED,
  FW_SEGMENT_FREE,
  FW_SEGMENT_FILLED,
  FW_SEGMENT_DROPPED
} fw_segment_state_t;

typedef struct fw_segment_s {
  uint64_t id;
  uint8_t* memory;
  size_t capacity;
  int fd; /* until it left */
  fw_segment_state_t state;
  uint8_t was_used; /* since the last fw_segment_pool_age() */
  size_t size;      /* FILLED: bytes that the peer has not seen yet */
  uint64_t number;  /* FILLED: of its message among those in segments; 0: it is not laid out */
  uint64_t place;   /* and among all messages of its lane */
} fw_segment_t;

typedef struct fw_segment_pool_s {
  fw_segment_t* segments[FW_SEGMENTS_MAX]; /* ascending ids */
  size_t count;
  uint64_t bytes;     /* of all segments */
  uint64_t max_bytes; /* the cap */
  uint64_t next_id;
  size_t min_size; /* smaller messages go over the socket; 0: all do */
  size_t wanted;   /* a message of this size found no segment; 0: none */
  unsigned pause;  /* no offer for so many calls of fw_segment_pool_age(): the last one failed */
  uint64_t n_sent; /* messages in segments, in all */
  uint64_t n_seen; /* of them, as the peer said */
  size_t unseen;   /* bytes in segments that the peer has not seen yet */
} fw_segment_pool_t;

void fw_segment_pool_init(fw_segment_pool_t* pool);
void fw_segment_pool_free(fw_segment_pool_t* pool);

/* A free segment for a body of up to `size` bytes, FILLED from now on, or NULL: it goes over the socket. */
fw_segment_t* fw_segment_pool_take(fw_segment_pool_t* pool, size_t size);
/* A taken one holds `size` bytes to be sent. */
void fw_segment_pool_fill(fw_segment_pool_t* pool, fw_segment_t* segment, size_t size);
/* Its message is not sent after all. */
void fw_segment_pool_put_back(fw_segment_pool_t* pool, fw_segment_t* segment);
/* Its message is laid out, and is the one with number `place` of its lane. */
void fw_segment_pool_sent(fw_segment_pool_t* pool, fw_segment_t* segment, uint64_t place);
/* The place of the first message that the peer has not seen, or UINT64_MAX. */
uint64_t fw_segment_pool_first_unseen(const fw_segment_pool_t* pool);
/* Nobody waits for that any more. */
void fw_segment_pool_forget_unseen(fw_segment_pool_t* pool);

/* A segment to offer, if one is wanted and may be had now; else NULL. It stays the pool's. */
fw_segment_t* fw_segment_pool_make(fw_segment_pool_t* pool);
/* Its descriptor left. */
void fw_segment_pool_offered(fw_segment_t* segment);
/* The next one that the peer is to be told to forget, which is freed here; its id, or 0. */
uint64_t fw_segment_pool_drop(fw_segment_pool_t* pool);

/* What the peer said: NULL or the broken rule. */
const char* fw_segment_pool_on_mapped(fw_segment_pool_t* pool, uint64_t id, int refused);
const char* fw_segment_pool_on_seen(fw_segment_pool_t* pool, uint64_t number);
const char* fw_segment_pool_on_released(fw_segment_pool_t* pool, const uint8_t* ids, size_t n_ids);

/* Some seconds passed: what was not used meanwhile is DROPPED. */
void fw_segment_pool_age(fw_segment_pool_t* pool);
/* Whether fw_segment_pool_age() has anything to wait for. */
int fw_segment_pool_is_aging(const fw_segment_pool_t* pool);

#endif
