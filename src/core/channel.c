/* The one file that touches the event loop: polling, writing in time, the life of a channel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ancillary.h"
#include "channel_state.h"
#include "fd_kind.h"
#include "wire.h"

/* What a wake-up reads before others get their turn: bytes, and messages, since small ones take longest in JavaScript. */
#define READ_BUDGET ((size_t)256 << 10)
#define MESSAGE_BUDGET 256
#define READ_MIN ((size_t)4 << 10)
#define WRITE_BUDGET ((size_t)1 << 20)
#define GATHER_SIZE 16384        /* bytes of one turn that leave together */
#define GATHER_NS 50000          /* a send that comes later leaves at once */
#define GATHER_HANDLES_NS 500000 /* the same with handles, which take longer */
#define STREAM_TURNS 8 /* in a row, with a send so soon behind the last write: more will come */
#define STREAM_MS 1    /* what waits over turns leaves by then, whatever the loop does */
#define SEND_BUFFER_SIZE (1 << 20)
#define RETRY_MIN_MS 10
#define RETRY_MAX_MS 1000
#define END_STALL_MS 5000
#define MAKE_ROOM 8 /* descriptors that are given up at a time for one that others wait for */
#define STOP (SIZE_MAX - 1) /* in place of a read's room: no further read before the batch */
#define BEHIND_FDS SIZE_MAX /* the same: recvmsg stops there, so that more may follow */
#define POOL_AGE_MS 5000    /* shared memory that was not used for so long is given up */

uint64_t fw__channel_now_ms(const fw_channel_t* channel) {
  return uv_now(channel->poll.loop);
}

/* --------------------------------------------------------------- the loop */

static int wants_ref(const fw_channel_t* channel) {
  if (channel->is_closing || channel->end_reported) return 0;
  return channel->is_referenced || channel->is_own_end || fw__wire_size(channel) > 0;
}

static uint64_t earliest(uint64_t a, uint64_t b) {
  if (a == 0) return b;
  return b != 0 && b < a ? b : a;
}

static void on_timer(uv_timer_t* timer);

static void update_timer(fw_channel_t* channel) {
  uint64_t due = earliest(earliest(channel->gathered_at, channel->deadline),
                          earliest(channel->write_retry_at, channel->room_probe_at));
  if (channel->node != NULL) due = earliest(due, fw__node_wire_due(channel->node));
  due = earliest(due, channel->pool_age_at);
  if (due == 0) {
    uv_timer_stop(&channel->timer);
    return;
  }
  uint64_t now = fw__channel_now_ms(channel);
  uv_timer_start(&channel->timer, on_timer, due > now ? due - now : 0, 0);
}

static void on_poll(uv_poll_t* poll, int status, int events);

/* Brings the loop's view in line with the channel's state. */
void fw__channel_update_poll(fw_channel_t* channel) {
  if (channel->is_closing) return;
  int events = channel->is_blocked ? UV_WRITABLE : 0;
  /* After a hang-up no more comes than what is there: that is read however much waits. */
  if (!channel->is_eof) events |= fw__wire_is_full(channel) ? UV_DISCONNECT : UV_READABLE;
  if (events == 0) uv_poll_stop(&channel->poll);
  else if (events != channel->poll_events) uv_poll_start(&channel->poll, events, on_poll);
  channel->poll_events = events;
  if (wants_ref(channel)) uv_ref((uv_handle_t*)&channel->poll);
  else uv_unref((uv_handle_t*)&channel->poll);
  update_timer(channel);
}

static void on_prepare(uv_prepare_t* prepare);

/* Something is to be done before the loop sleeps: write what was gathered, report, go on ending. */
void fw__channel_schedule(fw_channel_t* channel, int must_run) {
  if (channel->is_closing) return;
  uv_prepare_start(&channel->prepare, on_prepare);
  if (!must_run) return;
  channel->is_scheduled = 1;
  uv_ref((uv_handle_t*)&channel->prepare);
}

