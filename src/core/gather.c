/* When what is sent is written: the first message of a turn at once, others together. */
#include "channel_state.h"
#include "wire.h"

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

/* Whether it waits for others, which a write costs less with. */
static int is_to_wait(fw_channel_t* channel) {
  if (channel->options.low_latency && !channel->wrote_this_turn) return 0;
  uint64_t elapsed = uv_hrtime() - channel->last_write;
  if (elapsed > gather_ns(channel)) {
    channel->n_stream_turns = 0;
    return 0;
  }
  if (fw__wire_size(channel) >= GATHER_SIZE) return 0;
  if (channel->wrote_this_turn) return 1;
  if (channel->n_stream_turns <= STREAM_TURNS) channel->n_stream_turns++;
  return is_streaming(channel);
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
  channel->wrote_this_turn = 1;
  fw__channel_schedule(channel, 0);
}

/* As far as that can be known, which is why a timer is set, too. */
int fw__channel_is_between_turns(const fw_channel_t* channel) {
  return !channel->is_scheduled && is_streaming(channel) && channel->gathered_at != 0 &&
         uv_backend_timeout(channel->poll.loop) == 0 &&
         uv_hrtime() - channel->last_write <= STREAM_NS;
}

int fw_channel_gathers(const fw_channel_t* channel) {
  return channel->wrote_this_turn && !channel->is_synchronous && !channel->is_broken &&
         !channel->end_wanted && !channel->is_ending_told &&
         channel->options.max_queue_bytes == 0 && !fw__channel_is_too_large(channel, FW_TEXT_MAX);
}
