#include "ledger.h"

#include <stdlib.h>
#include <string.h>

#include "fd_kind.h"

const char* fw_state_name(fw_handle_state_t state) {
  static const char* const names[] = {"QUEUED",   "SENT",    "LANDED",  "TAKEN",
                                      "RETURNED", "MISSING", "ADOPTED", "REFUSED"};
  return names[state];
}

void fw_ledger_init(fw_ledger_t* ledger, fw_settled_cb on_settled, void* data) {
  memset(ledger, 0, sizeof(*ledger));
  ledger->on_settled = on_settled;
  ledger->data = data;
  ledger->next_id = 1;
  ledger->credit[FW_LANE_USER] = FW_USER_HANDLES;
  ledger->credit[FW_LANE_INTERNAL] = FW_INTERNAL_HANDLES;
}

void fw_ledger_free(fw_ledger_t* ledger) {
  fw_ledger_return_all(ledger);
  fw_ledger_discard_all(ledger);
  free(ledger->writes_in);
  free(ledger->writes_out);
  ledger->writes_in = NULL;
  ledger->writes_out = NULL;
  ledger->n_writes_in = ledger->writes_in_capacity = 0;
  ledger->n_writes_out = ledger->writes_out_capacity = 0;
}

/* ------------------------------------------------------------------ sending */

static void queue_append(fw_ledger_t* ledger, fw_sent_t* sent) {
  sent->previous = ledger->queued_tail;
  if (ledger->queued_tail != NULL) ledger->queued_tail->next = sent;
  else ledger->queued_head = sent;
  ledger->queued_tail = sent;
}

static void queue_remove(fw_ledger_t* ledger, fw_sent_t* sent) {
  if (sent->previous != NULL) sent->previous->next = sent->next;
  else ledger->queued_head = sent->next;
  if (sent->next != NULL) sent->next->previous = sent->previous;
  else ledger->queued_tail = sent->previous;
  sent->next = sent->previous = NULL;
}

/* The one place where a sent handle ends. It is in no list any more. */
static void settle(fw_ledger_t* ledger, fw_sent_t* sent, fw_outcome_t outcome, uint32_t reason) {
  sent->state = outcome == FW_OUTCOME_TAKEN ? FW_STATE_TAKEN : FW_STATE_RETURNED;
  if (sent->id != 0) ledger->n_open_in[sent->lane]--;
  if (sent->resend == 1) ledger->n_resend--;
  /* The peer has it, or had it, and may have set that. It is closed now, here or by its owner. */
  if (sent->id != 0 && sent->block.kind == FW_FD_TCP) fw_fd_linger_off(sent->fd);
  if (sent->owned) fw_fd_close(&sent->fd);
  ledger->on_settled(ledger->data, sent, outcome, reason);
  free(sent);
}

static int add_writes_out(fw_ledger_t* ledger, uint64_t token) {
  if (ledger->n_writes_out == ledger->writes_out_capacity) {
    size_t capacity = ledger->writes_out_capacity == 0 ? 16 : ledger->writes_out_capacity * 2;
    fw_writes_t* writes = realloc(ledger->writes_out, capacity * sizeof(writes[0]));
    if (writes == NULL) return UV_ENOMEM;
    ledger->writes_out = writes;
    ledger->writes_out_capacity = capacity;
  }
  ledger->writes_out[ledger->n_writes_out++] = (fw_writes_t){.token = token};
  return 0;
}

static fw_writes_t* find_writes_out(const fw_ledger_t* ledger, uint64_t token) {
  for (size_t i = 0; i < ledger->n_writes_out; i++)
    if (ledger->writes_out[i].token == token) return &ledger->writes_out[i];
  return NULL;
}

static void remove_writes_out(fw_ledger_t* ledger, fw_writes_t* writes) {
  size_t i = (size_t)(writes - ledger->writes_out);
  ledger->n_writes_out_done -= writes->done;
  ledger->n_writes_out--;
  memmove(writes, writes + 1, (ledger->n_writes_out - i) * sizeof(*writes));
}