/* ---------------------------------------------------------------- writing */

void fw__channel_note_progress(fw_channel_t* channel) {
  if (channel->deadline != 0)
    channel->deadline = fw__channel_now_ms(channel) + channel->options.end_stall_ms;
}

static int is_shortage(int status) {
  return status == -ETOOMANYREFS || status == UV_ENOBUFS || status == UV_ENOMEM ||
         status == UV_EMFILE;
}

/* Too many descriptors on their way: the kernel does not say when that ends, so ask again later. */
static void retry_later(fw_channel_t* channel) {
  uint32_t wait = channel->write_retry_ms;
  wait = wait == 0 ? RETRY_MIN_MS : wait * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : wait * 2;
  channel->write_retry_ms = wait;
  channel->write_retry_at = fw__channel_now_ms(channel) + wait;
}

/* Only while there is a pool: a channel at rest has no timer. */
static void watch_pool(fw_channel_t* channel) {
  if (channel->pool_age_at == 0 && fw_segment_pool_is_aging(&channel->out.pool))
    channel->pool_age_at = fw__channel_now_ms(channel) + POOL_AGE_MS;
}

void fw__channel_write(fw_channel_t* channel) {
  size_t written = 0;
  if (channel->is_broken || channel->is_blocked || channel->is_closing) return;
  if (channel->did_shutdown) return; /* what may be due now, LANDED or CREDIT, nobody needs */
  if (channel->write_retry_at != 0) return;
  int status = fw__wire_flush(channel, WRITE_BUDGET, &written);
  if (written > 0) {
    channel->has_progress = 1;
    channel->last_write = uv_hrtime();
    channel->write_retry_ms = 0;
    fw__channel_note_progress(channel);
  }
  if (status == UV_EAGAIN) channel->is_blocked = 1;
  else if (status < 0 && is_shortage(status) && channel->out.failed == 0) retry_later(channel);
  else if (status < 0) channel->is_broken = 1;
  watch_pool(channel);
  fw__channel_update_poll(channel);
}

static uint64_t gather_ns(const fw_channel_t* channel) {
  return channel->ledger.queued_head != NULL ? GATHER_HANDLES_NS : GATHER_NS;
}

/* While sends follow each other that fast, over turns of a loop that does not sleep, they need not leave in their own turn. */
static int is_streaming(const fw_channel_t* channel) {
  return channel->n_stream_turns > STREAM_TURNS && channel->ledger.queued_head == NULL &&
         !channel->end_wanted && !channel->options.low_latency;
}

/* Whether it waits for others, which a write costs less with. */
static int is_to_wait(fw_channel_t* channel) {
  uint64_t elapsed = uv_hrtime() - channel->last_write;
  if (elapsed > gather_ns(channel)) {
    channel->n_stream_turns = 0;
    return 0;
  }
  if (fw__wire_size(channel) >= GATHER_SIZE) return 0;
  if (channel->wrote_this_turn) return 1;
  if (channel->n_stream_turns <= STREAM_TURNS) channel->n_stream_turns++;
  return is_streaming(channel);
}

/* The first send of a turn leaves at once, later ones together. */
static void gather(fw_channel_t* channel) {
  if (channel->is_synchronous) {
    fw_channels_flush(&channel, 1);
    return;
  }
  if (!is_to_wait(channel)) {
    fw__channel_write(channel);
  } else if (channel->gathered_at == 0) {
    /* The prepare handle writes it, but not when it is its own phase that sends: then this wakes the loop. */
    channel->gathered_at = fw__channel_now_ms(channel);
    if (is_streaming(channel)) channel->gathered_at += STREAM_MS;
    fw__channel_update_poll(channel);
  }
  channel->wrote_this_turn = 1;
  fw__channel_schedule(channel, 0);
}

/* The turn is over. The next one follows at once and is to be waited for as well: as far as that can be known, which is
 * why a timer is set, too. */
