#include "segment_map.h"

#include <stdlib.h>
#include <string.h>

void fw_segment_map_init(fw_segment_map_t* map, void (*on_released)(void* data), void* data) {
  memset(map, 0, sizeof(*map));
  map->max_bytes = FW_SEGMENT_BYTES_MAX;
  map->on_released = on_released;
  map->data = data;
}

static void free_mapped(fw_mapped_t* mapped) {
  fw_segment_unmap(mapped->memory, mapped->size);
  free(mapped);
}

void fw_segment_map_free(fw_segment_map_t* map) {
  for (size_t i = 0; i < map->count; i++) {
    map->entries[i]->map = NULL;
    if (!map->entries[i]->is_kept) free_mapped(map->entries[i]);
  }
  map->count = map->n_released = 0;
}

/* ------------------------------------------------------------ offer and drop */

static int is_within_limits(const fw_segment_map_t* map, uint64_t size) {
  if (map->count == FW_SEGMENTS_MAX || size == 0) return 0;
  return size <= FW_SEGMENT_BYTES_MAX && map->bytes + size <= FW_SEGMENT_BYTES_MAX;
}

static void release(fw_body_t* body);

/* Whether it could be mapped. */
static int add(fw_segment_map_t* map, uint64_t id, uint64_t size, int fd) {
  uint8_t* memory;
  if (fd < 0 || map->bytes + size > map->max_bytes) return 0;
  fw_mapped_t* mapped = calloc(1, sizeof(*mapped));
  if (mapped == NULL) return 0;
  if (fw_segment_map(fd, size, &memory) < 0) {
    free(mapped);
    return 0;
  }
  *mapped = (fw_mapped_t){
      .body = {release}, .map = map, .id = id, .memory = memory, .size = (size_t)size};
  map->entries[map->count++] = mapped;
  map->bytes += size;
  return 1;
}

const char* fw_segment_map_add(fw_segment_map_t* map, uint64_t id, uint64_t size, int fd) {
  if (id != map->last_id + 1 || map->answer_id != 0) return "segment";
  if (!is_within_limits(map, size)) return "segment";
  map->last_id = map->answer_id = id;
  map->answer_refused = !add(map, id, size, fd);
  return NULL;
}

static int find(const fw_segment_map_t* map, uint64_t id) {
  for (size_t i = 0; i < map->count; i++)
    if (map->entries[i]->id == id) return (int)i;
  return -1;
}

const char* fw_segment_map_remove(fw_segment_map_t* map, uint64_t id) {
  int i = find(map, id);
  if (i < 0 || map->entries[i]->state != FW_MAPPED_FREE) return "segment";
  map->bytes -= map->entries[i]->size;
  free_mapped(map->entries[i]);
  map->count--;
  memmove(&map->entries[i], &map->entries[i + 1],
          (map->count - (size_t)i) * sizeof(map->entries[0]));
  return NULL;
}

/* ------------------------------------------------------------------ messages */

/* The peer has allocated the pages, so this takes no memory but that for the tables; unless the
 * peer has given some of them back meanwhile. What that can cost is bounded by what is mapped. */
static int populate(fw_mapped_t* mapped, size_t size) {
  if (size <= mapped->populated) return 0;
  int status = fw_memory_populate(mapped->memory + mapped->populated, size - mapped->populated);
  if (status == 0) mapped->populated = size;
  return status;
}

const char* fw_segment_map_hold(fw_segment_map_t* map, uint64_t id, uint64_t size,
                                fw_mapped_t** ret_mapped) {
  int i = find(map, id);
  if (i < 0 || map->entries[i]->state != FW_MAPPED_FREE) return "segment";
  fw_mapped_t* mapped = map->entries[i];
  if (size == 0 || size > mapped->size) return "segment";
  if (populate(mapped, (size_t)size) < 0) return "segment";
  mapped->state = FW_MAPPED_HELD;
  mapped->number = 0;
  map->n_seen++;
  *ret_mapped = mapped;
  return NULL;
}

static void set_released(fw_mapped_t* mapped) {
  mapped->state = FW_MAPPED_RELEASED;
  mapped->map->n_released++;
}

fw_body_t* fw_mapped_keep(fw_mapped_t* mapped) {
  mapped->is_kept = 1;
  return &mapped->body;
}

/* Nobody keeps the bytes any more. */
static void release(fw_body_t* body) {
  fw_mapped_t* mapped = (fw_mapped_t*)body;
  mapped->is_kept = 0;
  if (mapped->map == NULL) {
    free_mapped(mapped);
  } else if (mapped->state == FW_MAPPED_KEPT) {
    set_released(mapped);
    mapped->map->on_released(mapped->map->data);
  }
}

static void end_hold(fw_mapped_t* mapped) {
  if (mapped->is_kept) mapped->state = FW_MAPPED_KEPT;
  else set_released(mapped);
}

void fw_mapped_drop(fw_mapped_t* mapped) {
  if (mapped->state == FW_MAPPED_HELD) end_hold(mapped);
}

void fw_segment_map_delivered(fw_segment_map_t* map, uint64_t n_delivered) {
  for (size_t i = 0; i < map->count; i++) {
    fw_mapped_t* mapped = map->entries[i];
    int is_reported = mapped->state == FW_MAPPED_HELD && mapped->number != 0;
    if (is_reported && mapped->number <= n_delivered) end_hold(mapped);
  }
}

size_t fw_segment_map_take_released(fw_segment_map_t* map, uint64_t ret_ids[FW_SEGMENTS_MAX]) {
  size_t count = 0;
  for (size_t i = 0; i < map->count; i++) {
    if (map->entries[i]->state != FW_MAPPED_RELEASED) continue;
    map->entries[i]->state = FW_MAPPED_FREE;
    ret_ids[count++] = map->entries[i]->id;
  }
  map->n_released = 0;
  return count;
}
