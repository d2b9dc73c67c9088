#include "../../src/core/ledger.h"

#include <uv.h>

#include "../../src/core/fd_kind.h"
#include "sockets.h"

typedef struct {
  uint64_t token;
  fw_outcome_t outcome;
  uint32_t reason;
} outcome_t;

static fw_ledger_t ledger;
static outcome_t outcomes[8192];
static size_t n_outcomes;
static int tcp[2];

static void on_settled(void* data, const fw_sent_t* sent, fw_outcome_t outcome, uint32_t reason) {
  CHECK(data == &ledger);
  outcomes[n_outcomes++] = (outcome_t){sent->token, outcome, reason};
}

static void begin(void) {
  tcp_pair(tcp);
  n_outcomes = 0;
  fw_ledger_init(&ledger, on_settled, &ledger);
}

static void end(void) {
  fw_ledger_free(&ledger);
  close(tcp[0]);
  close(tcp[1]);
}

static void check_outcome(size_t i, uint64_t token, fw_outcome_t outcome, uint32_t reason) {
  CHECK(i < n_outcomes);
  CHECK_EQUAL(outcomes[i].token, token);
  CHECK_EQUAL(outcomes[i].outcome, outcome);
  CHECK_EQUAL(outcomes[i].reason, reason);
}

/* ------------------------------------------------------------------ sending */

static fw_sent_t* queue_one(fw_lane_t lane, uint64_t token, uint8_t flags, int dup) {
  fw_handle_out_t handle = {
      .fd = tcp[0], .dup = dup, .token = token, .type = FW_HANDLE_SOCKET, .flags = flags};
  fw_sent_t* sent = NULL;
  CHECK_EQUAL(fw_ledger_queue(&ledger, lane, &handle, &sent), 0);
  return sent;
}

static fw_sent_t* send_one(fw_lane_t lane, uint64_t token, uint8_t flags) {
  fw_sent_t* sent = queue_one(lane, token, flags, 0);
  CHECK(fw_ledger_has_credit(&ledger, sent));
  fw_ledger_assign(&ledger, sent);
  fw_ledger_sent(&ledger, sent);
  return sent;
}

static void send_many(size_t count) {
  for (size_t i = 1; i <= count; i++) CHECK_EQUAL(send_one(FW_LANE_USER, i, 0)->id, i);
}

static const char* taken(size_t n_ranges, const fw_range_t* ranges) {
  uint8_t payload[4 * 16];
  for (size_t i = 0; i < n_ranges; i++) fw_range_encode(payload, i, ranges[i]);
  return fw_ledger_on_taken(&ledger, payload, n_ranges);
}

static const char* taken_range(uint64_t first, uint64_t last) {
  return taken(1, &(fw_range_t){first, last});
}

static const char* resend_asked(uint64_t id) {
  uint8_t payload[8];
  fw_put_u64(payload, id);
  return fw_ledger_on_resend(&ledger, payload, 1);
}

static void a_moved_handle_is_borrowed(void) {
  begin();
  fw_sent_t* sent = queue_one(FW_LANE_USER, 7, 0, 0);
  CHECK_EQUAL(sent->fd, tcp[0]);
  CHECK_EQUAL(sent->state, FW_STATE_QUEUED);
  fw_ledger_return_all(&ledger);
  check_outcome(0, 7, FW_OUTCOME_RETURNED, 0);
  CHECK(is_open(tcp[0]));
  end();
}

static void a_moved_handle_is_duplicated_where_all_is_owned(void) {
  begin();
  ledger.owns_all = 1;
  fw_sent_t* sent = queue_one(FW_LANE_USER, 7, 0, 0);
  int copy = sent->fd;
  CHECK(copy != tcp[0] && inode_of(copy) == inode_of(tcp[0]));
  CHECK(sent->moved);
  fw_ledger_return_all(&ledger);
  CHECK(!is_open(copy) && is_open(tcp[0]));
  end();
}

static void a_duplicate_is_closed_when_it_is_settled(void) {
  begin();
  fw_sent_t* sent = queue_one(FW_LANE_USER, 7, 0, 1);
  int copy = sent->fd;
  CHECK(copy != tcp[0]);
  CHECK(inode_of(copy) == inode_of(tcp[0]));
  fw_ledger_drop_queued(&ledger, sent, FW_OUTCOME_RETURNED);
  CHECK(!is_open(copy));
  CHECK_EQUAL(n_outcomes, 1);
  end();
}

static void the_block_says_what_the_descriptor_is(void) {
  begin();
  fw_handle_out_t handle = {
      .fd = udp_socket(), .type = FW_HANDLE_DGRAM, .key = 5, .buffered_size = 9};
  fw_sent_t* sent;
  CHECK_EQUAL(fw_ledger_queue(&ledger, FW_LANE_USER, &handle, &sent), 0);
  CHECK(sent->block.inode == inode_of(handle.fd));
  CHECK_EQUAL(sent->block.kind, FW_FD_UDP);
  CHECK_EQUAL(sent->block.type, FW_HANDLE_DGRAM);
  CHECK_EQUAL(sent->block.buffered, 9);
  CHECK_EQUAL(sent->block.key, 0); /* not COUNTED */
  handle.flags = FW_HANDLE_COUNTED;
  CHECK_EQUAL(fw_ledger_queue(&ledger, FW_LANE_USER, &handle, &sent), 0);
  CHECK_EQUAL(sent->block.key, 5);
  close(handle.fd);
  end();
}