static int is_between_turns(const fw_channel_t* channel) {
  return !channel->is_scheduled && is_streaming(channel) && channel->gathered_at != 0 &&
         uv_backend_timeout(channel->poll.loop) == 0 &&
         uv_hrtime() - channel->last_write <= GATHER_NS;
}

static void write_gathered(fw_channel_t* channel) {
  channel->gathered_at = 0;
  fw__channel_write(channel);
}

/* ---------------------------------------------------------------- reading */

/* A read that fills its buffer with small messages would bring several budgets at once: the next one asks for as much as the
 * last messages say that a budget takes. */
static void learn_read_size(fw_channel_t* channel, size_t size, size_t n_messages) {
  size_t wanted = n_messages == 0 ? 0 : size / n_messages * MESSAGE_BUDGET;
  channel->read_size = wanted < READ_MIN ? READ_MIN : wanted;
  if (n_messages <= MESSAGE_BUDGET / 4) channel->read_size = SIZE_MAX;
}

static int receive(fw_channel_t* channel, size_t* ret_size, size_t* ret_room) {
  struct iovec iov[2];
  fw_fd_set_t set;
  fw_fd_set_init(&set);
  size_t n_iov = fw__wire_prepare(channel, iov);
  if (n_iov == 0) return UV_ENOMEM;
  if (n_iov == 1 && iov[0].iov_len > channel->read_size) iov[0].iov_len = channel->read_size;
  *ret_room = iov[0].iov_len + (n_iov > 1 ? iov[1].iov_len : 0);
  ssize_t size = fw_recv(channel->fd, iov, n_iov, &set);
  if (size < 0) return (int)size;
  if (size == 0) {
    fw_fd_set_drop(&set);
    return UV_EOF;
  }
  *ret_size = (size_t)size;
  channel->bytes_read += (size_t)size;
  if (set.present) *ret_room = fw__wire_stops_behind_fds(channel) ? STOP : BEHIND_FDS;
  size_t n_before = channel->n_received;
  int status = fw__wire_received(channel, (size_t)size, &set);
  learn_read_size(channel, (size_t)size, channel->n_received - n_before);
  if (status == UV_EPROTO) {
    channel->violation = *fw__wire_violation(channel);
    channel->is_violated = 1;
  }
  return status;
}

/* Whether another read is worth a call. Behind descriptors mostly nothing follows: the loop says so at no cost if it does. */
static int is_more_likely(size_t size, size_t room, int is_drain) {
  if (room == STOP) return 0;
  return room == BEHIND_FDS ? is_drain : size >= room;
}

int fw__channel_read(fw_channel_t* channel, size_t budget, size_t n_messages) {
  size_t total = 0;
  channel->n_received = 0;
  while (total < budget && channel->n_received < n_messages && !channel->is_closing) {
    size_t size = 0;
    size_t room = 0;
    int status = receive(channel, &size, &room);
    if (status == UV_EAGAIN) return 0;
    if (status < 0) return 1; /* the end, a reset, a violation, no memory: nothing more is read */
    total += size;
    if (!is_more_likely(size, room, n_messages == SIZE_MAX)) return 0;
  }
  return 0;
}

void fw__channel_on_message(void* data, const fw_message_t* message) {
  fw_channel_t* channel = data;
  if (channel->is_closing) return;
  channel->has_events = 1;
  channel->spin.n_received++;
  channel->n_received++;
  channel->callbacks.on_message(channel->data, message);
}

void fw__channel_on_lost(void* data, uint64_t id) {
  fw_channel_t* channel = data;
  channel->has_events = 1;
  channel->callbacks.on_lost(channel->data, id);
}

static void on_settled(void* data, const fw_sent_t* sent, fw_outcome_t outcome, uint32_t reason) {
  fw_channel_t* channel = data;
  channel->has_events = 1;
  channel->callbacks.on_settled(channel->data, sent->token, outcome, reason);
  if (!channel->in_batch) fw__channel_schedule(channel, 1);
}

