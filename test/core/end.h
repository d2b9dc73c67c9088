/* One end of a channel without its event loop: the real ledger, queues and control frames over a real
 * socket. It writes down what arrives and what becomes of what it sent. */
#ifndef END_H
#define END_H

#include "../../src/core/ancillary.h"
#include "../../src/core/channel_state.h"
#include "../../src/core/fd_kind.h"
#include "sockets.h"

/* The control frames as they are, with the questions they have for the loop answered here. */
#include "../../src/core/control.c"

#define END_MAX_NOTES 4096

void fw__channel_note_progress(fw_channel_t* channel, fw_wait_t kind) {
  (void)channel, (void)kind;
}

void fw__channel_tell_ending(fw_channel_t* channel) {
  (void)channel;
}

int fw__channel_delivers_no_more(const fw_channel_t* channel) {
  return channel->end_wanted && !channel->end_laid && channel->ledger.n_adopted == 0;
}

int fw__channel_may_end(const fw_channel_t* channel) {
  return fw__channel_delivers_no_more(channel) && fw_write_queue_is_laid(&channel->out);
}

typedef struct {
  fw_lane_t lane;
  fw_encoding_t encoding;
  uint8_t* data;
  size_t size;
  size_t cost;
  fw_handle_in_t handle; /* id 0: none; `buffered` points to a copy */
} end_message_t;

typedef struct {
  uint64_t token;
  fw_outcome_t outcome;
  uint32_t reason;
} end_outcome_t;

typedef struct {
  fw_channel_t* channel;
  int fd;
  int delivers; /* messages are credited as they come */
  end_message_t got[END_MAX_NOTES];
  size_t n_got;
  end_outcome_t outcomes[END_MAX_NOTES];
  size_t n_outcomes;
  uint64_t lost[END_MAX_NOTES];
  size_t n_lost;
  uint64_t writes_done[END_MAX_NOTES];
  int writes_failed[END_MAX_NOTES];
  size_t n_writes_done;
  uint32_t peer_pid;
  uint64_t count_key;
  uint64_t count_closed;
  uint8_t frames[END_MAX_NOTES]; /* kinds, as they arrived */
  size_t n_frames;
  size_t n_released; /* times that RELEASED became due by itself */
} end_t;

static inline uint8_t* end_copy(const uint8_t* bytes, size_t size) {
  uint8_t* copy = malloc(size > 0 ? size : 1);
  CHECK(copy != NULL);
  if (size > 0) memcpy(copy, bytes, size);
  return copy;
}

static inline void end_on_message(void* data, const fw_message_t* message) {
  end_t* end = data;
  CHECK(end->n_got < END_MAX_NOTES);
  end_message_t* got = &end->got[end->n_got++];
  got->lane = message->lane;
  got->encoding = message->encoding;
  got->data = end_copy(message->data, message->size);
  got->size = message->size;
  got->cost = message->cost;
  memset(&got->handle, 0, sizeof(got->handle));
  if (message->handle != NULL) {
    got->handle = *message->handle;
    got->handle.buffered = end_copy(got->handle.buffered, got->handle.buffered_size);
  }
  if (end->delivers) fw_read_queue_deliver(&end->channel->in, message->lane, 1, message->cost);
}

static inline void end_on_settled(void* data, const fw_sent_t* sent, fw_outcome_t outcome,
                                  uint32_t reason) {
  end_t* end = data;
  CHECK(end->n_outcomes < END_MAX_NOTES);
  end->outcomes[end->n_outcomes++] = (end_outcome_t){sent->token, outcome, reason};
}

static inline void end_on_lost(void* data, uint64_t id) {
  end_t* end = data;
  end->lost[end->n_lost++] = id;
}

static inline void end_on_writes_done(void* data, uint64_t id, int failed) {
  end_t* end = data;
  end->writes_failed[end->n_writes_done] = failed;
  end->writes_done[end->n_writes_done++] = id;
}

static inline void end_on_counts(void* data, uint64_t key, uint64_t closed) {
  end_t* end = data;
  end->count_key = key;
  end->count_closed = closed;
}

static inline void end_on_hello(void* data, uint32_t pid) {
  end_t* end = data;
  end->peer_pid = pid;
}

static inline const char* end_on_control(void* data, const fw_frame_t* frame,
                                         const uint8_t* payload) {
  end_t* end = data;
  return fw__control_read(end->channel, frame, payload);
}

static inline void end_on_frame(void* data, const fw_frame_t* frame) {
  end_t* end = data;
  end->frames[end->n_frames++ % END_MAX_NOTES] = frame->kind;
}

/* What is due leaves with the next end_flush(). */
static inline void end_on_released(void* data) {
  ((end_t*)data)->n_released++;
}

static inline void end_lay_control(void* data) {
  fw__control_lay(((end_t*)data)->channel);
}

