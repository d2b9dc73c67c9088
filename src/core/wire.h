/* What the two wires have in common, as the channel sees it: the native one (read_queue, write_queue, control) and
 * that of stock Node (node_wire). The one place that chooses between them. */
#ifndef FW_WIRE_H
#define FW_WIRE_H

#include "channel_state.h"
#include "node_wire.h"

/* --- outgoing --- */

static inline uint8_t* fw__wire_begin(fw_channel_t* channel, fw_lane_t lane, size_t max_size,
                                      const fw_handle_out_t* handle) {
  if (channel->node != NULL) return fw_node_writer_begin(&channel->node->writer, max_size);
  return fw_write_queue_begin(&channel->out, lane, max_size, handle);
}

static inline int fw__wire_commit(fw_channel_t* channel, fw_lane_t lane, fw_encoding_t encoding,
                                  size_t size, const fw_handle_out_t* handle) {
  if (channel->node != NULL)
    return fw_node_writer_commit(&channel->node->writer, lane, size, handle);
  return fw_write_queue_commit(&channel->out, lane, encoding, size, handle);
}

/* Bytes that are not written. */
static inline size_t fw__wire_size(const fw_channel_t* channel) {
  if (channel->node != NULL) return channel->node->writer.size;
  return fw_write_queue_size(&channel->out);
}

static inline uint64_t fw__wire_written(const fw_channel_t* channel, fw_lane_t lane) {
  if (channel->node != NULL) return channel->node->writer.n_written[lane];
  return channel->out.lanes[lane].n_written;
}

static inline int fw__wire_flush(fw_channel_t* channel, size_t budget, size_t* ret_written) {
  if (channel->node != NULL) return fw__node_wire_flush(channel, budget, ret_written);
  return fw_write_queue_flush(&channel->out, channel->fd, budget, ret_written);
}

static inline int fw__wire_is_laid(const fw_channel_t* channel) {
  if (channel->node != NULL) return fw_node_writer_is_laid(&channel->node->writer);
  return fw_write_queue_is_laid(&channel->out);
}

static inline void fw__wire_cut(fw_channel_t* channel) {
  if (channel->node != NULL) fw_node_writer_cut(&channel->node->writer);
  else fw_write_queue_cut(&channel->out);
}

/* --- incoming --- */

static inline size_t fw__wire_prepare(fw_channel_t* channel, struct iovec iov[2]) {
  if (channel->node != NULL) return fw_node_reader_prepare(&channel->node->reader, iov);
  return fw_read_queue_prepare(&channel->in, iov);
}

static inline size_t fw__wire_fd_room(const fw_channel_t* channel) {
  if (channel->node != NULL) return fw__node_wire_fd_room(channel);
  return fw_read_queue_fd_room(&channel->in);
}

static inline int fw__wire_received(fw_channel_t* channel, size_t size, fw_fd_set_t* set) {
  if (channel->node != NULL) return fw_node_reader_received(&channel->node->reader, size, set);
  return fw_read_queue_received(&channel->in, size, set);
}

static inline const fw_violation_t* fw__wire_violation(const fw_channel_t* channel) {
  return channel->node != NULL ? &channel->node->reader.violation : &channel->in.violation;
}

static inline void fw__wire_drop_messages(fw_channel_t* channel) {
  if (channel->node != NULL) fw_node_reader_drop_messages(&channel->node->reader);
  else fw_read_queue_drop_messages(&channel->in);
}

static inline void fw__wire_deliver(fw_channel_t* channel, fw_lane_t lane, uint64_t count,
                                    uint64_t cost) {
  if (channel->node != NULL) fw_node_reader_deliver(&channel->node->reader, cost);
  else fw_read_queue_deliver(&channel->in, lane, count, cost);
}

/* A stock peer knows no credit: it waits when nobody reads. */
static inline int fw__wire_is_full(const fw_channel_t* channel) {
  return channel->node != NULL && fw_node_reader_is_full(&channel->node->reader);
}

/* After descriptors of a stock peer the batch comes first: only its messages say whose they are. */
static inline int fw__wire_stops_behind_fds(const fw_channel_t* channel) {
  return channel->node != NULL && !channel->node->reader.dropping;
}

static inline void fw__wire_settle_batch(fw_channel_t* channel) {
  if (channel->node != NULL) fw_node_reader_settle(&channel->node->reader);
}

#endif