static void what_cannot_travel_leaves_the_ledger_as_it_was(void) {
  begin();
  int pipes[2];
  fw_sent_t* sent = NULL;
  CHECK(pipe(pipes) == 0);
  fw_handle_out_t handle = {.fd = pipes[0], .dup = 1, .type = FW_HANDLE_NATIVE, .flags = 1};
  CHECK_EQUAL(fw_ledger_queue(&ledger, FW_LANE_USER, &handle, &sent), UV_ENOTSUP);
  close(pipes[0]);
  close(pipes[1]);
  CHECK_EQUAL(fw_ledger_queue(&ledger, FW_LANE_USER, &handle, &sent), UV_EBADF);
  handle.fd = tcp[0];
  limit_room(0);
  CHECK_EQUAL(fw_ledger_queue(&ledger, FW_LANE_USER, &handle, &sent), UV_EMFILE);
  unlimit_room();
  CHECK(sent == NULL);
  CHECK(fw_ledger_is_settled(&ledger));
  CHECK_EQUAL(ledger.n_writes_out, 0);
  CHECK_EQUAL(n_outcomes, 0);
  end();
}

static void ids_count_over_both_lanes_in_the_order_of_the_wire(void) {
  begin();
  fw_sent_t* user = queue_one(FW_LANE_USER, 1, 0, 0);
  fw_sent_t* internal = queue_one(FW_LANE_INTERNAL, 2, 0, 0);
  CHECK_EQUAL(user->id, 0);
  fw_ledger_assign(&ledger, internal);
  fw_ledger_assign(&ledger, user);
  CHECK_EQUAL(internal->id, 1);
  CHECK_EQUAL(user->id, 2);
  end();
}

static void a_lane_has_its_own_handle_credit(void) {
  begin();
  fw_sent_t* user = queue_one(FW_LANE_USER, 1, 0, 0);
  fw_sent_t* internal = queue_one(FW_LANE_INTERNAL, 2, 0, 0);
  for (uint64_t i = 0; i < FW_USER_HANDLES; i++) send_one(FW_LANE_USER, i, 0);
  CHECK(!fw_ledger_has_credit(&ledger, user));
  for (uint64_t i = 0; i < FW_INTERNAL_HANDLES; i++) send_one(FW_LANE_INTERNAL, i, 0);
  CHECK(!fw_ledger_has_credit(&ledger, internal));
  CHECK_RULE(taken_range(512, 512), NULL);
  CHECK(fw_ledger_has_credit(&ledger, user));
  CHECK(!fw_ledger_has_credit(&ledger, internal));
  CHECK_RULE(fw_ledger_on_refused(&ledger, 513, 3), NULL);
  CHECK(fw_ledger_has_credit(&ledger, internal));
  end();
}

static void taken_ranges_settle_each_handle_once(void) {
  begin();
  send_many(9);
  CHECK_RULE(taken(2, (fw_range_t[]){{2, 4}, {6, 6}}), NULL);
  CHECK_EQUAL(n_outcomes, 4);
  check_outcome(0, 2, FW_OUTCOME_TAKEN, 0);
  check_outcome(2, 4, FW_OUTCOME_TAKEN, 0);
  check_outcome(3, 6, FW_OUTCOME_TAKEN, 0);
  CHECK_RULE(taken_range(4, 5), "ledger");
  CHECK_RULE(taken_range(3, 3), "ledger");
  CHECK_RULE(taken_range(1, 2), "ledger");
  CHECK_RULE(taken_range(9, 10), "ledger");
  CHECK_RULE(taken_range(10, UINT64_MAX), "ledger");
  CHECK_EQUAL(n_outcomes, 4);
  CHECK_RULE(taken(4, (fw_range_t[]){{1, 1}, {5, 5}, {7, 8}, {9, 9}}), NULL);
  CHECK(fw_ledger_is_settled(&ledger));
  CHECK_RULE(taken_range(1, 1), "ledger");
  end();
}

static void a_broken_range_changes_nothing(void) {
  begin();
  send_many(5);
  CHECK_RULE(taken(2, (fw_range_t[]){{1, 2}, {5, 6}}), "ledger");
  CHECK_RULE(taken(2, (fw_range_t[]){{3, 4}, {4, 5}}), "ranges");
  CHECK_RULE(taken_range(0, 1), "ranges");
  CHECK_EQUAL(n_outcomes, 0);
  CHECK_EQUAL(ledger.n_open, 5);
  end();
}

static void return_all_on_settled(void* data, const fw_sent_t* sent, fw_outcome_t outcome,
                                  uint32_t reason) {
  on_settled(data, sent, outcome, reason);
  fw_ledger_return_all(&ledger);
}

static void an_outcome_may_close_everything(void) {
  begin();
  send_many(9);
  queue_one(FW_LANE_USER, 10, 0, 0);
  ledger.on_settled = return_all_on_settled;
  CHECK_RULE(taken(3, (fw_range_t[]){{2, 3}, {5, 6}, {8, 8}}), NULL);
  CHECK_EQUAL(n_outcomes, 10);
  CHECK(fw_ledger_is_settled(&ledger));
  end();
}

