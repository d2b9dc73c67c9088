/* Control frames, both ways: what the peer says is checked and applied here, and what this end owes
 * the peer is laid out here. */
#include <stdlib.h>
#include <sys/socket.h>

#include "ancillary.h"
#include "channel_state.h"
#include "fd_kind.h"

#ifdef _WIN32
#error "POSIX only"
#endif
#include <unistd.h>

#define SEGMENT_MIN ((size_t)65536)
#define SEGMENT_MIN_MAX ((size_t)262144)
#define SEND_BUFFER_PART 8

/* ---------------------------------------------------------------- incoming */

static uint64_t features(const fw_channel_t* channel) {
  const fw_options_t* options = &channel->options;
  uint64_t features = 0;
  if ((options->disabled & FW_DISABLE_FINISHING) == 0) features |= FW_FEATURE_FINISHING;
  if ((options->disabled & FW_DISABLE_STRINGS) == 0) features |= FW_FEATURE_STRINGS;
  if (!fw_segment_is_supported()) return features;
  if ((options->disabled & FW_DISABLE_SEGMENTS) == 0) features |= FW_FEATURE_SEGMENTS;
  if (options->low_latency && (options->disabled & FW_DISABLE_SLOTS) == 0)
    features |= FW_FEATURE_SLOTS;
  return features;
}

/* Whether both ends have it. */
static int has_feature(const fw_channel_t* channel, uint64_t feature) {
  return (channel->in.stream.features & feature) != 0;
}

int fw_channel_takes_strings(const fw_channel_t* channel) {
  return has_feature(channel, FW_FEATURE_STRINGS);
}

/* From which size on shared memory is worth more than it costs: what the socket takes only a few of before its writer has to
 * wait for the reader. That differs by a factor of ten between systems and users. */
static size_t break_even(int fd) {
  int buffer = 0;
  socklen_t size = sizeof(buffer);
  if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, &size) != 0 || buffer < 0) return SEGMENT_MIN;
  size_t part = (size_t)buffer / SEND_BUFFER_PART;
  if (part < SEGMENT_MIN) return SEGMENT_MIN;
  return part < SEGMENT_MIN_MAX ? part : SEGMENT_MIN_MAX;
}

/* The peer's own word is nobody's: it may name any process, and in a pid namespace of its own it means another. A child finds
 * that its parent made the socket. */
static uint32_t pid_of_peer(const fw_channel_t* channel) {
#ifdef SO_PEERCRED
  return channel->has_sender ? channel->sender : fw_maker(channel->fd);
#else
  return channel->peer.pid;
#endif
}

static const char* read_hello(fw_channel_t* channel, const uint8_t* payload) {
  fw_hello_t hello;
  const char* rule = fw_hello_decode(payload, &hello);
  if (rule != NULL) return rule;
  /* Both ends were told the same: a peer that accepts less would refuse what this end may send. */
  if (hello.max_message_size < channel->options.max_message_size) return "limit";
  channel->peer = hello;
  channel->in.stream.features = features(channel) & hello.features;
  if (has_feature(channel, FW_FEATURE_SEGMENTS))
    channel->out.pool.min_size = break_even(channel->fd);
  if (has_feature(channel, FW_FEATURE_SLOTS)) channel->owes_slot = 1;
  channel->peer_pid = pid_of_peer(channel);
  fw_name_senders(channel->fd, 0);
  channel->callbacks.on_hello(channel->data, channel->peer_pid);
  return NULL;
}

static const char* read_credit(fw_channel_t* channel, const uint8_t* payload) {
  uint64_t user = fw_get_u64(payload);
  uint64_t internal = fw_get_u64(payload + 8);
  fw_lane_out_t* lanes = channel->out.lanes;
  if (user < lanes[FW_LANE_USER].limit || internal < lanes[FW_LANE_INTERNAL].limit) return "limit";
  lanes[FW_LANE_USER].limit = user;
  lanes[FW_LANE_INTERNAL].limit = internal;
  return NULL;
}

static void read_counts(fw_channel_t* channel, const fw_frame_t* frame, const uint8_t* payload) {
  for (size_t i = 0; i < frame->size / 16; i++) {
    fw_range_t pair = fw_range_decode(payload, i);
    fw_keys_closed(&channel->keys, pair.first, pair.last);
  }
}

static const char* read_writes_done(fw_channel_t* channel, const fw_frame_t* frame) {
  const char* rule = fw_ledger_writes_done(&channel->ledger, frame->id);
  int failed = (frame->flags & FW_FLAG_FAILED) != 0;
  if (rule != NULL) return rule;
  fw__channel_note_event(channel);
  channel->callbacks.on_writes_done(channel->data, frame->id, failed);
  return NULL;
}

