/* From received bytes and descriptors to messages and control frames: decoding, joining of messages
 * in pieces, credit, and the waiting of messages behind a missing descriptor. Reads no socket. */
#ifndef FW_READ_QUEUE_H
#define FW_READ_QUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ancillary.h"
#include "buffer.h"
#include "frame.h"
#include "ledger.h"
#include "segment_map.h"
#include "slot.h"

typedef struct fw_held_s fw_held_t;

/* A message being joined, or complete and waiting. */
typedef struct fw_inbound_s {
  uint8_t* data; /* its own where there is a capacity; else in the read buffer or in `mapped` */
  fw_mapped_t* mapped; /* the segment it lies in, or NULL */
  size_t size;         /* bytes that are there */
  size_t total;        /* bytes that will be there */
  size_t capacity;
  size_t cost; /* received and not credited */
  uint8_t encoding;
  uint8_t has_handle;
  uint8_t refused; /* its handle was: it is not delivered */
  uint64_t handle_id;
  fw_block_t block;
} fw_inbound_t;

struct fw_held_s {
  fw_held_t* next;
  uint64_t number; /* in the order of arrival, over both lanes */
  fw_inbound_t message;
  fw_buffer_t behind; /* small messages without a handle that came behind it, packed */
};

typedef struct fw_lane_in_s {
  fw_inbound_t partial;
  int is_partial;
  fw_held_t* held_head; /* complete, behind a missing descriptor */
  fw_held_t* held_tail;
  uint64_t undelivered; /* complete, reported by on_message, and not delivered */
  uint64_t n_reported;
  uint64_t received; /* bytes, in all */
  uint64_t credited;
  uint64_t limit;   /* as we told the peer */
  uint64_t wanted;  /* the limit that a peer asked for which only waits for it, or 0 */
  uint64_t initial; /* what holds before we told anything */
} fw_lane_in_t;

typedef struct fw_read_callbacks_s {
  void (*on_message)(void* data, const fw_message_t* message);
  /* A control frame that may come here: its payload is complete, its descriptor is to be claimed.
   * NULL or the broken rule. */
  const char* (*on_control)(void* data, const fw_frame_t* frame, const uint8_t* payload);
  /* RELEASED is due, though nothing was read. */
  void (*on_released)(void* data);
  /* Every frame, for the wire log; NULL without one. */
  void (*on_frame)(void* data, const fw_frame_t* frame);
} fw_read_callbacks_t;

typedef struct fw_read_queue_s {
  fw_read_callbacks_t callbacks;
  void* data;
  fw_ledger_t* ledger;
  fw_buffer_t in;
  fw_fd_set_t set;         /* announced by BATCH, being claimed, or waiting for its BATCH */
  fw_fd_set_t waiting_set; /* came while `set` was not used up */
  fw_lane_in_t lanes[FW_N_LANES];
  fw_segment_map_t segments;
  fw_slot_t slot; /* the peer's, for what this end writes */
  fw_lane_t streaming_lane;
  size_t streaming_left; /* payload bytes of a message frame that go to lanes[].partial */
  uint8_t streaming_flags;
  uint64_t offset; /* of the next frame in the stream */
  uint64_t max_message_size;
  uint32_t refused_encodings; /* 1 << fw_encoding_t */
  fw_stream_state_t stream;   /* the owner sets what HELLO and END say */
  uint64_t offered;           /* features that this end's HELLO names */
  int has_slot;               /* the peer offered one */
  int dropping;               /* messages are credited and dropped */
  uint64_t n_held;            /* in all */
  int is_paused;              /* complete messages are held, whatever they came with */
  fw_violation_t violation;
} fw_read_queue_t;

void fw_read_queue_init(fw_read_queue_t* queue, fw_ledger_t* ledger,
                        const fw_read_callbacks_t* callbacks, void* data);
void fw_read_queue_free(fw_read_queue_t* queue);

/* Where the next bytes should go: 1 or 2 entries, or 0 without memory. */
size_t fw_read_queue_prepare(fw_read_queue_t* queue, struct iovec iov[2]);
/* How many descriptors may come with them: what the peer's handle credit leaves, those that wait for
 * their frame counted, and one each for a segment and a slot. */
size_t fw_read_queue_fd_room(const fw_read_queue_t* queue);
/* `size` bytes were put there, and `set` came with them: it is taken over, and empty afterwards. Handles whatever
 * is complete. 0, UV_EPROTO (queue->violation says why) or UV_ENOMEM. */
int fw_read_queue_received(fw_read_queue_t* queue, size_t size, fw_fd_set_t* set);
/* The descriptor of a control frame that owns one: *ret_fd is the caller's then, -1 when it was cut
 * off. NULL or the rule. */
const char* fw_read_queue_claim(fw_read_queue_t* queue, int* ret_fd);
/* Reports messages whose missing descriptor came, or which were refused, or which came while `is_paused` was set. */
void fw_read_queue_release_held(fw_read_queue_t* queue);
/* No descriptor is free, and some are held by messages behind the missing one, which nobody can take before that: up to
 * `count` of those go missing as well, the last ones first. How many. */
size_t fw_read_queue_make_room(fw_read_queue_t* queue, size_t count);
/* The missing descriptors will never come: `on_lost` hears of each, the others are reported. */
void fw_read_queue_give_up_missing(fw_read_queue_t* queue,
                                   void (*on_lost)(void* data, uint64_t id));
/* Credits and drops from now on, what is held or half there included. */
void fw_read_queue_drop_messages(fw_read_queue_t* queue);
/* `count` messages of `cost` bytes reached a listener or were dropped. */
void fw_read_queue_deliver(fw_read_queue_t* queue, fw_lane_t which, uint64_t count, uint64_t cost);
/* Whether the peer should be told new limits. */
int fw_read_queue_owes_credit(const fw_read_queue_t* queue);
/* The peer finishes and asks for this limit of the USER lane: NULL or the rule. */
const char* fw_read_queue_want(fw_read_queue_t* queue, uint64_t limit);
/* The limits to tell; remembers them as told. */
void fw_read_queue_credit(fw_read_queue_t* queue, uint64_t ret_limits[FW_N_LANES]);
int fw_read_queue_is_holding(const fw_read_queue_t* queue);
/* Whether no message is in pieces on its way, so that the next bytes all go to one place. */
int fw_read_queue_is_between_messages(const fw_read_queue_t* queue);

#endif
