/* Stock Node's wire, incoming: from received bytes and descriptors to messages. Recognises acknowledgements by
 * their bytes, so that they count also where no JavaScript runs; what else a message means is its owner's
 * business. Reads no socket. */
#ifndef FW_NODE_READER_H
#define FW_NODE_READER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "../forkwire.h"
#include "ancillary.h"
#include "buffer.h"
#include "node_frame.h"

/* Descriptors that came with the bytes from `start` to `end` of the stream: the first handle message that begins
 * there owns the first of them. */
typedef struct fw_node_fds_s {
  fw_fd_set_t set;
  uint64_t start;
  uint64_t end;
} fw_node_fds_t;

typedef struct fw_node_reader_callbacks_s {
  /* A message's `handle`, where it has one, only says with its `id` that descriptors came with it:
   * for fw_node_reader_claim(). */
  void (*on_message)(void* data, const fw_message_t* message);
  void (*on_acknowledged)(void* data, int is_ack);
} fw_node_reader_callbacks_t;

typedef struct fw_node_reader_s {
  fw_node_reader_callbacks_t callbacks;
  void* data;
  fw_node_format_t format;
  fw_bytes_t ack; /* payloads, borrowed */
  fw_bytes_t nack;
  uint64_t max_message_size;
  uint64_t max_undelivered; /* bytes that may wait for a listener */
  fw_buffer_t in;
  size_t scanned;
  uint64_t offset;      /* of the first byte of `in`, in the stream */
  fw_node_fds_t old;    /* those of the message that is in progress */
  fw_node_fds_t recent; /* those of the latest read */
  uint64_t undelivered; /* bytes of messages that were reported and not delivered */
  int dropping;
  fw_violation_t violation;
} fw_node_reader_t;

void fw_node_reader_init(fw_node_reader_t* reader, fw_node_format_t format,
                         const fw_node_reader_callbacks_t* callbacks, void* data);
void fw_node_reader_free(fw_node_reader_t* reader);

/* Where the next bytes should go: 1 entry, or 0 without memory. */
size_t fw_node_reader_prepare(fw_node_reader_t* reader, struct iovec iov[2]);
/* `size` bytes were put there, and `set` came with them: it is taken over, and empty afterwards. Reports whatever is
 * complete. 0, UV_EPROTO (reader->violation says why). After a set the owner reports the batch before it
 * reads on. */
int fw_node_reader_received(fw_node_reader_t* reader, size_t size, fw_fd_set_t* set);
/* The descriptor of the message with that handle id: it, or -1; FW_FD_BARRED when the kernel did not give it to this
 * process though another was free. *ret_is_cut: it was sent, and the kernel dropped it. */
int fw_node_reader_claim(fw_node_reader_t* reader, uint64_t id, int* ret_is_cut);
/* The messages reported so far were looked at: descriptors that no message can own any more are closed. */
void fw_node_reader_settle(fw_node_reader_t* reader);
/* Drops messages from now on, and descriptors as they come. */
void fw_node_reader_drop_messages(fw_node_reader_t* reader);
/* Messages of so many bytes reached a listener or were dropped. */
void fw_node_reader_deliver(fw_node_reader_t* reader, uint64_t cost);
/* Whether as much waits for a listener as may: the sender is then to wait as well. */
int fw_node_reader_is_full(const fw_node_reader_t* reader);

#endif
