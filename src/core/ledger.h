/* Who owns a descriptor: the handles this end sent and did not settle, and those that arrived and
 * were not answered. Knows states and ids, not bytes and not the event loop.
 *
 * Sent:     QUEUED -> SENT -> LANDED -> TAKEN | RETURNED   (RETURNED and TAKEN leave the ledger)
 * Received: MISSING -> LANDED -> ADOPTED -> TAKEN | REFUSED (the last two leave the ledger) */
#ifndef FW_LEDGER_H
#define FW_LEDGER_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"

typedef enum {
  FW_STATE_QUEUED,
  FW_STATE_SENT,
  FW_STATE_LANDED,
  FW_STATE_TAKEN,
  FW_STATE_RETURNED,
  FW_STATE_MISSING,
  FW_STATE_ADOPTED,
  FW_STATE_REFUSED
} fw_handle_state_t;

/* For the wire log. */
const char* fw_state_name(fw_handle_state_t state);

/* A handle that this end sends. */
typedef struct fw_sent_s {
  struct fw_sent_s* next; /* while QUEUED */
  struct fw_sent_s* previous;
  uint64_t id; /* 0 until its frame is laid out for the wire */
  uint64_t token;
  fw_block_t block;
  int fd;
  fw_lane_t lane;
  fw_handle_state_t state;
  uint8_t owned;  /* fd is our duplicate */
  uint8_t moved;  /* nobody uses the handle here any more */
  uint8_t resend; /* the peer asked for the descriptor again: 1 asked, 2 laid out for the wire */
} fw_sent_t;

typedef struct fw_received_s {
  uint64_t id;
  uint64_t inode;
  int fd;
  fw_lane_t lane;
  uint8_t kind;
  uint8_t type;
  uint8_t asked;    /* a RESEND of it is not answered */
  uint8_t n_barred; /* times that it did not come though a descriptor was free */
  fw_handle_state_t state;
} fw_received_t;

/* The unsent writes of a handle that was sent WRITES_PENDING. */
typedef struct fw_writes_s {
  uint64_t token;
  uint64_t id; /* 0 until its frame is laid out */
  uint8_t done;
  uint8_t failed;
} fw_writes_t;

/* Told of every settled handle; `sent` is freed when it returns. */
typedef void (*fw_settled_cb)(void* data, const fw_sent_t* sent, fw_outcome_t outcome,
                              uint32_t reason);

typedef struct fw_ledger_s {
  fw_settled_cb on_settled;
  void* data;
  size_t credit[FW_N_LANES]; /* handles that a sender may have unanswered */
  int owns_all;              /* of what is sent there is a duplicate, also of what is moved */
  uint32_t refused_types;    /* 1 << fw_handle_type_t: those that arrive are refused */

  fw_sent_t* queued_head; /* in the order of send() */
  fw_sent_t* queued_tail;
  fw_sent_t* open[FW_HANDLES_MAX]; /* SENT or LANDED, ascending ids */
  size_t n_open;
  size_t n_open_in[FW_N_LANES]; /* laid out for the wire or on it: they use handle credit */
  uint64_t next_id;             /* for the next one laid out */
  uint64_t sent_id;             /* the last whose descriptor left */
  uint64_t landed_id;           /* as the peer said */
  size_t n_resend;              /* asked for and not laid out */
  fw_writes_t* writes_out;
  size_t n_writes_out;
  size_t n_writes_out_done;
  size_t n_writes_sent; /* laid out and not reported */
  size_t writes_out_capacity;

  fw_received_t received[FW_HANDLES_MAX]; /* ascending ids */
  size_t n_received;
  size_t n_received_in[FW_N_LANES];
  size_t n_missing;
  size_t n_adopted;
  uint64_t received_id;     /* the last that arrived */
  uint64_t landed_reported; /* what our last LANDED said */
  uint64_t landed_stop;     /* the first that was discarded while the peer was asked for it, or 0 */
  fw_range_t taken[FW_HANDLES_MAX]; /* taken and not reported, ascending */
  size_t n_taken;
  struct {
    uint64_t id;
    uint32_t reason;
  } refused[FW_HANDLES_MAX]; /* not reported */
  size_t n_refused;
  uint64_t resend_ids[FW_HANDLES_MAX]; /* to ask for */
  size_t n_resend_ids;

  uint64_t* writes_in; /* ids that arrived WRITES_PENDING and were not done, ascending */
  size_t n_writes_in;
  size_t writes_in_capacity;
} fw_ledger_t;

void fw_ledger_init(fw_ledger_t* ledger, fw_settled_cb on_settled, void* data);
/* Returns what is sent and closes what arrived. */
void fw_ledger_free(fw_ledger_t* ledger);

/* --- sending --- */

/* A new QUEUED handle; identifies and, if asked, duplicates the descriptor. 0, UV_EBADF,
 * UV_ENOTSUP (not a socket of a kind that travels), UV_EMFILE, UV_ENOMEM. */
int fw_ledger_queue(fw_ledger_t* ledger, fw_lane_t lane, const fw_handle_out_t* handle,
                    fw_sent_t** ret_sent);