static void on_released(void* data) {
  fw_channel_t* channel = data;
  fw__channel_schedule(channel, 0);
}

void fw__channel_report_batch(fw_channel_t* channel) {
  if (!channel->has_events || channel->in_batch) return;
  channel->has_events = 0;
  channel->in_batch = 1;
  channel->callbacks.on_batch(channel->data);
  channel->in_batch = 0;
  fw__wire_settle_batch(channel);
  if (channel->has_events) fw__channel_schedule(channel, 1); /* what listeners made happen */
  if (!channel->is_closing) fw__channel_write(channel);
}

static void report_progress(fw_channel_t* channel) {
  if (!channel->has_progress || channel->is_closing) return;
  channel->has_progress = 0;
  channel->callbacks.on_progress(channel->data);
}

static void watch_missing(fw_channel_t* channel) {
  if (channel->ledger.n_missing == 0 || channel->is_eof) {
    channel->room_probe_at = 0;
    channel->room_probe_ms = 0;
    return;
  }
  if (channel->room_probe_at != 0) return;
  uint32_t wait = channel->room_probe_ms;
  wait = wait == 0 ? RETRY_MIN_MS : wait * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : wait * 2;
  channel->room_probe_ms = wait;
  channel->room_probe_at = fw__channel_now_ms(channel) + wait;
  update_timer(channel);
}

static void probe_room(fw_channel_t* channel) {
  size_t wanted = channel->ledger.n_missing;
  channel->room_probe_at = 0;
  size_t room = fw_fd_room(channel->fd, wanted);
  if (room == 0) room = fw_read_queue_make_room(&channel->in, MAKE_ROOM);
  /* Room for those that were asked for already is no reason to look again soon. */
  if (fw_ledger_ask_missing(&channel->ledger, room) > 0) {
    channel->room_probe_ms = 0;
    fw__channel_write(channel);
  }
  watch_missing(channel);
}

void fw__channel_after_read(fw_channel_t* channel) {
  fw__channel_report_batch(channel);
  if (channel->is_closing) return;
  fw__channel_write(channel); /* what is owed for frames without a batch: LANDED, REFUSED, CREDIT */
  report_progress(channel);
  if (channel->is_closing) return;
  watch_missing(channel);
  fw__channel_advance(channel);
}

static void on_readable(fw_channel_t* channel) {
  fw__channel_spin_begin(channel);
  if (fw__channel_read(channel, READ_BUDGET, MESSAGE_BUDGET)) channel->is_eof = 1;
  fw__channel_after_read(channel);
  if (channel->options.low_latency) fw__channel_spin(channel);
}

static void on_poll(uv_poll_t* poll, int status, int events) {
  fw_channel_t* channel = poll->data;
  if (status < 0) {
    /* epoll's EPOLLERR: the peer is gone with unread data, and libuv has stopped the handle. What it
     * wrote can still be read. */
    channel->poll_events = 0;
    channel->is_broken = 1;
    fw_channel_peer_died(channel);
    return;
  }
  if (events & (UV_READABLE | UV_DISCONNECT)) on_readable(channel);
  if (channel->is_closing || !(events & UV_WRITABLE)) return;
  channel->is_blocked = 0;
  fw__channel_write(channel);
  report_progress(channel);
  fw__channel_report_batch(channel);
  fw__channel_advance(channel);
}

static void on_prepare(uv_prepare_t* prepare) {
  fw_channel_t* channel = prepare->data;
  uv_prepare_stop(prepare);
  uv_unref((uv_handle_t*)prepare);
  channel->wrote_this_turn = 0;
  if (is_between_turns(channel)) {
    channel->has_progress = 1; /* for what is known of the turn */
    fw__channel_schedule(channel, 0);
  } else {
    write_gathered(channel);
  }
  report_progress(channel);
  if (!channel->is_scheduled) return;
  channel->is_scheduled = 0;
  fw__channel_report_batch(channel);
  fw__channel_advance(channel);
}

