/* What a descriptor is, and the few things done to descriptors everywhere: close, duplicate,
 * flags. Knows nothing of frames or of who owns what. */
#ifndef FW_FD_KIND_H
#define FW_FD_KIND_H

#include <stddef.h>
#include <stdint.h>

#include "../forkwire.h"

/* In place of a descriptor: the system does not let this process have it, however many are free. */
#define FW_FD_BARRED (-2)
#define FW_BARRED_MAX 3 /* times that it is asked for */

typedef struct fw_fd_info_s {
  uint64_t inode;
  fw_fd_kind_t kind;
  int listening;
} fw_fd_info_t;

/* 0 or a negative errno; a descriptor that is no TCP, unix stream or UDP socket is FW_FD_OTHER, and one that is no socket at
 * all has no inode here: its file system is not asked. */
int fw_fd_identify(int fd, fw_fd_info_t* ret_info);
/* Closes and leaves -1 behind; -1 is fine. */
void fw_fd_close(int* fd);
/* close() of a socket does not wait for what it has to send. */
void fw_fd_linger_off(int fd);
/* Whether one that a peer chose can be closed without waiting: not when it may take long and so many are being closed. */
int fw_fd_can_be_closed(int fd);
int fw_fd_set_cloexec(int fd);
int fw_fd_set_nonblock(int fd);
/* How many of `wanted` more descriptors this process could open now, found by opening them. */
size_t fw_fd_room(int fd, size_t wanted);
/* Whether the connection was reset or otherwise failed. 1 or 0. */
int fw_fd_is_reset(int fd);

#endif
