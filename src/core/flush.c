/* The end of the process: what was accepted leaves, blocking but not for ever. No event loop runs here. */
#include <poll.h>
#include <stdlib.h>

#include "channel_state.h"

#define FLUSH_READ_BUDGET ((size_t)1 << 20)

static uint64_t now_ms(void) {
  return uv_hrtime() / 1000000;
}

static int is_done(const fw_channel_t* channel) {
  if (channel->is_closing || channel->is_eof || channel->is_broken) return 1;
  return fw_write_queue_size(&channel->out) == 0 && channel->ledger.n_resend == 0 &&
         fw_ledger_all_landed(&channel->ledger);
}

/* One turn of one channel, without waiting. Whether it got further. */
static int turn(fw_channel_t* channel) {
  size_t size = fw_write_queue_size(&channel->out);
  uint64_t landed = channel->ledger.landed_id;
  channel->is_blocked = 0;
  channel->write_retry_at = 0;
  fw__channel_write(channel);
  if (fw__channel_read(channel, FLUSH_READ_BUDGET)) channel->is_eof = 1;
  if (!channel->is_eof) fw__channel_write(channel);
  return fw_write_queue_size(&channel->out) != size || channel->ledger.landed_id != landed;
}

/* Waits until one of those that are not done can go on, at most `wait` ms. */
static void wait_for_any(fw_channel_t* const* channels, size_t n_channels, struct pollfd* entries,
                         int wait) {
  nfds_t count = 0;
  for (size_t i = 0; i < n_channels; i++) {
    const fw_channel_t* channel = channels[i];
    if (is_done(channel)) continue;
    short events = POLLIN;
    if (channel->is_blocked) events |= POLLOUT;
    /* Short of descriptors on their way: nothing says when that ends. */
    if (channel->write_retry_at != 0 && wait > 10) wait = 10;
    entries[count++] = (struct pollfd){.fd = channel->fd, .events = events};
  }
  poll(entries, count, wait);
}

static void prepare(fw_channel_t* channel, uint32_t stall_ms, uint32_t total_ms) {
  if (channel->is_closing) return;
  channel->is_synchronous = 1;
  channel->flush_stall_ms = stall_ms;
  channel->flush_total_ms = total_ms;
  fw_read_queue_drop_messages(&channel->in);
}

static int flush_turn(fw_channel_t* const* channels, size_t n_channels, int* ret_progress) {
  int left = 0;
  *ret_progress = 0;
  for (size_t i = 0; i < n_channels; i++) {
    if (is_done(channels[i])) continue;
    if (turn(channels[i])) *ret_progress = 1;
    if (!is_done(channels[i])) left = 1;
  }
  return left;
}

void fw_channels_flush(fw_channel_t* const* channels, size_t n_channels, uint32_t stall_ms,
                       uint32_t total_ms) {
  uint64_t start = now_ms();
  uint64_t progress_at = start;
  int progress;
  for (size_t i = 0; i < n_channels; i++) prepare(channels[i], stall_ms, total_ms);
  struct pollfd* entries = calloc(n_channels > 0 ? n_channels : 1, sizeof(*entries));
  if (entries == NULL) return;
  while (flush_turn(channels, n_channels, &progress)) {
    uint64_t now = now_ms();
    if (progress) progress_at = now;
    uint64_t end = progress_at + stall_ms < start + total_ms ? progress_at + stall_ms : start + total_ms;
    if (now >= end) break;
    if (!progress) wait_for_any(channels, n_channels, entries, (int)(end - now));
  }
  free(entries);
}
