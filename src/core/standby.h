/* A thread that writes for a loop that is blocked. Small messages wait for others for a moment; should the loop not come to write them,
 * because JavaScript is busy or waits without turning it, this thread does. It is given bytes and a socket, and knows nothing
 * else. */
#ifndef FW_STANDBY_H
#define FW_STANDBY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fw_standby_s fw_standby_t;

/* Bytes that the thread may write, at the front of a stream. Memory and socket stay the owner's, who may not touch either until
 * it has taken them back, but for what is behind the bytes. */
typedef struct fw_offer_s {
  struct fw_offer_s* next;
  struct fw_offer_s* previous;
  int is_listed;
  int fd;
  const uint8_t* bytes;
  _Atomic size_t written;
  _Atomic uint64_t word; /* size * 4, and whose the bytes are */
} fw_offer_t;

/* NULL without memory. */
fw_standby_t* fw_standby_new(void);
/* No offer is open any more. */
void fw_standby_free(fw_standby_t* standby);

/* 0, or UV_EAGAIN when no thread can be had. */
int fw_standby_offer(fw_standby_t* standby, fw_offer_t* offer, int fd, const uint8_t* bytes,
                     size_t size);
/* There are `size` bytes now. */
void fw_standby_grow(fw_standby_t* standby, fw_offer_t* offer, size_t size);
/* The size of what is offered; 0: nothing is. */
size_t fw_offer_size(const fw_offer_t* offer);
/* How many of them were written. */
size_t fw_standby_take_back(fw_offer_t* offer);
/* The socket is about to be closed. Nothing is offered. */
void fw_standby_forget(fw_standby_t* standby, fw_offer_t* offer);

#endif
