#include "write_queue.h"

#include <stdlib.h>
#include <string.h>

#include "ancillary.h"
#include "fd_kind.h"

#define PACK_SIZE 16384 /* small messages share one allocation */
#define OUT_SIZE 65536  /* laid out for one sendmsg, a large payload not counted */
#define COPY_MAX 8192   /* pieces up to this size are copied behind their header */
#define PIECE_MAX (FW_FRAME_MAX_PAYLOAD - FW_TOTAL_SIZE)
#define NO_SET SIZE_MAX
#define MANY_PACKS 256 /* so many are given back to the system, not only to the allocator */

/* One message, or (a pack) many small ones as whole frames one behind the other. */
struct fw_node_s {
  fw_node_t* next;
  fw_sent_t* sent;
  fw_segment_t* segment; /* it holds the message, and `data` says where */
  uint64_t after;        /* INTERNAL: user messages queued before it */
  size_t capacity;
  size_t size;
  size_t offset; /* laid out */
  uint8_t is_pack;
  uint8_t encoding;
  uint8_t is_begun;
  _Alignas(16) uint8_t data[]; /* a large UTF-16 payload is written here as such */
};

void fw_write_queue_init(fw_write_queue_t* queue, fw_ledger_t* ledger,
                         void (*lay_control)(void* data), void* data) {
  memset(queue, 0, sizeof(*queue));
  queue->ledger = ledger;
  queue->lay_control = lay_control;
  queue->data = data;
  queue->set_at = NO_SET;
  queue->lanes[FW_LANE_USER].limit = FW_USER_CREDIT;
  queue->lanes[FW_LANE_INTERNAL].limit = FW_INTERNAL_CREDIT;
  fw_buffer_init(&queue->out);
  fw_segment_pool_init(&queue->pool);
}

static void free_node(fw_write_queue_t* queue, fw_node_t* node) {
  if (node != NULL && node->segment != NULL) fw_segment_pool_put_back(&queue->pool, node->segment);
  free(node);
}

/* No pack is left. */
static void forget_packs(fw_write_queue_t* queue) {
  queue->n_packs = 0;
  if (queue->had_many_packs) fw_heap_trim();
  queue->had_many_packs = 0;
}

/* A node that a piece is being written from is freed once that is out. */
static void free_lanes(fw_write_queue_t* queue) {
  for (int i = 0; i < FW_N_LANES; i++) {
    fw_lane_out_t* lane = &queue->lanes[i];
    while (lane->head != NULL) {
      fw_node_t* node = lane->head;
      lane->head = node->next;
      if (node == queue->direct_node) queue->direct_is_last = 1;
      else free_node(queue, node);
    }
    lane->tail = NULL;
  }
  queue->lane_bytes = 0;
  forget_packs(queue);
}

static void drop_direct(fw_write_queue_t* queue) {
  if (queue->direct_is_last) free(queue->direct_node);
  queue->direct_node = NULL;
  queue->direct_is_last = 0;
  queue->direct = NULL;
  queue->direct_size = 0;
}

void fw_write_queue_free(fw_write_queue_t* queue) {
  free_lanes(queue);
  drop_direct(queue);
  free(queue->spare);
  free_node(queue, queue->filling);
  queue->spare = queue->filling = NULL;
  fw_segment_pool_free(&queue->pool);
  fw_buffer_free(&queue->out);
}

size_t fw_write_queue_size(const fw_write_queue_t* queue) {
  return queue->lane_bytes + fw_buffer_size(&queue->out) + queue->direct_size;
}

int fw_write_queue_is_laid(const fw_write_queue_t* queue) {
  return queue->lanes[FW_LANE_USER].head == NULL && queue->lanes[FW_LANE_INTERNAL].head == NULL;
}

/* ------------------------------------------------------------------ queueing */

static fw_node_t* new_node(size_t capacity) {
  if (capacity > SIZE_MAX - sizeof(fw_node_t)) return NULL;
  fw_node_t* node = malloc(sizeof(*node) + capacity);
  if (node == NULL) return NULL;
  memset(node, 0, sizeof(*node));
  node->capacity = capacity;
  fw_memory_populate(node->data, capacity);
  return node;
}

