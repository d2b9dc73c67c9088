/* A piece of memory that two processes share: a sealed memfd. Makes, checks and maps; knows neither frames nor pools. */
#ifndef FW_SEGMENT_H
#define FW_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

/* Limits of the wire, per direction. V8 looks for dead Buffers when some 64 MiB of them have come up: of small ones that many
 * are in use until then. */
#define FW_SEGMENTS_MAX 256
#define FW_SEGMENT_BYTES_MAX ((uint64_t)512 << 20)

/* Whether this system has memory of that kind. */
int fw_segment_is_supported(void);

/* New memory of `size` bytes that is really there, mapped, and its descriptor, which nobody can make shorter or longer: both
 * are the caller's. 0, UV_ENOTSUP, UV_EMFILE, UV_ENOMEM and the like. */
int fw_segment_create(size_t size, uint8_t** ret_memory, int* ret_fd);

/* Maps what a peer sent; borrows `fd`. Its pages are taken as they are used. UV_EINVAL when it is no memfd of exactly that
 * size, or the peer could still make it shorter: reading would then be a SIGBUS. */
int fw_segment_map(int fd, uint64_t size, uint8_t** ret_memory);

void fw_segment_unmap(uint8_t* memory, size_t size);

/* Takes the pages of a range now: in one go that costs a fraction of what a fault for each costs. Best effort, and
 * nothing for ranges that are small. */
void fw_memory_populate(uint8_t* memory, size_t size);

#endif
