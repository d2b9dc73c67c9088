#include "read_queue.h"

#include <stdlib.h>
#include <string.h>

#include "body.h"
#include "fd_kind.h"

#define READ_SIZE 65536
/* Message frames up to this size are handed on from the read buffer; larger ones are joined elsewhere. */
#define INLINE_MAX 32768

void fw_read_queue_init(fw_read_queue_t* queue, fw_ledger_t* ledger,
                        const fw_read_callbacks_t* callbacks, void* data) {
  memset(queue, 0, sizeof(*queue));
  queue->ledger = ledger;
  queue->callbacks = *callbacks;
  queue->data = data;
  queue->max_message_size = FW_MAX_MESSAGE_SIZE;
  fw_buffer_init(&queue->in);
  fw_fd_set_init(&queue->set);
  fw_fd_set_init(&queue->waiting_set);
  queue->lanes[FW_LANE_USER].initial = FW_USER_CREDIT;
  queue->lanes[FW_LANE_INTERNAL].initial = FW_INTERNAL_CREDIT;
  for (int i = 0; i < FW_N_LANES; i++) queue->lanes[i].limit = queue->lanes[i].initial;
  fw_segment_map_init(&queue->segments, callbacks->on_released, data);
}

static void inbound_free(fw_inbound_t* message) {
  if (message->capacity > 0) free(message->data);
  memset(message, 0, sizeof(*message));
}

/* What is held is the caller's then: held_free(). */
static fw_held_t held_pop(fw_lane_in_t* lane) {
  fw_held_t* head = lane->held_head;
  fw_held_t held = *head;
  lane->held_head = head->next;
  if (lane->held_head == NULL) lane->held_tail = NULL;
  free(head);
  return held;
}

static void held_free(fw_held_t* held) {
  inbound_free(&held->message);
  fw_buffer_free(&held->behind);
}

void fw_read_queue_free(fw_read_queue_t* queue) {
  fw_buffer_free(&queue->in);
  fw_fd_set_drop(&queue->set);
  fw_fd_set_drop(&queue->waiting_set);
  fw_segment_map_free(&queue->segments);
  fw_slot_free(&queue->slot);
  for (int i = 0; i < FW_N_LANES; i++) {
    fw_lane_in_t* lane = &queue->lanes[i];
    inbound_free(&lane->partial);
    while (lane->held_head != NULL) {
      fw_held_t held = held_pop(lane);
      held_free(&held);
    }
  }
}

/* ------------------------------------------------------------------- credit */

/* A message with nothing complete and undelivered before it is credited as it arrives, so that one
 * larger than the credit gets through. */
static void credit_partial(fw_lane_in_t* lane) {
  if (!lane->is_partial || lane->undelivered > 0 || lane->held_head != NULL) return;
  lane->credited += lane->partial.cost;
  lane->partial.cost = 0;
}

void fw_read_queue_deliver(fw_read_queue_t* queue, fw_lane_t which, uint64_t count, uint64_t cost) {
  fw_lane_in_t* lane = &queue->lanes[which];
  lane->undelivered -= count < lane->undelivered ? count : lane->undelivered;
  lane->credited += cost;
  if (which == FW_LANE_USER && queue->segments.count > 0)
    fw_segment_map_delivered(&queue->segments, lane->n_reported - lane->undelivered);
  credit_partial(lane);
}

/* A peer that finishes gets what it asks for, up to one largest message beyond the credit. Limits never fall. */
static uint64_t next_limit(const fw_read_queue_t* queue, const fw_lane_in_t* lane) {
  uint64_t limit = lane->initial + lane->credited;
  uint64_t most = limit + queue->max_message_size;
  uint64_t wanted = lane->wanted < most ? lane->wanted : most;
  if (wanted > limit) limit = wanted;
  return limit > lane->limit ? limit : lane->limit;
}

int fw_read_queue_owes_credit(const fw_read_queue_t* queue) {
  for (int i = 0; i < FW_N_LANES; i++) {
    const fw_lane_in_t* lane = &queue->lanes[i];
    uint64_t more = next_limit(queue, lane) - lane->limit;
    if (more >= lane->initial / 4 || (more > 0 && lane->wanted > lane->limit)) return 1;
  }
  return 0;
}

