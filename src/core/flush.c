/* The end of the process: what was accepted leaves, blocking but not for ever. No event loop runs here. */
#include <poll.h>
#include <stdlib.h>

#include "channel_state.h"
#include "wire.h"

#define FLUSH_READ_BUDGET ((size_t)1 << 20)
#define SHORTAGE_MS 10

static uint64_t now_ms(void) {
  return uv_hrtime() / 1000000;
}

static int is_over(const fw_channel_t* channel) {
  return channel->is_closing || channel->is_eof || channel->is_broken;
}

/* One kind of flush. */
typedef struct {
  int (*turn)(fw_channel_t* channel); /* for one channel, without waiting; whether it got further */
  int (*is_done)(
      const fw_channel_t* channel); /* nothing more can be done for it, or is to be done */
  short events; /* of poll() that are waited for in any case: those that a turn uses up */
} flush_t;

/* Without reading: what waits for credit goes on waiting. */
static int is_written(const fw_channel_t* channel) {
  int can_go_on = channel->is_blocked || channel->write_retry_at != 0;
  return is_over(channel) || fw__wire_size(channel) == 0 || !can_go_on;
}

static int is_landed(const fw_channel_t* channel) {
  if (is_over(channel)) return 1;
  if (fw__wire_size(channel) > 0) return 0;
  if (channel->node != NULL) return fw__wire_is_laid(channel);
  return channel->ledger.n_resend == 0 && fw_ledger_all_landed(&channel->ledger);
}

static int write_only(fw_channel_t* channel) {
  size_t size = fw__wire_size(channel);
  channel->is_blocked = 0;
  channel->write_retry_at = 0;
  fw__channel_write(channel);
  return fw__wire_size(channel) != size;
}

static int write_and_read(fw_channel_t* channel) {
  size_t size = fw__wire_size(channel);
  uint64_t landed = channel->ledger.landed_id;
  if (channel->node != NULL) fw__node_wire_on_time(channel, now_ms());
  write_only(channel);
  if (fw__channel_read(channel, FLUSH_READ_BUDGET, SIZE_MAX)) channel->is_eof = 1;
  if (!channel->is_eof) fw__channel_write(channel);
  return fw__wire_size(channel) != size || channel->ledger.landed_id != landed;
}

static const flush_t write_out = {write_only, is_written, 0};
static const flush_t write_and_land = {write_and_read, is_landed, POLLIN};

/* Waits until one of those that are not done can go on, at most `wait` ms. */
static void wait_for_any(fw_channel_t* const* channels, size_t n_channels, const flush_t* kind,
                         struct pollfd* entries, uint64_t wait) {
  nfds_t count = 0;
  for (size_t i = 0; i < n_channels; i++) {
    const fw_channel_t* channel = channels[i];
    if (kind->is_done(channel) || channel->is_given_up) continue;
    short events = kind->events;
    if (channel->is_blocked) events |= POLLOUT;
    /* Short of descriptors on their way: nothing says when that ends. */
    int is_timed = channel->node != NULL && fw__node_wire_due(channel->node) != 0;
    if ((channel->write_retry_at != 0 || is_timed) && wait > SHORTAGE_MS) wait = SHORTAGE_MS;
    entries[count++] = (struct pollfd){.fd = channel->fd, .events = events};
  }
  poll(entries, count, (int)wait);
}

/* The time limits begin with the first flush; one channel without progress does not hold up the others. */
static void set_limits(fw_channel_t* channel, uint64_t now, int has_progress) {
  if (channel->flush_total_at == 0) channel->flush_total_at = now + channel->options.exit_total_ms;
  if (channel->flush_stall_at == 0 || has_progress)
    channel->flush_stall_at = now + channel->options.exit_stall_ms;
  if (now >= channel->flush_total_at || now >= channel->flush_stall_at) channel->is_given_up = 1;
}

/* One turn of all. Gives the ms until the next one is given up, 0 when all are through or given up. */
static uint64_t flush_turn(fw_channel_t* const* channels, size_t n_channels, const flush_t* kind,
                           int* ret_progress) {
  uint64_t now = now_ms();
  uint64_t wait = 0;
  *ret_progress = 0;
  for (size_t i = 0; i < n_channels; i++) {
    fw_channel_t* channel = channels[i];
    if (kind->is_done(channel)) continue;
    int progress = kind->turn(channel);
    set_limits(channel, now, progress);
    if (progress) *ret_progress = 1;
    if (kind->is_done(channel) || channel->is_given_up) continue;
    uint64_t end = channel->flush_stall_at < channel->flush_total_at ? channel->flush_stall_at
                                                                     : channel->flush_total_at;
    if (wait == 0 || end - now < wait) wait = end - now;
  }
  return wait;
}

static void flush(fw_channel_t* const* channels, size_t n_channels, const flush_t* kind) {
  int progress;
  uint64_t wait;
  struct pollfd* entries = calloc(n_channels > 0 ? n_channels : 1, sizeof(*entries));
  if (entries == NULL) return;
  /* Control frames that are due are laid out only by a turn: what looks done may still owe them. */
  for (size_t i = 0; i < n_channels; i++)
    if (!is_over(channels[i])) kind->turn(channels[i]);
  while ((wait = flush_turn(channels, n_channels, kind, &progress)) > 0)
    if (!progress) wait_for_any(channels, n_channels, kind, entries, wait);
  free(entries);
}

void fw_channels_flush(fw_channel_t* const* channels, size_t n_channels) {
  for (size_t i = 0; i < n_channels; i++) {
    if (channels[i]->is_closing) continue;
    channels[i]->is_synchronous = channels[i]->is_finishing = 1;
    fw__wire_drop_messages(channels[i]);
  }
  flush(channels, n_channels, &write_and_land);
  /* Should the loop go on after all, it goes on with the ends that were read here. */
  for (size_t i = 0; i < n_channels; i++) fw__channel_schedule(channels[i], 1);
}

void fw_channels_write_out(fw_channel_t* const* channels, size_t n_channels) {
  flush(channels, n_channels, &write_out);
  for (size_t i = 0; i < n_channels; i++) {
    channels[i]->flush_stall_at = channels[i]->flush_total_at = 0;
    channels[i]->is_given_up = 0;
  }
}
