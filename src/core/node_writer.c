#include "node_writer.h"

#include <stdlib.h>
#include <string.h>

#include "ancillary.h"
#include "buffer.h"
#include "fd_kind.h"

#define GATHER_MAX 64           /* messages of one sendmsg */
#define FLOOD ((size_t)4 << 20) /* bytes that wait */

struct fw_node_message_s {
  fw_node_message_t* next;
  fw_sent_t* sent; /* its handle, until that is settled */
  size_t capacity;
  size_t size;
  size_t offset; /* written */
  uint8_t lane;
  uint8_t is_urgent;
  uint8_t is_counted; /* among n_written */
  uint8_t data[];
};

void fw_node_writer_init(fw_node_writer_t* writer, fw_node_format_t format, fw_ledger_t* ledger) {
  memset(writer, 0, sizeof(*writer));
  writer->format = format;
  writer->ledger = ledger;
}

static void free_list(fw_node_message_t* message) {
  while (message != NULL) {
    fw_node_message_t* next = message->next;
    free(message);
    message = next;
  }
}

void fw_node_writer_free(fw_node_writer_t* writer) {
  free_list(writer->head);
  free_list(writer->urgent);
  if (writer->begun != writer->flight) free(writer->begun);
  free(writer->flight);
  free(writer->filling);
  fw_node_writer_init(writer, writer->format, writer->ledger);
}

/* ------------------------------------------------------------------ queueing */

static fw_node_message_t* new_message(const fw_node_writer_t* writer, size_t size) {
  size_t around = fw_node_frame_prefix(writer->format) + fw_node_frame_suffix(writer->format);
  if (size > SIZE_MAX - sizeof(fw_node_message_t) - around) return NULL;
  fw_node_message_t* message = malloc(sizeof(*message) + size + around);
  if (message == NULL) return NULL;
  memset(message, 0, sizeof(*message));
  message->capacity = size + around;
  return message;
}

static void seal(const fw_node_writer_t* writer, fw_node_message_t* message, size_t size) {
  fw_node_frame_seal(writer->format, message->data, size);
  message->size =
      fw_node_frame_prefix(writer->format) + size + fw_node_frame_suffix(writer->format);
}

/* Gives back what was reserved for an encoding that turned out short. */
static fw_node_message_t* trim(fw_node_message_t* message) {
  if (message->capacity - message->size <= 16) return message;
  fw_node_message_t* smaller = realloc(message, sizeof(*message) + message->size);
  if (smaller == NULL) return message;
  smaller->capacity = smaller->size;
  return smaller;
}

uint8_t* fw_node_writer_begin(fw_node_writer_t* writer, size_t max_size) {
  free(writer->filling); /* a message that was begun and not committed */
  writer->filling = new_message(writer, max_size);
  if (writer->filling == NULL) return NULL;
  return writer->filling->data + fw_node_frame_prefix(writer->format);
}

int fw_node_writer_commit(fw_node_writer_t* writer, fw_lane_t lane, size_t size,
                          const fw_handle_out_t* handle) {
  fw_node_message_t* message = writer->filling;
  if (handle != NULL) {
    int status = fw_ledger_queue(writer->ledger, lane, handle, &message->sent);
    if (status < 0) return status;
  }
  writer->filling = NULL;
  seal(writer, message, size);
  message = trim(message);
  message->lane = (uint8_t)lane;
  if (writer->tail != NULL) writer->tail->next = message;
  else writer->head = message;
  writer->tail = message;
  writer->size += message->size;
  if (writer->size > FLOOD) writer->was_flooded = 1;
  return 0;
}

int fw_node_writer_put_urgent(fw_node_writer_t* writer, fw_bytes_t payload) {
  fw_node_message_t** end = &writer->urgent;
  fw_node_message_t* message = new_message(writer, payload.size);
  if (message == NULL) return UV_ENOMEM;
  memcpy(message->data + fw_node_frame_prefix(writer->format), payload.data, payload.size);
  seal(writer, message, payload.size);
  message->is_urgent = 1;
  while (*end != NULL) end = &(*end)->next;
  *end = message;
  writer->size += message->size;
  return 0;
}