const char* fw_read_queue_want(fw_read_queue_t* queue, uint64_t limit) {
  fw_lane_in_t* lane = &queue->lanes[FW_LANE_USER];
  if (limit < lane->wanted) return "limit";
  lane->wanted = limit;
  return NULL;
}

void fw_read_queue_credit(fw_read_queue_t* queue, uint64_t ret_limits[FW_N_LANES]) {
  for (int i = 0; i < FW_N_LANES; i++) {
    fw_lane_in_t* lane = &queue->lanes[i];
    lane->limit = next_limit(queue, lane);
    ret_limits[i] = lane->limit;
  }
}

/* ------------------------------------------------------ delivery and waiting */

static void report(fw_read_queue_t* queue, fw_lane_t which, fw_inbound_t* inbound) {
  fw_message_t message = {.lane = which,
                          .encoding = (fw_encoding_t)inbound->encoding,
                          .data = inbound->data,
                          .size = inbound->size,
                          .cost = inbound->cost,
                          .is_shared = inbound->mapped != NULL,
                          .source = inbound};
  fw_handle_in_t handle;
  if (inbound->has_handle) {
    const fw_block_t* block = &inbound->block;
    size_t prefix = FW_BLOCK_SIZE + (size_t)block->buffered;
    handle = (fw_handle_in_t){.id = inbound->handle_id,
                              .key = block->key,
                              .kind = block->kind,
                              .type = block->type,
                              .flags = block->flags,
                              .buffered = inbound->data + FW_BLOCK_SIZE,
                              .buffered_size = block->buffered};
    message.data += prefix;
    message.size -= prefix;
    message.handle = &handle;
  }
  queue->lanes[which].undelivered++;
  queue->lanes[which].n_reported++;
  if (inbound->mapped != NULL) inbound->mapped->number = queue->lanes[which].n_reported;
  queue->callbacks.on_message(queue->data, &message);
}

static void drop(fw_read_queue_t* queue, fw_lane_t which, const fw_inbound_t* inbound) {
  if (inbound->has_handle && !inbound->refused) fw_ledger_drop(queue->ledger, inbound->handle_id);
  if (inbound->mapped != NULL) fw_mapped_drop(inbound->mapped);
  queue->lanes[which].credited += inbound->cost;
}

/* What is there of a message in pieces; the rest is dropped as it comes. */
static void drop_partial(fw_read_queue_t* queue, fw_lane_in_t* lane) {
  if (lane->partial.has_handle) fw_ledger_drop(queue->ledger, lane->partial.handle_id);
  free(lane->partial.data);
  lane->partial.data = NULL;
  lane->partial.capacity = 0;
  credit_partial(lane);
}

static int is_missing(fw_read_queue_t* queue, const fw_inbound_t* inbound) {
  if (!inbound->has_handle || inbound->refused) return 0;
  fw_received_t* entry = fw_ledger_find(queue->ledger, inbound->handle_id);
  return entry != NULL && entry->state == FW_STATE_MISSING;
}

/* A user message also waits behind internal ones that do: the order of both lanes is kept. */
static int is_held_up(const fw_read_queue_t* queue, fw_lane_t which) {
  return queue->lanes[FW_LANE_INTERNAL].held_head != NULL ||
         (which == FW_LANE_USER && queue->lanes[FW_LANE_USER].held_head != NULL);
}

static int must_wait(fw_read_queue_t* queue, fw_lane_t which, const fw_inbound_t* inbound) {
  return queue->is_paused || is_held_up(queue, which) || is_missing(queue, inbound);
}

/* A small message that waits behind another. Kept alone, an empty one would take many times its credit. */
typedef struct {
  uint32_t size;
  uint32_t cost;
  uint8_t encoding;
} packed_t;

