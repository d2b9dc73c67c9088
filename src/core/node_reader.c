#include "node_reader.h"

#include <string.h>

#include "fd_kind.h"
#include "frame.h"

#define READ_SIZE 65536
#define OLD 1 /* names of descriptors in a message's handle */
#define RECENT 2

void fw_node_reader_init(fw_node_reader_t* reader, fw_node_format_t format,
                         const fw_node_reader_callbacks_t* callbacks, void* data) {
  memset(reader, 0, sizeof(*reader));
  reader->format = format;
  reader->callbacks = *callbacks;
  reader->data = data;
  reader->max_message_size = FW_MAX_MESSAGE_SIZE;
  reader->max_undelivered = FW_USER_CREDIT;
  fw_buffer_init(&reader->in);
  fw_fd_set_init(&reader->old.set);
  fw_fd_set_init(&reader->recent.set);
}

void fw_node_reader_free(fw_node_reader_t* reader) {
  fw_buffer_free(&reader->in);
  fw_fd_set_drop(&reader->old.set);
  fw_fd_set_drop(&reader->recent.set);
}

size_t fw_node_reader_prepare(fw_node_reader_t* reader, struct iovec iov[2]) {
  uint8_t* room = fw_buffer_reserve(&reader->in, READ_SIZE);
  if (room == NULL) return 0;
  iov[0].iov_base = room;
  iov[0].iov_len = READ_SIZE;
  return 1;
}

static int covers(const fw_node_fds_t* fds, uint64_t offset) {
  return fds->set.present && fds->start <= offset && offset < fds->end;
}

static int is_blank(uint8_t byte) {
  return byte == ' ' || byte == '\t' || byte == '\r';
}

/* Whether it is the pattern, a JSON text without escapes. Others than Node put blanks between its parts. */
static int is_same_json(fw_bytes_t pattern, const uint8_t* bytes, size_t size) {
  size_t matched = 0;
  int in_string = 0;
  for (size_t i = 0; i < size; i++) {
    if (!in_string && is_blank(bytes[i])) continue;
    if (matched == pattern.size || bytes[i] != pattern.data[matched++]) return 0;
    if (bytes[i] == '"') in_string = !in_string;
  }
  return matched == pattern.size && matched > 0;
}

static int is_same(const fw_node_reader_t* reader, fw_bytes_t pattern, const uint8_t* bytes,
                   size_t size) {
  if (reader->format == FW_NODE_JSON) return is_same_json(pattern, bytes, size);
  return pattern.size == size && size > 0 && memcmp(pattern.data, bytes, size) == 0;
}

static void report(fw_node_reader_t* reader, const uint8_t* payload, const fw_node_frame_t* frame) {
  fw_message_t message = {.lane = FW_LANE_USER,
                          .encoding =
                              reader->format == FW_NODE_JSON ? FW_ENCODING_JSON : FW_ENCODING_V8,
                          .data = payload,
                          .size = frame->size,
                          .cost = frame->whole};
  fw_handle_in_t handle = {0};
  if (covers(&reader->old, reader->offset)) handle.id = OLD;
  else if (covers(&reader->recent, reader->offset)) handle.id = RECENT;
  if (handle.id != 0) message.handle = &handle;
  reader->undelivered += frame->whole;
  reader->callbacks.on_message(reader->data, &message);
}

static void read_message(fw_node_reader_t* reader, const fw_node_frame_t* frame) {
  const uint8_t* payload = fw_buffer_bytes(&reader->in) + frame->payload;
  if (is_same(reader, reader->ack, payload, frame->size)) {
    reader->callbacks.on_acknowledged(reader->data, 1);
  } else if (is_same(reader, reader->nack, payload, frame->size)) {
    reader->callbacks.on_acknowledged(reader->data, 0);
  } else if (!reader->dropping) {
    report(reader, payload, frame);
  }
}

static int parse(fw_node_reader_t* reader) {
  fw_node_frame_t frame;
  int status;
  while ((status = fw_node_frame_find(reader->format, fw_buffer_bytes(&reader->in),
                                      fw_buffer_size(&reader->in), reader->max_message_size,
                                      &reader->scanned, &frame)) > 0) {
    read_message(reader, &frame);
    fw_buffer_consume(&reader->in, frame.whole);
    reader->offset += frame.whole;
    reader->scanned = 0;
  }
  if (status == 0) return 0;
  reader->violation = (fw_violation_t){.rule = "too-large", .offset = reader->offset};
  return UV_EPROTO;
}

int fw_node_reader_received(fw_node_reader_t* reader, size_t size, fw_fd_set_t* set) {
  uint64_t start = reader->offset + fw_buffer_size(&reader->in);
  fw_buffer_commit(&reader->in, size);
  if (set->present) {
    fw_fd_set_drop(&reader->recent.set);
    reader->recent = (fw_node_fds_t){.set = *set, .start = start, .end = start + size};
    fw_fd_set_init(set);
  }
  int status = parse(reader);
  if (reader->dropping) fw_node_reader_settle(reader);
  return status;
}

int fw_node_reader_claim(fw_node_reader_t* reader, uint64_t id, int* ret_is_cut) {
  fw_node_fds_t* fds = id == OLD ? &reader->old : &reader->recent;
  *ret_is_cut = fds->set.present && fds->set.truncated && fds->set.next == fds->set.count;
  if (!fds->set.present || fds->set.next == fds->set.count)
    return *ret_is_cut && fds->set.has_room ? FW_FD_BARRED : -1;
  return fds->set.fds[fds->set.next++];
}

/* Only the message in progress can still own some. */
void fw_node_reader_settle(fw_node_reader_t* reader) {
  int is_in_progress = fw_buffer_size(&reader->in) > 0 && !reader->dropping;
  if (is_in_progress && covers(&reader->recent, reader->offset)) {
    fw_fd_set_drop(&reader->old.set);
    reader->old = reader->recent;
    fw_fd_set_init(&reader->recent.set);
    return;
  }
  fw_fd_set_drop(&reader->recent.set);
  if (!is_in_progress || !covers(&reader->old, reader->offset)) fw_fd_set_drop(&reader->old.set);
}

void fw_node_reader_drop_messages(fw_node_reader_t* reader) {
  reader->dropping = 1;
  reader->undelivered = 0;
}

void fw_node_reader_deliver(fw_node_reader_t* reader, uint64_t cost) {
  reader->undelivered -= cost < reader->undelivered ? cost : reader->undelivered;
}

int fw_node_reader_is_full(const fw_node_reader_t* reader) {
  return reader->undelivered >= reader->max_undelivered;
}
