/* A growable byte buffer that is filled at its end and consumed at its start. */
#ifndef FW_BUFFER_H
#define FW_BUFFER_H

#include <stddef.h>
#include <stdint.h>

typedef struct fw_buffer_s {
  uint8_t* data;
  size_t start;
  size_t end;
  size_t capacity;
} fw_buffer_t;

void fw_buffer_init(fw_buffer_t* buffer);
void fw_buffer_free(fw_buffer_t* buffer);

/* Room for `size` more bytes at the end, or NULL without memory; fill, then fw_buffer_commit().
 * Invalidates earlier pointers. */
uint8_t* fw_buffer_reserve(fw_buffer_t* buffer, size_t size);
void fw_buffer_commit(fw_buffer_t* buffer, size_t size);
/* 0 or UV_ENOMEM. */
int fw_buffer_append(fw_buffer_t* buffer, const void* bytes, size_t size);
/* Gives memory back where much of it is not used any more. Invalidates earlier pointers. */
void fw_buffer_consume(fw_buffer_t* buffer, size_t size);

static inline size_t fw_buffer_size(const fw_buffer_t* buffer) {
  return buffer->end - buffer->start;
}

static inline uint8_t* fw_buffer_bytes(const fw_buffer_t* buffer) {
  return buffer->data + buffer->start;
}

/* After a flood to a peer that did not read, what it lay in is full of holes, which glibc keeps: free() gives back only the
 * top of its heap. This gives them back, where the library can. */
void fw_heap_trim(void);

#endif
