/* The channel's inside, shared by the files that are named below, and by control.c (control frames), ends.c (the end of a channel) and
 * flush.c (that of the process). */
#ifndef FW_CHANNEL_STATE_H
#define FW_CHANNEL_STATE_H

#include "../forkwire.h"
#include "hub.h"
#include "keys.h"
#include "ledger.h"
#include "read_queue.h"
#include "slot.h"
#include "standby.h"
#include "write_queue.h"

/* Sockets closed of one server, to be told in COUNTS. */
typedef struct fw_count_s {
  uint64_t key;
  uint64_t closed;
} fw_count_t;

/* What the end of a channel waits for, with a time limit; see ends.c. */
typedef enum {
  FW_WAIT_NONE,
  FW_WAIT_FLUSH,   /* our END, and handles behind it */
  FW_WAIT_ANSWER,  /* all of the peer's part: our end was told, and nobody waits for it any more */
  FW_WAIT_HANDLES, /* the same while handles are open: not answered, or with unsent writes */
  FW_WAIT_MISSING, /* descriptors of what came before the peer's END */
  FW_WAIT_END      /* END of a peer that refuses handles, since it ends */
} fw_wait_t;

/* What spin.c knows of the traffic. */
typedef struct fw_spin_s {
  uint32_t n_received;  /* messages of this turn */
  uint64_t sent_before; /* user messages, before this turn */
  uint32_t pause;       /* turns that are left out after a spin in vain */
  uint32_t left_out;    /* of these, still to come */
} fw_spin_t;

struct fw_channel_s {
  uv_poll_t poll;
  uv_prepare_t prepare;
  uv_timer_t timer;
  uv_idle_t drain;      /* reads on, a slice each turn, when the peer is dead */
  uv_poll_t* peer_poll; /* of peer_fd, while the peer's process is watched */
  int peer_fd;
  int n_uv; /* of these, not closed */
  int poll_events;

  int fd;
  fw_callbacks_t callbacks;
  void* data;
  fw_options_t options;
  fw_channel_t* hub_next; /* while is_on_hub */
  int is_on_hub;

  fw_ledger_t ledger;
  fw_read_queue_t in; /* of the native wire */
  fw_write_queue_t out;
  struct fw_node_wire_s* node; /* on stock Node's wire, else NULL */

  fw_count_t* counts; /* not told yet */
  size_t n_counts;
  size_t counts_capacity;
  fw_keys_t keys; /* what the peer's COUNTS may be about */

  int has_events; /* something for on_batch */
  int in_batch;   /* on_batch is being called, and no loop turns within it */
  int n_calls; /* callbacks that are being called: while there are any, the channel's memory stays */
  int has_progress;  /* bytes left since the last on_progress */
  size_t n_received; /* messages and events of the last fw__channel_read() */
  size_t read_size;  /* bytes that the next read asks for at most */
  uint64_t bytes_read;
  uint64_t early_read;  /* uv_hrtime() of the last read while JavaScript was sending */
  uint64_t early_bytes; /* that such reads brought in this turn */
  fw_spin_t spin;
  fw_slot_t slot; /* where the peer leaves its answer while this end spins */
  int owes_slot;  /* the peer is to be offered it */

  /* Writing. */
  fw_offer_t offer;          /* what waits for others */
  uint32_t n_sent_this_turn; /* messages */
  uint32_t n_stream_turns;   /* in a row, with a send soon behind the last write */
  int is_blocked;            /* the kernel takes no more: wait for UV_WRITABLE */
  int is_held_up;            /* what was to be written could not leave as a whole */
  int is_broken;             /* the peer reads no more; what it wrote is still read */
  int is_synchronous;        /* the process is ending: every send is flushed at once */
  uint64_t flush_stall_at;   /* uv_hrtime() in ms: the flush at exit gives this channel up, or 0 */
  uint64_t flush_total_at;
  size_t last_size; /* of the message that was to be sent last */
  int is_given_up;
  uint32_t write_retry_ms;
  uint64_t last_write;  /* uv_hrtime() */
  uint64_t gathered_at; /* when what was gathered began to wait, or 0 */
  uint64_t write_retry_at;

  /* Missing descriptors. */
  uint64_t room_probe_at;
  uint32_t room_probe_ms;