/* ------------------------------------------------------------------- writing */

static fw_node_message_t* pop_head(fw_node_writer_t* writer) {
  fw_node_message_t* message = writer->head;
  writer->head = message->next;
  if (writer->head == NULL) writer->tail = NULL;
  message->next = NULL;
  return message;
}

/* The socket's own bytes come first: the wire has no word for writes that are still to come. */
static int waits_for_writes(const fw_node_message_t* message) {
  return message->sent != NULL && (message->sent->block.flags & FW_HANDLE_WRITES_PENDING) != 0;
}

/* A moved socket whose client went away is not sent; nor is its message. */
static int is_reset(const fw_node_writer_t* writer, const fw_node_message_t* message) {
  if (message->sent == NULL) return 0;
  if (waits_for_writes(message))
    return fw_ledger_writes_failed(writer->ledger, message->sent->token);
  return message->sent->moved && fw_fd_is_reset(message->sent->fd);
}

static void drop_head(fw_node_writer_t* writer, fw_outcome_t outcome) {
  fw_node_message_t* message = pop_head(writer);
  writer->size -= message->size;
  writer->n_written[message->lane]++;
  fw_ledger_drop_queued(writer->ledger, message->sent, outcome);
  free(message);
}

int fw_node_writer_waits_for_writes(const fw_node_writer_t* writer) {
  return writer->head != NULL && writer->flight == NULL && waits_for_writes(writer->head);
}

void fw_node_writer_return_head(fw_node_writer_t* writer) {
  if (fw_node_writer_waits_for_writes(writer)) drop_head(writer, FW_OUTCOME_RETURNED);
}

static int can_lay_head(const fw_node_writer_t* writer) {
  return writer->head != NULL && writer->flight == NULL && !waits_for_writes(writer->head);
}

/* The messages of the next sendmsg; one with a handle goes first, since the descriptor goes with its first
 * byte, and alone. */
static size_t gather(const fw_node_writer_t* writer, fw_node_message_t* messages[GATHER_MAX]) {
  size_t count = 0;
  if (writer->begun != NULL) messages[count++] = writer->begun;
  for (fw_node_message_t* each = writer->urgent; each != NULL && count < GATHER_MAX;
       each = each->next)
    messages[count++] = each;
  if (count == 0 && writer->resent != NULL) messages[count++] = writer->resent;
  if (!can_lay_head(writer)) return count;
  if (writer->head->sent != NULL) {
    if (count == 0) messages[count++] = writer->head;
    return count;
  }
  for (fw_node_message_t* each = writer->head; each != NULL && count < GATHER_MAX;
       each = each->next) {
    if (each->sent != NULL) break;
    messages[count++] = each;
  }
  return count;
}

/* The message whose bytes leave next, in the order of gather(). It becomes the one that is begun. */
static fw_node_message_t* begin_next(fw_node_writer_t* writer) {
  fw_node_message_t* message = writer->begun;
  if (message != NULL) return message;
  if (writer->urgent != NULL) {
    message = writer->urgent;
    writer->urgent = message->next;
    message->next = NULL;
  } else if (writer->resent != NULL) {
    message = writer->resent;
    writer->resent = NULL;
  } else if (writer->head != NULL) {
    message = pop_head(writer);
    if (message->sent != NULL) {
      writer->flight = message;
      fw_ledger_assign(writer->ledger, message->sent);
      fw_ledger_sent(writer->ledger, message->sent);
    }
  }
  writer->begun = message;
  return message;
}

static void finish_begun(fw_node_writer_t* writer) {
  fw_node_message_t* message = writer->begun;
  writer->begun = NULL;
  if (writer->on_written != NULL)
    writer->on_written(writer->data, message->size, message->sent != NULL, message->is_urgent);
  if (!message->is_urgent && !message->is_counted) writer->n_written[message->lane]++;
  message->is_counted = 1;
  if (message != writer->flight) free(message);
}