static void age_pool(fw_channel_t* channel) {
  channel->pool_age_at = 0;
  fw_segment_pool_age(&channel->out.pool);
  fw__channel_write(channel);
}

static void on_timer(uv_timer_t* timer) {
  fw_channel_t* channel = timer->data;
  uint64_t now = fw__channel_now_ms(channel);
  if (channel->room_probe_at != 0 && channel->room_probe_at <= now) probe_room(channel);
  if (channel->gathered_at != 0 && channel->gathered_at <= now) write_gathered(channel);
  if (channel->pool_age_at != 0 && channel->pool_age_at <= now) age_pool(channel);
  if (channel->write_retry_at != 0 && channel->write_retry_at <= now) {
    channel->write_retry_at = 0;
    fw__channel_write(channel);
  }
  if (channel->node != NULL) fw__node_wire_on_time(channel, now);
  if (channel->deadline != 0 && channel->deadline <= now) {
    /* The loop may have been busy meanwhile: what could have been read and written counts. */
    channel->is_blocked = 0;
    fw__channel_write(channel);
    if (!channel->is_eof && fw__channel_read(channel, READ_BUDGET, SIZE_MAX)) channel->is_eof = 1;
  }
  report_progress(channel);
  fw__channel_report_batch(channel);
  fw__channel_advance(channel);
}

/* ------------------------------------------------------- the peer's process */

static void on_peer_died(uv_poll_t* poll, int status, int events) {
  (void)status;
  (void)events;
  uv_poll_stop(poll);
  fw_channel_peer_died(poll->data);
}

int fw_channel_watch_peer(fw_channel_t* channel) {
  if (channel->is_closing || channel->peer_poll != NULL) return 0;
  int fd = fw__descendant_open(channel->peer.pid);
  if (fd < 0) return fd;
  uv_poll_t* poll = malloc(sizeof(*poll));
  if (poll == NULL || uv_poll_init(channel->poll.loop, poll, fd) < 0) {
    free(poll);
    fw_fd_close(&fd);
    return UV_ENOMEM;
  }
  poll->data = channel;
  channel->peer_poll = poll;
  channel->peer_fd = fd;
  channel->n_uv++;
  uv_unref((uv_handle_t*)poll);
  return uv_poll_start(poll, UV_READABLE, on_peer_died);
}

/* ------------------------------------------------------------------- life */

static void free_channel(fw_channel_t* channel) {
  free(channel->peer_poll);
  fw_read_queue_free(&channel->in);
  fw_write_queue_free(&channel->out);
  fw__node_wire_free(channel->node);
  fw_ledger_free(&channel->ledger);
  free(channel->counts);
  free(channel);
}

static void on_uv_closed(uv_handle_t* handle) {
  fw_channel_t* channel = handle->data;
  if (--channel->n_uv > 0) return;
  channel->callbacks.on_closed(channel->data);
  free_channel(channel);
}

void fw__channel_do_close(fw_channel_t* channel) {
  if (channel->is_closing) return;
  channel->is_closing = 1;
  fw__channel_return_everything(channel);
  fw_ledger_discard_all(&channel->ledger);
  uv_close((uv_handle_t*)&channel->poll, on_uv_closed);
  uv_close((uv_handle_t*)&channel->prepare, on_uv_closed);
  uv_close((uv_handle_t*)&channel->timer, on_uv_closed);
  if (channel->peer_poll != NULL) uv_close((uv_handle_t*)channel->peer_poll, on_uv_closed);
  fw_fd_close(&channel->peer_fd);
  fw_fd_close(&channel->fd);
}

void fw_channel_close(fw_channel_t* channel) {
  fw__channel_do_close(channel);
}