static void append(fw_lane_out_t* lane, fw_node_t* node) {
  node->next = NULL;
  if (lane->tail != NULL) lane->tail->next = node;
  else lane->head = node;
  lane->tail = node;
}

uint64_t fw_write_queue_wanted_limit(const fw_write_queue_t* queue) {
  const fw_lane_out_t* lane = &queue->lanes[FW_LANE_USER];
  uint64_t bytes = queue->lane_bytes;
  if (lane->head == NULL) return 0;
  bytes += bytes / PIECE_MAX * FW_FRAME_HEADER_SIZE + OUT_SIZE; /* headers of pieces */
  return lane->sent + bytes > lane->limit ? lane->sent + bytes : 0;
}

static int fits_pack(fw_lane_t lane, size_t max_size, const fw_handle_out_t* handle) {
  return lane == FW_LANE_USER && handle == NULL && max_size <= PACK_SIZE / 4;
}

static fw_node_t* pack_with_room(fw_write_queue_t* queue, size_t size) {
  fw_node_t* tail = queue->lanes[FW_LANE_USER].tail;
  if (tail != NULL && tail->is_pack && tail->capacity - tail->size >= size) return tail;
  fw_node_t* node = queue->spare != NULL ? queue->spare : new_node(PACK_SIZE);
  queue->spare = NULL;
  if (node == NULL) return NULL;
  node->is_pack = 1;
  node->size = node->offset = 0;
  node->next = NULL;
  queue->filling = node;
  return node;
}

static size_t handle_prefix(const fw_handle_out_t* handle) {
  return handle == NULL ? 0 : FW_BLOCK_SIZE + (size_t)handle->buffered_size;
}

/* NULL: there is none for it. */
static uint8_t* begin_in_segment(fw_write_queue_t* queue, size_t max_size) {
  fw_segment_t* segment = fw_segment_pool_take(&queue->pool, max_size);
  if (segment == NULL) return NULL;
  queue->filling = new_node(FW_SEGMENT_REF_SIZE);
  if (queue->filling == NULL) {
    fw_segment_pool_put_back(&queue->pool, segment);
    return NULL;
  }
  queue->filling->segment = segment;
  return segment->memory;
}

uint8_t* fw_write_queue_begin(fw_write_queue_t* queue, fw_lane_t lane, size_t max_size,
                              const fw_handle_out_t* handle) {
  free_node(queue, queue->filling); /* a message that was begun and not committed */
  queue->filling = NULL;
  if (fits_pack(lane, max_size, handle)) {
    fw_node_t* pack = pack_with_room(queue, FW_FRAME_HEADER_SIZE + max_size);
    return pack == NULL ? NULL : pack->data + pack->size + FW_FRAME_HEADER_SIZE;
  }
  if (lane == FW_LANE_USER && handle == NULL) {
    uint8_t* room = begin_in_segment(queue, max_size);
    if (room != NULL) return room;
  }
  size_t prefix = handle_prefix(handle);
  fw_node_t* node = new_node(prefix + max_size);
  if (node == NULL) return NULL;
  queue->filling = node;
  return node->data + prefix;
}

static void commit_small(fw_write_queue_t* queue, fw_encoding_t encoding, size_t size) {
  fw_lane_out_t* lane = &queue->lanes[FW_LANE_USER];
  fw_node_t* pack = queue->filling != NULL ? queue->filling : lane->tail;
  fw_frame_t frame = {.size = (uint32_t)size, .kind = FW_KIND_USER, .encoding = (uint8_t)encoding};
  fw_frame_encode(pack->data + pack->size, &frame);
  pack->size += FW_FRAME_HEADER_SIZE + size;
  queue->lane_bytes += FW_FRAME_HEADER_SIZE + size;
  if (queue->filling != NULL) {
    append(lane, pack);
    if (++queue->n_packs > MANY_PACKS) queue->had_many_packs = 1;
  }
  queue->filling = NULL;
  lane->n_queued++;
}

