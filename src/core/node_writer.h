/* Stock Node's wire, outgoing: messages in the order of send(), one handle at a time. Everything behind a handle
 * waits for its acknowledgement; acknowledgements of our own wait for nothing. A handle that did not reach the
 * peer is sent again with its message. */
#ifndef FW_NODE_WRITER_H
#define FW_NODE_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "../forkwire.h"
#include "ledger.h"
#include "node_frame.h"

typedef struct fw_node_message_s fw_node_message_t;

typedef struct fw_node_writer_s {
  fw_ledger_t* ledger;
  fw_node_format_t format;
  fw_node_message_t* head; /* in the order of send() */
  fw_node_message_t* tail;
  fw_node_message_t* urgent;  /* acknowledgements, the latest last */
  fw_node_message_t* begun;   /* in no list: partly written */
  fw_node_message_t* flight;  /* its handle is on its way; until it is written also `begun` */
  fw_node_message_t* filling; /* between begin and commit */
  fw_node_message_t* resent;  /* the message in flight, when it is to be written again */
  uint32_t n_refused;         /* how often it was */
  size_t size;                /* bytes not written, one that is sent again counted again */
  int was_flooded;            /* much waited since it was last empty */
  uint64_t n_written[FW_N_LANES];
  /* For the wire log, or NULL: a message was written, `size` bytes with what frames it. */
  void (*on_written)(void* data, size_t size, int has_handle, int is_urgent);
  void* data;
} fw_node_writer_t;

void fw_node_writer_init(fw_node_writer_t* writer, fw_node_format_t format, fw_ledger_t* ledger);
void fw_node_writer_free(fw_node_writer_t* writer);

/* See fw_channel_begin() and fw_channel_commit(). */
uint8_t* fw_node_writer_begin(fw_node_writer_t* writer, size_t max_size);
int fw_node_writer_commit(fw_node_writer_t* writer, fw_lane_t lane, size_t size,
                          const fw_handle_out_t* handle);
/* A message of the channel's own that waits for nothing. 0 or UV_ENOMEM. */
int fw_node_writer_put_urgent(fw_node_writer_t* writer, fw_bytes_t payload);

/* As fw_write_queue_flush(); 0 also when what is left waits for the peer. */
int fw_node_writer_flush(fw_node_writer_t* writer, int fd, size_t budget, size_t* ret_written);

/* The handle that waits for an answer of the peer, or NULL. */
const fw_sent_t* fw_node_writer_in_flight(const fw_node_writer_t* writer);
/* The peer has it. */
void fw_node_writer_acknowledged(fw_node_writer_t* writer);
/* It did not reach the peer: fw_node_writer_resend() sends it again. How often that was. */
uint32_t fw_node_writer_refused(fw_node_writer_t* writer);
void fw_node_writer_resend(fw_node_writer_t* writer);

/* Drops the messages that were not begun. Their handles, and the one in flight, stay in the ledger. */
void fw_node_writer_cut(fw_node_writer_t* writer);
/* Whether no message waits. */
int fw_node_writer_is_laid(const fw_node_writer_t* writer);
/* Whether everything waits until the writes of the socket at the head are through. */
int fw_node_writer_waits_for_writes(const fw_node_writer_t* writer);
/* Gives that socket back to its sender instead. */
void fw_node_writer_return_head(fw_node_writer_t* writer);

#endif
