/* What is to be told of sockets that were closed here, by the server that counts them. */
#include <stdlib.h>

#include "channel_state.h"

static fw_count_t* find_count(fw_channel_t* channel, uint64_t key) {
  for (size_t i = 0; i < channel->n_counts; i++)
    if (channel->counts[i].key == key) return &channel->counts[i];
  return NULL;
}

static fw_count_t* add_count(fw_channel_t* channel, uint64_t key) {
  if (channel->n_counts == channel->counts_capacity) {
    size_t capacity = channel->counts_capacity == 0 ? 8 : channel->counts_capacity * 2;
    fw_count_t* counts = realloc(channel->counts, capacity * sizeof(counts[0]));
    if (counts == NULL) return NULL;
    channel->counts = counts;
    channel->counts_capacity = capacity;
  }
  fw_count_t* entry = &channel->counts[channel->n_counts++];
  *entry = (fw_count_t){.key = key};
  return entry;
}

int fw_channel_expect_counts(fw_channel_t* channel, uint64_t key, int are_expected) {
  if (are_expected) return fw_keys_add(&channel->keys, key);
  fw_keys_remove(&channel->keys, key);
  return 0;
}

int fw_channel_add_closed(fw_channel_t* channel, uint64_t key, uint64_t count) {
  if (channel->is_closing || channel->end_laid) return UV_EPIPE;
  if (channel->node != NULL) return UV_ENOTSUP;
  fw_count_t* entry = find_count(channel, key);
  if (entry == NULL) entry = add_count(channel, key);
  if (entry == NULL) return UV_ENOMEM;
  entry->closed += count;
  fw__channel_take_back(channel);    /* no message that is sent from here on passes it */
  fw_channel_retry_missing(channel); /* a closed socket leaves room for another */
  fw__channel_schedule(channel, 1);
  return 0;
}