/* An end that drops handles drops what else it is sent, too: who hears of one that came back is not to send it there again. */
static const char* read_refused(fw_channel_t* channel, uint64_t id, uint32_t reason) {
  if (reason == FW_REFUSED_ENDING) fw__channel_tell_ending(channel);
  return fw_ledger_on_refused(&channel->ledger, id, reason);
}

static const char* read_end(fw_channel_t* channel, const fw_frame_t* frame,
                            const uint8_t* payload) {
  const char* rule = fw_ledger_on_taken(&channel->ledger, payload, frame->size / 16);
  if (rule != NULL) return rule;
  channel->peer_ended = 1;
  channel->in.stream.peer_ended = 1;
  return NULL;
}

static const char* read_handle_fd(fw_channel_t* channel, const fw_frame_t* frame,
                                  const uint8_t* payload) {
  int fd = -1;
  fw_read_queue_t* queue = &channel->in;
  const char* rule = fw_read_queue_claim(queue, &fd);
  if (rule != NULL) return rule;
  if (queue->dropping && fw_ledger_find(queue->ledger, frame->id) == NULL) {
    fw_fd_close_foreign(&fd); /* what it was for is gone */
  } else {
    rule = fw_ledger_fill(queue->ledger, frame->id, fw_get_u64(payload), &fd);
    if (rule == NULL) fw_read_queue_release_held(queue);
  }
  fw__channel_note_progress(channel, FW_WAIT_MISSING);
  channel->room_probe_at = 0; /* there may be room for more */
  channel->room_probe_ms = 0;
  return rule;
}

static const char* read_segment(fw_read_queue_t* queue, const fw_frame_t* frame,
                                const uint8_t* payload) {
  int fd = -1;
  const char* rule = fw_read_queue_claim(queue, &fd);
  if (rule == NULL && !queue->dropping)
    rule = fw_segment_map_add(&queue->segments, frame->id, fw_get_u64(payload), fd);
  fw_fd_close_foreign(&fd);
  return rule;
}

static const char* read_unmap(fw_read_queue_t* queue, uint64_t id) {
  return queue->dropping ? NULL : fw_segment_map_remove(&queue->segments, id);
}

static const char* read_slot(fw_read_queue_t* queue) {
  int fd = -1;
  const char* rule = fw_read_queue_claim(queue, &fd);
  if (rule == NULL && queue->has_slot) rule = "slot";
  if (rule == NULL && !queue->dropping) fw_slot_map(&queue->slot, fd);
  queue->has_slot = 1;
  fw_fd_close_foreign(&fd);
  return rule;
}

/* The one place where control frames take effect. What may not come here, because of its place in
 * the stream or a feature that is not in use, was found before: fw_frame_admit(). */
const char* fw__control_read(void* data, const fw_frame_t* frame, const uint8_t* payload) {
  fw_channel_t* channel = data;
  channel->has_events = 1;
  switch (frame->kind) {
    case FW_KIND_HELLO:
      return read_hello(channel, payload);
    case FW_KIND_CREDIT:
      return read_credit(channel, payload);
    case FW_KIND_LANDED:
      fw__channel_note_progress(channel, FW_WAIT_FLUSH);
      return fw_ledger_on_landed(&channel->ledger, frame->id);
    case FW_KIND_TAKEN:
      fw__channel_note_progress(channel, FW_WAIT_FLUSH);
      return fw_ledger_on_taken(&channel->ledger, payload, frame->size / 16);
    case FW_KIND_REFUSED:
      return read_refused(channel, frame->id, fw_get_u32(payload));
    case FW_KIND_RESEND:
      return fw_ledger_on_resend(&channel->ledger, payload, frame->size / 8);
    case FW_KIND_WRITES_DONE:
      return read_writes_done(channel, frame);
    case FW_KIND_COUNTS:
      read_counts(channel, frame, payload);
      return NULL;
    case FW_KIND_MAPPED:
      return fw_segment_pool_on_mapped(&channel->out.pool, frame->id,
                                       (frame->flags & FW_FLAG_REFUSED) != 0);
    case FW_KIND_SEEN:
      fw__channel_note_progress(channel, FW_WAIT_FLUSH);
      channel->has_progress = 1;
      return fw_segment_pool_on_seen(&channel->out.pool, frame->id);
    case FW_KIND_RELEASED:
      return fw_segment_pool_on_released(&channel->out.pool, payload, frame->size / 8);
    case FW_KIND_END:
      return read_end(channel, frame, payload);
    case FW_KIND_BATCH:
      return fw_fd_set_announce(&channel->in.set, fw_get_u32(payload));
    case FW_KIND_HANDLE_FD:
      return read_handle_fd(channel, frame, payload);
    case FW_KIND_SEGMENT:
      return read_segment(&channel->in, frame, payload);
    case FW_KIND_UNMAP:
      return read_unmap(&channel->in, frame->id);
    case FW_KIND_SLOT:
      return read_slot(&channel->in);
    case FW_KIND_FINISHING:
      return fw_read_queue_want(&channel->in, fw_get_u64(payload));
    default: /* a message frame: not for here */
      return "kind";
  }
}

