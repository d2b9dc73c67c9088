/* A channel on stock Node's wire: one handle in flight each way, acknowledgements with their time limits, what a
 * peer without forkwire can be told. */
#ifndef FW_NODE_WIRE_H
#define FW_NODE_WIRE_H

#include "node_reader.h"
#include "node_writer.h"

typedef struct fw_node_wire_s {
  fw_node_reader_t reader;
  fw_node_writer_t writer;
  fw_bytes_t ack;
  fw_bytes_t nack;

  /* The peer's handle. */
  int owes_ack;
  int owes_nack;
  uint64_t nack_at; /* when to look for a free descriptor, or 0 */
  uint32_t nack_ms;
  uint32_t n_barred; /* times that it did not come though a descriptor was free */

  /* Ours. */
  uint64_t resend_at; /* or 0 */
  uint32_t resend_ms;
  uint64_t writes_at; /* when a socket whose writes do not end goes back, or 0 */
} fw_node_wire_t;

/* How many descriptors may come with the next read. */
size_t fw__node_wire_fd_room(const fw_channel_t* channel);
/* NULL without memory. */
fw_node_wire_t* fw__node_wire_new(fw_channel_t* channel);
void fw__node_wire_free(fw_node_wire_t* wire);
/* Lays out the answers that are due, and writes. As fw_write_queue_flush(). */
int fw__node_wire_flush(fw_channel_t* channel, size_t budget, size_t* ret_written);
/* When fw__node_wire_on_time() is due next, or 0. */
uint64_t fw__node_wire_due(const fw_node_wire_t* wire);
void fw__node_wire_on_time(fw_channel_t* channel, uint64_t now);
/* The process has a descriptor free again. */
void fw__node_wire_retry(fw_channel_t* channel);

#endif
