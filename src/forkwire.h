/* The C core's whole API: one channel, its messages, its handles. docs/protocol.md
 * describes the wire. Functions return 0 or a negative UV_E* code unless they say
 * otherwise. Everything runs on the thread of the channel's loop; there is no
 * static state but for the threads that close what may take long, so any number of
 * loops may have channels of their own.
 *
 * "Adopts" takes ownership of a descriptor on success only; "borrows" is valid
 * during the call only. */
#ifndef FORKWIRE_H
#define FORKWIRE_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FW_VERSION 1
#define FW_ENV_NAME "FORKWIRE_CHANNEL"
#define FW_MAX_MESSAGE_SIZE ((size_t)1 << 30)
#define FW_MIN_CREDIT ((size_t)512 << 10)
#define FW_MAX_CREDIT ((size_t)1 << 30)

typedef struct fw_channel_s fw_channel_t;
typedef struct fw_hub_s fw_hub_t;

/* Borrowed bytes. */
typedef struct fw_bytes_s {
  const uint8_t* data;
  size_t size;
} fw_bytes_t;

/* forkwire's own wire (docs/protocol.md), or that of stock Node in either serialization. */
typedef enum { FW_WIRE_NATIVE = 0, FW_WIRE_NODE_JSON = 1, FW_WIRE_NODE_ADVANCED = 2 } fw_wire_t;

typedef enum { FW_LANE_USER = 0, FW_LANE_INTERNAL = 1 } fw_lane_t;
#define FW_N_LANES 2

typedef enum {
  FW_ENCODING_JSON = 1,
  FW_ENCODING_LATIN1 = 2,
  FW_ENCODING_UTF8 = 3,
  FW_ENCODING_UTF16 = 4,
  FW_ENCODING_V8 = 5,
  FW_ENCODING_BYTES = 6,
  FW_ENCODING_VIEWS = 7,
  FW_ENCODING_STRINGS = 8 /* for a peer that takes it: fw_channel_takes_strings() */
} fw_encoding_t;

typedef enum { FW_FD_OTHER = 0, FW_FD_TCP = 1, FW_FD_UNIX = 2, FW_FD_UDP = 3 } fw_fd_kind_t;

typedef enum {
  FW_HANDLE_SOCKET = 1,
  FW_HANDLE_SERVER = 2,
  FW_HANDLE_NATIVE = 3,
  FW_HANDLE_DGRAM = 4,
  FW_HANDLE_DGRAM_NATIVE = 5,
  FW_HANDLE_BOUND = 6
} fw_handle_type_t;

#define FW_HANDLE_WRITES_PENDING 1
#define FW_HANDLE_ALLOW_HALF_OPEN 2
#define FW_HANDLE_COUNTED 4
#define FW_HANDLE_KEPT_OPEN 8

typedef enum {
  FW_REFUSED_MISMATCH = 1,
  FW_REFUSED_POLICY = 2,
  FW_REFUSED_NO_LISTENER = 3,
  FW_REFUSED_UNUSABLE = 4,
  FW_REFUSED_ENDING = 5,
  FW_REFUSED_BARRED = 6
} fw_refused_reason_t;

/* What became of a handle that was sent. */
typedef enum {
  FW_OUTCOME_TAKEN = 1,    /* a listener of the peer was entered with it */
  FW_OUTCOME_RETURNED = 2, /* nobody took it and nobody will: it is the sender's alone */
  FW_OUTCOME_CLOSED = 3    /* a moved socket was reset before it left; its message was dropped */
} fw_outcome_t;

/* A handle to send. The channel borrows `fd` until the outcome is reported, unless
 * `dup` or the option `owns_handles` is set: then it sends a duplicate of its own and the caller may close `fd` at once. */
typedef struct fw_handle_out_s {
  int fd;
  int dup;
  uint64_t token;          /* the caller's name for it in on_settled */
  uint64_t key;            /* with FW_HANDLE_COUNTED */
  uint8_t type;            /* fw_handle_type_t */
  uint8_t flags;           /* FW_HANDLE_* */
  const uint8_t* buffered; /* borrowed: bytes read from the socket before it was sent */
  uint32_t buffered_size;
} fw_handle_out_t;

/* A handle that arrived. Its descriptor stays the channel's until fw_channel_adopt(). */
typedef struct fw_handle_in_s {
  uint64_t id;
  uint64_t key;
  uint8_t kind; /* fw_fd_kind_t */
  uint8_t type;
  uint8_t flags;
  const uint8_t* buffered;
  uint32_t buffered_size;
} fw_handle_in_t;

/* The bytes of a message that somebody keeps. */
typedef struct fw_body_s fw_body_t;

