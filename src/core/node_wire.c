#include "node_wire.h"

#include <stdlib.h>

#include "channel_state.h"
#include "fd_kind.h"

static void on_message(void* data, const fw_message_t* message) {
  fw__trace_message(data, 1, "MESSAGE", message->size, message->handle != NULL);
  fw__channel_on_message(data, message);
}

static void on_written(void* data, size_t size, int has_handle, int is_urgent) {
  fw_channel_t* channel = data;
  fw_node_format_t format = channel->node->writer.format;
  size_t around = fw_node_frame_prefix(format) + fw_node_frame_suffix(format);
  fw__trace_message(channel, 0, is_urgent ? "ANSWER" : "MESSAGE", size - around, has_handle);
}

static void on_acknowledged(void* data, int is_ack) {
  const fw_channel_t* channel = data;
  const fw_node_wire_t* wire = channel->node;
  fw__trace_message(data, 1, is_ack ? "ACK" : "NACK", (is_ack ? wire->ack : wire->nack).size, 0);
  fw_channel_acknowledged(data, is_ack);
}

fw_node_wire_t* fw__node_wire_new(fw_channel_t* channel) {
  const fw_options_t* options = &channel->options;
  fw_node_reader_callbacks_t callbacks = {on_message, on_acknowledged};
  fw_node_format_t format =
      options->wire == FW_WIRE_NODE_ADVANCED ? FW_NODE_ADVANCED : FW_NODE_JSON;
  fw_node_wire_t* wire = calloc(1, sizeof(*wire));
  if (wire == NULL) return NULL;
  fw_node_reader_init(&wire->reader, format, &callbacks, channel);
  fw_node_writer_init(&wire->writer, format, &channel->ledger);
  wire->writer.data = channel;
  if (channel->callbacks.on_trace != NULL) wire->writer.on_written = on_written;
  wire->reader.max_message_size = options->max_message_size;
  wire->reader.max_undelivered = options->credit_bytes;
  wire->reader.ack = wire->ack = options->ack;
  wire->reader.nack = wire->nack = options->nack;
  return wire;
}

void fw__node_wire_free(fw_node_wire_t* wire) {
  if (wire == NULL) return;
  fw_node_reader_free(&wire->reader);
  fw_node_writer_free(&wire->writer);
  free(wire);
}

/* ----------------------------------------------------------- the peer's handle */

/* While as many wait for a listener as may, the peer waits with the next one. */
static int has_room(const fw_ledger_t* ledger) {
  return ledger->n_received_in[FW_LANE_USER] < ledger->credit[FW_LANE_USER] &&
         ledger->n_received_in[FW_LANE_INTERNAL] < ledger->credit[FW_LANE_INTERNAL];
}

static int is_of_type(const fw_fd_info_t* info, uint8_t type) {
  int is_dgram = type == FW_HANDLE_DGRAM || type == FW_HANDLE_DGRAM_NATIVE;
  return type != 0 && info->kind != FW_FD_OTHER && (info->kind == FW_FD_UDP) == is_dgram;
}

/* Those that no message was found for yet count as well. One may always come: has_room() is asked when
 * it is acknowledged. */
size_t fw__node_wire_fd_room(const fw_channel_t* channel) {
  const fw_ledger_t* ledger = &channel->ledger;
  const fw_node_reader_t* reader = &channel->node->reader;
  size_t most = ledger->credit[FW_LANE_USER] + ledger->credit[FW_LANE_INTERNAL];
  size_t there =
      ledger->n_received + fw_fd_set_left(&reader->old.set) + fw_fd_set_left(&reader->recent.set);
  return there < most ? most - there : 1;
}

/* Adopts fd. The id, or 0 when it is not what was declared. */
static uint64_t receive(fw_ledger_t* ledger, fw_lane_t lane, uint8_t type, int fd) {
  fw_fd_info_t info;
  int is_refused = 0;
  if (fw_fd_identify(fd, &info) < 0 || !is_of_type(&info, type)) {
    fw_fd_close_foreign(&fd);
    return 0;
  }
  fw_block_t block = {.inode = info.inode, .kind = (uint8_t)info.kind, .type = type};
  uint64_t id = ledger->received_id + 1;
  if (fw_ledger_receive(ledger, lane, id, &block, &fd, &is_refused) != NULL) return 0;
  /* The ledger notes it for a REFUSED frame, which this wire does not have. */
  if (is_refused) ledger->n_refused = 0;
  return is_refused ? 0 : id;
}

/* Without a descriptor because none was free here: the peer sends it again when one is. */
static void owe_nack(fw_channel_t* channel, int is_cut) {
  fw_node_wire_t* wire = channel->node;
  wire->owes_nack = 1;
  wire->nack_ms = is_cut ? FW_RETRY_MIN_MS : 0;
  wire->nack_at = fw__channel_now_ms(channel) + wire->nack_ms;
  fw__channel_update_poll(channel);
}

/* This process is not let have it, however often it is sent: what is behind it goes on. This wire cannot say so. */
static int is_barred_for_good(fw_node_wire_t* wire, int fd) {
  wire->n_barred = fd == FW_FD_BARRED ? wire->n_barred + 1 : 0;
  if (wire->n_barred < FW_BARRED_MAX) return 0;
  wire->n_barred = 0;
  return 1;
}