static void landed_is_cumulative_and_grows(void) {
  begin();
  send_many(5);
  CHECK(!fw_ledger_all_landed(&ledger));
  CHECK_RULE(fw_ledger_on_landed(&ledger, 6), "ledger");
  CHECK_RULE(fw_ledger_on_landed(&ledger, 3), NULL);
  for (size_t i = 0; i < 5; i++)
    CHECK_EQUAL(ledger.open[i]->state, i < 3 ? FW_STATE_LANDED : FW_STATE_SENT);
  CHECK_RULE(fw_ledger_on_landed(&ledger, 3), "ledger");
  CHECK_RULE(fw_ledger_on_landed(&ledger, 2), "ledger");
  CHECK_RULE(taken_range(2, 4), NULL); /* 4 before it is said to have landed */
  CHECK_RULE(fw_ledger_on_landed(&ledger, 5), NULL);
  CHECK(fw_ledger_all_landed(&ledger));
  CHECK_EQUAL(n_outcomes, 3);
  end();
}

static void a_refused_handle_returns_with_the_reason(void) {
  begin();
  send_many(2);
  CHECK_RULE(fw_ledger_on_refused(&ledger, 3, 1), "ledger");
  CHECK_RULE(fw_ledger_on_refused(&ledger, 1, FW_REFUSED_POLICY), NULL);
  check_outcome(0, 1, FW_OUTCOME_RETURNED, FW_REFUSED_POLICY);
  CHECK_RULE(fw_ledger_on_refused(&ledger, 1, 1), "ledger");
  CHECK_RULE(taken_range(1, 1), "ledger");
  CHECK_RULE(taken_range(1, 2), "ledger");
  end();
}

static void an_id_that_was_not_sent_is_not_open(void) {
  begin();
  fw_sent_t* sent = queue_one(FW_LANE_USER, 1, 0, 0);
  fw_ledger_assign(&ledger, sent);
  CHECK_RULE(taken_range(1, 1), "ledger");
  CHECK_RULE(fw_ledger_on_refused(&ledger, 1, 1), "ledger");
  CHECK_RULE(fw_ledger_on_landed(&ledger, 1), "ledger");
  CHECK_RULE(resend_asked(1), "ledger");
  end();
}

static void a_handle_is_resent_when_it_is_asked_for(void) {
  begin();
  send_many(3);
  CHECK(fw_ledger_next_resend(&ledger) == NULL);
  CHECK_RULE(resend_asked(2), NULL);
  CHECK_RULE(resend_asked(2), "ledger");
  fw_sent_t* sent = fw_ledger_next_resend(&ledger);
  CHECK_EQUAL(sent->id, 2);
  fw_ledger_resend_laid(&ledger, sent);
  CHECK(fw_ledger_next_resend(&ledger) == NULL);
  CHECK_RULE(resend_asked(2), "ledger");
  fw_ledger_resent(sent);
  CHECK_RULE(resend_asked(2), NULL);
  CHECK(fw_ledger_next_resend(&ledger) == sent);
  CHECK_RULE(resend_asked(4), "ledger");
  end();
}

static void resend_asks_for_all_or_for_none(void) {
  begin();
  uint8_t payload[24];
  send_many(3);
  CHECK_RULE(fw_ledger_on_landed(&ledger, 1), NULL);
  fw_put_u64(payload, 2);
  fw_put_u64(payload + 8, 3);
  fw_put_u64(payload + 16, 4);
  CHECK_RULE(fw_ledger_on_resend(&ledger, payload, 3), "ledger");
  CHECK_EQUAL(ledger.n_resend, 0);
  CHECK_RULE(resend_asked(1), "ledger"); /* it landed */
  CHECK_RULE(fw_ledger_on_resend(&ledger, payload, 2), NULL);
  CHECK_EQUAL(ledger.n_resend, 2);
  fw_put_u64(payload + 8, 2);
  CHECK_RULE(fw_ledger_on_resend(&ledger, payload, 2), "ranges");
  end();
}

static void nothing_else_is_said_of_a_handle_that_was_asked_for(void) {
  begin();
  send_many(3);
  CHECK_RULE(resend_asked(2), NULL);
  CHECK_RULE(fw_ledger_on_landed(&ledger, 2), "ledger");
  CHECK_RULE(fw_ledger_on_landed(&ledger, 1), NULL);
  CHECK_RULE(taken_range(1, 3), "ledger");
  CHECK_RULE(fw_ledger_on_refused(&ledger, 2, 1), "ledger");
  fw_sent_t* sent = fw_ledger_next_resend(&ledger);
  fw_ledger_resend_laid(&ledger, sent);
  CHECK_RULE(taken_range(2, 2), "ledger");
  fw_ledger_resent(sent);
  CHECK_RULE(taken_range(2, 2), NULL);
  end();
}

static void all_return_oldest_first(void) {
  begin();
  send_many(3);
  queue_one(FW_LANE_INTERNAL, 4, 0, 1);
  queue_one(FW_LANE_USER, 5, 0, 0);
  CHECK_RULE(resend_asked(2), NULL);
  fw_ledger_return_queued(&ledger);
  CHECK_EQUAL(n_outcomes, 2);
  check_outcome(0, 4, FW_OUTCOME_RETURNED, 0);
  check_outcome(1, 5, FW_OUTCOME_RETURNED, 0);
  queue_one(FW_LANE_USER, 6, 0, 0);
  fw_ledger_return_all(&ledger);
  for (size_t i = 0; i < 3; i++) check_outcome(2 + i, i + 1, FW_OUTCOME_RETURNED, 0);
  check_outcome(5, 6, FW_OUTCOME_RETURNED, 0);
  CHECK_EQUAL(ledger.n_resend, 0);
  CHECK_EQUAL(ledger.n_open_in[FW_LANE_USER], 0);
  CHECK(fw_ledger_is_settled(&ledger));
  end();
}

