/* Closes descriptors whose close() may wait as long as somebody else likes, a file of a FUSE mount for one: on threads of its
 * own, which nobody waits for. The one part of the core with state that all channels of the process share. */
#ifndef FW_CLOSER_H
#define FW_CLOSER_H

#define FW_CLOSER_MANY 64 /* that wait: somebody keeps them from being closed */

/* Adopts the descriptor. 0, or UV_ENOBUFS when too many wait: then it is the caller's still. */
int fw_closer_add(int fd);
/* Whether FW_CLOSER_MANY wait, or more. */
int fw_closer_is_stuck(void);

#endif
