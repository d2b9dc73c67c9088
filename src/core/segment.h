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

/* Maps what a peer sent; borrows `fd`. UV_EINVAL when it is no memfd of exactly that size, when the
 * peer could still make it shorter (reading would then be a SIGBUS), or when the peer has not
 * allocated all of it: its reader would pay for the holes. */
int fw_segment_map(int fd, uint64_t size, uint8_t** ret_memory);

void fw_segment_unmap(uint8_t* memory, size_t size);

/* Takes the pages of a range now: in one go that costs a fraction of what a fault for each costs.
 * Does nothing for ranges that are small, or where the system cannot. A negative errno means that
 * there is no memory for some page: using it would end the process. */
int fw_memory_populate(uint8_t* memory, size_t size);

#endif