/* Whether the handle credit of its lane allows this one on the wire. */
int fw_ledger_has_credit(const fw_ledger_t* ledger, const fw_sent_t* sent);
/* Gives it its id: its frame is being laid out. */
void fw_ledger_assign(fw_ledger_t* ledger, fw_sent_t* sent);
/* Its descriptor left. */
void fw_ledger_sent(fw_ledger_t* ledger, fw_sent_t* sent);
/* Settles one that is QUEUED. */
void fw_ledger_drop_queued(fw_ledger_t* ledger, fw_sent_t* sent, fw_outcome_t outcome);
/* The next one whose descriptor is to be sent again, or NULL. */
fw_sent_t* fw_ledger_next_resend(fw_ledger_t* ledger);
/* It is laid out for the wire; it left; it did not leave and is to be laid out once more. */
void fw_ledger_resend_laid(fw_ledger_t* ledger, fw_sent_t* sent);
void fw_ledger_resent(fw_sent_t* sent);
void fw_ledger_ask_resend(fw_ledger_t* ledger, fw_sent_t* sent);
/* Whether every handle that was sent is settled. */
int fw_ledger_is_settled(const fw_ledger_t* ledger);
/* Whether every descriptor that left has landed, so that none has to be sent again. */
int fw_ledger_all_landed(const fw_ledger_t* ledger);
/* The peer will not take any more: all become RETURNED, oldest first. */
void fw_ledger_return_all(fw_ledger_t* ledger);
/* Only those that did not leave. */
void fw_ledger_return_queued(fw_ledger_t* ledger);

/* What the peer said. NULL or the broken rule; on a broken rule nothing changed. */
const char* fw_ledger_on_landed(fw_ledger_t* ledger, uint64_t id);
const char* fw_ledger_on_taken(fw_ledger_t* ledger, const uint8_t* ranges, size_t n_ranges);
const char* fw_ledger_on_refused(fw_ledger_t* ledger, uint64_t id, uint32_t reason);
const char* fw_ledger_on_resend(fw_ledger_t* ledger, const uint8_t* ids, size_t n_ids);

/* --- receiving --- */

/* A frame with a handle: NULL or the rule. Adopts *fd (-1 or FW_FD_BARRED: it is missing), also on
 * failure, and leaves -1. *ret_refused is set when it is not wanted, or not what was declared. */
const char* fw_ledger_receive(fw_ledger_t* ledger, fw_lane_t lane, uint64_t id,
                              const fw_block_t* block, int* fd, int* ret_refused);
/* HANDLE_FD: adopts *fd likewise. A descriptor that is cut off again stays missing, unless it was
 * barred each time: then it is refused, and what waits behind it goes on. */
const char* fw_ledger_fill(fw_ledger_t* ledger, uint64_t id, uint64_t inode, int* fd);
/* NULL when there is none. The pointer is valid until the ledger changes. */
fw_received_t* fw_ledger_find(fw_ledger_t* ledger, uint64_t id);
int fw_ledger_adopt(fw_ledger_t* ledger, uint64_t id);
int fw_ledger_take(fw_ledger_t* ledger, uint64_t id);
int fw_ledger_refuse(fw_ledger_t* ledger, uint64_t id, uint32_t reason);
/* Closes one without telling the peer: our END tells it. */
void fw_ledger_discard(fw_ledger_t* ledger, uint64_t id);
/* This end delivers nothing any more, and has not said END: closes one and tells the peer, since others may wait for it to make
 * room. One that was asked for stays until the peer has answered. */
void fw_ledger_drop(fw_ledger_t* ledger, uint64_t id);
/* The same with all that arrived and were not adopted. */
void fw_ledger_drop_all(fw_ledger_t* ledger);
/* All that arrived and were not adopted. */
void fw_ledger_discard_all(fw_ledger_t* ledger);
/* Every handle up to this arrived or was answered. */
uint64_t fw_ledger_landed_id(const fw_ledger_t* ledger);
/* Asks for the oldest missing ones, so that no more than `room` are asked for. How many it asked for now. */
size_t fw_ledger_ask_missing(fw_ledger_t* ledger, size_t room);

/* Whether the peer still keeps the one that landed here. */
int fw_ledger_can_give_up(fw_ledger_t* ledger, uint64_t id);
/* Closes the descriptor of such a one: it is missing from now on. */
void fw_ledger_give_up(fw_ledger_t* ledger, uint64_t id);

/* --- unsent writes --- */

/* The writes of a sent handle are through. Before its frame was laid out it just loses its flag. */
void fw_ledger_finish_writes(fw_ledger_t* ledger, uint64_t token, int failed);
/* Whether the writes of a handle that is QUEUED have failed. */
int fw_ledger_writes_failed(const fw_ledger_t* ledger, uint64_t token);
/* The next WRITES_DONE to report; removes it. 1, or 0 when there is none. */
int fw_ledger_next_writes_done(fw_ledger_t* ledger, fw_writes_t* ret_writes);

/* In place of a rule: it is not the peer's fault, there is no memory. */
extern const char fw_ledger_no_memory[];

/* A handle frame said WRITES_PENDING. NULL, the rule or fw_ledger_no_memory. */
const char* fw_ledger_writes_pending(fw_ledger_t* ledger, uint64_t id);
const char* fw_ledger_writes_done(fw_ledger_t* ledger, uint64_t id);

#endif
