/* The kernel that ledger_fuzz.c runs on: descriptors of two processes, and the two streams between them. It stops
 * the program when the core closes or uses what it does not own. */
#ifndef WORLD_H
#define WORLD_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "../../src/forkwire.h"

/* Everything is gone; both ends are connected again. */
void world_begin(void);
/* Prints why, and aborts. */
void world_fail(const char* why);
/* What is printed with it: how to run the same again. */
extern void (*world_explain)(void);

/* Whose code runs: 0 or 1. */
extern int world_end;

/* --- descriptors (fake_fd_kind.c) --- */

/* A new socket, and its descriptor in this end, the application's. */
int world_open(fw_fd_kind_t kind, int listening);
/* The socket behind a descriptor. */
uint32_t world_socket(int fd);
/* The core gave this one away: it is the application's. */
void world_adopt(int fd);
/* A descriptor of this end's socket for the channel, the core's; its end disconnects when it is closed. */
int world_open_channel(void);
/* The application closes its own. */
void world_close(int fd);
void world_reset_socket(int fd);
/* Nobody is let have this socket from a message, as a security module does it. */
void world_bar_socket(int fd);
int world_is_barred(uint32_t socket);
/* A descriptor that recvmsg makes: the core's. */
int world_install(uint32_t socket);
/* Every descriptor of that end is closed, as when its process dies. */
void world_kill(int end);
size_t world_n_open(int end);

void world__fds_begin(void);

/* --- streams (fake_transport.c); each end uses its own, by any descriptor --- */

extern size_t world_write_room;   /* bytes that are taken until EAGAIN */
extern int world_is_short;        /* descriptors are refused with ETOOMANYREFS */
extern size_t world_segment_size; /* bytes at most that a read gives together with descriptors */
extern size_t world_read_size;    /* bytes that the next read gives at most */
extern size_t world_fd_room;      /* descriptors that can be opened by reads */

void world_shutdown(int end);
void world_disconnect(int end);
/* Bytes that wait to be read by this end. */
size_t world_unread(int end);

void world__streams_begin(void);

/* --- loops (fake_loop.c), one for each end --- */

extern uint64_t world_now; /* ms */
extern int
    world_reports_errors; /* a peer that is gone with unread bytes shows as an error, as with epoll */
/* Runs where the core would wait, at most that many ms; the time is the caller's to move on. */
extern void (*world_wait)(int timeout);

struct uv_loop_s* world_loop(int end);
/* Timers, prepare handles, the socket, closed handles: each once. */
void world_run_loop(int end);
/* Ms until a timer of that end is due, or -1. */
int64_t world_next_timer(int end);
int world_is_readable(int end);
/* Sets of descriptors that this end has read; whether there are more. */
size_t world_n_sets_read(int end);
int world_has_fds(int end);
/* Whether nobody reads any more what this end writes. */
int world_is_gone(int end);

void world__loops_begin(void);

#endif
