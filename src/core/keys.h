/* Servers whose sockets are counted at the peer, by key, and how many of these the peer says it closed: told together, so
 * that what a peer says costs no more than what there is to say. */
#ifndef FW_KEYS_H
#define FW_KEYS_H

#include <stddef.h>
#include <stdint.h>

typedef struct fw_key_s {
  uint64_t key;
  uint64_t closed; /* not told yet */
} fw_key_t;

typedef struct fw_keys_s {
  fw_key_t* entries; /* ascending */
  size_t count;
  size_t capacity;
  int has_closed;
} fw_keys_t;

void fw_keys_free(fw_keys_t* keys);
/* Twice is as once. 0 or UV_ENOMEM. */
int fw_keys_add(fw_keys_t* keys, uint64_t key);
void fw_keys_remove(fw_keys_t* keys, uint64_t key);
/* The peer closed `count` more. Whether that key counts something. */
int fw_keys_closed(fw_keys_t* keys, uint64_t key, uint64_t count);
/* Calls `tell` for each key of which something is to be told. It changes no keys. */
void fw_keys_tell(fw_keys_t* keys, void (*tell)(void* data, uint64_t key, uint64_t count),
                  void* data);

#endif
