/* Descriptors that did not fit into this process: when to ask for them again. The kernel does not say when there is room, so that
 * it is looked for, less and less often. */
#include "channel_state.h"
#include "fd_kind.h"
#include "wire.h"

#define MAKE_ROOM 8 /* descriptors that are given up at a time for one that others wait for */

void fw__channel_watch_missing(fw_channel_t* channel) {
  if (channel->ledger.n_missing == 0 || channel->is_eof) {
    channel->room_probe_at = 0;
    channel->room_probe_ms = 0;
    return;
  }
  if (channel->room_probe_at != 0) return;
  channel->room_probe_ms = fw__next_wait(channel->room_probe_ms);
  channel->room_probe_at = fw__channel_now_ms(channel) + channel->room_probe_ms;
  fw__channel_update_timer(channel);
}

void fw__channel_probe_room(fw_channel_t* channel) {
  size_t wanted = channel->ledger.n_missing;
  channel->room_probe_at = 0;
  size_t room = fw_fd_room(channel->fd, wanted);
  if (room == 0) room = fw_read_queue_make_room(&channel->in, MAKE_ROOM);
  /* Room for those that were asked for already is no reason to look again soon. */
  if (fw_ledger_ask_missing(&channel->ledger, room) > 0) {
    channel->room_probe_ms = 0;
    fw__channel_write(channel);
  }
  fw__channel_watch_missing(channel);
}

void fw_channel_retry_missing(fw_channel_t* channel) {
  if (channel->is_closing) return;
  if (channel->node != NULL) fw__node_wire_retry(channel);
  if (channel->ledger.n_missing == 0) return;
  channel->room_probe_ms = 0;
  channel->room_probe_at = fw__channel_now_ms(channel);
  fw__channel_update_timer(channel);
}
