/* latency: 'low'. While two processes answer each other, going to sleep and being woken costs several times as much as
 * the answer itself: this end then waits for a moment without sleeping, and gives its processor away meanwhile. */
#include <sched.h>

#include "channel_state.h"

#define SPIN_NS 50000       /* for one answer */
#define SPIN_TURN_NS 500000 /* for all answers of one turn: timers and other handles want theirs */
#define SPIN_BUDGET ((size_t)64 << 10)
#define FEW 2          /* messages that make a question or an answer */
#define MAX_PAUSE 1024 /* turns without a spin, after many in vain */
#define SOCKET_LOOKS 8 /* into the slot for each into the socket, which takes a system call */

/* A message or two came, as many went, and nothing is left: the peer's turn. A stream never looks like that. */
static int is_peers_turn(const fw_channel_t* channel) {
  const fw_spin_t* spin = &channel->spin;
  uint64_t sent = channel->out.lanes[FW_LANE_USER].n_queued - spin->sent_before;
  if (spin->n_received == 0 || spin->n_received > FEW || sent == 0 || sent > FEW) return 0;
  return fw_write_queue_size(&channel->out) == 0 && !channel->is_eof && !channel->end_wanted;
}

void fw__channel_spin_begin(fw_channel_t* channel) {
  channel->spin.n_received = 0;
  channel->spin.sent_before = channel->out.lanes[FW_LANE_USER].n_queued;
}

/* An answer to an answer leaves at once, too. */
static void begin_turn(fw_channel_t* channel) {
  fw__channel_spin_begin(channel);
  channel->n_sent_this_turn = 0;
  fw__channel_begin_call(channel);
  channel->callbacks.on_progress(channel->data);
  fw__channel_end_call(channel);
}

typedef enum { CAME, CAME_LATE, CAME_NOT } wait_t;

/* From here to close_slot() the peer may leave its answer in the slot: also while JavaScript has the one before. */
static void open_slot(fw_channel_t* channel) {
  if (!channel->is_eof && fw_read_queue_is_between_messages(&channel->in))
    fw_slot_open(&channel->slot, channel->bytes_read);
}

static void look(fw_channel_t* channel) {
  if (fw__channel_read(channel, SPIN_BUDGET, SIZE_MAX)) channel->is_eof = 1;
}

/* The loop gets its turn: an answer that came meanwhile is delivered before. */
void fw__channel_close_slot(fw_channel_t* channel) {
  if (channel->is_closing || fw_slot_close(&channel->slot) == FW_SLOT_EMPTY) return;
  look(channel);
  fw__channel_after_read(channel);
}

/* sched_yield() is what keeps this from doing harm where the peer needs this very processor. Where others got it for
 * longer, all are busy, and sleeping is as good. */
static wait_t wait_for_answer(fw_channel_t* channel) {
  uint64_t end = uv_hrtime() + SPIN_NS;
  uint64_t before = channel->bytes_read;
  unsigned n_looks = 0;
  for (;;) {
    open_slot(channel);
    sched_yield();
    int is_late = uv_hrtime() > end;
    int is_socket_due = is_late || !channel->slot.is_open || ++n_looks % SOCKET_LOOKS == 0;
    if (!is_socket_due && !fw_slot_is_filled(&channel->slot)) continue;
    look(channel);
    if (channel->is_eof || channel->bytes_read != before) return is_late ? CAME_LATE : CAME;
    if (is_late) return CAME_NOT;
  }
}

/* A spin in vain: the next ones are left out, twice as many each time. */
static void note_failure(fw_spin_t* spin) {
  spin->pause = spin->pause == 0 ? 1 : spin->pause * 2;
  if (spin->pause > MAX_PAUSE) spin->pause = MAX_PAUSE;
  spin->left_out = spin->pause;
}

static int may_spin(fw_spin_t* spin) {
  if (spin->left_out == 0) return 1;
  spin->left_out--;
  return 0;
}

/* Whether an answer came and was delivered. */
static int spin_once(fw_channel_t* channel) {
  begin_turn(channel);
  wait_t result = wait_for_answer(channel);
  if (result == CAME) channel->spin.pause = 0;
  else note_failure(&channel->spin);
  if (result == CAME_NOT) return 0;
  if (result == CAME) open_slot(channel);
  fw__channel_after_read(channel);
  return 1;
}

void fw__channel_spin(fw_channel_t* channel) {
  uint64_t end = 0;
  while (!channel->is_closing && is_peers_turn(channel) && may_spin(&channel->spin)) {
    if (end == 0) end = uv_hrtime() + SPIN_TURN_NS;
    if (!spin_once(channel) || uv_hrtime() > end) break;
  }
  fw__channel_close_slot(channel);
}