  uint64_t pool_age_at; /* segments that nobody used are given up, or 0 */

  /* Ends. */
  int is_referenced;
  int holds;
  int is_finishing; /* what waits for credit is all that is left to do: the peer is asked for it */
  uint64_t told_wanted; /* the last limit that it was asked for */
  uint64_t order_at;    /* an internal message stops waiting for those before it, or 0 */
  uint64_t order_sent;  /* bytes of these that had left when that was set */
  int end_wanted;       /* END is to leave when all before it is laid out */
  int is_own_end;       /* fw_channel_end() was called: nothing is delivered any more */
  int end_laid;
  int peer_ended;
  int is_dead; /* the peer is: what it wrote is read, and nothing that comes later */
  int is_eof;
  int is_ending_told;
  int end_reported;
  int peer_end_settled;
  int did_shutdown;
  int is_closing;
  int is_due;       /* the prepare handle is to write what was gathered */
  int is_scheduled; /* it is to look after events and ends, too */
  fw_wait_t waits;
  uint64_t deadline;  /* of that, or 0 */
  uint64_t drain_end; /* where what a dead peer wrote ends, in bytes_read */

  fw_hello_t peer;
  int has_sender; /* of the last read: see fw_fd_set_t */
  uint32_t sender;
  uint32_t peer_pid; /* who said HELLO, by the kernel's word where there is one; 0: not known */
  fw_violation_t violation;
  int is_violated;
};

/* control.c */
void fw__control_lay(void* data);
const char* fw__control_read(void* data, const fw_frame_t* frame, const uint8_t* payload);
void fw__control_lay_hello(fw_channel_t* channel);

/* What is asked for again and again, since nobody says when it is possible: less and less often. */
#define FW_RETRY_MIN_MS 10
#define FW_RETRY_MAX_MS 1000

/* How long to wait behind a wait of that length; 0 stands for none. */
static inline uint32_t fw__next_wait(uint32_t wait) {
  if (wait == 0) return FW_RETRY_MIN_MS;
  return wait * 2 > FW_RETRY_MAX_MS ? FW_RETRY_MAX_MS : wait * 2;
}

/* What a wake-up reads before others get their turn: bytes, and messages and events, which take longest in JavaScript. */
#define FW_READ_BUDGET ((size_t)256 << 10)
#define FW_MESSAGE_BUDGET 256
#define FW_READ_MIN ((size_t)4 << 10) /* of one read */
#define FW_READ_MAX ((size_t)64 << 10)
#define FW_NO_LIMIT SIZE_MAX

/* reading.c */
/* Something for on_batch came. */
static inline void fw__channel_note_event(fw_channel_t* channel) {
  channel->has_events = 1;
  channel->n_received++;
}
/* Reads what is there until `budget` bytes or `n_messages` came, and what one read brings beyond; without reporting
 * the batch. With FW_NO_LIMIT also behind descriptors. Whether the stream ended. */
int fw__channel_read(fw_channel_t* channel, size_t budget, size_t n_messages);
/* JavaScript is sending, and handles wait for others to land: reads what says so. Messages wait for the end of the turn. */
void fw__channel_read_acknowledgements(fw_channel_t* channel);
/* The channel ends: takes out of its socket what lies there unread. With the socket the kernel would close the descriptors among
 * it, and wait as long as their sender wants it to. */
void fw__channel_empty_socket(fw_channel_t* channel);
/* A message came, on either wire. */
void fw__channel_on_message(void* data, const fw_message_t* message);
/* For fw_read_queue_give_up_missing(). */
void fw__channel_on_lost(void* data, uint64_t id);

/* gather.c */
/* What the standby thread wrote is accounted for; it writes no more. To be called before anything else touches what is to be
 * written, or the socket's writing side. */
void fw__channel_take_back(fw_channel_t* channel);
/* Something was sent: writes it, or has it wait for others. */
void fw__channel_gather(fw_channel_t* channel);
/* The turn is over: whether what waits is to wait for the next one, which follows at once. */
int fw__channel_is_between_turns(const fw_channel_t* channel);

