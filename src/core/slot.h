/* Memory beside the socket, for latency: 'low': while an end looks for an answer without sleeping, its peer can leave the next
 * bytes of the stream here, where they are seen at once and no system call is made. The reader owns a slot and opens it; the
 * writer fills an open one once. Both know the position in the stream, so no byte can pass another: a slot that is open
 * at a position which the writer is not at is as good as closed. */
#ifndef FW_SLOT_H
#define FW_SLOT_H

#include <stddef.h>
#include <stdint.h>

#include "segment_pool.h"

/* The memory: u64 state, u32 size, and from FW_SLOT_HEADER on the bytes. */
#define FW_SLOT_SIZE 8192
#define FW_SLOT_HEADER 64
#define FW_SLOT_ROOM (FW_SLOT_SIZE - FW_SLOT_HEADER)

typedef struct fw_slot_s {
  fw_segment_t
      segment; /* its memory, and its descriptor until that left; no memory: there is no slot */
  int is_open; /* the reader's: nobody looked into it since it was opened */
  uint64_t position; /* of the stream, when it was opened */
} fw_slot_t;

/* What a reader finds in an open slot. */
typedef enum { FW_SLOT_EMPTY, FW_SLOT_FULL, FW_SLOT_BROKEN } fw_slot_content_t;

/* The reader's: new memory, to be offered to the peer. 0 or an error as of fw_segment_create(). */
int fw_slot_create(fw_slot_t* slot);
/* The writer's: maps what came; borrows `fd`. What cannot be mapped is done without. */
void fw_slot_map(fw_slot_t* slot, int fd);
void fw_slot_free(fw_slot_t* slot);

/* The reader has read `position` bytes of the stream, and will look before it sleeps and before it reads the socket. */
void fw_slot_open(fw_slot_t* slot, uint64_t position);
/* Whether something came since, without closing. */
int fw_slot_is_filled(const fw_slot_t* slot);
/* Nothing can come from here on. FULL until it is taken. */
fw_slot_content_t fw_slot_close(fw_slot_t* slot);
/* Copies what a FULL slot holds to `room`, of at least FW_SLOT_ROOM bytes. Its size, 0 if the peer wrote nonsense. */
size_t fw_slot_take(fw_slot_t* slot, uint8_t* room);

/* The writer has written `position` bytes of the stream and has these to write. Whether the slot took them, all or none. */
int fw_slot_fill(fw_slot_t* slot, uint64_t position, const uint8_t* bytes, size_t size);

#endif