/* A complete message; everything in it is borrowed. */
typedef struct fw_message_s {
  fw_lane_t lane;
  fw_encoding_t encoding;
  const uint8_t* data;
  size_t size;                  /* bytes */
  size_t cost;                  /* bytes of credit, for fw_channel_deliver() */
  const fw_handle_in_t* handle; /* NULL without one */
  int is_shared;                /* the peer can still write to `data`: copy before it is parsed */
  struct fw_inbound_s* source;  /* for fw_message_keep(); NULL: it cannot be kept */
} fw_message_t;

typedef enum {
  FW_END_OWN = 1,      /* fw_channel_end() is through: all settled, or the time limit passed */
  FW_END_PEER = 2,     /* the peer sent END */
  FW_END_DIED = 3,     /* the stream ended without END */
  FW_END_VIOLATION = 4 /* the peer broke the protocol: fw_channel_violation() says how */
} fw_end_t;

typedef struct fw_violation_s {
  const char* rule; /* a rule name of docs/protocol.md, static */
  uint8_t kind;     /* of the frame */
  uint64_t offset;  /* of the frame in the stream, bytes */
  uint64_t detail;  /* the offending value, where there is one */
} fw_violation_t;

/* All but on_closed and on_trace may call any function of the channel, fw_channel_close() included.
 * The order within one read: control events and messages as they came, then on_batch once. */
typedef struct fw_callbacks_s {
  void (*on_message)(void* data, const fw_message_t* message);
  void (*on_settled)(void* data, uint64_t token, fw_outcome_t outcome, uint32_t reason);
  /* The peer closed `count` more sockets of `key`, which fw_channel_expect_counts() named; just before on_batch. */
  void (*on_counts)(void* data, uint64_t key, uint64_t count);
  void (*on_writes_done)(void* data, uint64_t id, int failed);
  /* A message that arrived is dropped: its descriptor did not, and the sender is gone. */
  void (*on_lost)(void* data, uint64_t id);
  /* Node's wire: a handle did not reach the peer, for the `count`th time; it is sent again. */
  void (*on_nack)(void* data, uint64_t token, uint32_t count);
  /* The peer said HELLO: that process, as fw_channel_peer_pid() has it. */
  void (*on_hello)(void* data, uint32_t pid);
  /* The end has come, though not all of it is told: nothing is accepted any more. */
  void (*on_ending)(void* data);
  /* A read is through. */
  void (*on_batch)(void* data);
  /* Bytes left from the loop: fw_channel_queued() or _written() changed. */
  void (*on_progress)(void* data);
  /* The loop turns while deliveries are held (fw_channel_hold()), so one of them has it turn: what is to be delivered
   * cannot wait for it. Comes again while something is held. May be NULL. */
  void (*on_turn_within)(void* data);
  /* Once, when nothing more will be delivered and every handle is settled (FW_END_OWN after
   * its time limit: those that are not yet are settled later). */
  void (*on_end)(void* data, fw_end_t end);
  /* The last callback: the channel's memory goes after it. */
  void (*on_closed)(void* data);
  /* One frame, for the wire log; comes from the middle of things, so it may call nothing. May be NULL. */
  void (*on_trace)(void* data, const char* line);
} fw_callbacks_t;

/* Optional parts. */
#define FW_DISABLE_SEGMENTS 1   /* no shared memory, neither way */
#define FW_DISABLE_SNDBUF 2     /* SO_SNDBUF stays what the system gives */
#define FW_DISABLE_SLOTS 8      /* with low_latency: all goes over the socket */
#define FW_DISABLE_FINISHING 16 /* what waits for credit is not handed over at an end */
#define FW_DISABLE_GATHERING 32 /* every message is written at once */
#define FW_DISABLE_STRINGS 64   /* long strings stay in their JSON text */

/* Milliseconds and bytes; zeroes mean the defaults in parentheses. What is out of its range is taken
 * for the end of the range that is nearer. */
typedef struct fw_options_s {
  uint64_t max_message_size; /* either way (1 GiB, which is also the most) */
  uint64_t max_queue_bytes;  /* that wait to be written, when a user message comes (no limit) */
  /* What a sender of user messages may have unanswered, either way. Both ends must agree on them. */
  uint64_t credit_bytes;      /* (16 MiB); FW_MIN_CREDIT to FW_MAX_CREDIT */
  uint32_t credit_handles;    /* (512, which is also the most) */
  uint32_t refused_types;     /* 1 << fw_handle_type_t: handles that are refused (none) */
  uint32_t refused_encodings; /* 1 << fw_encoding_t: messages that break the channel (none) */
  uint32_t end_stall_ms;      /* each step of an end without progress (5000) */
  uint32_t exit_stall_ms;     /* fw_channels_flush() without progress; no default */
  uint32_t exit_total_ms;     /* fw_channels_flush() in all; no default */
  uint32_t disabled;          /* FW_DISABLE_*: what is done without (nothing) */
  /* The caller's handles may be closed before the channel is, as when a Worker is terminated, and their numbers be somebody
   * else's: duplicates are sent, also of what is moved (no). */
  int owns_handles;
  int low_latency; /* waits for answers without sleeping while there are questions and answers (no) */
  fw_hub_t*
      hub; /* of the channel's loop (none: a channel does not know when it is all that is left) */
  const char* trace_name; /* "parent" or "child" in the wire log; may be NULL */
  fw_wire_t wire;
  /* Node's wire: the payloads that acknowledge a handle, or say that it did not come. They stay valid
   * as long as the channel. */
  fw_bytes_t ack;
  fw_bytes_t nack;
} fw_options_t;