/* missing.c */
/* Sets the time for the next look, if descriptors are missing. */
void fw__channel_watch_missing(fw_channel_t* channel);
/* Asks for as many as there is room for. */
void fw__channel_probe_room(fw_channel_t* channel);

/* channel.c */
/* Delivers what was read, and does what is due afterwards. */
void fw__channel_after_read(fw_channel_t* channel);
/* Writes as far as the kernel takes it. */
void fw__channel_write(fw_channel_t* channel);
uint64_t fw__channel_now_ms(const fw_channel_t* channel);
/* Bring the loop's view in line with the channel's state: all of it, or the time of what is due next. */
void fw__channel_update_poll(fw_channel_t* channel);
void fw__channel_update_timer(fw_channel_t* channel);
/* Something is to be done before the loop sleeps: write what was gathered and, if `must_run`, report and go on ending. */
void fw__channel_schedule(fw_channel_t* channel, int must_run);
/* Has the prepare handle look at the channel before the loop sleeps. */
void fw__channel_arm(fw_channel_t* channel);
/* Has fw__channel_drain() called in the next turn of the loop, which does not end before that. */
void fw__channel_drain_later(fw_channel_t* channel);
/* Calls on_batch if there is something for it. */
void fw__channel_report_batch(fw_channel_t* channel);
/* Longer than this end may send; the peer accepts as much: see HELLO. */
int fw__channel_is_too_large(const fw_channel_t* channel, size_t size);
void fw__channel_do_close(fw_channel_t* channel);
/* Closes the last of the loop's handles of a channel that is closing, if no callback is being called. */
void fw__channel_close_last(fw_channel_t* channel);

/* ends.c */
/* The peer takes nothing any more: JavaScript hears so, before it hears of what comes back. */
void fw__channel_tell_ending(fw_channel_t* channel);
/* Nothing is handed to a listener any more, and END has not left. */
int fw__channel_delivers_no_more(const fw_channel_t* channel);
/* Whether END may leave now. */
int fw__channel_may_end(const fw_channel_t* channel);
/* Goes on with an end as far as it can; called after everything that may matter to it. */
void fw__channel_advance(fw_channel_t* channel);
/* Progress was made of that kind: its time limit begins anew. */
void fw__channel_note_progress(fw_channel_t* channel, fw_wait_t kind);
/* Reads a slice of what a dead peer left, and sees to the next one. */
void fw__channel_drain(fw_channel_t* channel);
/* Gives up what an end waits for, if its time is over: behind a last look at what has come. */
void fw__channel_give_up_late(fw_channel_t* channel);
/* Nobody will take anything from us any more: what was not written is dropped, handles are returned. */
void fw__channel_return_everything(fw_channel_t* channel);

/* spin.c */
/* Before a turn of reading. */
void fw__channel_spin_begin(fw_channel_t* channel);
/* Behind a turn of reading: waits for answers without sleeping, where that is worth it. */
void fw__channel_spin(fw_channel_t* channel);

/* What the peer left in the slot is read and delivered; the slot is closed. */
void fw__channel_close_slot(fw_channel_t* channel);

/* nesting.c */
/* Around each callback that may run JavaScript, where a listener may have the loop turn, and the channel close. */
void fw__channel_begin_call(fw_channel_t* channel);
void fw__channel_end_call(fw_channel_t* channel);
/* The loop turns, perhaps within a callback: what happens now does not wait until that returns. */
void fw__channel_begin_turn(fw_channel_t* channel);
/* Before the loop sleeps, while deliveries are held: it turns within one of them. */
void fw__channel_turn_within(fw_channel_t* channel);
/* The loop does not sleep in this turn. */
void fw__channel_stay_awake(fw_channel_t* channel);

/* descendant.c */
/* A descriptor that becomes readable when that process dies; UV_ESRCH when it is no descendant of
 * this one, UV_ENOTSUP where the system cannot tell. */
int fw__descendant_open(uint32_t pid);

/* trace.c */
void fw__trace_read(void* channel, const fw_frame_t* frame);
void fw__trace_write(void* channel, const fw_frame_t* frame);
/* A message of stock Node's wire, `size` bytes without what frames it. */
void fw__trace_message(fw_channel_t* channel, int is_read, const char* kind, size_t size,
                       int has_handle);

#endif
