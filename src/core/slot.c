#include "slot.h"

#include <stdatomic.h>
#include <string.h>

#include "fd_kind.h"

/* The state is a position in the stream with one of these in its lowest bits. */
typedef enum { CLOSED, OPEN, FILLED } state_t;

#define SIZE_AT 8

/* Both words are shared by two processes: a lock, which only one of them knows, would not do. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && sizeof(_Atomic uint64_t) == sizeof(uint64_t),
               "slots need atomic words of 64 bits without a lock");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && sizeof(_Atomic uint32_t) == sizeof(uint32_t),
               "slots need atomic words of 32 bits without a lock");

static uint64_t word(uint64_t position, state_t state) {
  return position << 2 | (uint64_t)state;
}

static _Atomic uint64_t* state_of(const fw_slot_t* slot) {
  return (_Atomic uint64_t*)(void*)slot->segment.memory;
}

int fw_slot_create(fw_slot_t* slot) {
  fw_segment_t* segment = &slot->segment;
  int status = fw_segment_create(FW_SLOT_SIZE, &segment->memory, &segment->fd);
  if (status < 0) segment->memory = NULL;
  segment->capacity = FW_SLOT_SIZE;
  return status;
}

void fw_slot_map(fw_slot_t* slot, int fd) {
  slot->segment.fd = -1;
  if (fd < 0 || fw_segment_map(fd, FW_SLOT_SIZE, &slot->segment.memory) < 0)
    slot->segment.memory = NULL;
}

void fw_slot_free(fw_slot_t* slot) {
  if (slot->segment.memory == NULL) return;
  fw_segment_unmap(slot->segment.memory, FW_SLOT_SIZE);
  fw_fd_close(&slot->segment.fd);
  slot->segment.memory = NULL;
}

void fw_slot_open(fw_slot_t* slot, uint64_t position) {
  if (slot->segment.memory == NULL || slot->is_open) return;
  slot->is_open = 1;
  slot->position = position;
  atomic_store_explicit(state_of(slot), word(position, OPEN), memory_order_release);
}

int fw_slot_is_filled(const fw_slot_t* slot) {
  if (!slot->is_open) return 0;
  return atomic_load_explicit(state_of(slot), memory_order_acquire) != word(slot->position, OPEN);
}

fw_slot_content_t fw_slot_close(fw_slot_t* slot) {
  if (!slot->is_open) return FW_SLOT_EMPTY;
  uint64_t seen = word(slot->position, OPEN);
  if (atomic_compare_exchange_strong(state_of(slot), &seen, word(slot->position, CLOSED))) {
    slot->is_open = 0;
    return FW_SLOT_EMPTY;
  }
  return seen == word(slot->position, FILLED) ? FW_SLOT_FULL : FW_SLOT_BROKEN;
}

static _Atomic uint32_t* size_of(const fw_slot_t* slot) {
  return (_Atomic uint32_t*)(void*)(slot->segment.memory + SIZE_AT);
}

/* The peer can write here at any time: its size is read once, and what is parsed is the copy. */
size_t fw_slot_take(fw_slot_t* slot, uint8_t* room) {
  uint32_t size = atomic_load_explicit(size_of(slot), memory_order_relaxed);
  slot->is_open = 0;
  if (size > FW_SLOT_ROOM) return 0;
  memcpy(room, slot->segment.memory + FW_SLOT_HEADER, size);
  return size;
}

/* A reader that closes it meanwhile does not look at the bytes. */
int fw_slot_fill(fw_slot_t* slot, uint64_t position, const uint8_t* bytes, size_t size) {
  uint64_t seen = word(position, OPEN);
  if (slot->segment.memory == NULL || size > FW_SLOT_ROOM) return 0;
  if (atomic_load_explicit(state_of(slot), memory_order_acquire) != seen) return 0;
  atomic_store_explicit(size_of(slot), (uint32_t)size, memory_order_relaxed);
  memcpy(slot->segment.memory + FW_SLOT_HEADER, bytes, size);
  return atomic_compare_exchange_strong(state_of(slot), &seen, word(position, FILLED));
}