static void forget_writes(fw_ledger_t* ledger, uint64_t token) {
  fw_writes_t* writes = find_writes_out(ledger, token);
  if (writes == NULL) return;
  if (writes->id != 0) ledger->n_writes_sent--;
  remove_writes_out(ledger, writes);
}

static int has_writes(const fw_sent_t* sent) {
  return (sent->block.flags & FW_HANDLE_WRITES_PENDING) != 0;
}

/* Index of the first open handle with an id of at least `id`. */
static size_t open_index(const fw_ledger_t* ledger, uint64_t id) {
  size_t low = 0;
  size_t high = ledger->n_open;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (ledger->open[middle]->id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

static fw_sent_t* open_find(const fw_ledger_t* ledger, uint64_t id) {
  size_t i = open_index(ledger, id);
  return i < ledger->n_open && ledger->open[i]->id == id ? ledger->open[i] : NULL;
}

static int identify(const fw_handle_out_t* handle, fw_block_t* ret_block) {
  fw_fd_info_t info;
  int status = fw_fd_identify(handle->fd, &info);
  if (status < 0) return status;
  int is_dgram = handle->type == FW_HANDLE_DGRAM || handle->type == FW_HANDLE_DGRAM_NATIVE;
  if (info.kind == FW_FD_OTHER || (info.kind == FW_FD_UDP) != is_dgram) return UV_ENOTSUP;
  ret_block->inode = info.inode;
  ret_block->key = handle->flags & FW_HANDLE_COUNTED ? handle->key : 0;
  ret_block->kind = (uint8_t)info.kind;
  ret_block->type = handle->type;
  ret_block->flags = handle->flags;
  ret_block->buffered = handle->buffered_size;
  return 0;
}

int fw_ledger_queue(fw_ledger_t* ledger, fw_lane_t lane, const fw_handle_out_t* handle,
                    fw_sent_t** ret_sent) {
  fw_block_t block;
  int status = identify(handle, &block);
  if (status < 0) return status;
  fw_sent_t* sent = calloc(1, sizeof(*sent));
  if (sent == NULL) return UV_ENOMEM;
  sent->owned = handle->dup || ledger->owns_all;
  sent->moved = !handle->dup;
  sent->fd = sent->owned ? fw_fd_dup(handle->fd) : handle->fd;
  status = sent->fd < 0 ? sent->fd : 0;
  if (status == 0 && (handle->flags & FW_HANDLE_WRITES_PENDING) != 0)
    status = add_writes_out(ledger, handle->token);
  if (status < 0) {
    if (sent->owned) fw_fd_close(&sent->fd);
    free(sent);
    return status;
  }
  sent->token = handle->token;
  sent->block = block;
  sent->lane = lane;
  sent->state = FW_STATE_QUEUED;
  queue_append(ledger, sent);
  *ret_sent = sent;
  return 0;
}

int fw_ledger_has_credit(const fw_ledger_t* ledger, const fw_sent_t* sent) {
  if (ledger->n_open_in[sent->lane] >= ledger->credit[sent->lane]) return 0;
  return !has_writes(sent) || ledger->n_writes_sent < FW_WRITES_MAX;
}

void fw_ledger_assign(fw_ledger_t* ledger, fw_sent_t* sent) {
  sent->id = ledger->next_id++;
  ledger->n_open_in[sent->lane]++;
  if (!has_writes(sent)) return;
  find_writes_out(ledger, sent->token)->id = sent->id;
  ledger->n_writes_sent++;
}

void fw_ledger_sent(fw_ledger_t* ledger, fw_sent_t* sent) {
  queue_remove(ledger, sent);
  sent->state = FW_STATE_SENT;
  ledger->sent_id = sent->id;
  ledger->open[ledger->n_open++] = sent;
}

void fw_ledger_drop_queued(fw_ledger_t* ledger, fw_sent_t* sent, fw_outcome_t outcome) {
  queue_remove(ledger, sent);
  if (has_writes(sent)) forget_writes(ledger, sent->token);
  settle(ledger, sent, outcome, 0);
}

fw_sent_t* fw_ledger_next_resend(fw_ledger_t* ledger) {
  if (ledger->n_resend == 0) return NULL;
  for (size_t i = 0; i < ledger->n_open; i++)
    if (ledger->open[i]->resend == 1) return ledger->open[i];
  return NULL;
}

void fw_ledger_resend_laid(fw_ledger_t* ledger, fw_sent_t* sent) {
  sent->resend = 2;
  ledger->n_resend--;
}

void fw_ledger_resent(fw_sent_t* sent) {
  sent->resend = 0;
}

void fw_ledger_ask_resend(fw_ledger_t* ledger, fw_sent_t* sent) {
  sent->resend = 1;
  ledger->n_resend++;
}

int fw_ledger_is_settled(const fw_ledger_t* ledger) {
  return ledger->queued_head == NULL && ledger->n_open == 0;
}

int fw_ledger_all_landed(const fw_ledger_t* ledger) {
  return ledger->queued_head == NULL && ledger->landed_id >= ledger->sent_id;
}

static void settle_open(fw_ledger_t* ledger, size_t first, size_t end, fw_outcome_t outcome,
                        uint32_t reason) {
  fw_sent_t* settled[FW_HANDLES_MAX];
  size_t count = end - first;
  memcpy(settled, ledger->open + first, count * sizeof(settled[0]));
  memmove(ledger->open + first, ledger->open + end,
          (ledger->n_open - end) * sizeof(ledger->open[0]));
  ledger->n_open -= count;
  for (size_t i = 0; i < count; i++) settle(ledger, settled[i], outcome, reason);
}

void fw_ledger_return_queued(fw_ledger_t* ledger) {
  fw_sent_t* sent = ledger->queued_head;
  ledger->queued_head = ledger->queued_tail = NULL;
  while (sent != NULL) {
    fw_sent_t* next = sent->next;
    if (has_writes(sent)) forget_writes(ledger, sent->token);
    settle(ledger, sent, FW_OUTCOME_RETURNED, 0);
    sent = next;
  }
}

void fw_ledger_return_all(fw_ledger_t* ledger) {
  settle_open(ledger, 0, ledger->n_open, FW_OUTCOME_RETURNED, 0);
  fw_ledger_return_queued(ledger);
}

/* A peer that asked for a descriptor again says nothing else of it before the answer. */
static int is_awaited(const fw_ledger_t* ledger, size_t first, size_t end) {
  for (size_t i = first; i < end; i++)
    if (ledger->open[i]->resend) return 1;
  return 0;
}

const char* fw_ledger_on_landed(fw_ledger_t* ledger, uint64_t id) {
  if (id <= ledger->landed_id || id > ledger->sent_id) return "ledger";
  size_t first = open_index(ledger, ledger->landed_id + 1);
  size_t end = open_index(ledger, id + 1);
  if (is_awaited(ledger, first, end)) return "ledger";
  for (size_t i = first; i < end; i++) ledger->open[i]->state = FW_STATE_LANDED;
  ledger->landed_id = id;
  return NULL;
}

/* Whether every id of the range is open; *ret_index is the first one's. */
static int range_is_open(const fw_ledger_t* ledger, fw_range_t range, size_t* ret_index) {
  size_t i = open_index(ledger, range.first);
  size_t count = ledger->n_open - i;
  if (range.last - range.first >= count) return 0;
  size_t last = i + (size_t)(range.last - range.first);
  *ret_index = i;
  return ledger->open[i]->id == range.first && ledger->open[last]->id == range.last &&
         !is_awaited(ledger, i, last + 1);
}

const char* fw_ledger_on_taken(fw_ledger_t* ledger, const uint8_t* ranges, size_t n_ranges) {
  size_t index;
  const char* rule = fw_ranges_check(ranges, n_ranges);
  if (rule != NULL) return rule;
  for (size_t i = 0; i < n_ranges; i++)
    if (!range_is_open(ledger, fw_range_decode(ranges, i), &index)) return "ledger";
  for (size_t i = 0; i < n_ranges; i++) {
    fw_range_t range = fw_range_decode(ranges, i);
    if (!range_is_open(ledger, range, &index)) return NULL; /* on_settled returned the rest */
    settle_open(ledger, index, index + (size_t)(range.last - range.first) + 1, FW_OUTCOME_TAKEN, 0);
  }
  return NULL;
}

const char* fw_ledger_on_refused(fw_ledger_t* ledger, uint64_t id, uint32_t reason) {
  size_t i = open_index(ledger, id);
  if (i == ledger->n_open || ledger->open[i]->id != id) return "ledger";
  if (is_awaited(ledger, i, i + 1)) return "ledger";
  settle_open(ledger, i, i + 1, FW_OUTCOME_RETURNED, reason);
  return NULL;
}

const char* fw_ledger_on_resend(fw_ledger_t* ledger, const uint8_t* ids, size_t n_ids) {
  const char* rule = fw_ids_check(ids, n_ids);
  if (rule != NULL) return rule;
  for (size_t i = 0; i < n_ids; i++) {
    fw_sent_t* sent = open_find(ledger, fw_get_u64(ids + i * 8));
    if (sent == NULL || sent->state != FW_STATE_SENT || sent->resend) return "ledger";
  }
  for (size_t i = 0; i < n_ids; i++) {
    fw_sent_t* sent = open_find(ledger, fw_get_u64(ids + i * 8));
    fw_ledger_ask_resend(ledger, sent);
  }
  return NULL;
}

/* ---------------------------------------------------------------- receiving */

static size_t received_index(const fw_ledger_t* ledger, uint64_t id) {
  size_t low = 0;
  size_t high = ledger->n_received;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (ledger->received[middle].id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

fw_received_t* fw_ledger_find(fw_ledger_t* ledger, uint64_t id) {
  size_t i = received_index(ledger, id);
  return i < ledger->n_received && ledger->received[i].id == id ? &ledger->received[i] : NULL;
}

/* The one place where the state of an arrived handle changes, and the counts that follow it. */
static void set_received_state(fw_ledger_t* ledger, fw_received_t* entry, fw_handle_state_t state) {
  if (entry->state == FW_STATE_MISSING) ledger->n_missing--;
  if (entry->state == FW_STATE_ADOPTED) ledger->n_adopted--;
  entry->state = state;
  if (state == FW_STATE_MISSING) ledger->n_missing++;
  if (state == FW_STATE_ADOPTED) ledger->n_adopted++;
}

/* RESEND's ids ascend, also when an older one is asked for again. */
static void note_resend(fw_ledger_t* ledger, uint64_t id) {
  size_t i = ledger->n_resend_ids++;
  for (; i > 0 && ledger->resend_ids[i - 1] > id; i--)
    ledger->resend_ids[i] = ledger->resend_ids[i - 1];
  ledger->resend_ids[i] = id;
}

/* One that was asked for goes: RESEND does not name it any more, or, when that has left, LANDED does
 * not pass it any more. */
static void forget_asked(fw_ledger_t* ledger, const fw_received_t* entry) {
  if (!entry->asked) return;
  for (size_t i = 0; i < ledger->n_resend_ids; i++) {
    if (ledger->resend_ids[i] != entry->id) continue;
    ledger->n_resend_ids--;
    memmove(ledger->resend_ids + i, ledger->resend_ids + i + 1,
            (ledger->n_resend_ids - i) * sizeof(ledger->resend_ids[0]));
    return;
  }
  if (ledger->landed_stop == 0 || entry->id < ledger->landed_stop) ledger->landed_stop = entry->id;
}

static void remove_received(fw_ledger_t* ledger, fw_received_t* entry, fw_handle_state_t state) {
  size_t i = (size_t)(entry - ledger->received);
  forget_asked(ledger, entry);
  set_received_state(ledger, entry, state);
  fw_fd_close_foreign(&entry->fd);
  ledger->n_received_in[entry->lane]--;
  ledger->n_received--;
  memmove(entry, entry + 1, (ledger->n_received - i) * sizeof(*entry));
}

/* Whether the descriptor is what the block declares. */
static int is_as_declared(int fd, uint64_t inode, uint8_t kind, uint8_t type) {
  fw_fd_info_t info;
  if (fw_fd_identify(fd, &info) < 0) return 0;
  if (info.inode != inode || info.kind != (fw_fd_kind_t)kind) return 0;
  if (type == FW_HANDLE_SOCKET || type == FW_HANDLE_BOUND) return !info.listening;
  if (type == FW_HANDLE_SERVER) return info.listening;
  return 1;
}

/* Ascending: the sender hears of them in the order in which it sent them. */
static void note_refused(fw_ledger_t* ledger, uint64_t id, uint32_t reason) {
  size_t i = ledger->n_refused++;
  for (; i > 0 && ledger->refused[i - 1].id > id; i--) ledger->refused[i] = ledger->refused[i - 1];
  ledger->refused[i].id = id;
  ledger->refused[i].reason = reason;
}

/* Those that are answered but not reported use the peer's credit as well, so that every list
 * here is bounded by FW_HANDLES_MAX. */
static int is_over_credit(const fw_ledger_t* ledger, fw_lane_t lane) {
  uint64_t unreported = ledger->n_refused;
  for (size_t i = 0; i < ledger->n_taken; i++)
    unreported += ledger->taken[i].last - ledger->taken[i].first + 1;
  if (ledger->n_received_in[lane] >= ledger->credit[lane]) return 1;
  return ledger->n_received + unreported >= FW_HANDLES_MAX;
}

/* 0, or a fw_refused_reason_t. */
static uint32_t reason_to_refuse(const fw_ledger_t* ledger, int fd, const fw_block_t* block) {
  if (ledger->refused_types & (1u << block->type)) return FW_REFUSED_POLICY;
  if (fd < 0) return 0; /* it is missing: whether it is as declared shows later */
  int is_right = is_as_declared(fd, block->inode, block->kind, block->type);
  return is_right ? 0 : FW_REFUSED_MISMATCH;
}

const char* fw_ledger_receive(fw_ledger_t* ledger, fw_lane_t lane, uint64_t id,
                              const fw_block_t* block, int* fd, int* ret_refused) {
  const char* rule = NULL;
  if (id != ledger->received_id + 1) rule = "handle-id";
  else if (is_over_credit(ledger, lane)) rule = "handle-credit";
  if (rule != NULL) {
    fw_fd_close_foreign(fd);
    return rule;
  }
  ledger->received_id = id;
  uint32_t reason = reason_to_refuse(ledger, *fd, block);
  *ret_refused = reason != 0;
  if (reason != 0) {
    fw_fd_close_foreign(fd);
    note_refused(ledger, id, reason);
    return NULL;
  }
  fw_received_t* entry = &ledger->received[ledger->n_received++];
  *entry = (fw_received_t){.id = id,
                           .inode = block->inode,
                           .fd = *fd,
                           .lane = lane,
                           .kind = block->kind,
                           .type = block->type,
                           .n_barred = *fd == FW_FD_BARRED,
                           .state = FW_STATE_LANDED};
  ledger->n_received_in[lane]++;
  if (*fd < 0) {
    entry->fd = -1;
    set_received_state(ledger, entry, FW_STATE_MISSING);
  }
  *fd = -1;
  return NULL;
}

const char* fw_ledger_fill(fw_ledger_t* ledger, uint64_t id, uint64_t inode, int* fd) {
  fw_received_t* entry = fw_ledger_find(ledger, id);
  if (entry == NULL || !entry->asked || entry->inode != inode) {
    fw_fd_close_foreign(fd);
    return "ledger";
  }
  entry->asked = 0;
  if (*fd < 0) {
    if (*fd == FW_FD_BARRED && ++entry->n_barred == FW_BARRED_MAX)
      fw_ledger_refuse(ledger, id, FW_REFUSED_BARRED);
    *fd = -1;
    return NULL;
  }
  if (!is_as_declared(*fd, entry->inode, entry->kind, entry->type)) {
    fw_fd_close_foreign(fd);
    return fw_ledger_refuse(ledger, id, FW_REFUSED_MISMATCH) == 0 ? NULL : "ledger";
  }
  entry->fd = *fd;
  *fd = -1;
  set_received_state(ledger, entry, FW_STATE_LANDED);
  return NULL;
}

int fw_ledger_adopt(fw_ledger_t* ledger, uint64_t id) {
  fw_received_t* entry = fw_ledger_find(ledger, id);
  if (entry == NULL || entry->state != FW_STATE_LANDED) return UV_ENOENT;
  int fd = entry->fd;
  entry->fd = -1;
  if (entry->kind == FW_FD_TCP) fw_fd_linger_off(fd); /* whoever has it now may close it */
  set_received_state(ledger, entry, FW_STATE_ADOPTED);
  return fd;
}

/* Ids mostly come in order, so that the last range usually grows. */
static void note_taken(fw_ledger_t* ledger, uint64_t id) {
  size_t i = ledger->n_taken;
  while (i > 0 && ledger->taken[i - 1].first > id) i--;
  int joins_before = i > 0 && ledger->taken[i - 1].last + 1 == id;
  int joins_after = i < ledger->n_taken && ledger->taken[i].first == id + 1;
  size_t n_after = ledger->n_taken - i;
  if (joins_before && joins_after) {
    ledger->taken[i - 1].last = ledger->taken[i].last;
    memmove(ledger->taken + i, ledger->taken + i + 1, (n_after - 1) * sizeof(ledger->taken[0]));
    ledger->n_taken--;
  } else if (joins_before) {
    ledger->taken[i - 1].last = id;
  } else if (joins_after) {
    ledger->taken[i].first = id;
  } else {
    memmove(ledger->taken + i + 1, ledger->taken + i, n_after * sizeof(ledger->taken[0]));
    ledger->taken[i] = (fw_range_t){id, id};
    ledger->n_taken++;
  }
}

int fw_ledger_take(fw_ledger_t* ledger, uint64_t id) {
  fw_received_t* entry = fw_ledger_find(ledger, id);
  if (entry == NULL || entry->state != FW_STATE_ADOPTED) return UV_ENOENT;
  remove_received(ledger, entry, FW_STATE_TAKEN);
  note_taken(ledger, id);
  return 0;
}

int fw_ledger_refuse(fw_ledger_t* ledger, uint64_t id, uint32_t reason) {
  fw_received_t* entry = fw_ledger_find(ledger, id);
  if (entry == NULL) return UV_ENOENT;
  remove_received(ledger, entry, FW_STATE_REFUSED);
  note_refused(ledger, id, reason);
  return 0;
}

void fw_ledger_discard(fw_ledger_t* ledger, uint64_t id) {
  fw_received_t* entry = fw_ledger_find(ledger, id);
  if (entry != NULL) remove_received(ledger, entry, FW_STATE_REFUSED);
}

void fw_ledger_drop(fw_ledger_t* ledger, uint64_t id) {
  const fw_received_t* entry = fw_ledger_find(ledger, id);
  if (entry != NULL && !entry->asked) fw_ledger_refuse(ledger, id, FW_REFUSED_ENDING);
}

void fw_ledger_drop_all(fw_ledger_t* ledger) {
  for (size_t i = ledger->n_received; i > 0; i--) {
    const fw_received_t* entry = &ledger->received[i - 1];
    if (entry->state != FW_STATE_ADOPTED) fw_ledger_drop(ledger, entry->id);
  }
}

void fw_ledger_discard_all(fw_ledger_t* ledger) {
  for (size_t i = ledger->n_received; i > 0; i--) {
    fw_received_t* entry = &ledger->received[i - 1];
    if (entry->state != FW_STATE_ADOPTED) remove_received(ledger, entry, FW_STATE_REFUSED);
  }
}

uint64_t fw_ledger_landed_id(const fw_ledger_t* ledger) {
  uint64_t id = ledger->received_id;
  for (size_t i = 0; i < ledger->n_received && ledger->n_missing > 0; i++) {
    if (ledger->received[i].state != FW_STATE_MISSING) continue;
    id = ledger->received[i].id - 1;
    break;
  }
  if (ledger->landed_stop != 0 && id >= ledger->landed_stop) id = ledger->landed_stop - 1;
  return id;
}

size_t fw_ledger_ask_missing(fw_ledger_t* ledger, size_t room) {
  size_t asked = 0;
  size_t count = 0;
  for (size_t i = 0; i < ledger->n_received; i++) asked += ledger->received[i].asked;
  for (size_t i = 0; i < ledger->n_received && asked < room; i++) {
    fw_received_t* entry = &ledger->received[i];
    if (entry->state != FW_STATE_MISSING || entry->asked) continue;
    entry->asked = 1;
    asked++;
    count++;
    note_resend(ledger, entry->id);
  }
  return count;
}

int fw_ledger_can_give_up(fw_ledger_t* ledger, uint64_t id) {
  const fw_received_t* entry = fw_ledger_find(ledger, id);
  return entry != NULL && entry->state == FW_STATE_LANDED && id > ledger->landed_reported;
}

void fw_ledger_give_up(fw_ledger_t* ledger, uint64_t id) {
  fw_received_t* entry = fw_ledger_find(ledger, id);
  fw_fd_close_foreign(&entry->fd);
  set_received_state(ledger, entry, FW_STATE_MISSING);
}

/* ----------------------------------------------------------- unsent writes */

void fw_ledger_finish_writes(fw_ledger_t* ledger, uint64_t token, int failed) {
  fw_writes_t* writes = find_writes_out(ledger, token);
  if (writes == NULL || writes->done) return;
  fw_sent_t* sent = ledger->queued_head;
  while (sent != NULL && sent->token != token) sent = sent->next;
  if (sent != NULL && sent->id == 0 && !failed) {
    sent->block.flags &= (uint8_t)~FW_HANDLE_WRITES_PENDING;
    remove_writes_out(ledger, writes);
    return;
  }
  writes->done = 1;
  writes->failed = failed != 0;
  ledger->n_writes_out_done++;
}

int fw_ledger_writes_failed(const fw_ledger_t* ledger, uint64_t token) {
  const fw_writes_t* writes = find_writes_out(ledger, token);
  return writes != NULL && writes->failed;
}

int fw_ledger_next_writes_done(fw_ledger_t* ledger, fw_writes_t* ret_writes) {
  if (ledger->n_writes_out_done == 0) return 0;
  for (size_t i = 0; i < ledger->n_writes_out; i++) {
    if (!ledger->writes_out[i].done || ledger->writes_out[i].id == 0) continue;
    *ret_writes = ledger->writes_out[i];
    forget_writes(ledger, ret_writes->token);
    return 1;
  }
  return 0;
}

static size_t writes_index(const fw_ledger_t* ledger, uint64_t id) {
  size_t i = ledger->n_writes_in;
  while (i > 0 && ledger->writes_in[i - 1] >= id) i--;
  return i;
}

const char fw_ledger_no_memory[] = "no memory";

const char* fw_ledger_writes_pending(fw_ledger_t* ledger, uint64_t id) {
  if (ledger->n_writes_in == FW_WRITES_MAX) return "ledger";
  if (ledger->n_writes_in == ledger->writes_in_capacity) {
    size_t capacity = ledger->writes_in_capacity == 0 ? 16 : ledger->writes_in_capacity * 2;
    uint64_t* ids = realloc(ledger->writes_in, capacity * sizeof(ids[0]));
    if (ids == NULL) return fw_ledger_no_memory;
    ledger->writes_in = ids;
    ledger->writes_in_capacity = capacity;
  }
  ledger->writes_in[ledger->n_writes_in++] = id; /* ids arrive ascending */
  return NULL;
}

const char* fw_ledger_writes_done(fw_ledger_t* ledger, uint64_t id) {
  size_t i = writes_index(ledger, id);
  if (i == ledger->n_writes_in || ledger->writes_in[i] != id) return "ledger";
  memmove(ledger->writes_in + i, ledger->writes_in + i + 1,
          (ledger->n_writes_in - i - 1) * sizeof(ledger->writes_in[0]));
  ledger->n_writes_in--;
  return NULL;
}