static void a_queued_handle_is_taken_out_of_the_middle(void) {
  begin();
  queue_one(FW_LANE_USER, 1, 0, 0);
  fw_sent_t* middle = queue_one(FW_LANE_USER, 2, 0, 0);
  queue_one(FW_LANE_USER, 3, 0, 0);
  fw_ledger_drop_queued(&ledger, middle, FW_OUTCOME_CLOSED);
  check_outcome(0, 2, FW_OUTCOME_CLOSED, 0);
  fw_ledger_return_all(&ledger);
  check_outcome(1, 1, FW_OUTCOME_RETURNED, 0);
  check_outcome(2, 3, FW_OUTCOME_RETURNED, 0);
  end();
}

/* ---------------------------------------------------------------- receiving */

static fw_block_t tcp_block(void) {
  return (fw_block_t){.inode = inode_of(tcp[0]), .kind = FW_FD_TCP, .type = FW_HANDLE_SOCKET};
}

static void receive_in(fw_lane_t lane, uint64_t id, int is_there) {
  fw_block_t block = tcp_block();
  int fd = is_there ? fw_fd_dup(tcp[0]) : -1;
  int refused = 1;
  CHECK_RULE(fw_ledger_receive(&ledger, lane, id, &block, &fd, &refused), NULL);
  CHECK_EQUAL(fd, -1);
  CHECK_EQUAL(refused, 0);
}

static void receive_many(size_t count) {
  for (size_t i = 1; i <= count; i++) receive_in(FW_LANE_USER, i, 1);
}

static void take(uint64_t id) {
  int fd = fw_ledger_adopt(&ledger, id);
  CHECK(fd >= 0);
  CHECK(inode_of(fd) == inode_of(tcp[0]));
  CHECK_EQUAL(fw_ledger_take(&ledger, id), 0);
  close(fd);
}

static const char* receive_broken(fw_lane_t lane, uint64_t id, fw_block_t block, int* ret_refused) {
  int fd = fw_fd_dup(tcp[0]);
  int number = fd;
  const char* rule = fw_ledger_receive(&ledger, lane, id, &block, &fd, ret_refused);
  CHECK_EQUAL(fd, -1);
  CHECK(!is_open(number));
  return rule;
}

static const char* fill(uint64_t id, uint64_t inode, int is_there) {
  int fd = is_there ? fw_fd_dup(tcp[0]) : -1;
  const char* rule = fw_ledger_fill(&ledger, id, inode, &fd);
  CHECK_EQUAL(fd, -1);
  return rule;
}

static void an_arrived_handle_is_adopted_and_taken_once(void) {
  begin();
  receive_many(1);
  CHECK_EQUAL(fw_ledger_take(&ledger, 1), UV_ENOENT); /* not adopted */
  int fd = fw_ledger_adopt(&ledger, 1);
  CHECK(fd >= 0);
  CHECK_EQUAL(ledger.n_adopted, 1);
  CHECK_EQUAL(fw_ledger_adopt(&ledger, 1), UV_ENOENT);
  CHECK_EQUAL(fw_ledger_take(&ledger, 1), 0);
  CHECK_EQUAL(fw_ledger_take(&ledger, 1), UV_ENOENT);
  CHECK_EQUAL(fw_ledger_refuse(&ledger, 1, 1), UV_ENOENT);
  CHECK_EQUAL(ledger.n_adopted, 0);
  CHECK_EQUAL(ledger.n_taken, 1);
  close(fd);
  end();
}

static void ids_must_follow_one_another(void) {
  begin();
  int refused;
  CHECK_RULE(receive_broken(FW_LANE_USER, 2, tcp_block(), &refused), "handle-id");
  CHECK_RULE(receive_broken(FW_LANE_USER, 0, tcp_block(), &refused), "handle-id");
  receive_many(2);
  CHECK_RULE(receive_broken(FW_LANE_INTERNAL, 2, tcp_block(), &refused), "handle-id");
  CHECK_RULE(receive_broken(FW_LANE_INTERNAL, 4, tcp_block(), &refused), "handle-id");
  end();
}

static void more_than_the_handle_credit_is_found(void) {
  begin();
  int refused;
  receive_many(FW_USER_HANDLES);
  CHECK_RULE(receive_broken(FW_LANE_USER, 513, tcp_block(), &refused), "handle-credit");
  for (uint64_t id = 513; id <= FW_HANDLES_MAX; id++) receive_in(FW_LANE_INTERNAL, id, 1);
  CHECK_RULE(receive_broken(FW_LANE_INTERNAL, 577, tcp_block(), &refused), "handle-credit");
  take(1); /* answered, but the peer cannot know yet */
  CHECK_RULE(receive_broken(FW_LANE_USER, 577, tcp_block(), &refused), "handle-credit");
  ledger.n_taken = 0;
  receive_in(FW_LANE_USER, 577, 1);
  end();
}

static void a_kind_that_is_not_wanted_is_refused(void) {
  begin();
  int refused = 0;
  fw_block_t block = tcp_block();
  ledger.refused_types = 1u << FW_HANDLE_SERVER | 1u << FW_HANDLE_SOCKET;
  CHECK_RULE(receive_broken(FW_LANE_USER, 1, block, &refused), NULL);
  CHECK_EQUAL(refused, 1);
  CHECK_EQUAL(ledger.refused[0].reason, FW_REFUSED_POLICY);
  int none = -1; /* it is not even asked for again */
  CHECK_RULE(fw_ledger_receive(&ledger, FW_LANE_USER, 2, &block, &none, &refused), NULL);
  CHECK_EQUAL(refused, 1);
  CHECK_EQUAL(ledger.n_missing, 0);
  CHECK_EQUAL(fw_ledger_landed_id(&ledger), 2);
  ledger.refused_types = 1u << FW_HANDLE_SERVER;
  receive_in(FW_LANE_USER, 3, 1);
  CHECK_EQUAL(ledger.n_received, 1);
  end();
}

