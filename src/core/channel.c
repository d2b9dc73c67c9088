/* The one file that touches the event loop: polling, writing in time, the life of a channel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ancillary.h"
#include "channel_state.h"
#include "fd_kind.h"
#include "wire.h"

#define WRITE_BUDGET ((size_t)1 << 20)
#define SEND_BUFFER_SIZE (1 << 20)
#define END_STALL_MS 5000
#define POOL_AGE_MS 5000 /* shared memory that was not used for so long is given up */

uint64_t fw__channel_now_ms(const fw_channel_t* channel) {
  return uv_now(channel->poll.loop);
}

/* --------------------------------------------------------------- the loop */

/* What is merely gathered does not keep the loop alive: it leaves in any case, at the end of the process at the latest. */
static int wants_ref(const fw_channel_t* channel) {
  if (channel->is_closing || channel->end_reported) return 0;
  return channel->is_referenced || channel->is_own_end || channel->is_held_up;
}

/* The kernel takes more, but the peer gave no credit for it. */
static int waits_for_credit(const fw_channel_t* channel) {
  return channel->is_held_up && !channel->is_blocked && channel->write_retry_at == 0 &&
         channel->node == NULL && fw__wire_size(channel) > 0;
}

int fw_channel_has_ref(const fw_channel_t* channel) {
  return wants_ref(channel);
}

static void note_waiting(fw_channel_t* channel) {
  int is_all = wants_ref(channel) && !channel->is_referenced && !channel->is_own_end;
  int is_waiting = is_all && waits_for_credit(channel);
  fw__hub_note_waiting(channel, is_waiting);
  if (is_waiting && !channel->is_finishing) fw__channel_schedule(channel, 0);
}

/* Nothing can change that but the peer: it is asked to take what it would get later. */
static void finish_if_last(fw_channel_t* channel) {
  if (channel->is_finishing || !fw__hub_is_all_waiting(channel)) return;
  channel->is_finishing = 1;
  fw__channel_write(channel);
}

static uint64_t earliest(uint64_t a, uint64_t b) {
  if (a == 0) return b;
  return b != 0 && b < a ? b : a;
}

static void on_timer(uv_timer_t* timer);

void fw__channel_update_timer(fw_channel_t* channel) {
  if (channel->is_closing) return;
  uint64_t due = earliest(earliest(channel->gathered_at, channel->deadline),
                          earliest(channel->write_retry_at, channel->room_probe_at));
  if (channel->node != NULL) due = earliest(due, fw__node_wire_due(channel->node));
  due = earliest(due, earliest(channel->pool_age_at, channel->order_at));
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
  if (channel->is_dead) events = 0; /* fw__channel_drain() reads */
  else if (!channel->is_eof) events |= fw__wire_is_full(channel) ? UV_DISCONNECT : UV_READABLE;
  if (events == 0) uv_poll_stop(&channel->poll);
  else if (events != channel->poll_events) uv_poll_start(&channel->poll, events, on_poll);
  channel->poll_events = events;
  if (wants_ref(channel)) uv_ref((uv_handle_t*)&channel->poll);
  else uv_unref((uv_handle_t*)&channel->poll);
  note_waiting(channel);
  fw__channel_update_timer(channel);
}

static void on_prepare(uv_prepare_t* prepare);

void fw__channel_arm(fw_channel_t* channel) {
  if (!channel->is_closing) uv_prepare_start(&channel->prepare, on_prepare);
}

/* Something is to be done before the loop sleeps: write what was gathered, report, go on ending. */
void fw__channel_schedule(fw_channel_t* channel, int must_run) {
  if (channel->is_closing) return;
  channel->is_due = 1;
  fw__channel_arm(channel);
  if (!must_run) return;
  channel->is_scheduled = 1;
  uv_ref((uv_handle_t*)&channel->prepare);
}

/* ---------------------------------------------------------------- writing */

static int is_shortage(int status) {
  return status == -ETOOMANYREFS || status == UV_ENOBUFS || status == UV_ENOMEM ||
         status == UV_EMFILE;
}

/* Too many descriptors on their way: the kernel does not say when that ends, so ask again later. */
static void retry_later(fw_channel_t* channel) {
  channel->write_retry_ms = fw__next_wait(channel->write_retry_ms);
  channel->write_retry_at = fw__channel_now_ms(channel) + channel->write_retry_ms;
}

/* Only while there is a pool: a channel at rest has no timer. */
static void watch_pool(fw_channel_t* channel) {
  if (channel->pool_age_at == 0 && fw_segment_pool_is_aging(&channel->out.pool))
    channel->pool_age_at = fw__channel_now_ms(channel) + POOL_AGE_MS;
}

