#include "segment_pool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fd_kind.h"
#include "frame.h"

#define PAUSE 5         /* after a refusal or a failure */
#define MEMORY_SHARE 32 /* of the machine's memory one channel's pool takes at most 1 / this */
#define SIZE_MIN 65536
#define WASTE_MAX 4 /* a segment is not used for a message that takes less than 1 / this of it */

static uint64_t max_bytes(void) {
  long pages = sysconf(_SC_PHYS_PAGES);
  long page = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return FW_SEGMENT_BYTES_MAX;
  uint64_t share = (uint64_t)pages * (uint64_t)page / MEMORY_SHARE;
  return share < FW_SEGMENT_BYTES_MAX ? share : FW_SEGMENT_BYTES_MAX;
}

void fw_segment_pool_init(fw_segment_pool_t* pool) {
  memset(pool, 0, sizeof(*pool));
  pool->max_bytes = max_bytes();
  pool->next_id = 1;
}

static void free_segment(fw_segment_pool_t* pool, fw_segment_t* segment) {
  pool->bytes -= segment->capacity;
  fw_fd_close(&segment->fd);
  fw_segment_unmap(segment->memory, segment->capacity);
  free(segment);
}

void fw_segment_pool_free(fw_segment_pool_t* pool) {
  for (size_t i = 0; i < pool->count; i++) free_segment(pool, pool->segments[i]);
  pool->count = 0;
  pool->min_size = pool->wanted = pool->unseen = 0;
}

static void remove_at(fw_segment_pool_t* pool, size_t i) {
  free_segment(pool, pool->segments[i]);
  pool->count--;
  memmove(&pool->segments[i], &pool->segments[i + 1],
          (pool->count - i) * sizeof(pool->segments[0]));
}

/* Index of that segment, or -1. */
static int find(const fw_segment_pool_t* pool, uint64_t id) {
  for (size_t i = 0; i < pool->count; i++)
    if (pool->segments[i]->id == id) return (int)i;
  return -1;
}

/* -------------------------------------------------------------------- using */

/* The smallest that is large enough. */
static fw_segment_t* best_free(const fw_segment_pool_t* pool, size_t size) {
  fw_segment_t* best = NULL;
  for (size_t i = 0; i < pool->count; i++) {
    fw_segment_t* segment = pool->segments[i];
    if (segment->state != FW_SEGMENT_FREE || segment->capacity < size) continue;
    if (segment->capacity / WASTE_MAX > size) continue;
    if (best == NULL || segment->capacity < best->capacity) best = segment;
  }
  return best;
}

fw_segment_t* fw_segment_pool_take(fw_segment_pool_t* pool, size_t size) {
  if (pool->min_size == 0 || size < pool->min_size || size > pool->max_bytes) return NULL;
  fw_segment_t* segment = best_free(pool, size);
  if (segment == NULL) {
    if (size > pool->wanted) pool->wanted = size;
    return NULL;
  }
  segment->state = FW_SEGMENT_FILLED;
  segment->was_used = 1;
  segment->size = 0;
  segment->number = 0;
  return segment;
}

void fw_segment_pool_fill(fw_segment_pool_t* pool, fw_segment_t* segment, size_t size) {
  segment->size = size;
  pool->unseen += size;
}

static void forget_size(fw_segment_pool_t* pool, fw_segment_t* segment) {
  pool->unseen -= segment->size;
  segment->size = 0;
}

void fw_segment_pool_put_back(fw_segment_pool_t* pool, fw_segment_t* segment) {
  forget_size(pool, segment);
  segment->state = FW_SEGMENT_FREE;
}

void fw_segment_pool_sent(fw_segment_pool_t* pool, fw_segment_t* segment, uint64_t place) {
  segment->number = ++pool->n_sent;
  segment->place = place;
}

uint64_t fw_segment_pool_first_unseen(const fw_segment_pool_t* pool) {
  uint64_t first = UINT64_MAX;
  if (pool->n_seen == pool->n_sent) return first;
  for (size_t i = 0; i < pool->count; i++) {
    const fw_segment_t* segment = pool->segments[i];
    if (segment->size > 0 && segment->number != 0 && segment->place < first) first = segment->place;
  }
  return first;
}

static void see(fw_segment_pool_t* pool, uint64_t number) {
  pool->n_seen = number;
  for (size_t i = 0; i < pool->count; i++) {
    fw_segment_t* segment = pool->segments[i];
    if (segment->number != 0 && segment->number <= number) forget_size(pool, segment);
  }
}

void fw_segment_pool_forget_unseen(fw_segment_pool_t* pool) {
  see(pool, pool->n_sent);
}

