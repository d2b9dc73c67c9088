/* When what is sent is written: the first messages of a turn at once, others together. */
#include "channel_state.h"
#include "wire.h"

#define AT_ONCE 16               /* messages of one turn that leave one by one */
#define GATHER_SIZE 16384        /* bytes of one turn that leave together */
#define GATHER_NS 50000          /* since the last write: a send that comes later leaves at once */
#define GATHER_HANDLES_NS 500000 /* the same with handles, which take longer */
#define STREAM_NS 100000         /* the same in a stream over several turns */
#define STREAM_TURNS 8 /* in a row, with a send so soon behind the last write: more will come */
#define STREAM_MS 1    /* what waits over turns leaves by then, whatever the loop does */

/* While sends follow each other that fast, over turns of a loop that does not sleep, they need not leave in their own turn. */
static int is_streaming(const fw_channel_t* channel) {
  return channel->n_stream_turns > STREAM_TURNS && channel->ledger.queued_head == NULL &&
         !channel->end_wanted && !channel->options.low_latency;
}

static uint64_t gather_ns(const fw_channel_t* channel) {
  if (channel->ledger.queued_head != NULL) return GATHER_HANDLES_NS;
  return is_streaming(channel) ? STREAM_NS : GATHER_NS;
}

/* What waits is offered to a thread, which writes it if the loop does not come to do so. Whether that was possible. */
static int offer(fw_channel_t* channel) {
  const uint8_t* bytes;
  fw_standby_t* standby = channel->options.hub == NULL ? NULL : channel->options.hub->standby;
  if (channel->node != NULL || channel->n_counts > 0) return 0;
  if (channel->is_blocked || channel->is_broken || channel->write_retry_at != 0) return 0;
  size_t offered = fw_offer_size(&channel->offer);
  size_t size = fw_write_queue_front(&channel->out, &bytes);
  if (size == 0 || (offered > 0 && bytes != channel->offer.bytes)) return 0;
  if (offered == 0)
    return fw_standby_offer(standby, &channel->offer, channel->fd, bytes, size) == 0;
  fw_standby_grow(standby, &channel->offer, size);
  return 1;
}

void fw__channel_take_back(fw_channel_t* channel) {
  size_t written = fw_standby_take_back(&channel->offer);
  if (written == 0) return;
  fw_write_queue_was_written(&channel->out, written);
  channel->has_progress = 1;
  channel->last_write = uv_hrtime();
}

/* Whether it waits for others, which a write costs less with. */
static int is_to_wait(fw_channel_t* channel) {
  int is_first = channel->n_sent_this_turn == 0;
  if (channel->options.disabled & FW_DISABLE_GATHERING) return 0;
  if (channel->options.low_latency && is_first) return 0;
  uint64_t elapsed = uv_hrtime() - channel->last_write;
  if (elapsed > gather_ns(channel)) {
    channel->n_stream_turns = 0;
    return 0;
  }
  if (fw__wire_size(channel) >= GATHER_SIZE) return 0;
  if (is_first && channel->n_stream_turns <= STREAM_TURNS) channel->n_stream_turns++;
  if (channel->ledger.queued_head != NULL) return !is_first;
  if (is_first && !is_streaming(channel)) return 0;
  if (!is_first && channel->n_sent_this_turn < AT_ONCE) return 0;
  return offer(channel);
}

/* A handle that was sent may not leave before others have landed. */
static int is_window_full(const fw_channel_t* channel) {
  const fw_sent_t* next = channel->ledger.queued_head;
  return next != NULL && channel->node == NULL && !fw_ledger_has_credit(&channel->ledger, next);
}

void fw__channel_gather(fw_channel_t* channel) {
  if (channel->is_synchronous) {
    fw_channels_flush(&channel, 1);
    return;
  }
  if (is_window_full(channel)) fw__channel_read_acknowledgements(channel);
  if (!is_to_wait(channel)) {
    fw__channel_write(channel);
  } else if (channel->gathered_at == 0) {
    /* The prepare handle writes it, but not when it is its own phase that sends: then this wakes the loop. */
    channel->gathered_at = fw__channel_now_ms(channel);
    if (is_streaming(channel)) channel->gathered_at += STREAM_MS;
    fw__channel_update_poll(channel);
  }
  channel->n_sent_this_turn++;
  fw__channel_schedule(channel, 0);
}

/* As far as that can be known, which is why a timer is set, too. */
int fw__channel_is_between_turns(const fw_channel_t* channel) {
  return !channel->is_scheduled && is_streaming(channel) && channel->gathered_at != 0 &&
         uv_backend_timeout(channel->poll.loop) == 0 &&
         uv_hrtime() - channel->last_write <= STREAM_NS;
}