static void check_mismatch(uint64_t id, fw_block_t block) {
  int refused = 0;
  CHECK_RULE(receive_broken(FW_LANE_USER, id, block, &refused), NULL);
  CHECK_EQUAL(refused, 1);
  CHECK_EQUAL(ledger.n_refused, id);
  CHECK_EQUAL(ledger.refused[id - 1].id, id);
  CHECK_EQUAL(ledger.refused[id - 1].reason, FW_REFUSED_MISMATCH);
}

static void what_is_not_as_declared_is_refused(void) {
  begin();
  fw_block_t block = tcp_block();
  block.inode++;
  check_mismatch(1, block);
  block = tcp_block();
  block.kind = FW_FD_UNIX;
  check_mismatch(2, block);
  block.kind = FW_FD_UDP;
  block.type = FW_HANDLE_DGRAM;
  check_mismatch(3, block);
  block = tcp_block();
  block.type = FW_HANDLE_SERVER; /* it does not listen */
  check_mismatch(4, block);
  CHECK_EQUAL(ledger.n_received, 0);
  CHECK_EQUAL(fw_ledger_landed_id(&ledger), 4);
  end();
}

static void a_listener_is_a_server_and_no_socket(void) {
  begin();
  int listener = tcp_listener();
  fw_block_t block = {.inode = inode_of(listener), .kind = FW_FD_TCP};
  static const struct {
    uint8_t type;
    int is_refused;
  } rows[] = {
      {FW_HANDLE_SOCKET, 1}, {FW_HANDLE_SERVER, 0}, {FW_HANDLE_NATIVE, 0}, {FW_HANDLE_BOUND, 1}};
  for (uint64_t i = 0; i < 4; i++) {
    int refused = -1;
    int fd = fw_fd_dup(listener);
    block.type = rows[i].type;
    CHECK_RULE(fw_ledger_receive(&ledger, FW_LANE_USER, i + 1, &block, &fd, &refused), NULL);
    CHECK_EQUAL(refused, rows[i].is_refused);
  }
  close(listener);
  end();
}

static void check_taken(size_t n_ranges, const fw_range_t* ranges) {
  CHECK_EQUAL(ledger.n_taken, n_ranges);
  for (size_t i = 0; i < n_ranges; i++) {
    CHECK_EQUAL(ledger.taken[i].first, ranges[i].first);
    CHECK_EQUAL(ledger.taken[i].last, ranges[i].last);
  }
}

static void taken_ids_merge_into_ranges(void) {
  begin();
  receive_many(9);
  take(2);
  take(3);
  check_taken(1, (fw_range_t[]){{2, 3}});
  take(7);
  take(5);
  check_taken(3, (fw_range_t[]){{2, 3}, {5, 5}, {7, 7}});
  take(9);
  take(6);
  check_taken(3, (fw_range_t[]){{2, 3}, {5, 7}, {9, 9}});
  take(1);
  take(4);
  check_taken(2, (fw_range_t[]){{1, 7}, {9, 9}});
  take(8);
  check_taken(1, (fw_range_t[]){{1, 9}});
  end();
}

/* Every second one, then the others in a mixed order: what is noted is exactly what was taken. */
static void many_taken_ids_merge_into_one_range(void) {
  begin();
  receive_many(FW_USER_HANDLES);
  for (uint64_t i = 0; i < FW_USER_HANDLES; i += 2) take(1 + i);
  CHECK_EQUAL(ledger.n_taken, FW_USER_HANDLES / 2);
  for (uint64_t i = 0; i < FW_USER_HANDLES / 2; i++) take(2 + 2 * (i * 37 % 256));
  check_taken(1, (fw_range_t[]){{1, FW_USER_HANDLES}});
  end();
}

static void refusing_closes_unless_it_was_adopted(void) {
  begin();
  receive_many(2);
  int first = fw_ledger_find(&ledger, 1)->fd;
  CHECK_EQUAL(fw_ledger_refuse(&ledger, 1, FW_REFUSED_POLICY), 0);
  CHECK(!is_open(first));
  int second = fw_ledger_adopt(&ledger, 2);
  CHECK_EQUAL(fw_ledger_refuse(&ledger, 2, FW_REFUSED_UNUSABLE), 0);
  CHECK(is_open(second));
  close(second);
  CHECK_EQUAL(ledger.n_refused, 2);
  CHECK_EQUAL(ledger.refused[1].reason, FW_REFUSED_UNUSABLE);
  CHECK_EQUAL(ledger.n_adopted, 0);
  CHECK_EQUAL(fw_ledger_refuse(&ledger, 2, 1), UV_ENOENT);
  end();
}

static void discarding_tells_nobody_and_leaves_adopted_ones(void) {
  begin();
  receive_many(4);
  int fd = fw_ledger_adopt(&ledger, 2);
  fw_ledger_discard(&ledger, 1);
  fw_ledger_discard(&ledger, 1);
  CHECK(fw_ledger_find(&ledger, 1) == NULL);
  fw_ledger_discard_all(&ledger);
  CHECK_EQUAL(ledger.n_received, 1);
  CHECK_EQUAL(fw_ledger_find(&ledger, 2)->state, FW_STATE_ADOPTED);
  CHECK_EQUAL(ledger.n_refused + ledger.n_taken, 0);
  CHECK_EQUAL(fw_ledger_landed_id(&ledger), 4);
  close(fd);
  end();
}