static void init_options(fw_channel_t* channel, const fw_options_t* options) {
  if (options != NULL) channel->options = *options;
  if (channel->options.end_stall_ms == 0) channel->options.end_stall_ms = END_STALL_MS;
  if (channel->options.max_message_size == 0)
    channel->options.max_message_size = FW_MAX_MESSAGE_SIZE;
  if (channel->options.credit_bytes == 0) channel->options.credit_bytes = FW_USER_CREDIT;
  if (channel->options.credit_handles == 0) channel->options.credit_handles = FW_USER_HANDLES;
}

static void init_parts(fw_channel_t* channel) {
  fw_read_callbacks_t reads = {.on_message = fw__channel_on_message,
                               .on_control = fw__control_read,
                               .on_released = on_released};
  if (channel->callbacks.on_trace != NULL) reads.on_frame = fw__trace_read;
  fw_ledger_init(&channel->ledger, on_settled, channel);
  fw_read_queue_init(&channel->in, &channel->ledger, &reads, channel);
  fw_write_queue_init(&channel->out, &channel->ledger, fw__control_lay, channel);
  if (channel->callbacks.on_trace != NULL) channel->out.on_frame = fw__trace_write;
  channel->peer.max_message_size = FW_MAX_MESSAGE_SIZE;
}

static void apply_limits(fw_channel_t* channel) {
  const fw_options_t* options = &channel->options;
  fw_lane_in_t* in = &channel->in.lanes[FW_LANE_USER];
  channel->in.max_message_size = options->max_message_size;
  channel->in.refused_encodings = options->refused_encodings;
  in->initial = in->limit = options->credit_bytes;
  channel->out.lanes[FW_LANE_USER].limit = options->credit_bytes;
  channel->ledger.credit[FW_LANE_USER] = options->credit_handles;
  channel->ledger.refused_types = options->refused_types;
}

static int is_too_large(const fw_channel_t* channel, size_t size) {
  return size > channel->peer.max_message_size || size > channel->options.max_message_size;
}

/* Internal messages are few, and the cluster module cannot do without: they are accepted always. */
static int is_queue_full(const fw_channel_t* channel, fw_lane_t lane, size_t size) {
  uint64_t limit = channel->options.max_queue_bytes;
  return limit != 0 && lane == FW_LANE_USER &&
         fw__wire_size(channel) + FW_FRAME_HEADER_SIZE + size > limit;
}

/* Best effort: large payloads go faster through a large buffer. */
static void grow_send_buffer(const fw_channel_t* channel) {
  int fd = channel->fd;
  int size = SEND_BUFFER_SIZE;
  if ((channel->options.disabled & FW_DISABLE_SNDBUF) == 0)
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
#ifdef SO_NOSIGPIPE
  int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &yes, sizeof(yes));
#endif
}

static int init_handles(fw_channel_t* channel, uv_loop_t* loop, int fd) {
  int status = uv_poll_init(loop, &channel->poll, fd);
  if (status < 0) return status;
  uv_prepare_init(loop, &channel->prepare);
  uv_timer_init(loop, &channel->timer);
  uv_unref((uv_handle_t*)&channel->prepare);
  uv_unref((uv_handle_t*)&channel->timer);
  channel->poll.data = channel->prepare.data = channel->timer.data = channel;
  channel->n_uv = 3;
  channel->peer_fd = -1;
  return 0;
}

int fw_channel_open(uv_loop_t* loop, int fd, const fw_options_t* options,
                    const fw_callbacks_t* callbacks, void* data, fw_channel_t** ret_channel) {
  int status = fw_fd_set_nonblock(fd);
  if (status == 0) status = fw_fd_set_cloexec(fd);
  if (status < 0) return status;
  fw_channel_t* channel = calloc(1, sizeof(*channel));
  if (channel == NULL) return UV_ENOMEM;
  channel->callbacks = *callbacks;
  channel->data = data;
  init_options(channel, options);
  init_parts(channel);
  apply_limits(channel);
  int is_native = channel->options.wire == FW_WIRE_NATIVE;
  if (!is_native) channel->node = fw__node_wire_new(channel);
  status = is_native || channel->node != NULL ? init_handles(channel, loop, fd) : UV_ENOMEM;
  if (status < 0) {
    free_channel(channel);
    return status;
  }
  channel->fd = fd;
  channel->read_size = SIZE_MAX;
  channel->is_referenced = 1;
  grow_send_buffer(channel);
  if (is_native) fw__control_lay_hello(channel);
  fw__channel_update_poll(channel);
  fw__channel_schedule(channel, 0);
  *ret_channel = channel;
  return 0;
}