int64_t fw_channel_claim(fw_channel_t* channel, fw_lane_t lane, uint64_t id, uint8_t type) {
  fw_node_wire_t* wire = channel->node;
  int is_cut = 0;
  if (wire->owes_ack || wire->owes_nack) {
    channel->violation = (fw_violation_t){.rule = "window", .offset = wire->reader.offset};
    channel->is_violated = channel->is_eof = 1;
    fw__channel_schedule(channel, 1);
    return UV_EPROTO;
  }
  int fd = id == 0 ? -1 : fw_node_reader_claim(&wire->reader, id, &is_cut);
  if (is_barred_for_good(wire, fd)) {
    wire->owes_ack = 1;
    return UV_EACCES;
  }
  if (fd < 0) {
    owe_nack(channel, is_cut);
    return UV_ENOENT;
  }
  wire->owes_ack = 1;
  return (int64_t)receive(&channel->ledger, lane, type, fd);
}

static void lay_answers(fw_channel_t* channel) {
  fw_node_wire_t* wire = channel->node;
  fw_ledger_t* ledger = &channel->ledger;
  ledger->n_taken = ledger->n_refused = 0; /* nobody asks on this wire */
  if (wire->owes_ack && has_room(ledger) &&
      fw_node_writer_put_urgent(&wire->writer, wire->ack) == 0)
    wire->owes_ack = 0;
}

static void probe_room(fw_channel_t* channel, uint64_t now) {
  fw_node_wire_t* wire = channel->node;
  if (fw_fd_room(channel->fd, 1) > 0 && fw_node_writer_put_urgent(&wire->writer, wire->nack) == 0) {
    wire->owes_nack = 0;
    wire->nack_at = 0;
    return;
  }
  wire->nack_ms = fw__next_wait(wire->nack_ms);
  wire->nack_at = now + wire->nack_ms;
}

void fw__node_wire_retry(fw_channel_t* channel) {
  fw_node_wire_t* wire = channel->node;
  if (!wire->owes_nack) return;
  wire->nack_ms = 0;
  wire->nack_at = fw__channel_now_ms(channel);
  fw__channel_update_poll(channel);
}

/* -------------------------------------------------------------------- our own */

void fw_channel_acknowledged(fw_channel_t* channel, int is_ack) {
  fw_node_wire_t* wire = channel->node;
  if (channel->is_closing || wire == NULL) return;
  const fw_sent_t* sent = fw_node_writer_in_flight(&wire->writer);
  if (sent == NULL) return; /* nothing waits for it */
  fw__channel_note_progress(channel, FW_WAIT_FLUSH);
  if (is_ack) {
    wire->resend_ms = 0;
    fw_node_writer_acknowledged(&wire->writer);
  } else {
    uint64_t token = sent->token;
    uint32_t count = fw_node_writer_refused(&wire->writer);
    wire->resend_ms = fw__next_wait(wire->resend_ms);
    wire->resend_at = fw__channel_now_ms(channel) + wire->resend_ms;
    channel->has_events = 1;
    channel->callbacks.on_nack(channel->data, token, count);
  }
  if (!channel->in_batch) fw__channel_schedule(channel, 1);
}

/* What waits behind a socket whose client takes no bytes does not wait for ever. */
static void watch_writes(fw_channel_t* channel) {
  fw_node_wire_t* wire = channel->node;
  if (!fw_node_writer_waits_for_writes(&wire->writer)) wire->writes_at = 0;
  else if (wire->writes_at == 0)
    wire->writes_at = fw__channel_now_ms(channel) + channel->options.end_stall_ms;
}

int fw__node_wire_flush(fw_channel_t* channel, size_t budget, size_t* ret_written) {
  fw_node_wire_t* wire = channel->node;
  lay_answers(channel);
  int status = fw_node_writer_flush(&wire->writer, channel->fd, budget, ret_written);
  watch_writes(channel);
  if (fw__channel_may_end(channel)) channel->end_laid = 1;
  return status;
}

/* ----------------------------------------------------------------------- time */

static uint64_t earliest(uint64_t a, uint64_t b) {
  if (a == 0) return b;
  return b != 0 && b < a ? b : a;
}

uint64_t fw__node_wire_due(const fw_node_wire_t* wire) {
  return earliest(earliest(wire->nack_at, wire->resend_at), wire->writes_at);
}

void fw__node_wire_on_time(fw_channel_t* channel, uint64_t now) {
  fw_node_wire_t* wire = channel->node;
  if (wire->nack_at != 0 && wire->nack_at <= now) probe_room(channel, now);
  if (wire->resend_at != 0 && wire->resend_at <= now) {
    wire->resend_at = 0;
    fw_node_writer_resend(&wire->writer);
  }
  if (wire->writes_at != 0 && wire->writes_at <= now) {
    wire->writes_at = 0;
    fw_node_writer_return_head(&wire->writer);
  }
  fw__channel_write(channel);
}
