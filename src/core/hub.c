/* A process has nothing left to do when only channels that wait for credit keep its loop alive. No channel can tell that of
 * itself where there are others. */
#include "hub.h"

#include <stdlib.h>

#include "channel_state.h"

fw_hub_t* fw_hub_new(void) {
  fw_hub_t* hub = calloc(1, sizeof(*hub));
  if (hub != NULL) hub->standby = fw_standby_new();
  return hub;
}

void fw_hub_free(fw_hub_t* hub) {
  if (hub == NULL) return;
  fw_standby_free(hub->standby);
  free(hub);
}

void fw__hub_note_waiting(fw_channel_t* channel, int is_waiting) {
  fw_hub_t* hub = channel->options.hub;
  if (hub == NULL || is_waiting == channel->is_on_hub) return;
  channel->is_on_hub = is_waiting;
  if (is_waiting) {
    channel->hub_next = hub->waiting;
    hub->waiting = channel;
    return;
  }
  fw_channel_t** link = &hub->waiting;
  while (*link != channel) link = &(*link)->hub_next;
  *link = channel->hub_next;
}

int fw__hub_is_all_waiting(const fw_channel_t* channel) {
  const fw_hub_t* hub = channel->options.hub;
  if (hub == NULL || !channel->is_on_hub) return 0;
  for (fw_channel_t* each = hub->waiting; each != NULL; each = each->hub_next)
    uv_unref((uv_handle_t*)&each->poll);
  int is_alive = uv_loop_alive(channel->poll.loop);
  for (fw_channel_t* each = hub->waiting; each != NULL; each = each->hub_next)
    uv_ref((uv_handle_t*)&each->poll);
  return !is_alive;
}