static void what_landed_has_passed_is_never_given_up(void) {
  begin();
  receive_many(2);
  CHECK(fw_ledger_can_give_up(&ledger, 1));
  ledger.landed_reported = 1;
  CHECK(!fw_ledger_can_give_up(&ledger, 1));
  CHECK(fw_ledger_can_give_up(&ledger, 2));
  end();
}

static void landed_stops_before_a_missing_one(void) {
  begin();
  receive_many(2);
  receive_in(FW_LANE_USER, 3, 0);
  receive_in(FW_LANE_USER, 4, 1);
  CHECK_EQUAL(ledger.n_missing, 1);
  CHECK_EQUAL(fw_ledger_landed_id(&ledger), 2);
  CHECK_EQUAL(fw_ledger_adopt(&ledger, 3), UV_ENOENT);
  fw_ledger_ask_missing(&ledger, 1);
  CHECK_EQUAL(ledger.n_resend_ids, 1);
  CHECK_EQUAL(ledger.resend_ids[0], 3);
  CHECK_RULE(fill(3, inode_of(tcp[0]), 1), NULL);
  CHECK_EQUAL(fw_ledger_landed_id(&ledger), 4);
  CHECK_EQUAL(ledger.n_missing, 0);
  take(3);
  end();
}

static void asks_only_for_as_many_as_there_is_room_for(void) {
  begin();
  for (uint64_t id = 1; id <= 5; id++) receive_in(FW_LANE_USER, id, id == 2);
  CHECK_EQUAL(fw_ledger_ask_missing(&ledger, 0), 0);
  CHECK_EQUAL(ledger.n_resend_ids, 0);
  CHECK_EQUAL(fw_ledger_ask_missing(&ledger, 2), 2);
  CHECK_EQUAL(ledger.n_resend_ids, 2);
  CHECK(ledger.resend_ids[0] == 1 && ledger.resend_ids[1] == 3);
  CHECK_EQUAL(fw_ledger_ask_missing(&ledger, 2), 0);
  CHECK_EQUAL(ledger.n_resend_ids, 2);
  fw_ledger_ask_missing(&ledger, 9);
  CHECK_EQUAL(ledger.n_resend_ids, 4);
  end();
}

static void one_that_is_cut_off_again_is_asked_for_again(void) {
  begin();
  receive_in(FW_LANE_USER, 1, 0);
  fw_ledger_ask_missing(&ledger, 1);
  ledger.n_resend_ids = 0; /* RESEND left */
  CHECK_RULE(fill(1, inode_of(tcp[0]), 0), NULL);
  CHECK_EQUAL(fw_ledger_find(&ledger, 1)->state, FW_STATE_MISSING);
  CHECK_RULE(fill(1, inode_of(tcp[0]), 1), "ledger"); /* not asked for */
  fw_ledger_ask_missing(&ledger, 1);
  CHECK_EQUAL(ledger.n_resend_ids, 1);
  CHECK_RULE(fill(1, inode_of(tcp[0]), 1), NULL);
  CHECK_EQUAL(fw_ledger_landed_id(&ledger), 1);
  end();
}

static void asks_ascend_also_when_one_is_asked_for_again(void) {
  begin();
  receive_in(FW_LANE_USER, 1, 0);
  receive_in(FW_LANE_USER, 2, 0);
  fw_ledger_ask_missing(&ledger, 1);
  ledger.n_resend_ids = 0;           /* RESEND left */
  fw_ledger_ask_missing(&ledger, 2); /* 2: it does not leave yet */
  CHECK_RULE(fill(1, inode_of(tcp[0]), 0), NULL);
  fw_ledger_ask_missing(&ledger, 2);
  CHECK_EQUAL(ledger.n_resend_ids, 2);
  CHECK(ledger.resend_ids[0] == 1 && ledger.resend_ids[1] == 2);
  end();
}

static void what_nobody_asked_for_is_closed(void) {
  begin();
  receive_in(FW_LANE_USER, 1, 0);
  receive_in(FW_LANE_USER, 2, 1);
  CHECK_RULE(fill(1, inode_of(tcp[0]), 1), "ledger");
  CHECK_RULE(fill(2, inode_of(tcp[0]), 1), "ledger");
  CHECK_RULE(fill(3, inode_of(tcp[0]), 1), "ledger");
  fw_ledger_ask_missing(&ledger, 1);
  CHECK_RULE(fill(1, inode_of(tcp[0]) + 1, 1), "ledger");
  end();
}

static void another_socket_with_the_right_name_is_refused(void) {
  begin();
  receive_in(FW_LANE_USER, 1, 0);
  fw_ledger_ask_missing(&ledger, 1);
  int fd = fw_fd_dup(tcp[1]);
  CHECK_RULE(fw_ledger_fill(&ledger, 1, inode_of(tcp[0]), &fd), NULL);
  CHECK_EQUAL(fd, -1);
  CHECK_EQUAL(ledger.n_refused, 1);
  CHECK_EQUAL(ledger.refused[0].reason, FW_REFUSED_MISMATCH);
  CHECK_EQUAL(fw_ledger_landed_id(&ledger), 1);
  CHECK_EQUAL(ledger.n_missing, 0);
  end();
}