/* Gives back what was reserved for an encoding that turned out short. */
static fw_node_t* trim(fw_node_t* node) {
  if (node->capacity - node->size <= node->size / 8 + 64) return node;
  fw_node_t* smaller = realloc(node, sizeof(*node) + node->size);
  if (smaller == NULL) return node;
  smaller->capacity = smaller->size;
  return smaller;
}

/* What the frame says of it. Its size. */
static size_t commit_segment(fw_write_queue_t* queue, fw_node_t* node, size_t size) {
  fw_put_u64(node->data, node->segment->id);
  fw_put_u64(node->data + 8, size);
  fw_segment_pool_fill(&queue->pool, node->segment, size);
  return FW_SEGMENT_REF_SIZE;
}

int fw_write_queue_commit(fw_write_queue_t* queue, fw_lane_t which, fw_encoding_t encoding,
                          size_t size, const fw_handle_out_t* handle) {
  if (queue->filling == NULL || queue->filling->is_pack) {
    commit_small(queue, encoding, size);
    return 0;
  }
  fw_lane_out_t* lane = &queue->lanes[which];
  fw_node_t* node = queue->filling;
  if (handle != NULL) {
    int status = fw_ledger_queue(queue->ledger, which, handle, &node->sent);
    if (status < 0) return status;
    if (handle->buffered_size > 0)
      memcpy(node->data + FW_BLOCK_SIZE, handle->buffered, handle->buffered_size);
  }
  queue->filling = NULL;
  if (node->segment != NULL) size = commit_segment(queue, node, size);
  node->size = handle_prefix(handle) + size;
  node->encoding = (uint8_t)encoding;
  node->after = queue->lanes[FW_LANE_USER].n_queued;
  node = trim(node);
  append(lane, node);
  queue->lane_bytes += FW_FRAME_HEADER_SIZE + node->size;
  lane->n_queued++;
  return 0;
}

/* -------------------------------------------------------------- laying out */

static void note_frame(fw_write_queue_t* queue, const fw_frame_t* frame) {
  if (queue->on_frame != NULL) queue->on_frame(queue->data, frame);
}

/* The header, and as much of the payload as is copied. What was laid out half cannot be taken back:
 * without memory the queue has failed. */
static int lay(fw_write_queue_t* queue, const fw_frame_t* frame, const uint8_t* payload,
               size_t copied) {
  uint8_t* room = fw_buffer_reserve(&queue->out, FW_FRAME_HEADER_SIZE + copied);
  if (room == NULL) return queue->failed = UV_ENOMEM;
  fw_frame_encode(room, frame);
  if (copied > 0) memcpy(room + FW_FRAME_HEADER_SIZE, payload, copied);
  fw_buffer_commit(&queue->out, FW_FRAME_HEADER_SIZE + copied);
  note_frame(queue, frame);
  return 0;
}

int fw_write_queue_put(fw_write_queue_t* queue, const fw_frame_t* frame, const uint8_t* payload) {
  return lay(queue, frame, payload, frame->size);
}

/* A place for one more descriptor in the set that is next to leave. */
static int open_set(fw_write_queue_t* queue) {
  uint8_t count[4] = {0};
  if (queue->n_set == FW_SET_MAX) return UV_EAGAIN;
  if (queue->n_set > 0) return 0;
  fw_frame_t batch = {.size = sizeof(count), .kind = FW_KIND_BATCH};
  size_t at = fw_buffer_size(&queue->out);
  int status = lay(queue, &batch, count, sizeof(count));
  if (status == 0) queue->set_at = at;
  return status;
}

static void add_to_set(fw_write_queue_t* queue, fw_set_entry_t entry) {
  queue->set[queue->n_set++] = entry;
  uint8_t* count = fw_buffer_bytes(&queue->out) + queue->set_at + FW_FRAME_HEADER_SIZE;
  fw_put_u32(count, (uint32_t)queue->n_set);
}

int fw_write_queue_put_handle_fd(fw_write_queue_t* queue, fw_sent_t* sent) {
  uint8_t inode[8];
  int status = open_set(queue);
  if (status < 0) return status;
  fw_frame_t frame = {
      .size = sizeof(inode), .kind = FW_KIND_HANDLE_FD, .handles = 1, .id = sent->id};
  fw_put_u64(inode, sent->block.inode);
  status = lay(queue, &frame, inode, sizeof(inode));
  if (status < 0) return status;
  add_to_set(queue, (fw_set_entry_t){.sent = sent});
  fw_ledger_resend_laid(queue->ledger, sent);
  return 0;
}