/* An internal message that ends the channel waits for those before it, but not for ever: the peer may take no more. */
static void watch_order(fw_channel_t* channel) {
  if (!channel->out.keeps_order) return;
  uint64_t sent = channel->out.lanes[FW_LANE_USER].sent;
  if (fw__wire_is_laid(channel)) channel->out.keeps_order = 0;
  else if (channel->order_at != 0 && channel->order_sent == sent) return;
  channel->order_sent = sent;
  channel->order_at =
      channel->out.keeps_order ? fw__channel_now_ms(channel) + channel->options.end_stall_ms : 0;
}

void fw__channel_write(fw_channel_t* channel) {
  size_t written = 0;
  if (channel->is_broken || channel->is_blocked || channel->is_closing) return;
  if (channel->did_shutdown) return; /* what may be due now, LANDED or CREDIT, nobody needs */
  if (channel->write_retry_at != 0) return;
  fw__channel_take_back(channel);
  int status = fw__wire_flush(channel, WRITE_BUDGET, &written);
  if (written > 0) {
    channel->has_progress = 1;
    channel->last_write = uv_hrtime();
    channel->write_retry_ms = 0;
    fw__channel_note_progress(channel, FW_WAIT_FLUSH);
  }
  channel->is_held_up = fw__wire_size(channel) > 0 || channel->out.pool.unseen > 0;
  if (!channel->is_held_up && !channel->end_wanted) channel->is_finishing = 0;
  if (status == UV_EAGAIN) channel->is_blocked = 1;
  else if (status < 0 && is_shortage(status) && channel->out.failed == 0) retry_later(channel);
  else if (status < 0) channel->is_broken = 1;
  watch_pool(channel);
  watch_order(channel);
  fw__channel_update_poll(channel);
}

static void give_up_order(fw_channel_t* channel) {
  channel->order_at = 0;
  if (!channel->is_blocked) channel->out.keeps_order = 0;
  fw__channel_write(channel);
}

void fw_channel_finish(fw_channel_t* channel) {
  if (channel->is_closing || channel->node != NULL) return; /* there is only one lane */
  channel->is_finishing = channel->out.keeps_order = 1;
}

static void write_gathered(fw_channel_t* channel) {
  channel->gathered_at = 0;
  fw__channel_write(channel);
}

/* -------------------------------------------------------------- reporting */

static void on_settled(void* data, const fw_sent_t* sent, fw_outcome_t outcome, uint32_t reason) {
  fw_channel_t* channel = data;
  fw__channel_note_event(channel);
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
  fw_keys_tell(&channel->keys, channel->callbacks.on_counts, channel->data);
  fw__channel_begin_call(channel);
  channel->callbacks.on_batch(channel->data);
  fw__channel_end_call(channel);
  channel->in_batch = 0;
  fw__wire_settle_batch(channel);
  if (channel->has_events) fw__channel_schedule(channel, 1); /* what listeners made happen */
  if (!channel->is_closing) fw__channel_write(channel);
}

static void report_progress(fw_channel_t* channel) {
  if (!channel->has_progress || channel->is_closing) return;
  channel->has_progress = 0;
  fw__channel_begin_call(channel);
  channel->callbacks.on_progress(channel->data);
  fw__channel_end_call(channel);
}

void fw__channel_after_read(fw_channel_t* channel) {
  fw__channel_report_batch(channel);
  if (channel->is_closing) return;
  fw__channel_write(channel); /* what is owed for frames without a batch: LANDED, REFUSED, CREDIT */
  report_progress(channel);
  if (channel->is_closing) return;
  fw__channel_advance(channel);
}

static void on_readable(fw_channel_t* channel) {
  fw__channel_spin_begin(channel);
  if (!channel->is_eof && fw__channel_read(channel, FW_READ_BUDGET, FW_MESSAGE_BUDGET))
    channel->is_eof = 1;
  fw__channel_after_read(channel);
  if (channel->options.low_latency) fw__channel_spin(channel);
}