/* The peer must not hear that a handle landed while it is asked for its descriptor. */
static void nothing_is_said_of_a_discarded_handle_that_was_asked_for(void) {
  begin();
  for (uint64_t id = 1; id <= 4; id++) receive_in(FW_LANE_USER, id, id == 1);
  fw_ledger_ask_missing(&ledger, 1);
  ledger.n_resend_ids = 0;           /* RESEND left: 2 */
  fw_ledger_ask_missing(&ledger, 2); /* 3: it does not leave */
  fw_ledger_discard_all(&ledger);
  CHECK_EQUAL(fw_ledger_landed_id(&ledger), 1);
  CHECK_EQUAL(ledger.n_resend_ids, 0);
  CHECK_EQUAL(ledger.n_missing, 0);
  end();
}

/* ------------------------------------------------------------ unsent writes */

static void check_writes_done(uint64_t id, int failed) {
  fw_writes_t writes;
  CHECK_EQUAL(fw_ledger_next_writes_done(&ledger, &writes), 1);
  CHECK_EQUAL(writes.id, id);
  CHECK_EQUAL(writes.failed, failed);
}

static void check_no_writes_done(void) {
  fw_writes_t writes;
  CHECK_EQUAL(fw_ledger_next_writes_done(&ledger, &writes), 0);
}

static void writes_that_end_while_queued_take_the_flag_away(void) {
  begin();
  fw_sent_t* sent = queue_one(FW_LANE_USER, 1, FW_HANDLE_WRITES_PENDING, 0);
  fw_ledger_finish_writes(&ledger, 1, 0);
  CHECK_EQUAL(sent->block.flags, 0);
  fw_ledger_assign(&ledger, sent);
  fw_ledger_sent(&ledger, sent);
  check_no_writes_done();
  CHECK_EQUAL(ledger.n_writes_out, 0);
  end();
}

static void writes_that_fail_while_queued_are_reported_behind_the_frame(void) {
  begin();
  fw_sent_t* sent = queue_one(FW_LANE_USER, 1, FW_HANDLE_WRITES_PENDING, 0);
  fw_ledger_finish_writes(&ledger, 1, 1);
  CHECK_EQUAL(sent->block.flags, FW_HANDLE_WRITES_PENDING);
  check_no_writes_done();
  fw_ledger_assign(&ledger, sent);
  check_writes_done(1, 1);
  check_no_writes_done();
  end();
}

static void writes_are_reported_once_whatever_became_of_the_handle(void) {
  begin();
  for (uint64_t i = 1; i <= 4; i++) send_one(FW_LANE_USER, i, FW_HANDLE_WRITES_PENDING);
  CHECK_RULE(taken_range(2, 2), NULL);
  CHECK_RULE(fw_ledger_on_refused(&ledger, 3, 1), NULL);
  fw_ledger_return_all(&ledger);
  CHECK_EQUAL(ledger.n_writes_out, 4);
  check_no_writes_done();
  fw_ledger_finish_writes(&ledger, 3, 1);
  fw_ledger_finish_writes(&ledger, 3, 0);
  fw_ledger_finish_writes(&ledger, 99, 0);
  fw_ledger_finish_writes(&ledger, 1, 0);
  check_writes_done(1, 0);
  check_writes_done(3, 1);
  check_no_writes_done();
  fw_ledger_finish_writes(&ledger, 2, 0);
  fw_ledger_finish_writes(&ledger, 4, 0);
  check_writes_done(2, 0);
  check_writes_done(4, 0);
  CHECK_EQUAL(ledger.n_writes_out + ledger.n_writes_sent, 0);
  end();
}

static void writes_of_a_handle_that_does_not_leave_are_forgotten(void) {
  begin();
  fw_sent_t* first = queue_one(FW_LANE_USER, 1, FW_HANDLE_WRITES_PENDING, 0);
  fw_sent_t* second = queue_one(FW_LANE_USER, 2, FW_HANDLE_WRITES_PENDING, 0);
  fw_ledger_assign(&ledger, second); /* laid out, and cut off */
  fw_ledger_finish_writes(&ledger, 1, 1);
  fw_ledger_finish_writes(&ledger, 2, 0);
  fw_ledger_drop_queued(&ledger, first, FW_OUTCOME_CLOSED);
  fw_ledger_drop_queued(&ledger, second, FW_OUTCOME_RETURNED);
  check_no_writes_done();
  CHECK_EQUAL(ledger.n_writes_out + ledger.n_writes_sent + ledger.n_writes_out_done, 0);
  end();
}

static void at_most_4096_wait_for_their_writes(void) {
  begin();
  for (uint64_t i = 1; i <= FW_WRITES_MAX; i++) {
    send_one(FW_LANE_USER, i, FW_HANDLE_WRITES_PENDING);
    CHECK_RULE(taken_range(i, i), NULL);
  }
  fw_sent_t* plain = queue_one(FW_LANE_USER, 5001, 0, 0);
  fw_sent_t* waiting = queue_one(FW_LANE_USER, 5000, FW_HANDLE_WRITES_PENDING, 0);
  CHECK(fw_ledger_has_credit(&ledger, plain));
  CHECK(!fw_ledger_has_credit(&ledger, waiting));
  fw_ledger_finish_writes(&ledger, 7, 0);
  check_writes_done(7, 0);
  CHECK(fw_ledger_has_credit(&ledger, waiting));
  end();
}