/* ---------------------------------------------------------------- sending */

uint8_t* fw_channel_begin(fw_channel_t* channel, fw_lane_t lane, size_t max_size,
                          const fw_handle_out_t* handle) {
  return fw__wire_begin(channel, lane, max_size, handle);
}

int fw_channel_commit(fw_channel_t* channel, fw_lane_t lane, fw_encoding_t encoding, size_t size,
                      const fw_handle_out_t* handle) {
  size_t whole = size + (handle == NULL ? 0 : FW_BLOCK_SIZE + (size_t)handle->buffered_size);
  if (channel->is_closing || channel->end_wanted) return UV_EPIPE;
  if (is_too_large(channel, whole)) return UV_EMSGSIZE;
  if (is_queue_full(channel, lane, whole)) return UV_ENOBUFS;
  int status = fw__wire_commit(channel, lane, encoding, size, handle);
  if (status == 0) gather(channel);
  return status;
}

static int queue_text(fw_channel_t* channel, const uint8_t* text, size_t size) {
  uint8_t* room = fw__wire_begin(channel, FW_LANE_USER, size, NULL);
  if (room == NULL) return UV_ENOMEM;
  memcpy(room, text, size);
  return fw__wire_commit(channel, FW_LANE_USER, FW_ENCODING_JSON, size, NULL);
}

int fw_channel_send_texts(fw_channel_t* channel, const uint8_t* texts, size_t size) {
  const uint8_t* end = texts + size;
  if (channel->is_closing || channel->end_wanted) return UV_EPIPE;
  while (texts <= end) {
    const uint8_t* stop = memchr(texts, '\n', (size_t)(end - texts));
    if (stop == NULL) stop = end;
    /* Some of them are queued and counted: without memory for the rest there is no way back. */
    if (queue_text(channel, texts, (size_t)(stop - texts)) < 0) {
      channel->is_broken = 1;
      return UV_ENOMEM;
    }
    texts = stop + 1;
  }
  gather(channel);
  return 0;
}

int fw_channel_gathers(const fw_channel_t* channel) {
  return channel->wrote_this_turn && !channel->is_synchronous && !channel->is_broken &&
         !channel->end_wanted && channel->options.max_queue_bytes == 0 &&
         !is_too_large(channel, FW_TEXT_MAX);
}

void fw_channel_flush(fw_channel_t* channel) {
  fw__channel_write(channel);
  fw__channel_schedule(channel, 0);
}

size_t fw_channel_queued(const fw_channel_t* channel) {
  return fw__wire_size(channel) + channel->out.pool.unseen;
}

size_t fw_channel_memory(const fw_channel_t* channel) {
  return fw__wire_size(channel) + (size_t)channel->out.pool.bytes;
}

uint64_t fw_channel_written(const fw_channel_t* channel, fw_lane_t lane) {
  uint64_t written = fw__wire_written(channel, lane);
  if (lane != FW_LANE_USER) return written;
  uint64_t unseen = fw_segment_pool_first_unseen(&channel->out.pool);
  return written < unseen ? written : unseen - 1;
}

int fw_channel_is_broken(const fw_channel_t* channel) {
  return channel->is_broken;
}

