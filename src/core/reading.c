/* Reading the socket: how much at a time, and when to stop. */
#include <sys/socket.h>

#include "ancillary.h"
#include "channel_state.h"
#include "fd_kind.h"
#include "wire.h"

#define EARLY_READ_NS 500000             /* between two of those while JavaScript is sending */
#define EARLY_BUDGET ((size_t)256 << 10) /* bytes, in one turn */
#define DRAIN_SIZE 8192
#define DRAINS_MAX 65536
#define STOP (SIZE_MAX - 1) /* in place of a read's room: no further read before the batch */
#define UNKNOWN \
  SIZE_MAX /* the same: it ended behind descriptors, or came from the slot; more may follow */

/* A read that fills its buffer with small messages would bring several budgets at once: the next one asks for as much as the
 * last messages say that a budget takes, and for more and more only while few come in reads that are full. */
static void learn_read_size(fw_channel_t* channel, size_t size, size_t n_messages) {
  if (n_messages > FW_MESSAGE_BUDGET / 4) {
    size_t wanted = size / n_messages * FW_MESSAGE_BUDGET;
    channel->read_size = wanted < FW_READ_MIN ? FW_READ_MIN : wanted;
  } else if (size >= channel->read_size) {
    channel->read_size =
        channel->read_size > FW_READ_MAX / 4 ? FW_READ_MAX : channel->read_size * 4;
  }
}

static ssize_t violate(fw_channel_t* channel, const fw_violation_t* violation) {
  channel->violation = *violation;
  channel->is_violated = 1;
  return UV_EPROTO;
}

/* What the slot holds is older than anything that is in the socket. */
static ssize_t read_slot(fw_channel_t* channel, const struct iovec* room) {
  fw_slot_content_t content = fw_slot_close(&channel->slot);
  if (content == FW_SLOT_EMPTY) return UV_EAGAIN;
  size_t size = content == FW_SLOT_FULL ? fw_slot_take(&channel->slot, room->iov_base) : 0;
  if (size > 0) return (ssize_t)size;
  fw_violation_t violation = {.rule = "slot", .kind = FW_KIND_SLOT, .offset = channel->in.offset};
  return violate(channel, &violation);
}

static ssize_t read_any(fw_channel_t* channel, struct iovec* iov, size_t n_iov, fw_fd_set_t* set,
                        size_t* ret_room) {
  ssize_t size = read_slot(channel, iov);
  *ret_room = UNKNOWN;
  if (size != UV_EAGAIN) return size;
  if (iov[n_iov - 1].iov_len > channel->read_size) iov[n_iov - 1].iov_len = channel->read_size;
  size = fw_recv(channel->fd, iov, n_iov, fw__wire_fd_room(channel), set);
  if (!set->present) *ret_room = iov[0].iov_len + (n_iov > 1 ? iov[1].iov_len : 0);
  else if (fw__wire_stops_behind_fds(channel)) *ret_room = STOP;
  return size;
}

/* A peer that makes each close() of what it sends wait would have this process hold all of it. */
static int can_be_closed(const fw_fd_set_t* set) {
  for (size_t i = 0; i < set->count; i++)
    if (!fw_fd_can_be_closed(set->fds[i])) return 0;
  return 1;
}

/* Of messages, also of one that is still in pieces. */
static uint64_t message_bytes(const fw_channel_t* channel) {
  const fw_lane_in_t* lanes = channel->in.lanes;
  return lanes[FW_LANE_USER].received + lanes[FW_LANE_INTERNAL].received;
}

static int receive(fw_channel_t* channel, size_t* ret_size, size_t* ret_room) {
  struct iovec iov[2];
  fw_fd_set_t set;
  fw_fd_set_init(&set);
  size_t n_iov = fw__wire_prepare(channel, iov);
  if (n_iov == 0) return UV_ENOMEM;
  size_t direct =
      n_iov > 1 ? iov[0].iov_len : 0; /* of a message that is in pieces: no others come in it */
  ssize_t size = read_any(channel, iov, n_iov, &set, ret_room);
  if (size < 0) return (int)size;
  if (size == 0) {
    fw_fd_set_drop(&set);
    return UV_EOF;
  }
  if (!can_be_closed(&set)) {
    fw_violation_t violation = {.rule = "closing", .offset = channel->in.offset};
    fw_fd_set_drop(&set);
    return (int)violate(channel, &violation);
  }
  *ret_size = (size_t)size;
  channel->has_sender = set.has_sender;
  channel->sender = set.sender;
  channel->bytes_read += (size_t)size;
  size_t n_before = channel->n_received;
  uint64_t bytes_before = message_bytes(channel);
  int status = fw__wire_received(channel, (size_t)size, &set);
  size_t others = (size_t)size > direct ? (size_t)size - direct : 0;
  learn_read_size(channel, others, channel->n_received - n_before);
  if (message_bytes(channel) != bytes_before) fw__channel_note_progress(channel, FW_WAIT_END);
  return status == UV_EPROTO ? (int)violate(channel, fw__wire_violation(channel)) : status;
}

/* Whether another read is worth a call. Where it is not known mostly nothing follows: the loop says so at no cost if it does. */
static int is_more_likely(size_t size, size_t room, int is_drain) {
  if (room == STOP) return 0;
  return room == UNKNOWN ? is_drain : size >= room;
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
    if (!is_more_likely(size, room, n_messages == FW_NO_LIMIT)) return 0;
  }
  return 0;
}

/* A turn that sends more handles than may be open would otherwise keep the peer waiting until it is over. Messages cannot be
 * reported while JavaScript is in a call of its own: they are held, and so is what they may take. */
void fw__channel_read_acknowledgements(fw_channel_t* channel) {
  uint64_t now = uv_hrtime();
  if (channel->is_eof || channel->is_broken || channel->early_bytes >= EARLY_BUDGET) return;
  if (now - channel->early_read < EARLY_READ_NS) return;
  channel->early_read = now;
  uint64_t before = channel->bytes_read;
  channel->in.is_paused = 1;
  if (fw__channel_read(channel, EARLY_BUDGET, FW_NO_LIMIT)) channel->is_eof = 1;
  channel->in.is_paused = 0;
  channel->early_bytes += channel->bytes_read - before;
  fw__channel_schedule(channel, 1);
  /* The loop may be past the prepare phase: the timer keeps it from sleeping before the next one. */
  fw__channel_stay_awake(channel);
}

void fw__channel_on_message(void* data, const fw_message_t* message) {
  fw_channel_t* channel = data;
  if (channel->is_closing) return;
  fw__channel_note_event(channel);
  channel->spin.n_received++;
  channel->callbacks.on_message(channel->data, message);
}

void fw__channel_on_lost(void* data, uint64_t id) {
  fw_channel_t* channel = data;
  fw__channel_note_event(channel);
  channel->callbacks.on_lost(channel->data, id);
}

void fw__channel_empty_socket(fw_channel_t* channel) {
  uint8_t bytes[DRAIN_SIZE];
  struct iovec iov = {bytes, sizeof(bytes)};
  ssize_t size = 1;
  shutdown(channel->fd, SHUT_RD); /* nothing more comes, so this has an end */
  for (int i = 0; i < DRAINS_MAX && size > 0; i++) {
    fw_fd_set_t set;
    fw_fd_set_init(&set);
    size = fw_recv(channel->fd, &iov, 1, FW_SET_MAX, &set);
    fw_fd_set_drop(&set);
  }
}