/* A connected pair of channel sockets, close-on-exec. Adopted by nobody yet. The first is this process's: on it the kernel
 * says who writes. */
int fw_socketpair(int fds[2]);

/* Whether `fd` is a socket with this inode. 1 or 0. */
int fw_fd_is_socket(int fd, uint64_t inode);
/* Whether nobody has the other end of that channel open any more. 1 or 0. */
int fw_fd_is_hung_up(int fd);
/* st_ino, or 0 when fd is not open. */
uint64_t fw_fd_inode(int fd);
/* A close-on-exec duplicate, or a negative errno. */
int fw_fd_dup(int fd);
/* Closes what a peer chose, and does not wait, whatever it is. Leaves -1 behind; -1 is fine. */
void fw_fd_close_foreign(int* fd);
/* Whether the kernel drops NODE_OPTIONS for this program: setuid, setgid or file capabilities. 1 or 0. */
int fw_program_is_privileged(const char* path);
/* The path by which the kernel was asked to start this process, relative ones included; "" where it
 * does not tell. */
const char* fw_program_started_as(void);

/* What all channels of one loop share; it is freed behind them. NULL without memory. */
fw_hub_t* fw_hub_new(void);
void fw_hub_free(fw_hub_t* hub);

/* Adopts `fd`, makes it non-blocking and close-on-exec, queues HELLO and starts reading at the
 * next turn of the loop. The callbacks' table is copied. The channel starts referenced. */
int fw_channel_open(uv_loop_t* loop, int fd, const fw_options_t* options,
                    const fw_callbacks_t* callbacks, void* data, fw_channel_t** ret_channel);

/* Sending in two steps, so that a payload is encoded where it stays. `begin` gives room for up
 * to `max_size` bytes (NULL: no memory); `commit` sends the first `size` of them. Nothing else
 * may be called in between. The handle, or NULL, is the same in both. Codes of `commit`, which leave
 * everything as it was: UV_EBADF and others when the descriptor cannot be sent, UV_EMSGSIZE above
 * max_message_size, UV_ENOBUFS above max_queue_bytes, UV_EPIPE after the end. */
uint8_t* fw_channel_begin(fw_channel_t* channel, fw_lane_t lane, size_t max_size,
                          const fw_handle_out_t* handle);
int fw_channel_commit(fw_channel_t* channel, fw_lane_t lane, fw_encoding_t encoding, size_t size,
                      const fw_handle_out_t* handle);
/* Bytes of the message that `commit` was called for last, as the limits count them. */
size_t fw_channel_last_size(const fw_channel_t* channel);

/* Whether the peer said that it decodes FW_ENCODING_STRINGS, as this end does. 1 or 0. */
int fw_channel_takes_strings(const fw_channel_t* channel);

/* Writes what is queued, as far as the kernel takes it. */
void fw_channel_flush(fw_channel_t* channel);
/* Bytes accepted and not yet written, or in shared memory and not seen by the peer. */
size_t fw_channel_queued(const fw_channel_t* channel);
/* Bytes of memory that this end has for what it sends, shared memory that is free at the moment included. */
size_t fw_channel_memory(const fw_channel_t* channel);
/* Messages of that lane which the kernel has taken as a whole (the peer has seen, where they are in shared memory), or which were
 * dropped, in order. */
uint64_t fw_channel_written(const fw_channel_t* channel, fw_lane_t lane);

/* Whether the peer reads no more; what it wrote may still arrive. */
int fw_channel_is_broken(const fw_channel_t* channel);

/* In on_message: the message's bytes stay where they are, and valid, until fw_body_release(), which may come at any
 * time on the loop's thread, also when the channel is gone. NULL: they are to be copied. */
fw_body_t* fw_message_keep(const fw_message_t* message);
void fw_body_release(fw_body_t* body);
/* `count` messages that on_message reported were given to a listener, or dropped: their credit goes back. */
void fw_channel_deliver(fw_channel_t* channel, fw_lane_t lane, uint64_t count, uint64_t cost);