/* ---------------------------------------------------------------- outgoing */

static void put(fw_channel_t* channel, fw_frame_t frame, const uint8_t* payload) {
  fw_write_queue_put(&channel->out, &frame, payload);
}

void fw__control_lay_hello(fw_channel_t* channel) {
  channel->in.offered = features(channel);
  uint8_t payload[FW_HELLO_SIZE];
  fw_hello_t hello = {.min_version = FW_VERSION,
                      .max_version = FW_VERSION,
                      .pid = (uint32_t)getpid(),
                      .features = features(channel),
                      .max_message_size = channel->in.max_message_size};
  fw_hello_encode(payload, &hello);
  put(channel, (fw_frame_t){.kind = FW_KIND_HELLO, .size = FW_HELLO_SIZE}, payload);
}

static void lay_landed(fw_channel_t* channel) {
  fw_ledger_t* ledger = &channel->ledger;
  if (ledger->landed_reported == ledger->received_id) return;
  uint64_t id = fw_ledger_landed_id(ledger);
  if (id <= ledger->landed_reported) return;
  put(channel, (fw_frame_t){.kind = FW_KIND_LANDED, .id = id}, NULL);
  ledger->landed_reported = id;
}

static void lay_ranges(fw_channel_t* channel, uint8_t kind) {
  fw_ledger_t* ledger = &channel->ledger;
  uint8_t payload[FW_HANDLES_MAX * 16];
  for (size_t i = 0; i < ledger->n_taken; i++) fw_range_encode(payload, i, ledger->taken[i]);
  put(channel, (fw_frame_t){.kind = kind, .size = (uint32_t)ledger->n_taken * 16}, payload);
  ledger->n_taken = 0;
}

static void lay_refused(fw_channel_t* channel) {
  fw_ledger_t* ledger = &channel->ledger;
  uint8_t payload[4];
  for (size_t i = 0; i < ledger->n_refused; i++) {
    fw_put_u32(payload, ledger->refused[i].reason);
    put(channel, (fw_frame_t){.kind = FW_KIND_REFUSED, .size = 4, .id = ledger->refused[i].id},
        payload);
  }
  ledger->n_refused = 0;
}

static void lay_resend(fw_channel_t* channel) {
  fw_ledger_t* ledger = &channel->ledger;
  uint8_t payload[FW_HANDLES_MAX * 8];
  for (size_t i = 0; i < ledger->n_resend_ids; i++)
    fw_put_u64(payload + i * 8, ledger->resend_ids[i]);
  put(channel, (fw_frame_t){.kind = FW_KIND_RESEND, .size = (uint32_t)ledger->n_resend_ids * 8},
      payload);
  ledger->n_resend_ids = 0;
}

/* Answers to RESEND, as far as the set that is next to leave has room. */
static void lay_handle_fds(fw_channel_t* channel) {
  fw_sent_t* sent;
  while ((sent = fw_ledger_next_resend(&channel->ledger)) != NULL)
    if (fw_write_queue_put_handle_fd(&channel->out, sent) < 0) return;
}

static void lay_writes_done(fw_channel_t* channel) {
  fw_writes_t writes;
  while (fw_ledger_next_writes_done(&channel->ledger, &writes)) {
    fw_frame_t frame = {.kind = FW_KIND_WRITES_DONE, .id = writes.id};
    if (writes.failed) frame.flags = FW_FLAG_FAILED;
    put(channel, frame, NULL);
  }
}

static void lay_credit(fw_channel_t* channel) {
  uint8_t payload[16];
  uint64_t limits[FW_N_LANES];
  fw_read_queue_credit(&channel->in, limits);
  fw_put_u64(payload, limits[FW_LANE_USER]);
  fw_put_u64(payload + 8, limits[FW_LANE_INTERNAL]);
  put(channel, (fw_frame_t){.kind = FW_KIND_CREDIT, .size = 16}, payload);
}

/* This end has nothing left but to hand over what it accepted: it asks for the credit that all of it takes. */
static void lay_finishing(fw_channel_t* channel) {
  uint8_t payload[8];
  uint64_t wanted = fw_write_queue_wanted_limit(&channel->out);
  if (wanted <= channel->told_wanted || !has_feature(channel, FW_FEATURE_FINISHING)) return;
  channel->told_wanted = wanted;
  fw_put_u64(payload, wanted);
  put(channel, (fw_frame_t){.kind = FW_KIND_FINISHING, .size = 8}, payload);
}