/* Only behind what came last of all: it has no number of its own. */
static int is_packable(const fw_read_queue_t* queue, const fw_lane_in_t* lane,
                       const fw_inbound_t* inbound) {
  return lane->held_tail != NULL && lane->held_tail->number == queue->n_held &&
         !inbound->has_handle && inbound->mapped == NULL && inbound->size <= INLINE_MAX;
}

static int pack(fw_buffer_t* behind, const fw_inbound_t* inbound) {
  packed_t packed = {.size = (uint32_t)inbound->size,
                     .cost = (uint32_t)inbound->cost, /* at most one credit */
                     .encoding = inbound->encoding};
  uint8_t* room = fw_buffer_reserve(behind, sizeof(packed) + inbound->size);
  if (room == NULL) return UV_ENOMEM;
  memcpy(room, &packed, sizeof(packed));
  if (inbound->size > 0) memcpy(room + sizeof(packed), inbound->data, inbound->size);
  fw_buffer_commit(behind, sizeof(packed) + inbound->size);
  return 0;
}

static void release_packed(fw_read_queue_t* queue, fw_lane_t which, fw_buffer_t* behind) {
  packed_t packed;
  while (fw_buffer_size(behind) > 0) {
    uint8_t* bytes = fw_buffer_bytes(behind);
    memcpy(&packed, bytes, sizeof(packed));
    fw_inbound_t message = {.data = bytes + sizeof(packed),
                            .size = packed.size,
                            .cost = packed.cost,
                            .encoding = packed.encoding};
    if (queue->dropping) drop(queue, which, &message);
    else report(queue, which, &message);
    fw_buffer_consume(behind, sizeof(packed) + packed.size);
  }
}

/* Keeps the message; copies its data if that lies in the read buffer. 0 or UV_ENOMEM. */
static int hold(fw_read_queue_t* queue, fw_lane_t which, fw_inbound_t* inbound) {
  fw_lane_in_t* lane = &queue->lanes[which];
  if (is_packable(queue, lane, inbound)) return pack(&lane->held_tail->behind, inbound);
  fw_held_t* held = calloc(1, sizeof(*held));
  if (held == NULL) return UV_ENOMEM;
  held->message = *inbound;
  if (inbound->capacity > 0 || inbound->mapped != NULL) {
    inbound->data = NULL;
  } else {
    held->message.capacity = inbound->size > 0 ? inbound->size : 1;
    held->message.data = malloc(held->message.capacity);
    if (held->message.data == NULL) {
      free(held);
      return UV_ENOMEM;
    }
    memcpy(held->message.data, inbound->data, inbound->size);
  }
  held->number = ++queue->n_held;
  if (lane->held_tail != NULL) lane->held_tail->next = held;
  else lane->held_head = held;
  lane->held_tail = held;
  return 0;
}

/* Whether the handle it came with was refused or discarded, perhaps while it waited. */
static int is_gone(fw_read_queue_t* queue, const fw_inbound_t* inbound) {
  return inbound->has_handle && fw_ledger_find(queue->ledger, inbound->handle_id) == NULL;
}

/* A message is complete. 0 or UV_ENOMEM. */
static int complete(fw_read_queue_t* queue, fw_lane_t which, fw_inbound_t* inbound) {
  if (queue->dropping || is_gone(queue, inbound)) {
    drop(queue, which, inbound);
    return 0;
  }
  if (must_wait(queue, which, inbound)) return hold(queue, which, inbound);
  report(queue, which, inbound);
  return 0;
}

/* The lane whose turn it is: that of the older message, but an internal one passes a user one that waits for its descriptor. */
static fw_lane_t next_held_lane(fw_read_queue_t* queue) {
  const fw_held_t* user = queue->lanes[FW_LANE_USER].held_head;
  const fw_held_t* internal = queue->lanes[FW_LANE_INTERNAL].held_head;
  if (internal == NULL) return FW_LANE_USER;
  if (user == NULL || user->number > internal->number) return FW_LANE_INTERNAL;
  return is_missing(queue, &user->message) ? FW_LANE_INTERNAL : FW_LANE_USER;
}