/* Adopts `fd`. HELLO is not laid out. */
static inline end_t* end_new_mute(int fd) {
  static const fw_read_callbacks_t reads = {end_on_message, end_on_control, end_on_released,
                                            end_on_frame};
  end_t* end = calloc(1, sizeof(*end));
  fw_channel_t* channel = calloc(1, sizeof(*channel));
  CHECK(end != NULL && channel != NULL);
  end->channel = channel;
  end->fd = fd;
  channel->callbacks.on_counts = end_on_counts;
  channel->callbacks.on_writes_done = end_on_writes_done;
  channel->callbacks.on_hello = end_on_hello;
  channel->data = end;
  channel->options.disabled = FW_DISABLE_SEGMENTS;
  fw_ledger_init(&channel->ledger, end_on_settled, end);
  fw_read_queue_init(&channel->in, &channel->ledger, &reads, end);
  fw_write_queue_init(&channel->out, &channel->ledger, end_lay_control, end);
  return end;
}

static inline end_t* end_new(int fd) {
  end_t* end = end_new_mute(fd);
  fw__control_lay_hello(end->channel);
  return end;
}

static inline void end_free(end_t* end) {
  fw_write_queue_cut(&end->channel->out);
  fw_read_queue_free(&end->channel->in);
  fw_write_queue_free(&end->channel->out);
  fw_ledger_free(&end->channel->ledger);
  fw_fd_close(&end->fd);
  for (size_t i = 0; i < end->n_got; i++) {
    free(end->got[i].data);
    free((void*)end->got[i].handle.buffered);
  }
  fw_keys_free(&end->channel->keys);
  free(end->channel);
  free(end);
}

static inline void end_pair(end_t** ret_a, end_t** ret_b) {
  int fds[2];
  CHECK(fw_socketpair(fds) == 0);
  *ret_a = end_new(fds[0]);
  *ret_b = end_new(fds[1]);
  (*ret_a)->delivers = (*ret_b)->delivers = 1;
}

/* One sendmsg or more: 0 when all is out, UV_EAGAIN. */
static inline int end_flush(end_t* end) {
  size_t written;
  int status = fw_write_queue_flush(&end->channel->out, end->fd, SIZE_MAX, &written);
  CHECK(status == 0 || status == UV_EAGAIN);
  return status;
}

/* One recvmsg: what fw_read_queue_received() says; UV_EAGAIN, UV_EOF. */
static inline int end_receive(end_t* end) {
  struct iovec iov[2];
  fw_fd_set_t set;
  fw_fd_set_init(&set);
  size_t n_iov = fw_read_queue_prepare(&end->channel->in, iov);
  CHECK(n_iov > 0);
  ssize_t size = fw_recv(end->fd, iov, n_iov, fw_read_queue_fd_room(&end->channel->in), &set);
  if (size <= 0) return size == 0 ? UV_EOF : (int)size;
  int status = fw_read_queue_received(&end->channel->in, (size_t)size, &set);
  CHECK(!set.present);
  return status;
}

/* Reads all that is there. 0, UV_EOF or UV_EPROTO. */
static inline int end_drain(end_t* end) {
  int status;
  do status = end_receive(end);
  while (status == 0);
  return status == UV_EAGAIN ? 0 : status;
}

/* Writes and reads on both sides until nothing moves any more. Neither may find fault. */
static inline void end_pump(end_t* a, end_t* b) {
  size_t before;
  int left;
  do {
    before = a->n_frames + b->n_frames;
    left = end_flush(a) != 0;
    CHECK_EQUAL(end_drain(b), 0);
    left |= end_flush(b) != 0;
    CHECK_EQUAL(end_drain(a), 0);
  } while (left || a->n_frames + b->n_frames != before);
}

static inline int end_send(end_t* end, fw_lane_t lane, const void* bytes, size_t size,
                           const fw_handle_out_t* handle) {
  uint8_t* room = fw_write_queue_begin(&end->channel->out, lane, size, handle);
  CHECK(room != NULL);
  if (size > 0) memcpy(room, bytes, size);
  return fw_write_queue_commit(&end->channel->out, lane, FW_ENCODING_BYTES, size, handle);
}

static inline void end_send_text(end_t* end, fw_lane_t lane, const char* text) {
  CHECK(end_send(end, lane, text, strlen(text), NULL) == 0);
}

/* A message with that text and a net.Socket; moved, so that `fd` stays with the caller. */
static inline void end_send_socket(end_t* end, fw_lane_t lane, const char* text, int fd,
                                   uint64_t token) {
  fw_handle_out_t handle = {.fd = fd, .token = token, .type = FW_HANDLE_SOCKET};
  CHECK(end_send(end, lane, text, strlen(text), &handle) == 0);
}

static inline int end_got_text(const end_t* end, size_t i, const char* text) {
  return i < end->n_got && end->got[i].size == strlen(text) &&
         memcmp(end->got[i].data, text, strlen(text)) == 0;
}

/* A listener is entered with message i and closes its handle. */
static inline void end_take(end_t* end, size_t i) {
  uint64_t id = end->got[i].handle.id;
  int fd = fw_ledger_adopt(&end->channel->ledger, id);
  CHECK(fd >= 0);
  CHECK_EQUAL(fw_ledger_take(&end->channel->ledger, id), 0);
  close(fd);
}

static inline int end_has_outcome(const end_t* end, size_t i, uint64_t token,
                                  fw_outcome_t outcome) {
  return i < end->n_outcomes && end->outcomes[i].token == token &&
         end->outcomes[i].outcome == outcome;
}

#endif
