/* The wire log: one readable line a frame, or a message of stock Node's wire. */
#include <inttypes.h>
#include <stdio.h>

#include "channel_state.h"

static const char* handle_state(fw_channel_t* channel, const fw_frame_t* frame, int is_read) {
  if (!is_read) return frame->handles > 0 ? "SENT" : "";
  fw_received_t* entry = frame->handles > 0 ? fw_ledger_find(&channel->ledger, frame->id) : NULL;
  return entry == NULL ? "" : fw_state_name(entry->state);
}

static void trace(fw_channel_t* channel, const fw_frame_t* frame, int is_read) {
  char line[160];
  const char* name = channel->options.trace_name != NULL ? channel->options.trace_name : "";
  int size =
      snprintf(line, sizeof(line), "%s %s fd %d %-11s %6" PRIu32 " bytes", is_read ? "<-" : "->",
               name, channel->fd, fw_frame_name(frame->kind), frame->size);
  if (frame->id != 0 && size > 0 && (size_t)size < sizeof(line))
    snprintf(line + size, sizeof(line) - (size_t)size, " handle %" PRIu64 " %s", frame->id,
             handle_state(channel, frame, is_read));
  channel->callbacks.on_trace(channel->data, line);
}

void fw__trace_message(fw_channel_t* channel, int is_read, const char* kind, size_t size,
                       int has_handle) {
  char line[160];
  const char* name = channel->options.trace_name != NULL ? channel->options.trace_name : "";
  if (channel->callbacks.on_trace == NULL) return;
  snprintf(line, sizeof(line), "%s %s fd %d %-11s %6zu bytes%s", is_read ? "<-" : "->", name,
           channel->fd, kind, size, has_handle ? " handle" : "");
  channel->callbacks.on_trace(channel->data, line);
}

void fw__trace_read(void* channel, const fw_frame_t* frame) {
  trace(channel, frame, 1);
}

void fw__trace_write(void* channel, const fw_frame_t* frame) {
  trace(channel, frame, 0);
}
