/* How a channel ends: our END, the peer's, the end of the stream, a violation, and the time limits of all that. */
#include <sys/socket.h>

#include "ancillary.h"
#include "channel_state.h"
#include "wire.h"

#define DRAIN_MAX ((size_t)64 << 20) /* where the system does not say what a dead peer left */
#define HANDLES_STALLS 60            /* open handles: their peer, or a client, may only be slow */
#define END_STALLS 2 /* END of a peer comes behind a flush that has the same limit there */

int fw__channel_delivers_no_more(const fw_channel_t* channel) {
  return channel->end_wanted && !channel->end_laid && !channel->in_batch && channel->holds == 0 &&
         channel->ledger.n_adopted == 0;
}

int fw__channel_may_end(const fw_channel_t* channel) {
  return fw__channel_delivers_no_more(channel) && fw__wire_is_laid(channel);
}

/* What the peer has not answered, it may take as long as it lives: if that came back here meanwhile,
 * it would have two owners. */
static int has_open_handles(const fw_ledger_t* ledger) {
  return ledger->n_open > 0 || ledger->n_writes_out > 0 || ledger->n_writes_in > 0;
}

static int is_asking(const fw_ledger_t* ledger) {
  for (size_t i = 0; i < ledger->n_received && ledger->n_missing > 0; i++)
    if (ledger->received[i].asked) return 1;
  return 0;
}

/* Descriptors that were not asked for wait for room in this process, which is not up to the peer. */
static fw_wait_t what_is_waited_for(const fw_channel_t* channel) {
  if (channel->is_closing || channel->is_dead) return FW_WAIT_NONE;
  if (channel->is_own_end && !channel->end_reported) return FW_WAIT_FLUSH;
  if (channel->end_reported)
    return has_open_handles(&channel->ledger) ? FW_WAIT_HANDLES : FW_WAIT_ANSWER;
  if (channel->peer_ended) return is_asking(&channel->ledger) ? FW_WAIT_MISSING : FW_WAIT_NONE;
  return channel->is_ending_told && !channel->is_eof ? FW_WAIT_END : FW_WAIT_NONE;
}

static void begin_wait(fw_channel_t* channel) {
  uint64_t limit = channel->options.end_stall_ms;
  if (channel->waits == FW_WAIT_HANDLES) limit *= HANDLES_STALLS;
  if (channel->waits == FW_WAIT_END) limit *= END_STALLS;
  channel->deadline = channel->waits == FW_WAIT_NONE ? 0 : fw__channel_now_ms(channel) + limit;
}

/* Nothing of an end may take for ever: whatever it waits for now has a time limit of its own. */
static void watch_end(fw_channel_t* channel) {
  fw_wait_t waits = what_is_waited_for(channel);
  if (waits == channel->waits) return;
  channel->waits = waits;
  begin_wait(channel);
}

void fw__channel_note_progress(fw_channel_t* channel, fw_wait_t kind) {
  if (channel->waits == kind) begin_wait(channel);
}

static void report_end(fw_channel_t* channel, fw_end_t end) {
  fw__channel_report_batch(channel);
  if (channel->end_reported || channel->is_closing) return;
  channel->end_reported = 1;
  watch_end(channel);
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
  fw__channel_take_back(channel);
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
static void give_up_flush(fw_channel_t* channel) {
  if (!channel->end_laid) {
    fw__channel_take_back(channel);
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
  fw__channel_watch_missing(channel);
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
  watch_end(channel);
  fw__channel_update_poll(channel);
}

/* A peer that refuses handles because it ends, and does not end: as if it had. */
static void give_up_peer(fw_channel_t* channel) {
  channel->peer_ended = channel->in.stream.peer_ended = channel->is_eof = 1;
}

void fw__channel_give_up_late(fw_channel_t* channel) {
  if (channel->is_closing || channel->deadline == 0) return;
  if (channel->deadline > fw__channel_now_ms(channel)) return;
  channel->deadline = 0;
  switch (channel->waits) {
    case FW_WAIT_FLUSH:
      give_up_flush(channel);
      break;
    case FW_WAIT_MISSING:
      fw_read_queue_give_up_missing(&channel->in, fw__channel_on_lost);
      fw__channel_report_batch(channel);
      break;
    case FW_WAIT_END:
      give_up_peer(channel);
      break;
    default:
      fw__channel_do_close(channel);
  }
  fw__channel_advance(channel);
}

int fw_channel_end(fw_channel_t* channel) {
  if (channel->is_closing || channel->end_reported || channel->is_own_end) return 1;
  channel->is_own_end = channel->end_wanted = channel->is_finishing = 1;
  fw__wire_drop_messages(channel);
  watch_end(channel);
  fw__channel_write(channel);
  if (!is_outstanding(channel) && !channel->has_events) {
    channel->end_reported = 1;
    watch_end(channel);
    fw__channel_update_poll(channel);
    if (channel->node != NULL) fw__channel_schedule(channel, 1);
    return 1;
  }
  fw__channel_schedule(channel, 1);
  fw__channel_update_poll(channel);
  return 0;
}

void fw_channel_peer_died(fw_channel_t* channel) {
  if (channel->is_closing || channel->is_dead) return;
  channel->is_dead = channel->is_broken = 1;
  /* What comes beyond is written by others that hold its end. */
  size_t left = fw_unread(channel->fd);
  channel->drain_end = channel->bytes_read + (left > DRAIN_MAX ? DRAIN_MAX : left);
  channel->read_size = FW_READ_MIN; /* until it is known what comes */
  if (channel->slot.is_open) channel->drain_end += FW_SLOT_ROOM;
  fw__channel_drain(channel);
}

void fw__channel_drain(fw_channel_t* channel) {
  uint64_t before = channel->bytes_read;
  if (channel->is_closing) return;
  if (!channel->is_eof && !channel->in_batch) {
    int is_over = fw__channel_read(channel, FW_READ_BUDGET, FW_MESSAGE_BUDGET);
    int is_through = channel->bytes_read == before || channel->bytes_read >= channel->drain_end;
    channel->is_eof = is_over || is_through;
  }
  if (!channel->is_eof) fw__channel_drain_later(channel);
  fw__channel_after_read(channel);
}

void fw_channel_reject_message(fw_channel_t* channel) {
  if (channel->is_closing || channel->is_violated) return;
  channel->violation = (fw_violation_t){.rule = "body"};
  channel->is_violated = channel->is_eof = 1;
  fw__channel_schedule(channel, 1);
}