int fw_write_queue_put_memory(fw_write_queue_t* queue, fw_frame_t frame, const uint8_t* payload,
                              fw_segment_t* segment) {
  int status = open_set(queue);
  if (status < 0) return status;
  frame.handles = 1;
  status = lay(queue, &frame, payload, frame.size);
  if (status < 0) return status;
  add_to_set(queue, (fw_set_entry_t){.segment = segment});
  return 0;
}

static void pop_node(fw_lane_out_t* lane) {
  lane->head = lane->head->next;
  if (lane->head == NULL) lane->tail = NULL;
}

static void recycle_pack(fw_write_queue_t* queue, fw_node_t* pack) {
  if (queue->spare == NULL) queue->spare = pack;
  else free(pack);
  if (--queue->n_packs == 0) forget_packs(queue);
}

static uint64_t credit_left(const fw_lane_out_t* lane) {
  return lane->limit > lane->sent ? lane->limit - lane->sent : 0;
}

/* As many whole frames of the pack at the head as credit and room allow. Whether any. */
static int lay_pack(fw_write_queue_t* queue, fw_lane_out_t* lane) {
  fw_node_t* pack = lane->head;
  size_t size = 0;
  size_t room = OUT_SIZE - fw_buffer_size(&queue->out);
  uint64_t credit = credit_left(lane);
  uint64_t count = 0;
  const fw_node_t* internal = queue->lanes[FW_LANE_INTERNAL].head;
  while (pack->offset + size < pack->size && size < room) {
    fw_frame_t frame;
    if (internal != NULL && lane->n_laid + count == internal->after) break;
    fw_frame_decode(pack->data + pack->offset + size, &frame);
    if (size + FW_FRAME_HEADER_SIZE + frame.size > credit) break;
    size += FW_FRAME_HEADER_SIZE + frame.size;
    count++;
    note_frame(queue, &frame);
  }
  if (count == 0) return 0;
  if (fw_buffer_append(&queue->out, pack->data + pack->offset, size) < 0) {
    queue->failed = UV_ENOMEM;
    return 0;
  }
  pack->offset += size;
  lane->sent += size;
  lane->n_laid += count;
  queue->lane_bytes -= size;
  if (pack->offset == pack->size) {
    pop_node(lane);
    recycle_pack(queue, pack);
  }
  return 1;
}

/* A moved socket whose client went away is not sent; nor is its message. */
static int is_reset(const fw_node_t* node) {
  return node->sent != NULL && node->sent->moved && !node->is_begun &&
         fw_fd_is_reset(node->sent->fd);
}

static void drop_message(fw_write_queue_t* queue, fw_lane_out_t* lane) {
  fw_node_t* node = lane->head;
  pop_node(lane);
  queue->lane_bytes -= FW_FRAME_HEADER_SIZE + node->size;
  lane->n_laid++;
  lane->n_written++;
  fw_ledger_drop_queued(queue->ledger, node->sent, FW_OUTCOME_CLOSED);
  free(node);
}

static int begin_handle(fw_write_queue_t* queue, fw_node_t* node) {
  if (!fw_ledger_has_credit(queue->ledger, node->sent)) return UV_EAGAIN;
  int status = open_set(queue);
  if (status < 0) return status;
  fw_ledger_assign(queue->ledger, node->sent);
  fw_block_encode(node->data, &node->sent->block);
  add_to_set(queue, (fw_set_entry_t){.sent = node->sent});
  return 0;
}

/* The header of the next piece of a message. */
static fw_frame_t next_piece(const fw_node_t* node, int which) {
  size_t left = node->size - node->offset;
  int is_last = left <= FW_FRAME_MAX_PAYLOAD;
  fw_frame_t frame = {.kind = which == FW_LANE_USER ? FW_KIND_USER : FW_KIND_INTERNAL,
                      .encoding = node->encoding};
  frame.size = (uint32_t)(is_last ? left : PIECE_MAX);
  if (node->segment != NULL) frame.flags = FW_FLAG_SEGMENT;
  if (node->is_begun) frame.flags |= FW_FLAG_CONTINUED;
  if (!is_last) frame.flags |= FW_FLAG_MORE;
  if (!is_last && !node->is_begun) frame.size += FW_TOTAL_SIZE;
  return frame;
}