static void release_first(fw_read_queue_t* queue, fw_lane_t which) {
  fw_held_t held = held_pop(&queue->lanes[which]);
  if (is_gone(queue, &held.message)) queue->lanes[which].credited += held.message.cost;
  else report(queue, which, &held.message);
  release_packed(queue, which, &held.behind);
  held_free(&held);
}

void fw_read_queue_release_held(fw_read_queue_t* queue) {
  if (queue->is_paused) return;
  for (;;) {
    fw_lane_t which = next_held_lane(queue);
    const fw_held_t* head = queue->lanes[which].held_head;
    if (head == NULL || is_missing(queue, &head->message)) break;
    release_first(queue, which);
  }
  for (int i = 0; i < FW_N_LANES; i++) credit_partial(&queue->lanes[i]);
}

static int can_give_up(fw_read_queue_t* queue, const fw_inbound_t* message) {
  return message->has_handle && fw_ledger_can_give_up(queue->ledger, message->handle_id);
}

/* The last handle of the lane that waits behind a missing one and can be asked for again; 0 for none. */
static uint64_t last_to_give_up(fw_read_queue_t* queue, fw_lane_t which) {
  const fw_lane_in_t* lane = &queue->lanes[which];
  uint64_t last = 0;
  if (lane->is_partial && is_held_up(queue, which) && can_give_up(queue, &lane->partial))
    return lane->partial.handle_id;
  for (fw_held_t* held = lane->held_head; held != NULL; held = held->next)
    if (can_give_up(queue, &held->message)) last = held->message.handle_id;
  return last;
}

size_t fw_read_queue_make_room(fw_read_queue_t* queue, size_t count) {
  size_t made = 0;
  for (; made < count; made++) {
    uint64_t id = last_to_give_up(queue, FW_LANE_USER);
    if (id == 0) id = last_to_give_up(queue, FW_LANE_INTERNAL);
    if (id == 0) break;
    fw_ledger_give_up(queue->ledger, id);
  }
  return made;
}

int fw_read_queue_is_holding(const fw_read_queue_t* queue) {
  return queue->lanes[FW_LANE_USER].held_head != NULL ||
         queue->lanes[FW_LANE_INTERNAL].held_head != NULL;
}

int fw_read_queue_is_between_messages(const fw_read_queue_t* queue) {
  return queue->streaming_left == 0;
}

void fw_read_queue_give_up_missing(fw_read_queue_t* queue,
                                   void (*on_lost)(void* data, uint64_t id)) {
  for (size_t i = queue->ledger->n_received; i > 0; i--) {
    fw_received_t* entry = &queue->ledger->received[i - 1];
    if (entry->state != FW_STATE_MISSING) continue;
    uint64_t id = entry->id;
    fw_ledger_discard(queue->ledger, id);
    on_lost(queue->data, id);
  }
  fw_read_queue_release_held(queue);
}

void fw_read_queue_drop_messages(fw_read_queue_t* queue) {
  queue->dropping = 1;
  for (int i = 0; i < FW_N_LANES; i++) {
    fw_lane_in_t* lane = &queue->lanes[i];
    while (lane->held_head != NULL) {
      fw_held_t held = held_pop(lane);
      drop(queue, (fw_lane_t)i, &held.message);
      release_packed(queue, (fw_lane_t)i, &held.behind);
      held_free(&held);
    }
    if (lane->is_partial) drop_partial(queue, lane);
  }
}

fw_body_t* fw_message_keep(const fw_message_t* message) {
  fw_inbound_t* inbound = message->source;
  if (inbound == NULL) return NULL; /* stock's wire: the message lies in the read buffer */
  if (inbound->mapped != NULL) return fw_mapped_keep(inbound->mapped);
  if (inbound->capacity == 0) return NULL;
  fw_body_t* body = fw_body_of_memory(inbound->data);
  if (body == NULL) return NULL;
  inbound->data = NULL;
  inbound->capacity = 0;
  return body;
}

/* ----------------------------------------------------------------- decoding */