/* The descriptor of an arrived handle becomes the caller's: the descriptor, or UV_ENOENT. */
int fw_channel_adopt(fw_channel_t* channel, uint64_t id);
/* An adopted handle reached a listener. */
int fw_channel_taken(fw_channel_t* channel, uint64_t id);
/* An arrived handle does not reach one; closes the descriptor unless it was adopted. */
int fw_channel_refuse(fw_channel_t* channel, uint64_t id, fw_refused_reason_t reason);
/* Node's wire: the message that on_message reported with handle id `id`, or without one (0), turned out to carry a
 * handle of this fw_handle_type_t (0: unknown). To be called before on_batch returns. Answers the peer. The id of
 * the handle for fw_channel_adopt(), 0 when it was refused, UV_ENOENT when it did not come and will be sent
 * again, UV_EACCES when the system does not let this process have it, which its sender cannot be told, UV_EPROTO when the peer did not wait for an answer before. */
int64_t fw_channel_claim(fw_channel_t* channel, fw_lane_t lane, uint64_t id, uint8_t type);
/* Node's wire: a message said that a handle of ours reached the peer, or did not. Ignored when nothing is to be
 * acknowledged. */
void fw_channel_acknowledged(fw_channel_t* channel, int is_ack);
/* The process has a descriptor free again: look whether missing ones can be had now. */
void fw_channel_retry_missing(fw_channel_t* channel);

/* The unsent writes of a handle that was sent with FW_HANDLE_WRITES_PENDING are through. */
void fw_channel_writes_done(fw_channel_t* channel, uint64_t token, int failed);

/* The peer may hold sockets of `key`, or none any more: on_counts tells of no other keys. 0 or UV_ENOMEM. */
int fw_channel_expect_counts(fw_channel_t* channel, uint64_t key, int are_expected);
/* `count` more sockets of `key` closed here. Written before any message that is sent afterwards. */
int fw_channel_add_closed(fw_channel_t* channel, uint64_t key, uint64_t count);

/* The next internal message ends the channel there: it does not pass user messages that wait for credit, and the peer is asked
 * for the credit that they take. */
void fw_channel_finish(fw_channel_t* channel);
/* Whether it keeps its loop alive. 1 or 0. */
int fw_channel_has_ref(const fw_channel_t* channel);

/* While held, END does not leave (a delivery is not finished), and on_turn_within may come. Counted. */
void fw_channel_hold(fw_channel_t* channel);
void fw_channel_release(fw_channel_t* channel);

/* Orderly end: flushes what was accepted, then END. Returns 1 when nothing is outstanding
 * (on_end is then not called), else 0 and on_end follows. Delivers nothing from now on. */
int fw_channel_end(fw_channel_t* channel);
/* The peer's process is known to be dead: reads what it left, in slices, then ends. Whatever state the channel is in, it is
 * closed then. */
void fw_channel_peer_died(fw_channel_t* channel);
/* A message of the peer cannot be decoded: ends the channel as a violation does. */
void fw_channel_reject_message(fw_channel_t* channel);
/* Closes at once. Handles that are not settled are returned; on_closed follows from the loop. */
void fw_channel_close(fw_channel_t* channel);

void fw_channel_ref(fw_channel_t* channel);
void fw_channel_unref(fw_channel_t* channel);
int fw_channel_fd(const fw_channel_t* channel);
/* The process that said HELLO, by the kernel's word where it gives one, not the peer's. 0 before, and when it is not known:
 * it may be in a pid namespace that is not to be seen from here. */
uint32_t fw_channel_peer_pid(const fw_channel_t* channel);
/* Of a frame kind, as in docs/protocol.md. Never NULL. */
const char* fw_frame_name(uint8_t kind);
/* After FW_END_VIOLATION; otherwise NULL. */
const fw_violation_t* fw_channel_violation(const fw_channel_t* channel);

/* The peer runs in a process that is not our child but a descendant of it: its death ends the channel
 * even if somebody else holds a copy of its socket. 0, or UV_ESRCH when it is no descendant of ours,
 * UV_ENOTSUP where the system cannot tell. */
int fw_channel_watch_peer(fw_channel_t* channel);

/* Before the process ends: writes what all these channels hold, blocking, while it reads
 * acknowledgements and drops messages. A channel is done when all is written and every handle that was
 * sent has landed, and given up after its options' limits. From then on every commit is flushed this way. */
void fw_channels_flush(fw_channel_t* const* channels, size_t n_channels);
/* The same for a process that may end, or not: only writes, and changes nothing. */
void fw_channels_write_out(fw_channel_t* const* channels, size_t n_channels);

#ifdef __cplusplus
}
#endif

#endif
