/* Stands in for sendmsg and recvmsg: two streams in memory that carry descriptors as Linux does. They leave with the
 * first byte of a write, a read does not go beyond the write that carried some, and those for which there is
 * no room are dropped. The matching of sets to BATCH frames is the real one. */
#define fw_send fw__unused_send
#define fw_recv fw__unused_recv
#define fw_unread fw__unused_unread
#define fw_name_senders fw__unused_name_senders
#define fw_maker fw__unused_maker
#include "../../src/core/ancillary.c"
#undef fw_send
#undef fw_recv
#undef fw_unread
#undef fw_name_senders
#undef fw_maker

#include <stdlib.h>

#include "../../src/core/buffer.h"
#include "world.h"

#define MAX_SETS 4096
#define MAX_IN_FLIGHT 32768

typedef struct {
  uint64_t at;  /* offset in the stream of its first byte */
  uint64_t end; /* of the write */
  size_t first; /* in in_flight */
  size_t count;
} set_t;

/* What one end wrote and the other did not read. */
typedef struct {
  fw_buffer_t bytes;
  uint64_t read; /* bytes, in all */
  set_t sets[MAX_SETS];
  size_t n_sets;
  size_t next_set;
  size_t n_sets_read; /* in all */
  uint32_t in_flight[MAX_IN_FLIGHT];
  size_t n_in_flight;
  int is_ended;
  int is_broken; /* nobody will read it */
} stream_t;

static stream_t streams[2]; /* by writer */

size_t world_write_room;
int world_is_short;
size_t world_segment_size;
size_t world_read_size;
size_t world_fd_room;

void world__streams_begin(void) {
  for (int i = 0; i < 2; i++) {
    stream_t* stream = &streams[i];
    fw_buffer_consume(&stream->bytes, fw_buffer_size(&stream->bytes));
    stream->read = 0;
    stream->n_sets = stream->next_set = stream->n_sets_read = stream->n_in_flight = 0;
    stream->is_ended = stream->is_broken = 0;
  }
}

void world_shutdown(int end) {
  streams[end].is_ended = 1;
}

void world_disconnect(int end) {
  streams[end].is_ended = 1;
  streams[1 - end].is_broken = 1;
  fw_buffer_consume(&streams[1 - end].bytes, fw_buffer_size(&streams[1 - end].bytes));
  streams[1 - end].next_set = streams[1 - end].n_sets;
}

void fw_name_senders(int fd, int are_named) {
  (void)fd, (void)are_named;
}

uint32_t fw_maker(int fd) {
  (void)fd;
  return 1;
}

size_t fw_unread(int fd) {
  (void)fd;
  return world_unread(world_end);
}

size_t world_unread(int end) {
  return fw_buffer_size(&streams[1 - end].bytes);
}

int world_is_readable(int end) {
  const stream_t* stream = &streams[1 - end];
  return stream->is_ended || fw_buffer_size(&stream->bytes) > 0;
}

size_t world_n_sets_read(int end) {
  return streams[1 - end].n_sets_read;
}

int world_has_fds(int end) {
  return streams[1 - end].next_set < streams[1 - end].n_sets;
}

int world_is_gone(int end) {
  return streams[end].is_broken;
}

static void take_fds(stream_t* stream, size_t size, const int* fds, size_t n_fds) {
  uint64_t at = stream->read + fw_buffer_size(&stream->bytes);
  if (size > world_segment_size) size = world_segment_size;
  stream->sets[stream->n_sets++] =
      (set_t){.at = at, .end = at + size, .first = stream->n_in_flight, .count = n_fds};
  for (size_t i = 0; i < n_fds; i++)
    stream->in_flight[stream->n_in_flight++] = world_socket(fds[i]);
}

ssize_t fw_send(int fd, const struct iovec* iov, size_t n_iov, const int* fds, size_t n_fds) {
  stream_t* stream = &streams[world_end];
  size_t size = 0;
  (void)fd;
  if (stream->next_set == stream->n_sets)
    stream->n_sets = stream->next_set = stream->n_in_flight = 0; /* all were read */
  if (stream->is_broken || stream->is_ended) return -EPIPE;
  for (size_t i = 0; i < n_iov; i++) size += iov[i].iov_len;
  if (size == 0) world_fail("a write of nothing");
  if (n_fds > 0 &&
      (world_is_short || stream->n_sets == MAX_SETS || stream->n_in_flight + n_fds > MAX_IN_FLIGHT))
    return -ETOOMANYREFS;
  if (size > world_write_room) size = world_write_room;
  if (size == 0) return -EAGAIN;
  world_write_room -= size;
  if (n_fds > 0) take_fds(stream, size, fds, n_fds);
  for (size_t i = 0, left = size; left > 0; i++) {
    size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;
    if (fw_buffer_append(&stream->bytes, iov[i].iov_base, part) < 0) world_fail("no memory");
    left -= part;
  }
  return (ssize_t)size;
}

static void install(const stream_t* stream, const set_t* set, size_t max_fds,
                    fw_fd_set_t* ret_set) {
  ret_set->present = 1;
  for (size_t i = 0; i < set->count; i++) {
    uint32_t socket = stream->in_flight[set->first + i];
    int is_let = i < max_fds && !world_is_barred(socket);
    int fd = is_let && world_fd_room > 0 ? world_install(socket) : -1;
    if (fd < 0) {
      ret_set->truncated = 1;
      ret_set->has_room = world_fd_room > 0;
      return;
    }
    world_fd_room--;
    ret_set->fds[ret_set->count++] = fd;
  }
}

/* Bytes of the next read: not beyond the write that carried descriptors. */
static size_t readable(const stream_t* stream, size_t room, const set_t** ret_set) {
  size_t size = fw_buffer_size(&stream->bytes);
  if (size > room) size = room;
  *ret_set = NULL;
  if (stream->next_set == stream->n_sets) return size;
  const set_t* set = &stream->sets[stream->next_set];
  if (set->at >= stream->read + size) return size;
  *ret_set = set;
  return set->end - stream->read < size ? (size_t)(set->end - stream->read) : size;
}

ssize_t fw_recv(int fd, const struct iovec* iov, size_t n_iov, size_t max_fds,
                fw_fd_set_t* ret_set) {
  stream_t* stream = &streams[1 - world_end];
  const set_t* set;
  size_t room = 0;
  (void)fd;
  for (size_t i = 0; i < n_iov; i++) room += iov[i].iov_len;
  if (room > world_read_size) room = world_read_size;
  size_t size = readable(stream, room, &set);
  if (size == 0) return stream->is_ended && fw_buffer_size(&stream->bytes) == 0 ? 0 : -EAGAIN;
  if (set != NULL) {
    install(stream, set, max_fds, ret_set);
    stream->next_set++;
    stream->n_sets_read++;
  }
  for (size_t i = 0, left = size; left > 0; i++) {
    size_t part = iov[i].iov_len < left ? iov[i].iov_len : left;
    memcpy(iov[i].iov_base, fw_buffer_bytes(&stream->bytes), part);
    fw_buffer_consume(&stream->bytes, part);
    left -= part;
  }
  stream->read += size;
  return (ssize_t)size;
}