/* UV_EPROTO, or UV_ENOMEM where that was the reason. */
static int violate(fw_read_queue_t* queue, const fw_frame_t* frame, const char* rule,
                   uint64_t detail) {
  if (rule == fw_ledger_no_memory) return UV_ENOMEM;
  queue->violation = (fw_violation_t){
      .rule = rule, .kind = frame->kind, .offset = queue->offset, .detail = detail};
  return UV_EPROTO;
}

/* Makes room for `size` more bytes of the message, at most doubling what is there. */
static int grow(fw_inbound_t* message, size_t size) {
  size_t needed = message->size + size;
  if (needed <= message->capacity) return 0;
  size_t capacity = message->capacity * 2 > needed ? message->capacity * 2 : needed;
  if (capacity > message->total) capacity = message->total;
  uint8_t* data = realloc(message->data, capacity);
  if (data == NULL) return UV_ENOMEM;
  fw_memory_populate(data + message->capacity, capacity - message->capacity);
  message->data = data;
  message->capacity = capacity;
  return 0;
}

const char* fw_read_queue_claim(fw_read_queue_t* queue, int* ret_fd) {
  const char* rule = fw_fd_set_claim(&queue->set, ret_fd);
  if (rule == NULL && !queue->set.present && queue->waiting_set.present) {
    queue->set = queue->waiting_set;
    fw_fd_set_init(&queue->waiting_set);
  }
  return rule;
}

static const char* receive_handle(fw_read_queue_t* queue, fw_lane_t which, const fw_frame_t* frame,
                                  const uint8_t* bytes, fw_inbound_t* message) {
  int fd = -1;
  int refused = 0;
  if (message->total < FW_BLOCK_SIZE) return "handle-block";
  const char* rule = fw_block_decode(bytes, &message->block);
  if (rule != NULL) return rule;
  if (message->block.buffered > message->total - FW_BLOCK_SIZE) return "handle-block";
  rule = fw_read_queue_claim(queue, &fd);
  if (rule != NULL) return rule;
  rule = fw_ledger_receive(queue->ledger, which, frame->id, &message->block, &fd, &refused);
  if (rule != NULL) return rule;
  message->has_handle = 1;
  message->handle_id = frame->id;
  message->refused = (uint8_t)refused;
  if (queue->dropping) fw_ledger_drop(queue->ledger, frame->id);
  if (message->block.flags & FW_HANDLE_WRITES_PENDING)
    return fw_ledger_writes_pending(queue->ledger, frame->id);
  return NULL;
}

static size_t prefix_size(const fw_inbound_t* message) {
  return message->has_handle ? FW_BLOCK_SIZE + (size_t)message->block.buffered : 0;
}

/* The first frame of a message whose prefix (total, handle block) is at `bytes`. NULL or the rule. */
static const char* begin_message(fw_read_queue_t* queue, const fw_frame_t* frame,
                                 const uint8_t* bytes, fw_inbound_t* message) {
  fw_lane_t which = fw_frame_lane(frame);
  int has_total = (frame->flags & FW_FLAG_MORE) != 0;
  memset(message, 0, sizeof(*message));
  if (queue->refused_encodings & (1u << frame->encoding)) return "encoding";
  message->encoding = frame->encoding;
  uint64_t total = has_total ? fw_get_u64(bytes) : frame->size;
  if (has_total && (total == 0 || total < frame->size - FW_TOTAL_SIZE)) return "total";
  if (total > queue->max_message_size) return "too-large";
  message->total = (size_t)total;
  if (frame->handles > 0) {
    const char* rule =
        receive_handle(queue, which, frame, bytes + (has_total ? FW_TOTAL_SIZE : 0), message);
    if (rule != NULL) return rule;
  }
  if (frame->encoding == FW_ENCODING_UTF16 && (message->total - prefix_size(message)) % 2 != 0)
    return "encoding";
  return NULL;
}

/* Bytes that must be there before a message frame can be begun. */
static size_t needed_prefix(const fw_frame_t* frame) {
  if (frame->flags & FW_FLAG_CONTINUED) return 0;
  return (frame->flags & FW_FLAG_MORE ? FW_TOTAL_SIZE : 0) +
         (frame->handles > 0 ? FW_BLOCK_SIZE : 0);
}

