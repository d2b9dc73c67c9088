#include "buffer.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#define KEEP_MAX ((size_t)1 << 20) /* bytes that are kept though little of them is used */
#define SPARSE 8                   /* little is 1 / this */

void fw_buffer_init(fw_buffer_t* buffer) {
  memset(buffer, 0, sizeof(*buffer));
}

void fw_buffer_free(fw_buffer_t* buffer) {
  free(buffer->data);
  fw_buffer_init(buffer);
}

static void compact(fw_buffer_t* buffer) {
  size_t size = fw_buffer_size(buffer);
  if (buffer->start == 0) return;
  if (size > 0) memmove(buffer->data, buffer->data + buffer->start, size);
  buffer->start = 0;
  buffer->end = size;
}

uint8_t* fw_buffer_reserve(fw_buffer_t* buffer, size_t size) {
  size_t used = fw_buffer_size(buffer);
  if (size > SIZE_MAX / 2 - used) return NULL;
  if (buffer->capacity - buffer->end < size && buffer->start > 0) compact(buffer);
  if (buffer->capacity - buffer->end < size) {
    size_t capacity = buffer->capacity < 256 ? 256 : buffer->capacity;
    while (capacity < used + size) capacity *= 2;
    uint8_t* data = realloc(buffer->data, capacity);
    if (data == NULL) return NULL;
    buffer->data = data;
    buffer->capacity = capacity;
  }
  return buffer->data + buffer->end;
}

void fw_buffer_commit(fw_buffer_t* buffer, size_t size) {
  buffer->end += size;
}

int fw_buffer_append(fw_buffer_t* buffer, const void* bytes, size_t size) {
  if (size == 0) return 0;
  uint8_t* room = fw_buffer_reserve(buffer, size);
  if (room == NULL) return UV_ENOMEM;
  memcpy(room, bytes, size);
  fw_buffer_commit(buffer, size);
  return 0;
}

/* One large message is no reason to keep its memory for ever. Without memory for a smaller one it stays as it is. */
static void shrink(fw_buffer_t* buffer) {
  size_t size = fw_buffer_size(buffer);
  fw_buffer_t smaller;
  fw_buffer_init(&smaller);
  uint8_t* room =
      fw_buffer_reserve(&smaller, size + 1); /* never without memory: bytes() is an address */
  if (room == NULL) return;
  memcpy(room, fw_buffer_bytes(buffer), size);
  fw_buffer_commit(&smaller, size);
  fw_buffer_free(buffer);
  *buffer = smaller;
}

void fw_buffer_consume(fw_buffer_t* buffer, size_t size) {
  buffer->start += size;
  if (buffer->start == buffer->end) buffer->start = buffer->end = 0;
  if (buffer->capacity > KEEP_MAX && fw_buffer_size(buffer) <= buffer->capacity / SPARSE)
    shrink(buffer);
}

void fw_heap_trim(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}