static void consume(fw_node_writer_t* writer, size_t size) {
  fw_node_message_t* message;
  writer->size -= size;
  while (size > 0 && (message = begin_next(writer)) != NULL) {
    size_t left = message->size - message->offset;
    size_t step = size < left ? size : left;
    message->offset += step;
    size -= step;
    if (step == left) finish_begun(writer);
  }
}

static ssize_t write_once(fw_node_writer_t* writer, int fd, size_t* ret_wanted) {
  fw_node_message_t* messages[GATHER_MAX];
  struct iovec iov[GATHER_MAX];
  while (writer->flight == NULL && writer->head != NULL && is_reset(writer, writer->head))
    drop_head(writer, FW_OUTCOME_CLOSED);
  size_t count = gather(writer, messages);
  *ret_wanted = 0;
  for (size_t i = 0; i < count; i++) {
    iov[i] = (struct iovec){messages[i]->data + messages[i]->offset,
                            messages[i]->size - messages[i]->offset};
    *ret_wanted += iov[i].iov_len;
  }
  if (count == 0) return 0;
  size_t n_fds = messages[0]->sent != NULL && messages[0]->offset == 0;
  ssize_t written = fw_send(fd, iov, count, n_fds > 0 ? &messages[0]->sent->fd : NULL, n_fds);
  if (written > 0) consume(writer, (size_t)written);
  return written;
}

int fw_node_writer_flush(fw_node_writer_t* writer, int fd, size_t budget, size_t* ret_written) {
  *ret_written = 0;
  for (;;) {
    size_t wanted;
    if (*ret_written >= budget) return UV_EAGAIN;
    ssize_t written = write_once(writer, fd, &wanted);
    if (written < 0) return (int)written;
    *ret_written += (size_t)written;
    if (wanted == 0) break;
    if ((size_t)written < wanted) return UV_EAGAIN;
  }
  if (writer->was_flooded && writer->size == 0) {
    writer->was_flooded = 0;
    fw_heap_trim();
  }
  return 0;
}

/* ---------------------------------------------------------- acknowledgements */

/* The message in flight, if it is written and not waiting to be sent again. */
static fw_node_message_t* acknowledgeable(const fw_node_writer_t* writer) {
  fw_node_message_t* flight = writer->flight;
  int is_out = flight != NULL && flight->sent != NULL && flight->offset == flight->size;
  return is_out ? flight : NULL;
}

const fw_sent_t* fw_node_writer_in_flight(const fw_node_writer_t* writer) {
  const fw_node_message_t* message = acknowledgeable(writer);
  return message == NULL ? NULL : message->sent;
}

void fw_node_writer_acknowledged(fw_node_writer_t* writer) {
  uint8_t range[16];
  fw_node_message_t* message = acknowledgeable(writer);
  uint64_t id = message->sent->id;
  writer->flight = NULL;
  writer->n_refused = 0;
  free(message);
  fw_range_encode(range, 0, (fw_range_t){id, id});
  fw_ledger_on_taken(writer->ledger, range, 1);
}

uint32_t fw_node_writer_refused(fw_node_writer_t* writer) {
  fw_node_message_t* message = acknowledgeable(writer);
  message->offset = 0;
  writer->size += message->size;
  return ++writer->n_refused;
}

void fw_node_writer_resend(fw_node_writer_t* writer) {
  if (writer->flight != NULL && writer->flight->offset == 0) writer->resent = writer->flight;
}

/* ---------------------------------------------------------------------- ends */

void fw_node_writer_cut(fw_node_writer_t* writer) {
  free_list(writer->head);
  free_list(writer->urgent);
  if (writer->flight != writer->begun) free(writer->flight);
  writer->head = writer->tail = writer->urgent = writer->flight = NULL;
  writer->resent = NULL;
  if (writer->begun != NULL) writer->begun->sent = NULL; /* only its bytes are written on */
  writer->size = writer->begun == NULL ? 0 : writer->begun->size - writer->begun->offset;
}

int fw_node_writer_is_laid(const fw_node_writer_t* writer) {
  return writer->head == NULL && writer->flight == NULL;
}
