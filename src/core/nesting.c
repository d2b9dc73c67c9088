/* Loops within the loop: a listener may have the event loop turn and wait for what that brings (packages do it to make
 * asynchronous calls synchronous). What JavaScript has of this channel then is not through, and may wait for what
 * this turn reads. */
#include "channel_state.h"

void fw__channel_begin_call(fw_channel_t* channel) {
  channel->n_calls++;
}

void fw__channel_end_call(fw_channel_t* channel) {
  channel->n_calls--;
  if (channel->is_closing) fw__channel_close_last(channel);
}

/* Behind a callback its effects are looked after anyway; from here on that may take long. */
void fw__channel_begin_turn(fw_channel_t* channel) {
  channel->in_batch = 0;
}

void fw__channel_stay_awake(fw_channel_t* channel) {
  uint64_t now = fw__channel_now_ms(channel);
  if (channel->gathered_at == 0 || channel->gathered_at > now) channel->gathered_at = now;
  fw__channel_update_timer(channel);
}

void fw__channel_turn_within(fw_channel_t* channel) {
  fw__channel_arm(channel);
  fw__channel_close_slot(channel);
  if (channel->is_closing) return;
  if (channel->callbacks.on_turn_within == NULL) return;
  fw__channel_begin_call(channel);
  channel->callbacks.on_turn_within(channel->data);
  fw__channel_end_call(channel);
}
