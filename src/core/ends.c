/* How a channel ends: our END, the peer's, the end of the stream, a violation, and the time limits of all that. */
#include <sys/socket.h>

#include "channel_state.h"
#include "wire.h"

#define DRAIN_BUDGET ((size_t)64 << 20) /* of a peer that is dead but whose socket goes on */

int fw__channel_delivers_no_more(const fw_channel_t* channel) {
  return channel->end_wanted && !channel->end_laid && !channel->in_batch && channel->holds == 0 &&
         channel->ledger.n_adopted == 0;
}

int fw__channel_may_end(const fw_channel_t* channel) {
  return fw__channel_delivers_no_more(channel) && fw__wire_is_laid(channel);
}

static void report_end(fw_channel_t* channel, fw_end_t end) {
  fw__channel_report_batch(channel);
  if (channel->end_reported || channel->is_closing) return;
  channel->end_reported = 1;
  channel->deadline = 0;
  fw__channel_update_poll(channel);
  fw__channel_begin_call(channel);
  channel->callbacks.on_end(channel->data, end);
  fw__channel_end_call(channel);
}

/* Those who hear of what comes back are not to send it here again. What a turn sends that does not know it yet comes back, too. */
void fw__channel_tell_ending(fw_channel_t* channel) {
  if (channel->is_ending_told) return;
  channel->is_ending_told = 1;
  channel->callbacks.on_ending(channel->data);
}

static void begin_ending(fw_channel_t* channel) {
  channel->end_wanted = 1;
  fw__channel_tell_ending(channel);
}

/* Nobody will take anything from us any more. */
void fw__channel_return_everything(fw_channel_t* channel) {
  fw__wire_cut(channel);
  fw_ledger_return_all(&channel->ledger);
}

/* The peer's END: what came before it was delivered. */
static void settle_peer_end(fw_channel_t* channel) {
  if (channel->peer_end_settled || channel->holds > 0 || channel->ledger.n_adopted > 0) return;
  if (fw_read_queue_is_holding(&channel->in)) return;
  channel->peer_end_settled = 1;
  fw__wire_drop_messages(channel);
  begin_ending(channel);
  fw__channel_return_everything(channel);
  fw__channel_write(channel);
  report_end(channel, channel->is_own_end ? FW_END_OWN : FW_END_PEER);
}

/* The peer said END and shut its side down, and waits for what is left of our socket's writes. */
static int owes_writes(const fw_channel_t* channel) {
  if (!channel->peer_end_settled || channel->is_broken || channel->is_violated) return 0;
  return channel->ledger.n_writes_out > 0 || fw__wire_size(channel) > 0;
}

/* The stream is over. */
static void settle_eof(fw_channel_t* channel) {
  fw_end_t end = channel->is_violated  ? FW_END_VIOLATION
                 : channel->is_own_end ? FW_END_OWN
                 : channel->peer_ended ? FW_END_PEER
                                       : FW_END_DIED;
  if (channel->is_violated) {
    fw_read_queue_release_held(&channel->in); /* came before what was wrong */
  } else {
    fw_read_queue_give_up_missing(&channel->in, fw__channel_on_lost);
    fw__channel_report_batch(channel);
    if (channel->holds > 0 || channel->is_closing) return;
  }
  channel->is_broken = 1; /* nothing is told about it any more, not even END */
  begin_ending(channel);
  fw__channel_return_everything(channel);
  report_end(channel, end);
  fw__channel_do_close(channel);
}

static int is_outstanding(const fw_channel_t* channel) {
  return !channel->end_laid || fw__wire_size(channel) > 0 ||
         !fw_ledger_is_settled(&channel->ledger);
}

/* A flush before END, or handles behind it, made no progress for too long. */
static void give_up_waiting(fw_channel_t* channel) {
  channel->deadline = 0;
  if (!channel->end_laid) {
    fw__wire_cut(channel);
    fw_ledger_return_queued(&channel->ledger);
    fw__channel_write(channel);
  }
  report_end(channel, FW_END_OWN);
}

/* Both said END: what is left to tell the other? */
static void finish(fw_channel_t* channel) {
  if (!channel->end_laid || fw__wire_size(channel) > 0) return;
  if (channel->ledger.n_writes_out > 0) return;
  if (channel->ledger.n_writes_in == 0 || channel->is_eof) {
    fw__channel_do_close(channel);
  } else if (!channel->did_shutdown) {
    channel->did_shutdown = 1;
    shutdown(channel->fd, SHUT_WR);
  }
}

/* Goes on with an end as far as it can; called after everything that may matter to it. */
void fw__channel_advance(fw_channel_t* channel) {
  if (channel->is_closing || channel->in_batch) return;
  if (channel->peer_ended && !channel->is_violated) settle_peer_end(channel);
  if (channel->is_closing) return;
  if (channel->is_eof && !owes_writes(channel)) {
    settle_eof(channel);
    return;
  }
  if (channel->end_wanted && !channel->end_laid) fw__channel_write(channel);
  if (channel->is_own_end && !channel->end_reported) {
    if (!is_outstanding(channel)) report_end(channel, FW_END_OWN);
  }
  if (channel->is_closing) return;
  if (channel->node != NULL && channel->is_own_end && channel->end_reported) {
    fw__channel_do_close(channel); /* a stock peer has no END to answer */
    return;
  }
  if (channel->peer_end_settled) finish(channel);
  fw__channel_update_poll(channel);
}

void fw__channel_give_up_late(fw_channel_t* channel) {
  if (channel->is_closing || !channel->is_own_end || channel->end_reported) return;
  if (channel->deadline == 0 || channel->deadline > fw__channel_now_ms(channel)) return;
  give_up_waiting(channel);
  fw__channel_advance(channel);
}

int fw_channel_end(fw_channel_t* channel) {
  if (channel->is_closing || channel->end_reported || channel->is_own_end) return 1;
  channel->is_own_end = channel->end_wanted = channel->is_finishing = 1;
  fw__wire_drop_messages(channel);
  channel->deadline = fw__channel_now_ms(channel) + channel->options.end_stall_ms;
  fw__channel_write(channel);
  if (!is_outstanding(channel) && !channel->has_events) {
    channel->end_reported = 1;
    channel->deadline = 0;
    fw__channel_update_poll(channel);
    if (channel->node != NULL) fw__channel_schedule(channel, 1);
    return 1;
  }
  fw__channel_schedule(channel, 1);
  fw__channel_update_poll(channel);
  return 0;
}

void fw_channel_peer_died(fw_channel_t* channel) {
  if (channel->is_closing) return;
  if (!channel->is_eof) fw__channel_read(channel, DRAIN_BUDGET, FW_NO_LIMIT);
  channel->is_eof = 1;
  fw__channel_report_batch(channel);
  if (!channel->is_closing) fw__channel_advance(channel);
}

void fw_channel_reject_message(fw_channel_t* channel) {
  if (channel->is_closing || channel->is_violated) return;
  channel->violation = (fw_violation_t){.rule = "body"};
  channel->is_violated = channel->is_eof = 1;
  fw__channel_schedule(channel, 1);
}