static void the_receiver_knows_whose_writes_are_pending(void) {
  begin();
  for (uint64_t id = 1; id <= FW_WRITES_MAX; id++)
    CHECK_RULE(fw_ledger_writes_pending(&ledger, id * 2), NULL);
  CHECK_RULE(fw_ledger_writes_pending(&ledger, 9000), "ledger");
  CHECK_RULE(fw_ledger_writes_done(&ledger, 3), "ledger");
  CHECK_RULE(fw_ledger_writes_done(&ledger, 4), NULL);
  CHECK_RULE(fw_ledger_writes_done(&ledger, 4), "ledger");
  CHECK_RULE(fw_ledger_writes_done(&ledger, 8192), NULL);
  CHECK_RULE(fw_ledger_writes_done(&ledger, 2), NULL);
  CHECK_EQUAL(ledger.n_writes_in, FW_WRITES_MAX - 3);
  CHECK_RULE(fw_ledger_writes_pending(&ledger, 9000), NULL);
  CHECK_RULE(fw_ledger_writes_done(&ledger, 9000), NULL);
  end();
}

/* What the system does not let this process have is asked for three times, and then goes back. */
static void what_is_barred_three_times_is_refused(void) {
  fw_ledger_t ledger;
  int refused;
  fw_ledger_init(&ledger, NULL, NULL);
  fw_block_t block = {.inode = 77, .kind = FW_FD_TCP, .type = FW_HANDLE_SOCKET};
  for (uint64_t id = 1; id <= 2; id++) {
    int fd = id == 1 ? FW_FD_BARRED : -1;
    CHECK_RULE(fw_ledger_receive(&ledger, FW_LANE_USER, id, &block, &fd, &refused), NULL);
    CHECK_EQUAL(fd, -1);
    CHECK_EQUAL(refused, 0);
  }
  for (int i = 0; i < 2; i++) {
    CHECK_EQUAL(ledger.n_refused, 0);
    CHECK_EQUAL(fw_ledger_landed_id(&ledger), 0);
    CHECK_EQUAL(fw_ledger_ask_missing(&ledger, 2), 2);
    ledger.n_resend_ids = 0;
    int fd = FW_FD_BARRED;
    CHECK_RULE(fw_ledger_fill(&ledger, 1, 77, &fd), NULL);
    CHECK_EQUAL(fd, -1);
    CHECK_RULE(fw_ledger_fill(&ledger, 2, 77, &fd), NULL); /* nothing of it was tried */
  }
  CHECK_EQUAL(ledger.n_refused, 1);
  CHECK_EQUAL(ledger.refused[0].id, 1);
  CHECK_EQUAL(ledger.refused[0].reason, FW_REFUSED_BARRED);
  CHECK_EQUAL(ledger.n_missing, 1);
  CHECK_EQUAL(fw_ledger_landed_id(&ledger), 1);
  fw_ledger_free(&ledger);
}

int main(void) {
  unlimit_room();
  RUN(a_moved_handle_is_borrowed);
  RUN(a_moved_handle_is_duplicated_where_all_is_owned);
  RUN(a_duplicate_is_closed_when_it_is_settled);
  RUN(the_block_says_what_the_descriptor_is);
  RUN(what_cannot_travel_leaves_the_ledger_as_it_was);
  RUN(ids_count_over_both_lanes_in_the_order_of_the_wire);
  RUN(a_lane_has_its_own_handle_credit);
  RUN(taken_ranges_settle_each_handle_once);
  RUN(a_broken_range_changes_nothing);
  RUN(an_outcome_may_close_everything);
  RUN(landed_is_cumulative_and_grows);
  RUN(a_refused_handle_returns_with_the_reason);
  RUN(an_id_that_was_not_sent_is_not_open);
  RUN(a_handle_is_resent_when_it_is_asked_for);
  RUN(resend_asks_for_all_or_for_none);
  RUN(nothing_else_is_said_of_a_handle_that_was_asked_for);
  RUN(all_return_oldest_first);
  RUN(a_queued_handle_is_taken_out_of_the_middle);
  RUN(an_arrived_handle_is_adopted_and_taken_once);
  RUN(ids_must_follow_one_another);
  RUN(more_than_the_handle_credit_is_found);
  RUN(a_kind_that_is_not_wanted_is_refused);
  RUN(what_is_not_as_declared_is_refused);
  RUN(a_listener_is_a_server_and_no_socket);
  RUN(taken_ids_merge_into_ranges);
  RUN(many_taken_ids_merge_into_one_range);
  RUN(refusing_closes_unless_it_was_adopted);
  RUN(discarding_tells_nobody_and_leaves_adopted_ones);
  RUN(what_landed_has_passed_is_never_given_up);
  RUN(landed_stops_before_a_missing_one);
  RUN(asks_only_for_as_many_as_there_is_room_for);
  RUN(one_that_is_cut_off_again_is_asked_for_again);
  RUN(asks_ascend_also_when_one_is_asked_for_again);
  RUN(what_nobody_asked_for_is_closed);
  RUN(another_socket_with_the_right_name_is_refused);
  RUN(nothing_is_said_of_a_discarded_handle_that_was_asked_for);
  RUN(writes_that_end_while_queued_take_the_flag_away);
  RUN(writes_that_fail_while_queued_are_reported_behind_the_frame);
  RUN(writes_are_reported_once_whatever_became_of_the_handle);
  RUN(writes_of_a_handle_that_does_not_leave_are_forgotten);
  RUN(at_most_4096_wait_for_their_writes);
  RUN(the_receiver_knows_whose_writes_are_pending);
  RUN(what_is_barred_three_times_is_refused);
  return check_done();
}