/* The piece's bytes: copied behind the header, or written from where they lie. */
static int lay_piece(fw_write_queue_t* queue, const fw_frame_t* frame, fw_node_t* node) {
  uint8_t total[FW_TOTAL_SIZE];
  const uint8_t* bytes = node->data + node->offset;
  int has_total = (frame->flags & (FW_FLAG_MORE | FW_FLAG_CONTINUED)) == FW_FLAG_MORE;
  size_t size = frame->size - (has_total ? FW_TOTAL_SIZE : 0);
  if (!has_total && size <= COPY_MAX) return lay(queue, frame, bytes, size);
  fw_put_u64(total, node->size);
  int status = lay(queue, frame, total, has_total ? FW_TOTAL_SIZE : 0);
  if (status < 0) return status;
  queue->direct = bytes;
  queue->direct_size = size;
  queue->direct_node = node;
  return 0;
}

/* One piece of the message at the head. Whether it could be laid out. */
static int lay_message(fw_write_queue_t* queue, fw_lane_out_t* lane, int which) {
  fw_node_t* node = lane->head;
  fw_frame_t frame = next_piece(node, which);
  if (FW_FRAME_HEADER_SIZE + frame.size > credit_left(lane)) return 0;
  if (node->sent != NULL && !node->is_begun) {
    if (begin_handle(queue, node) < 0) return 0;
    frame.handles = 1;
    frame.id = node->sent->id;
  }
  size_t bytes = frame.size - (frame.flags == FW_FLAG_MORE ? FW_TOTAL_SIZE : 0);
  if (lay_piece(queue, &frame, node) < 0) return 0;
  queue->lane_bytes -= bytes + (node->is_begun ? 0 : FW_FRAME_HEADER_SIZE);
  lane->sent += FW_FRAME_HEADER_SIZE + frame.size;
  node->is_begun = 1;
  node->sent = NULL;
  node->offset += bytes;
  if (node->offset < node->size) return 1;
  lane->n_laid++;
  pop_node(lane);
  if (node->segment != NULL) fw_segment_pool_sent(&queue->pool, node->segment, lane->n_laid);
  node->segment = NULL;
  if (queue->direct_size > 0) queue->direct_is_last = 1;
  else free(node);
  return 1;
}

/* Whether anything could be laid out; -1: not before what is laid out is written. */
static int lay_from(fw_write_queue_t* queue, int which) {
  fw_lane_out_t* lane = &queue->lanes[which];
  if (lane->head == NULL) return 0;
  if (lane->head->is_pack) return lay_pack(queue, lane);
  if (!is_reset(lane->head)) return lay_message(queue, lane, which);
  if (lane->n_laid > lane->n_written) return -1; /* those before it are counted first */
  drop_message(queue, lane);
  return 1;
}

/* Order of send() over both lanes, but an internal message passes user messages that credit holds
 * back, unless it is the last one. Whether anything could be laid out. */
static int lay_next_message(fw_write_queue_t* queue) {
  const fw_node_t* internal = queue->lanes[FW_LANE_INTERNAL].head;
  int is_first = internal != NULL &&
                 (internal->is_begun || internal->after <= queue->lanes[FW_LANE_USER].n_laid);
  int laid = is_first ? 0 : lay_from(queue, FW_LANE_USER);
  if (laid != 0) return laid > 0;
  if (!is_first && queue->keeps_order) return 0;
  return lay_from(queue, FW_LANE_INTERNAL) > 0;
}

/* A full set leaves before anything else is laid out, so that nothing passes a handle for want of one. */
static int has_room(const fw_write_queue_t* queue) {
  return fw_buffer_size(&queue->out) < OUT_SIZE && queue->direct_size == 0 &&
         queue->n_set < FW_SET_MAX;
}

