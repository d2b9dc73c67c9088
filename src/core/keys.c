#include "keys.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

void fw_keys_free(fw_keys_t* keys) {
  free(keys->entries);
  memset(keys, 0, sizeof(*keys));
}

/* Index of the first entry whose key is not below this one. */
static size_t index_of(const fw_keys_t* keys, uint64_t key) {
  size_t low = 0;
  size_t high = keys->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (keys->entries[middle].key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

static int has_at(const fw_keys_t* keys, size_t i, uint64_t key) {
  return i < keys->count && keys->entries[i].key == key;
}

static int reserve(fw_keys_t* keys) {
  if (keys->count < keys->capacity) return 0;
  size_t capacity = keys->capacity == 0 ? 8 : keys->capacity * 2;
  fw_key_t* entries = realloc(keys->entries, capacity * sizeof(entries[0]));
  if (entries == NULL) return UV_ENOMEM;
  keys->entries = entries;
  keys->capacity = capacity;
  return 0;
}

int fw_keys_add(fw_keys_t* keys, uint64_t key) {
  size_t i = index_of(keys, key);
  if (has_at(keys, i, key)) return 0;
  if (reserve(keys) < 0) return UV_ENOMEM;
  fw_key_t* entry = keys->entries + i;
  memmove(entry + 1, entry, (keys->count - i) * sizeof(*entry));
  *entry = (fw_key_t){.key = key};
  keys->count++;
  return 0;
}

void fw_keys_remove(fw_keys_t* keys, uint64_t key) {
  size_t i = index_of(keys, key);
  if (!has_at(keys, i, key)) return;
  fw_key_t* entry = keys->entries + i;
  keys->count--;
  memmove(entry, entry + 1, (keys->count - i) * sizeof(*entry));
}

int fw_keys_closed(fw_keys_t* keys, uint64_t key, uint64_t count) {
  size_t i = index_of(keys, key);
  if (!has_at(keys, i, key)) return 0;
  fw_key_t* entry = keys->entries + i;
  entry->closed = count > UINT64_MAX - entry->closed ? UINT64_MAX : entry->closed + count;
  keys->has_closed = 1;
  return 1;
}

void fw_keys_tell(fw_keys_t* keys, void (*tell)(void* data, uint64_t key, uint64_t count),
                  void* data) {
  if (!keys->has_closed) return;
  keys->has_closed = 0;
  for (size_t i = 0; i < keys->count; i++) {
    fw_key_t entry = keys->entries[i];
    keys->entries[i].closed = 0;
    if (entry.closed > 0) tell(data, entry.key, entry.closed);
  }
}
