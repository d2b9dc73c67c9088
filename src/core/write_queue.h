/* What waits to be written: messages in two lanes, and the few frames laid out for the next
 * sendmsg. Decides the order on the wire, cuts large messages into pieces, keeps to the peer's credit
 * and gathers descriptors into sets. Control frames are laid out by its owner, on request. */
#ifndef FW_WRITE_QUEUE_H
#define FW_WRITE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "frame.h"
#include "ledger.h"
#include "segment_pool.h"
#include "slot.h"

typedef struct fw_node_s fw_node_t;

/* Whose descriptor is in the set that is next to leave: one of both. */
typedef struct fw_set_entry_s {
  fw_sent_t* sent;
  fw_segment_t* segment;
} fw_set_entry_t;

typedef struct fw_lane_out_s {
  fw_node_t* head;
  fw_node_t* tail;
  uint64_t n_queued;  /* messages, in all */
  uint64_t n_laid;    /* laid out, or dropped with a handle that was reset */
  uint64_t n_written; /* taken by the kernel, or dropped */
  uint64_t sent;      /* bytes laid out, for the credit */
  uint64_t limit;     /* as the peer said */
} fw_lane_out_t;

typedef struct fw_write_queue_s {
  fw_ledger_t* ledger;
  /* Lays out what control frames are due, with fw_write_queue_put(). */
  void (*lay_control)(void* data);
  void (*on_frame)(void* data, const fw_frame_t* frame); /* for the wire log, or NULL */
  void* data;

  fw_lane_out_t lanes[FW_N_LANES];
  fw_segment_pool_t pool;
  fw_slot_t* slot; /* the peer's, or NULL */
  uint64_t bytes_written;
  size_t lane_bytes;  /* not laid out */
  fw_node_t* spare;   /* an empty pack */
  fw_node_t* filling; /* between begin and commit */
  size_t n_packs;     /* in a lane */
  int had_many_packs;

  fw_buffer_t out;       /* laid out */
  const uint8_t* direct; /* the rest of the last frame in `out`, where its message lies */
  size_t direct_size;
  fw_node_t* direct_node;
  int direct_is_last; /* direct_node left its lane: it is freed when this is written */
  size_t front_left;  /* bytes of the frame at the front that are not written; 0: unknown */
  fw_frame_t front;

  fw_set_entry_t set[FW_SET_MAX]; /* they go with the byte at set_at */
  size_t n_set;
  size_t set_at;
  int keeps_order; /* internal messages pass no user messages */
  int failed;      /* UV_ENOMEM, for good */
} fw_write_queue_t;

void fw_write_queue_init(fw_write_queue_t* queue, fw_ledger_t* ledger,
                         void (*lay_control)(void* data), void* data);
void fw_write_queue_free(fw_write_queue_t* queue);

/* See fw_channel_begin() and fw_channel_commit(). */
uint8_t* fw_write_queue_begin(fw_write_queue_t* queue, fw_lane_t lane, size_t max_size,
                              const fw_handle_out_t* handle);
int fw_write_queue_commit(fw_write_queue_t* queue, fw_lane_t which, fw_encoding_t encoding,
                          size_t size, const fw_handle_out_t* handle);

/* For lay_control: 0 or UV_ENOMEM. */
int fw_write_queue_put(fw_write_queue_t* queue, const fw_frame_t* frame, const uint8_t* payload);
/* The descriptor of a handle once more; 0, or UV_EAGAIN when the current set is full. */
int fw_write_queue_put_handle_fd(fw_write_queue_t* queue, fw_sent_t* sent);

/* Offers memory, with a frame that says what it is: 0, or UV_EAGAIN when the current set is full. */
int fw_write_queue_put_memory(fw_write_queue_t* queue, fw_frame_t frame, const uint8_t* payload,
                              fw_segment_t* segment);

/* Writes until all is out (0), the kernel takes no more or the budget is used up (UV_EAGAIN), or
 * an error. `ret_written` gets the bytes. */
int fw_write_queue_flush(fw_write_queue_t* queue, int fd, size_t budget, size_t* ret_written);

/* The bytes of small messages, if nothing but them waits and the peer's credit is enough for all: their size, else 0. They may be
 * written as they lie; fw_write_queue_was_written() is to hear of it before anything else is called but begin and commit,
 * which leave them where they are. */
size_t fw_write_queue_front(const fw_write_queue_t* queue, const uint8_t** ret_bytes);
void fw_write_queue_was_written(fw_write_queue_t* queue, size_t size);

/* Drops the messages that did not leave as a whole; the frame at the front stays whole, and control
 * frames and what owns descriptors that left stay. Their handles stay QUEUED. No message may be queued
 * afterwards. */
void fw_write_queue_cut(fw_write_queue_t* queue);

/* Bytes that are not written. */
size_t fw_write_queue_size(const fw_write_queue_t* queue);
/* The USER limit with which all user messages could leave, or 0 where that of the peer is enough. */
uint64_t fw_write_queue_wanted_limit(const fw_write_queue_t* queue);
/* Whether no message waits in a lane. */
int fw_write_queue_is_laid(const fw_write_queue_t* queue);

#endif
