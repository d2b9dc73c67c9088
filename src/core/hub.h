/* What the channels of one loop have in common. */
#ifndef FW_HUB_H
#define FW_HUB_H

#include "../forkwire.h"
#include "standby.h"

struct fw_hub_s {
  fw_standby_t* standby; /* writes while the loop does not turn */
  fw_channel_t* waiting; /* those that keep the loop alive only because they wait for credit */
};

/* Puts the channel on that list, or takes it off. */
void fw__hub_note_waiting(fw_channel_t* channel, int is_waiting);
/* Whether nothing keeps the loop alive but the channels on it. */
int fw__hub_is_all_waiting(const fw_channel_t* channel);

#endif