static void on_poll(uv_poll_t* poll, int status, int events) {
  fw_channel_t* channel = poll->data;
  fw__channel_begin_turn(channel);
  if (status < 0) {
    /* epoll's EPOLLERR: the peer is gone with unread data, and libuv has stopped the handle. What it
     * wrote can still be read. */
    channel->poll_events = 0;
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

/* The turn is over: what was gathered leaves, and what was scheduled is done. */
static void end_turn(fw_channel_t* channel) {
  channel->is_due = 0;
  channel->n_sent_this_turn = 0;
  if (fw__channel_is_between_turns(channel)) {
    channel->has_progress = 1; /* for what is known of the turn */
    fw__channel_schedule(channel, 0);
  } else {
    write_gathered(channel);
  }
  report_progress(channel);
  channel->early_bytes = 0;
  if (channel->is_on_hub) finish_if_last(channel);
  if (!channel->is_scheduled) return;
  channel->is_scheduled = 0;
  fw_read_queue_release_held(&channel->in);
  fw__channel_report_batch(channel);
  fw__channel_advance(channel);
}

static void on_prepare(uv_prepare_t* prepare) {
  fw_channel_t* channel = prepare->data;
  uv_prepare_stop(prepare);
  uv_unref((uv_handle_t*)prepare);
  fw__channel_begin_turn(channel);
  int is_within = channel->holds > 0;
  if (is_within) fw__channel_turn_within(channel);
  if (channel->is_due && !channel->is_closing) end_turn(channel);
  /* What the turn waits for may just have been delivered. */
  if (is_within && !channel->is_closing) fw__channel_stay_awake(channel);
}

static void on_drain(uv_idle_t* drain) {
  fw_channel_t* channel = drain->data;
  uv_idle_stop(drain);
  fw__channel_begin_turn(channel);
  fw__channel_drain(channel);
}

void fw__channel_drain_later(fw_channel_t* channel) {
  uv_idle_start(&channel->drain, on_drain);
}

static void age_pool(fw_channel_t* channel) {
  channel->pool_age_at = 0;
  fw_segment_pool_age(&channel->out.pool);
  fw__channel_write(channel);
}

static void on_timer(uv_timer_t* timer) {
  fw_channel_t* channel = timer->data;
  fw__channel_begin_turn(channel);
  uint64_t now = fw__channel_now_ms(channel);
  if (channel->room_probe_at != 0 && channel->room_probe_at <= now) fw__channel_probe_room(channel);
  if (channel->gathered_at != 0 && channel->gathered_at <= now) write_gathered(channel);
  if (channel->pool_age_at != 0 && channel->pool_age_at <= now) age_pool(channel);
  if (channel->order_at != 0 && channel->order_at <= now) give_up_order(channel);
  if (channel->write_retry_at != 0 && channel->write_retry_at <= now) {
    channel->write_retry_at = 0;
    fw__channel_write(channel);
  }
  if (channel->node != NULL) fw__node_wire_on_time(channel, now);
  if (channel->deadline != 0 && channel->deadline <= now) {
    /* The loop may have been busy meanwhile: what could have been read and written counts. */
    channel->is_blocked = 0;
    fw__channel_write(channel);
    if (!channel->is_eof && fw__channel_read(channel, FW_READ_BUDGET, FW_NO_LIMIT))
      channel->is_eof = 1;
  }
  report_progress(channel);
  fw__channel_report_batch(channel);
  fw__channel_advance(channel);
  fw__channel_give_up_late(channel); /* only here, behind that last look */
}

/* ------------------------------------------------------- the peer's process */

static void on_peer_died(uv_poll_t* poll, int status, int events) {
  (void)status;
  (void)events;
  uv_poll_stop(poll);
  fw__channel_begin_turn(poll->data);
  fw_channel_peer_died(poll->data);
}

int fw_channel_watch_peer(fw_channel_t* channel) {
  if (channel->is_closing || channel->peer_poll != NULL) return 0;
  int fd = fw__descendant_open(channel->peer_pid);
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
  fw_slot_free(&channel->slot);
  fw__node_wire_free(channel->node);
  fw_ledger_free(&channel->ledger);
  free(channel->counts);
  fw_keys_free(&channel->keys);
  free(channel);
}

static void on_uv_closed(uv_handle_t* handle) {
  fw_channel_t* channel = handle->data;
  if (--channel->n_uv > 0) return;
  channel->callbacks.on_closed(channel->data);
  free_channel(channel);
}

/* Behind the last callback: one may have the loop turn, where all is freed once the last handle has closed. */
void fw__channel_close_last(fw_channel_t* channel) {
  uv_handle_t* last = (uv_handle_t*)&channel->timer;
  if (channel->n_calls == 0 && !uv_is_closing(last)) uv_close(last, on_uv_closed);
}

void fw__channel_do_close(fw_channel_t* channel) {
  if (channel->is_closing) return;
  fw__hub_note_waiting(channel, 0);
  channel->is_closing = 1;
  fw__channel_return_everything(channel);
  if (channel->options.hub != NULL)
    fw_standby_forget(channel->options.hub->standby, &channel->offer);
  fw_ledger_discard_all(&channel->ledger);
  fw_slot_close(&channel->slot); /* what comes from here on is lost, and its sender is to know */
  uv_close((uv_handle_t*)&channel->poll, on_uv_closed);
  uv_close((uv_handle_t*)&channel->prepare, on_uv_closed);
  uv_close((uv_handle_t*)&channel->drain, on_uv_closed);
  uv_timer_stop(&channel->timer);
  fw__channel_close_last(channel);
  if (channel->peer_poll != NULL) uv_close((uv_handle_t*)channel->peer_poll, on_uv_closed);
  fw_fd_close(&channel->peer_fd);
  fw__channel_empty_socket(channel);
  fw_fd_close(&channel->fd);
}

void fw_channel_close(fw_channel_t* channel) {
  fw__channel_do_close(channel);
}

/* Of an option: 0 stands for `fallback`. */
static uint64_t clamp(uint64_t value, uint64_t fallback, uint64_t least, uint64_t most) {
  if (value == 0) return fallback;
  if (value < least) return least;
  return value > most ? most : value;
}

/* Nobody has to have checked them: a child's come through its environment. */
static void init_options(fw_channel_t* channel, const fw_options_t* given) {
  fw_options_t* options = &channel->options;
  if (given != NULL) *options = *given;
  options->max_message_size =
      clamp(options->max_message_size, FW_MAX_MESSAGE_SIZE, 1, FW_MAX_MESSAGE_SIZE);
  options->credit_bytes =
      clamp(options->credit_bytes, FW_USER_CREDIT, FW_MIN_CREDIT, FW_MAX_CREDIT);
  options->credit_handles =
      (uint32_t)clamp(options->credit_handles, FW_USER_HANDLES, 1, FW_USER_HANDLES);
  options->end_stall_ms = (uint32_t)clamp(options->end_stall_ms, END_STALL_MS, 1, INT32_MAX);
  options->exit_stall_ms = (uint32_t)clamp(options->exit_stall_ms, 0, 1, INT32_MAX);
  options->exit_total_ms = (uint32_t)clamp(options->exit_total_ms, 0, 1, INT32_MAX);
  options->low_latency = options->low_latency != 0;
  if (options->wire != FW_WIRE_NODE_JSON && options->wire != FW_WIRE_NODE_ADVANCED)
    options->wire = FW_WIRE_NATIVE;
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
  channel->out.slot = &channel->in.slot;
}

/* What lies in shared memory may take as much as what comes over the socket. */
static uint64_t max_segment_bytes(const fw_options_t* options) {
  uint64_t bytes = options->max_message_size + options->credit_bytes;
  return bytes < FW_SEGMENT_BYTES_MAX ? bytes : FW_SEGMENT_BYTES_MAX;
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
  channel->ledger.owns_all = options->owns_handles;
  channel->in.segments.max_bytes = max_segment_bytes(options);
}

int fw__channel_is_too_large(const fw_channel_t* channel, size_t size) {
  return size > channel->options.max_message_size;
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
  uv_idle_init(loop, &channel->drain);
  uv_unref((uv_handle_t*)&channel->prepare);
  uv_unref((uv_handle_t*)&channel->timer);
  channel->poll.data = channel->prepare.data = channel->timer.data = channel;
  channel->drain.data = channel;
  channel->n_uv = 4;
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
  channel->read_size = FW_READ_MIN; /* until it is known what comes */
  channel->is_referenced = 1;
  grow_send_buffer(channel);
  if (is_native) fw__control_lay_hello(channel);
  else fw_name_senders(fd, 0);
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
  channel->last_size = whole;
  if (fw__channel_is_too_large(channel, whole)) return UV_EMSGSIZE;
  if (is_queue_full(channel, lane, whole)) return UV_ENOBUFS;
  int status = fw__wire_commit(channel, lane, encoding, size, handle);
  if (status == 0) fw__channel_gather(channel);
  return status;
}

void fw_channel_flush(fw_channel_t* channel) {
  fw__channel_write(channel);
  fw__channel_schedule(channel, 0);
}

size_t fw_channel_last_size(const fw_channel_t* channel) {
  return channel->last_size;
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

void fw_channel_hold(fw_channel_t* channel) {
  channel->holds++;
  fw__channel_arm(channel);
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
  return channel->peer_pid;
}

const fw_violation_t* fw_channel_violation(const fw_channel_t* channel) {
  return channel->is_violated ? &channel->violation : NULL;
}