static const char* check_sequence(fw_read_queue_t* queue, const fw_frame_t* frame) {
  fw_lane_in_t* lane = &queue->lanes[fw_frame_lane(frame)];
  int continued = (frame->flags & FW_FLAG_CONTINUED) != 0;
  if (continued != lane->is_partial) return "sequence";
  if (continued && frame->encoding != lane->partial.encoding) return "sequence";
  if (frame->size < needed_prefix(frame)) return frame->handles > 0 ? "handle-block" : "total";
  if (lane->received + FW_FRAME_HEADER_SIZE + frame->size > lane->limit) return "credit";
  return NULL;
}

/* A whole message in one small frame, handed on from the read buffer. */
static int read_inline(fw_read_queue_t* queue, const fw_frame_t* frame, const uint8_t* payload) {
  fw_inbound_t message;
  fw_lane_t which = fw_frame_lane(frame);
  const char* rule = begin_message(queue, frame, payload, &message);
  if (rule != NULL) return violate(queue, frame, rule, message.total);
  message.cost = FW_FRAME_HEADER_SIZE + frame->size;
  message.data = (uint8_t*)payload;
  message.size = frame->size;
  queue->lanes[which].received += message.cost;
  return complete(queue, which, &message);
}

/* A message that lies in a segment. */
static int read_in_segment(fw_read_queue_t* queue, const fw_frame_t* frame,
                           const uint8_t* payload) {
  fw_inbound_t message = {.encoding = frame->encoding};
  uint64_t size = fw_get_u64(payload + 8);
  if (queue->refused_encodings & (1u << frame->encoding))
    return violate(queue, frame, "encoding", frame->encoding);
  if (size > queue->max_message_size) return violate(queue, frame, "too-large", size);
  if (frame->encoding == FW_ENCODING_UTF16 && size % 2 != 0)
    return violate(queue, frame, "encoding", size);
  const char* rule =
      fw_segment_map_hold(&queue->segments, fw_get_u64(payload), size, &message.mapped);
  if (rule != NULL) return violate(queue, frame, rule, size);
  message.data = message.mapped->memory;
  message.size = message.total = (size_t)size;
  message.cost = FW_FRAME_HEADER_SIZE + frame->size;
  queue->lanes[FW_LANE_USER].received += message.cost;
  return complete(queue, FW_LANE_USER, &message);
}

/* A frame of a message in pieces, or a large one: its payload goes to the lane as it arrives. */
static int start_streaming(fw_read_queue_t* queue, const fw_frame_t* frame, const uint8_t* payload,
                           size_t* ret_skip) {
  fw_lane_t which = fw_frame_lane(frame);
  fw_lane_in_t* lane = &queue->lanes[which];
  *ret_skip = 0;
  if (!(frame->flags & FW_FLAG_CONTINUED)) {
    const char* rule = begin_message(queue, frame, payload, &lane->partial);
    if (rule != NULL) return violate(queue, frame, rule, lane->partial.total);
    lane->is_partial = 1;
    if (frame->flags & FW_FLAG_MORE) *ret_skip = FW_TOTAL_SIZE;
  }
  size_t body = frame->size - *ret_skip;
  size_t left = lane->partial.total - lane->partial.size;
  if (body > left || (body == left) == ((frame->flags & FW_FLAG_MORE) != 0))
    return violate(queue, frame, "total", lane->partial.total);
  lane->received += FW_FRAME_HEADER_SIZE + frame->size;
  lane->partial.cost += FW_FRAME_HEADER_SIZE + frame->size;
  queue->streaming_lane = which;
  queue->streaming_left = body;
  queue->streaming_flags = frame->flags;
  return 0;
}

/* The payload of a message frame is complete. */
static int end_streaming(fw_read_queue_t* queue) {
  fw_lane_in_t* lane = &queue->lanes[queue->streaming_lane];
  credit_partial(lane);
  if (queue->streaming_flags & FW_FLAG_MORE) return 0;
  /* Taken out first: whoever gets the message may have all others dropped. */
  fw_inbound_t message = lane->partial;
  memset(&lane->partial, 0, sizeof(lane->partial));
  lane->is_partial = 0;
  int status = complete(queue, queue->streaming_lane, &message);
  inbound_free(&message);
  return status;
}