/* What was told is forgotten: the next one counts from there. */
static void lay_counts(fw_channel_t* channel) {
  uint8_t payload[FW_COUNTS_MAX * 16];
  size_t count = channel->n_counts < FW_COUNTS_MAX ? channel->n_counts : FW_COUNTS_MAX;
  for (size_t i = 0; i < count; i++) {
    const fw_count_t* entry = &channel->counts[channel->n_counts - 1 - i];
    fw_range_encode(payload, i, (fw_range_t){entry->key, entry->closed});
  }
  channel->n_counts -= count;
  put(channel, (fw_frame_t){.kind = FW_KIND_COUNTS, .size = (uint32_t)count * 16}, payload);
}

/* What nobody took by now will not be taken: the peer reads it from what END does not say. */
static void lay_end(fw_channel_t* channel) {
  fw_ledger_discard_all(&channel->ledger);
  lay_ranges(channel, FW_KIND_END);
  channel->end_laid = 1;
}

static void lay_mapped(fw_channel_t* channel) {
  fw_segment_map_t* map = &channel->in.segments;
  fw_frame_t frame = {.kind = FW_KIND_MAPPED, .id = map->answer_id};
  if (map->answer_refused) frame.flags = FW_FLAG_REFUSED;
  map->answer_id = 0;
  put(channel, frame, NULL);
}

static void lay_seen(fw_channel_t* channel) {
  fw_segment_map_t* map = &channel->in.segments;
  map->n_seen_told = map->n_seen;
  put(channel, (fw_frame_t){.kind = FW_KIND_SEEN, .id = map->n_seen}, NULL);
}

static void lay_released(fw_channel_t* channel) {
  uint8_t payload[FW_SEGMENTS_MAX * 8];
  uint64_t ids[FW_SEGMENTS_MAX];
  size_t count = fw_segment_map_take_released(&channel->in.segments, ids);
  for (size_t i = 0; i < count; i++) fw_put_u64(payload + i * 8, ids[i]);
  put(channel, (fw_frame_t){.kind = FW_KIND_RELEASED, .size = (uint32_t)count * 8}, payload);
}

/* Own segments: those that are not used any more, and a new one. A full set leaves first. */
static void lay_segments(fw_channel_t* channel) {
  fw_segment_pool_t* pool = &channel->out.pool;
  uint64_t id;
  while ((id = fw_segment_pool_drop(pool)) != 0)
    put(channel, (fw_frame_t){.kind = FW_KIND_UNMAP, .id = id}, NULL);
  if (channel->end_wanted || channel->out.n_set == FW_SET_MAX) return;
  fw_segment_t* segment = fw_segment_pool_make(pool);
  if (segment == NULL) return;
  uint8_t size[8];
  fw_put_u64(size, segment->capacity);
  fw_write_queue_put_memory(
      &channel->out, (fw_frame_t){.kind = FW_KIND_SEGMENT, .size = sizeof(size), .id = segment->id},
      size, segment);
}

/* Once: without memory or a descriptor for it everything goes over the socket. */
static void lay_slot(fw_channel_t* channel) {
  if (channel->out.n_set == FW_SET_MAX) return;
  channel->owes_slot = 0;
  if (channel->end_wanted || fw_slot_create(&channel->slot) < 0) return;
  fw_write_queue_put_memory(&channel->out, (fw_frame_t){.kind = FW_KIND_SLOT}, NULL,
                            &channel->slot.segment);
}

/* What is due, bounded by construction: each list holds state, not history. The order matters: a
 * handle is TAKEN before its closing is counted, and all of it stands before END. */
void fw__control_lay(void* data) {
  fw_channel_t* channel = data;
  fw_ledger_t* ledger = &channel->ledger;
  lay_landed(channel);
  if (!channel->end_laid) {
    if (fw__channel_delivers_no_more(channel)) fw_ledger_drop_all(ledger);
    if (ledger->n_refused > 0) lay_refused(channel);
    if (ledger->n_taken > 0 && !fw__channel_may_end(channel)) lay_ranges(channel, FW_KIND_TAKEN);
    while (channel->n_counts > 0) lay_counts(channel);
    if (channel->in.segments.answer_id != 0) lay_mapped(channel);
    if (channel->in.segments.n_seen_told != channel->in.segments.n_seen) lay_seen(channel);
    if (channel->in.segments.n_released > 0) lay_released(channel);
    if (channel->out.pool.min_size != 0) lay_segments(channel);
    if (channel->owes_slot) lay_slot(channel);
    if (channel->is_finishing) lay_finishing(channel);
  }
  if (ledger->n_resend_ids > 0) lay_resend(channel);
  if (ledger->n_resend > 0) lay_handle_fds(channel);
  if (ledger->n_writes_out_done > 0) lay_writes_done(channel);
  if (fw_read_queue_owes_credit(&channel->in)) lay_credit(channel);
  if (fw__channel_may_end(channel)) lay_end(channel);
}