void fw_channel_writes_done(fw_channel_t* channel, uint64_t token, int failed) {
  if (channel->is_closing) return;
  fw_ledger_finish_writes(&channel->ledger, token, failed);
  fw__channel_write(channel);
  fw__channel_schedule(channel, 1);
}

static fw_count_t* find_count(fw_channel_t* channel, uint64_t key) {
  for (size_t i = 0; i < channel->n_counts; i++)
    if (channel->counts[i].key == key) return &channel->counts[i];
  return NULL;
}

static fw_count_t* add_count(fw_channel_t* channel, uint64_t key) {
  if (channel->n_counts == channel->counts_capacity) {
    size_t capacity = channel->counts_capacity == 0 ? 8 : channel->counts_capacity * 2;
    fw_count_t* counts = realloc(channel->counts, capacity * sizeof(counts[0]));
    if (counts == NULL) return NULL;
    channel->counts = counts;
    channel->counts_capacity = capacity;
  }
  fw_count_t* entry = &channel->counts[channel->n_counts++];
  *entry = (fw_count_t){.key = key};
  return entry;
}

int fw_channel_add_closed(fw_channel_t* channel, uint64_t key, uint64_t count) {
  if (channel->is_closing || channel->end_laid) return UV_EPIPE;
  if (channel->node != NULL) return UV_ENOTSUP;
  fw_count_t* entry = find_count(channel, key);
  if (entry == NULL) entry = add_count(channel, key);
  if (entry == NULL) return UV_ENOMEM;
  entry->closed += count;
  fw_channel_retry_missing(channel); /* a closed socket leaves room for another */
  fw__channel_schedule(channel, 1);
  return 0;
}

/* --------------------------------------------------------------- delivery */

void fw_channel_deliver(fw_channel_t* channel, fw_lane_t lane, uint64_t count, uint64_t cost) {
  if (channel->is_closing) return;
  fw__wire_deliver(channel, lane, count, cost);
  if (!channel->in_batch) fw__channel_schedule(channel, 1);
}

int fw_channel_adopt(fw_channel_t* channel, uint64_t id) {
  return fw_ledger_adopt(&channel->ledger, id);
}

int fw_channel_taken(fw_channel_t* channel, uint64_t id) {
  int status = fw_ledger_take(&channel->ledger, id);
  if (!channel->in_batch) fw__channel_schedule(channel, 1);
  return status;
}

int fw_channel_refuse(fw_channel_t* channel, uint64_t id, fw_refused_reason_t reason) {
  int status = fw_ledger_refuse(&channel->ledger, id, (uint32_t)reason);
  if (!channel->in_batch) fw__channel_schedule(channel, 1);
  return status;
}

void fw_channel_retry_missing(fw_channel_t* channel) {
  if (channel->is_closing) return;
  if (channel->node != NULL) fw__node_wire_retry(channel);
  if (channel->ledger.n_missing == 0) return;
  channel->room_probe_ms = 0;
  channel->room_probe_at = fw__channel_now_ms(channel);
  update_timer(channel);
}

void fw_channel_hold(fw_channel_t* channel) {
  channel->holds++;
}

void fw_channel_release(fw_channel_t* channel) {
  channel->holds--;
  if (!channel->in_batch) fw__channel_schedule(channel, 1);
}

void fw_channel_ref(fw_channel_t* channel) {
  channel->is_referenced = 1;
  fw__channel_update_poll(channel);
}

void fw_channel_unref(fw_channel_t* channel) {
  channel->is_referenced = 0;
  fw__channel_update_poll(channel);
}

int fw_channel_fd(const fw_channel_t* channel) {
  return channel->fd;
}

uint32_t fw_channel_peer_pid(const fw_channel_t* channel) {
  return channel->peer.pid;
}

const fw_violation_t* fw_channel_violation(const fw_channel_t* channel) {
  return channel->is_violated ? &channel->violation : NULL;
}

uint64_t fw_channel_peer_max_message_size(const fw_channel_t* channel) {
  return channel->peer.max_message_size;
}