static void stream_advance(fw_read_queue_t* queue, size_t size) {
  queue->lanes[queue->streaming_lane].partial.size += size;
  queue->streaming_left -= size;
}

/* Moves what the read buffer has of a streamed payload. */
static int stream_buffered(fw_read_queue_t* queue) {
  fw_inbound_t* partial = &queue->lanes[queue->streaming_lane].partial;
  size_t size = fw_buffer_size(&queue->in);
  if (size > queue->streaming_left) size = queue->streaming_left;
  if (!queue->dropping && size > 0) {
    if (grow(partial, size) < 0) return UV_ENOMEM;
    memcpy(partial->data + partial->size, fw_buffer_bytes(&queue->in), size);
  }
  fw_buffer_consume(&queue->in, size);
  stream_advance(queue, size);
  return 0;
}

/* One message frame at the start of the buffer. Returns 1 when it needs more bytes. */
static int read_message_frame(fw_read_queue_t* queue, const fw_frame_t* frame, const char** rule) {
  size_t there = fw_buffer_size(&queue->in) - FW_FRAME_HEADER_SIZE;
  const uint8_t* payload = fw_buffer_bytes(&queue->in) + FW_FRAME_HEADER_SIZE;
  int is_whole = (frame->flags & (FW_FLAG_MORE | FW_FLAG_CONTINUED)) == 0;
  size_t skip;
  *rule = check_sequence(queue, frame);
  if (*rule != NULL) return 0;
  if (is_whole && frame->size <= INLINE_MAX) {
    if (there < frame->size) return 1;
    int status = frame->flags & FW_FLAG_SEGMENT ? read_in_segment(queue, frame, payload)
                                                : read_inline(queue, frame, payload);
    if (status == 0) fw_buffer_consume(&queue->in, FW_FRAME_HEADER_SIZE + frame->size);
    return status;
  }
  if (there < needed_prefix(frame)) return 1;
  int status = start_streaming(queue, frame, payload, &skip);
  if (status < 0) return status;
  fw_buffer_consume(&queue->in, FW_FRAME_HEADER_SIZE + skip);
  return queue->streaming_left > 0 ? 0 : end_streaming(queue);
}

static int read_control_frame(fw_read_queue_t* queue, const fw_frame_t* frame, const char** rule) {
  size_t size = FW_FRAME_HEADER_SIZE + frame->size;
  if (fw_buffer_size(&queue->in) < size) return 1;
  const uint8_t* payload = fw_buffer_bytes(&queue->in) + FW_FRAME_HEADER_SIZE;
  *rule = queue->callbacks.on_control(queue->data, frame, payload);
  if (*rule == NULL) fw_buffer_consume(&queue->in, size);
  return 0;
}

/* One frame. 1: needs more bytes; 0: done; negative: failed. */
static int read_frame(fw_read_queue_t* queue) {
  fw_frame_t frame;
  if (fw_buffer_size(&queue->in) < FW_FRAME_HEADER_SIZE) return 1;
  fw_frame_decode(fw_buffer_bytes(&queue->in), &frame);
  const char* rule = fw_frame_check(&frame);
  if (rule != NULL) return violate(queue, &frame, rule, frame.size);
  rule = fw_frame_admit(&frame, &queue->stream);
  if (rule != NULL) return violate(queue, &frame, rule, frame.kind);
  int status = fw_frame_is_message(&frame) ? read_message_frame(queue, &frame, &rule)
                                           : read_control_frame(queue, &frame, &rule);
  if (rule != NULL) return violate(queue, &frame, rule, frame.id);
  if (status != 0) return status;
  if (queue->callbacks.on_frame != NULL) queue->callbacks.on_frame(queue->data, &frame);
  queue->stream.hello_seen = 1;
  queue->offset += FW_FRAME_HEADER_SIZE + frame.size;
  return 0;
}