static void fill(fw_write_queue_t* queue) {
  while (has_room(queue)) {
    queue->lay_control(queue->data);
    if (!has_room(queue) || !lay_next_message(queue)) break;
  }
}

/* ------------------------------------------------------------------- writing */

/* The frame at the front lost `size` bytes, at most what it has left. */
static void advance_front(fw_write_queue_t* queue, size_t size) {
  queue->front_left -= size;
  if (queue->front_left > 0 || !fw_frame_is_message(&queue->front)) return;
  if (queue->front.flags & FW_FLAG_MORE) return;
  queue->lanes[fw_frame_lane(&queue->front)].n_written++;
}

static void open_front(fw_write_queue_t* queue) {
  if (queue->front_left > 0) return;
  fw_frame_decode(fw_buffer_bytes(&queue->out), &queue->front);
  queue->front_left = FW_FRAME_HEADER_SIZE + queue->front.size;
}

static void consume_out(fw_write_queue_t* queue, size_t size) {
  fw_buffer_consume(&queue->out, size);
  if (queue->set_at != NO_SET) queue->set_at -= size;
}

static void consume_direct(fw_write_queue_t* queue, size_t size) {
  queue->direct += size;
  queue->direct_size -= size;
  if (queue->direct_size == 0) drop_direct(queue);
}

static void consume(fw_write_queue_t* queue, size_t size) {
  while (size > 0) {
    open_front(queue);
    size_t out_size = fw_buffer_size(&queue->out);
    size_t step = size < queue->front_left ? size : queue->front_left;
    if (out_size > 0 && step > out_size) step = out_size;
    if (out_size > 0) consume_out(queue, step);
    else consume_direct(queue, step);
    advance_front(queue, step);
    size -= step;
  }
}

static void set_left(fw_write_queue_t* queue) {
  for (size_t i = 0; i < queue->n_set; i++) {
    const fw_set_entry_t* entry = &queue->set[i];
    if (entry->segment != NULL) fw_segment_pool_offered(entry->segment);
    else if (entry->sent->state == FW_STATE_QUEUED) fw_ledger_sent(queue->ledger, entry->sent);
    else fw_ledger_resent(entry->sent);
  }
  queue->n_set = 0;
  queue->set_at = NO_SET;
}

static int fd_of(const fw_set_entry_t* entry) {
  return entry->segment != NULL ? entry->segment->fd : entry->sent->fd;
}

/* Whether the peer looks for an answer, and got all that is laid out. */
static int fill_slot(fw_write_queue_t* queue) {
  size_t size = fw_buffer_size(&queue->out);
  if (queue->slot == NULL || queue->n_set > 0 || queue->direct_size > 0) return 0;
  return fw_slot_fill(queue->slot, queue->bytes_written, fw_buffer_bytes(&queue->out), size);
}

/* Into the slot, or one sendmsg: up to the next set of descriptors, or that set with all that follows. Bytes or an error. */
static ssize_t write_once(fw_write_queue_t* queue, int fd, size_t* ret_wanted) {
  int fds[FW_SET_MAX] = {0};
  struct iovec iov[2] = {{fw_buffer_bytes(&queue->out), fw_buffer_size(&queue->out)},
                         {(void*)queue->direct, queue->direct_size}};
  size_t n_fds = 0;
  if (queue->n_set > 0 && queue->set_at > 0) {
    iov[0].iov_len = queue->set_at;
    iov[1].iov_len = 0;
  } else {
    for (; n_fds < queue->n_set; n_fds++) fds[n_fds] = fd_of(&queue->set[n_fds]);
  }
  *ret_wanted = iov[0].iov_len + iov[1].iov_len;
  ssize_t written = (ssize_t)*ret_wanted;
  if (!fill_slot(queue)) written = fw_send(fd, iov, iov[1].iov_len > 0 ? 2 : 1, fds, n_fds);
  if (written <= 0) return written;
  queue->bytes_written += (uint64_t)written;
  if (n_fds > 0) set_left(queue);
  consume(queue, (size_t)written);
  return written;
}