const char* fw_segment_pool_on_seen(fw_segment_pool_t* pool, uint64_t number) {
  if (number <= pool->n_seen || number > pool->n_sent) return "segment";
  see(pool, number);
  return NULL;
}

/* ----------------------------------------------------------- offer and drop */

/* Sizes are in steps of a quarter of a power of two, so that messages of about one size share segments. */
static size_t capacity_for(size_t size) {
  size_t step = SIZE_MIN;
  while (step * 4 < size) step *= 2;
  return (size + step - 1) / step * step;
}

static int is_offering(const fw_segment_pool_t* pool) {
  for (size_t i = 0; i < pool->count; i++)
    if (pool->segments[i]->state <= FW_SEGMENT_OFFERED) return 1;
  return 0;
}

static int fits(const fw_segment_pool_t* pool, size_t capacity) {
  return pool->count < FW_SEGMENTS_MAX && pool->bytes + capacity <= pool->max_bytes;
}

/* Free ones that are too small make room. They count until the peer was told. */
static void drop_smaller(fw_segment_pool_t* pool, size_t size) {
  for (size_t i = 0; i < pool->count; i++) {
    fw_segment_t* segment = pool->segments[i];
    if (segment->state == FW_SEGMENT_FREE && segment->capacity < size)
      segment->state = FW_SEGMENT_DROPPED;
  }
}

static fw_segment_t* make(fw_segment_pool_t* pool, size_t capacity) {
  fw_segment_t* segment = calloc(1, sizeof(*segment));
  if (segment == NULL) return NULL;
  if (fw_segment_create(capacity, &segment->memory, &segment->fd) < 0) {
    free(segment);
    return NULL;
  }
  segment->capacity = capacity;
  segment->id = pool->next_id++;
  segment->was_used = 1;
  pool->segments[pool->count++] = segment;
  pool->bytes += capacity;
  return segment;
}

fw_segment_t* fw_segment_pool_make(fw_segment_pool_t* pool) {
  size_t size = pool->wanted;
  if (size == 0 || pool->pause > 0 || is_offering(pool)) return NULL;
  pool->wanted = 0;
  if (best_free(pool, size) != NULL) return NULL; /* released meanwhile */
  size_t capacity = capacity_for(size);
  if (capacity > pool->max_bytes) capacity = size;
  if (!fits(pool, capacity)) {
    drop_smaller(pool, size); /* the next message that finds none will find room */
    return NULL;
  }
  fw_segment_t* segment = make(pool, capacity);
  if (segment == NULL) pool->pause = PAUSE;
  return segment;
}

void fw_segment_pool_offered(fw_segment_t* segment) {
  segment->state = FW_SEGMENT_OFFERED;
  fw_fd_close(&segment->fd);
}

uint64_t fw_segment_pool_drop(fw_segment_pool_t* pool) {
  for (size_t i = 0; i < pool->count; i++) {
    if (pool->segments[i]->state != FW_SEGMENT_DROPPED) continue;
    uint64_t id = pool->segments[i]->id;
    remove_at(pool, i);
    return id;
  }
  return 0;
}

const char* fw_segment_pool_on_mapped(fw_segment_pool_t* pool, uint64_t id, int refused) {
  int i = find(pool, id);
  if (i < 0 || pool->segments[i]->state != FW_SEGMENT_OFFERED) return "segment";
  if (refused) {
    remove_at(pool, (size_t)i);
    pool->pause = PAUSE;
  } else {
    pool->segments[i]->state = FW_SEGMENT_FREE;
  }
  return NULL;
}

const char* fw_segment_pool_on_released(fw_segment_pool_t* pool, const uint8_t* ids, size_t n_ids) {
  for (size_t i = 0; i < n_ids; i++) {
    int at = find(pool, fw_get_u64(ids + i * 8));
    if (at < 0) return "segment";
    fw_segment_t* segment = pool->segments[at];
    if (segment->state != FW_SEGMENT_FILLED || segment->number == 0) return "segment";
    fw_segment_pool_put_back(pool, segment);
  }
  return NULL;
}

/* -------------------------------------------------------------------- aging */

void fw_segment_pool_age(fw_segment_pool_t* pool) {
  if (pool->pause > 0) pool->pause--;
  pool->wanted = 0;
  for (size_t i = 0; i < pool->count; i++) {
    fw_segment_t* segment = pool->segments[i];
    if (segment->state == FW_SEGMENT_FREE && !segment->was_used)
      segment->state = FW_SEGMENT_DROPPED;
    segment->was_used = 0;
  }
}

int fw_segment_pool_is_aging(const fw_segment_pool_t* pool) {
  return pool->count > 0 || pool->pause > 0;
}