static int parse(fw_read_queue_t* queue) {
  int status = 0;
  while (status == 0) {
    if (queue->streaming_left > 0) {
      status = stream_buffered(queue);
      if (status == 0 && queue->streaming_left > 0) return 0;
      if (status == 0) status = end_streaming(queue);
    } else {
      status = read_frame(queue);
    }
  }
  return status < 0 ? status : 0;
}

/* Between two pieces only the next header is read, so that the piece behind it goes where it belongs, too. */
size_t fw_read_queue_prepare(fw_read_queue_t* queue, struct iovec iov[2]) {
  size_t count = 0;
  size_t room_size = READ_SIZE;
  if (queue->streaming_left > 0 && !queue->dropping) {
    fw_inbound_t* partial = &queue->lanes[queue->streaming_lane].partial;
    if (grow(partial, queue->streaming_left) < 0) return 0;
    iov[count].iov_base = partial->data + partial->size;
    iov[count++].iov_len = queue->streaming_left;
    if (queue->streaming_flags & FW_FLAG_MORE) room_size = FW_FRAME_HEADER_SIZE;
  }
  uint8_t* room = fw_buffer_reserve(&queue->in, room_size);
  if (room == NULL) return 0;
  iov[count].iov_base = room;
  iov[count++].iov_len = room_size;
  return count;
}

size_t fw_read_queue_fd_room(const fw_read_queue_t* queue) {
  const fw_ledger_t* ledger = queue->ledger;
  size_t most = ledger->credit[FW_LANE_USER] + ledger->credit[FW_LANE_INTERNAL];
  size_t there = ledger->n_received - ledger->n_missing + fw_fd_set_left(&queue->set) +
                 fw_fd_set_left(&queue->waiting_set);
  /* One read may bring the peer's HELLO and what it allows. */
  uint64_t features = queue->stream.hello_seen ? queue->stream.features : queue->offered;
  if (features & FW_FEATURE_SEGMENTS) most++;
  if ((features & FW_FEATURE_SLOTS) != 0 && !queue->has_slot) most++;
  return there < most ? most - there : 0;
}

/* Descriptors that came are charged to the credit at once, and at most one set may wait behind the
 * one in use. */
static int add_set(fw_read_queue_t* queue, fw_fd_set_t* set) {
  fw_frame_t frame = {.kind = FW_KIND_BATCH};
  fw_fd_set_t* slot = queue->set.present ? &queue->waiting_set : &queue->set;
  int is_too_many = set->has_room && set->count >= fw_read_queue_fd_room(queue);
  if (slot->present || is_too_many) {
    fw_fd_set_drop(set);
    return violate(queue, &frame, is_too_many ? "handle-credit" : "batch", 0);
  }
  *slot = *set;
  fw_fd_set_init(set);
  return 0;
}

/* A set must have found its BATCH frame unless that frame is still incomplete. */
static int check_sets(fw_read_queue_t* queue) {
  fw_frame_t frame = {.kind = FW_KIND_BATCH};
  int header_may_come = queue->streaming_left > 0 || fw_buffer_size(&queue->in) > 0;
  int is_waiting = queue->waiting_set.present || (queue->set.present && !queue->set.announced);
  if (!is_waiting || header_may_come) return 0;
  return violate(queue, &frame, "batch", queue->set.count);
}

int fw_read_queue_received(fw_read_queue_t* queue, size_t size, fw_fd_set_t* set) {
  size_t streamed = 0;
  if (queue->streaming_left > 0 && !queue->dropping) {
    streamed = size < queue->streaming_left ? size : queue->streaming_left;
    stream_advance(queue, streamed);
    if (queue->streaming_left == 0) {
      int status = end_streaming(queue);
      if (status < 0) {
        fw_fd_set_drop(set);
        return status;
      }
    }
  }
  fw_buffer_commit(&queue->in, size - streamed);
  if (set->present) {
    int status = add_set(queue, set);
    if (status < 0) return status;
  }
  int status = parse(queue);
  return status == 0 ? check_sets(queue) : status;
}