int fw_write_queue_flush(fw_write_queue_t* queue, int fd, size_t budget, size_t* ret_written) {
  *ret_written = 0;
  for (;;) {
    size_t wanted;
    fill(queue);
    if (queue->failed < 0) return queue->failed;
    if (fw_buffer_size(&queue->out) + queue->direct_size == 0) return 0;
    if (*ret_written >= budget) return UV_EAGAIN;
    ssize_t written = write_once(queue, fd, &wanted);
    if (written < 0) return (int)written;
    *ret_written += (size_t)written;
    if ((size_t)written < wanted) return UV_EAGAIN;
  }
}

size_t fw_write_queue_front(const fw_write_queue_t* queue, const uint8_t** ret_bytes) {
  const fw_lane_out_t* lane = &queue->lanes[FW_LANE_USER];
  const fw_node_t* pack = lane->head;
  if (fw_buffer_size(&queue->out) > 0 || queue->direct_size > 0 || queue->n_set > 0) return 0;
  if (queue->lanes[FW_LANE_INTERNAL].head != NULL || queue->failed < 0) return 0;
  if (pack == NULL || pack->next != NULL || !pack->is_pack) return 0;
  size_t size = pack->size - pack->offset;
  if (size > credit_left(lane)) return 0;
  *ret_bytes = pack->data + pack->offset;
  return size;
}

void fw_write_queue_was_written(fw_write_queue_t* queue, size_t size) {
  if (!lay_pack(queue, &queue->lanes[FW_LANE_USER])) return; /* it has failed */
  queue->bytes_written += size;
  consume(queue, size);
}

/* Where the last frame ends that owns a descriptor which left: the peer is to use that set up. */
static size_t end_of_owners(const fw_write_queue_t* queue) {
  size_t size = queue->set_at != NO_SET ? queue->set_at : fw_buffer_size(&queue->out);
  size_t end = queue->front_left;
  for (size_t at = end; at < size;) {
    fw_frame_t frame;
    fw_frame_decode(fw_buffer_bytes(&queue->out) + at, &frame);
    at += FW_FRAME_HEADER_SIZE + frame.size;
    if (frame.handles > 0) end = at;
  }
  return end;
}

/* Of the frames from `at` on, keeps those that carry state of ours; a set that did not leave is taken
 * apart. */
static void keep_control_frames(fw_write_queue_t* queue, size_t at) {
  uint8_t* bytes = fw_buffer_bytes(&queue->out);
  size_t size = fw_buffer_size(&queue->out);
  size_t kept = at;
  while (at < size) {
    fw_frame_t frame;
    fw_frame_decode(bytes + at, &frame);
    size_t whole = FW_FRAME_HEADER_SIZE + frame.size;
    int is_of_dropped = frame.kind == FW_KIND_WRITES_DONE && frame.id > queue->ledger->sent_id;
    int is_dropped = fw_frame_is_message(&frame) || frame.kind == FW_KIND_BATCH ||
                     frame.kind == FW_KIND_HANDLE_FD || frame.kind == FW_KIND_SEGMENT ||
                     frame.kind == FW_KIND_SLOT || is_of_dropped;
    if (!is_dropped) {
      memmove(bytes + kept, bytes + at, whole);
      kept += whole;
    }
    at += whole;
  }
  queue->out.end = queue->out.start + kept;
}

static void take_set_apart(fw_write_queue_t* queue) {
  for (size_t i = 0; i < queue->n_set; i++) {
    fw_sent_t* sent = queue->set[i].sent;
    if (sent != NULL && sent->state != FW_STATE_QUEUED) fw_ledger_ask_resend(queue->ledger, sent);
  }
  queue->n_set = 0;
  queue->set_at = NO_SET;
}

void fw_write_queue_cut(fw_write_queue_t* queue) {
  size_t end = end_of_owners(queue);
  free_lanes(queue);
  take_set_apart(queue);
  fw_segment_pool_forget_unseen(&queue->pool);
  /* The last frame to keep may lie partly in `direct`; then nothing is laid out behind it. */
  if (end > fw_buffer_size(&queue->out)) return;
  drop_direct(queue);
  if (end < fw_buffer_size(&queue->out)) keep_control_frames(queue, end);
}
