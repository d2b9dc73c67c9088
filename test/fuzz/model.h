/* What two ends of a channel owe each other, whoever drives them: every message once and in order, every handle
 * settled once with what became of it, every descriptor in one place. */
#ifndef MODEL_H
#define MODEL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/forkwire.h"
#include "choices.h"
#include "world.h"

#define MAX_SENDS 2048
#define MAX_ID (MAX_SENDS + 1)
#define NO_LIMIT ((size_t)1 << 40)
#define TOKEN_BASE 7000
#define MAX_LARGE \
  ((size_t)3 << 20) /* bytes of large messages in one run: enough for the internal credit */
#define MAX_DECISIONS 1024
#define BODY_STEP 509

typedef enum { NO_WRITES, WRITES_PENDING, WRITES_DONE, WRITES_FAILED } writes_t;

/* A message that one end accepted for sending. */
typedef struct {
  uint8_t end;
  uint8_t lane;
  uint8_t has_handle;
  uint8_t is_moved;
  uint8_t is_mismatch; /* the receiver is to refuse it */
  uint8_t flags;       /* as they arrived */
  uint8_t writes;      /* writes_t */
  uint8_t buffered;
  uint8_t is_delivered;
  uint8_t is_lost;
  uint8_t is_taken; /* by the receiver's application */
  uint8_t is_settled;
  uint8_t outcome;
  uint32_t refused;  /* by the receiver's application: why */
  uint8_t is_barred; /* its receiver is not let have the socket */
  uint32_t size;
  uint32_t socket;
  uint32_t n_before[FW_N_LANES]; /* messages of each lane accepted before it */
  uint64_t id;
  int fd; /* moved: the application's */
} send_t;

/* A message that an end was given. */
typedef struct {
  uint32_t send;
  size_t cost;
} item_t;

typedef struct {
  int is_dead;
  int is_over;    /* nothing may be delivered any more */
  int did_close;  /* without an end: what the peer did with its handles it does not hear */
  int may_return; /* RETURNED without a reason is in order */
  uint32_t accepted[FW_N_LANES][MAX_SENDS];
  size_t n_accepted[FW_N_LANES];
  size_t n_seen[FW_N_LANES]; /* of the other end's: delivered, or known not to come */
  item_t inbox[FW_N_LANES][MAX_SENDS];
  size_t n_came[FW_N_LANES];
  size_t n_given[FW_N_LANES];  /* to a listener */
  uint32_t adopted[MAX_SENDS]; /* and neither taken nor refused */
  size_t n_adopted;
  uint8_t written[MAX_ID]; /* by id: as the other end said; writes_t */
} side_t;

static choices_t choices;
static side_t sides[2];
static send_t sends[MAX_SENDS];
static size_t n_sends;
static size_t n_large; /* bytes */
static uint64_t n_operations;
static int is_tracing;

/* What the driver has for them. */
static int adopt_id(int end, uint64_t id);
static int take_id(int end, uint64_t id);
static int refuse_id(int end, uint64_t id, fw_refused_reason_t reason);
static void credit(int end, fw_lane_t lane, size_t cost);
/* Whether an end closed what was not adopted, though it does not say yet that it is over. */
static int has_discarded(int end);

static inline void check(int is_true, const char* what) {
  if (!is_true) world_fail(what);
}

#define TRACE(...)                                \
  do {                                            \
    if (is_tracing) fprintf(stderr, __VA_ARGS__); \
  } while (0)

static inline void model_begin(void) {
  n_sends = n_large = 0;
  for (int end = 0; end < 2; end++) {
    side_t* side = &sides[end];
    side->is_dead = side->is_over = side->did_close = side->may_return = 0;
    side->n_adopted = 0;
    memset(side->written, 0, sizeof(side->written));
    for (int lane = 0; lane < FW_N_LANES; lane++)
      side->n_accepted[lane] = side->n_seen[lane] = side->n_came[lane] = side->n_given[lane] = 0;
  }
}

/* ------------------------------------------------------------------- sending */

static inline uint32_t choose_size(void) {
  uint32_t kind = choose(&choices, 256);
  if (kind < 20 && n_large > MAX_LARGE) kind = 20;
  if (kind == 0) return 262100 + choose(&choices, 256);
  if (kind < 4) return 30000 + choose(&choices, 8192);
  if (kind < 12) return 8000 + choose(&choices, 400);
  if (kind < 20) return 4000 + choose(&choices, 200);
  return 4 + choose(&choices, 60);
}

static inline void choose_handle(send_t* sent, fw_handle_out_t* handle) {
  static const uint8_t buffered[] = {0, 3, 6, 9, 12, 15, 18, 21};
  uint32_t kind = choose(&choices, 16);
  int is_dgram = kind == 1;
  sent->has_handle = 1;
  sent->is_moved = kind > 6;
  sent->is_mismatch = kind == 3; /* a listener as a net.Socket */
  sent->writes = kind > 12 ? WRITES_PENDING : NO_WRITES;
  sent->fd = world_open(is_dgram ? FW_FD_UDP : FW_FD_TCP, kind == 2 || kind == 3);
  check(sent->fd >= 0, "the world is too small");
  sent->socket = world_socket(sent->fd);
  sent->is_barred = choose(&choices, 32) == 0;
  if (sent->is_barred) world_bar_socket(sent->fd);
  sent->buffered = (uint8_t)choose(&choices, 4) * 2;
  handle->fd = sent->fd;
  handle->dup = !sent->is_moved;
  handle->type = is_dgram ? FW_HANDLE_DGRAM : kind == 2 ? FW_HANDLE_SERVER : FW_HANDLE_SOCKET;
  if (kind > 12) handle->flags = FW_HANDLE_WRITES_PENDING;
  handle->buffered = buffered;
  handle->buffered_size = sent->buffered;
}

/* A message to send; its index is also its body. */
static inline send_t* new_send(int end, fw_lane_t lane, int has_handle, fw_handle_out_t* handle) {
  send_t* sent = &sends[n_sends];
  memset(sent, 0, sizeof(*sent));
  memset(handle, 0, sizeof(*handle));
  sent->end = (uint8_t)end;
  sent->lane = (uint8_t)lane;
  sent->size = choose_size();
  if (sent->size > 64) n_large += sent->size;
  handle->token = TOKEN_BASE + n_sends;
  if (has_handle) choose_handle(sent, handle);
  return sent;
}

static inline void fill_body(uint8_t* body, uint32_t size) {
  uint32_t index = (uint32_t)n_sends;
  memset(body, (int)(index & 0xff), size);
  for (size_t i = BODY_STEP; i < size; i += BODY_STEP) body[i] = (uint8_t)(i / BODY_STEP);
  memcpy(body, &index, sizeof(index));
}

/* It was accepted. It counts as such before, since it may be settled within the call. */
static inline void note_accepted(send_t* sent) {
  side_t* side = &sides[sent->end];
  for (int lane = 0; lane < FW_N_LANES; lane++)
    sent->n_before[lane] = (uint32_t)side->n_accepted[lane];
  TRACE("%d: send %zu, lane %d, %u bytes%s%s%s\n", sent->end, n_sends, sent->lane, sent->size,
        sent->has_handle ? ", handle" : "", sent->is_moved ? ", moved" : "",
        sent->writes ? ", writes" : "");
  side->accepted[sent->lane][side->n_accepted[sent->lane]++] = (uint32_t)n_sends++;
}

/* ------------------------------------------------------------------ settling */

static inline int may_be_returned(const send_t* sent) {
  const side_t* mine = &sides[sent->end];
  const side_t* others = &sides[1 - sent->end];
  if (!mine->may_return) return 0;
  /* Only a death, or a close without an end, leaves a taken handle untold. */
  return !sent->is_taken || others->is_dead || others->did_close || mine->did_close;
}

static inline void check_outcome(const send_t* sent, fw_outcome_t outcome, uint32_t reason) {
  if (outcome == FW_OUTCOME_TAKEN) check(sent->is_taken, "TAKEN, but nobody took it");
  if (outcome == FW_OUTCOME_CLOSED)
    check(sent->is_moved && !sent->is_delivered && sent->id == 0, "CLOSED, but it left");
  if (outcome != FW_OUTCOME_RETURNED) return;
  if (reason == FW_REFUSED_MISMATCH) check(sent->is_mismatch, "refused, but as declared");
  else if (reason == FW_REFUSED_BARRED) check(sent->is_barred, "barred, but it may be had");
  else if (reason == FW_REFUSED_ENDING)
    check(sides[1 - sent->end].is_over && !sent->is_taken, "refused by one that is not ending");
  else if (reason != 0) check(sent->refused == reason, "refused for another reason");
  else check(may_be_returned(sent), "RETURNED without need");
}

static inline void note_settled(int end, uint64_t token, fw_outcome_t outcome, uint32_t reason) {
  size_t index = token - TOKEN_BASE;
  if (sides[end].is_dead) return;
  check(index < n_sends && sends[index].end == end, "settled what was not sent");
  send_t* sent = &sends[index];
  TRACE("  %d: settled %zu: %d %u\n", end, index, outcome, reason);
  check(sent->has_handle && !sent->is_settled, "settled twice");
  check_outcome(sent, outcome, reason);
  sent->is_settled = 1;
  sent->outcome = (uint8_t)outcome;
  if (sent->is_moved) world_close(sent->fd);
}

/* ----------------------------------------------------------------- receiving */

static inline int will_not_come(const send_t* sent) {
  return sent->is_mismatch || sent->is_lost || sent->is_barred ||
         (sent->is_settled && sent->outcome == FW_OUTCOME_CLOSED);
}

/* Everything of that lane up to `count` was delivered or will not come. */
static inline void check_all_before(int end, int lane, size_t count) {
  for (size_t i = sides[end].n_seen[lane]; i < count; i++)
    check(will_not_come(&sends[sides[1 - end].accepted[lane][i]]), "a message was passed or lost");
}

static inline void check_body(const send_t* sent, const fw_message_t* message, uint32_t index) {
  check(message->size == sent->size, "a message has another size");
  for (size_t i = BODY_STEP; i < message->size; i += BODY_STEP)
    check(message->data[i] == (uint8_t)(i / BODY_STEP) && message->data[i - 1] == (uint8_t)index,
          "a message has another body");
  if (message->size > sizeof(index) && (message->size - 1) % BODY_STEP != 0)
    check(message->data[message->size - 1] == (uint8_t)index, "a message has another end");
  check((message->handle != NULL) == sent->has_handle, "a message gained or lost its handle");
}

static inline void check_handle(send_t* sent, const fw_handle_in_t* handle) {
  check(handle->id != 0 && handle->id < MAX_ID && sent->id == 0, "a handle came twice");
  check(handle->buffered_size == sent->buffered, "other buffered bytes");
  for (uint32_t i = 0; i < handle->buffered_size; i++)
    check(handle->buffered[i] == (uint8_t)(i * 3), "other buffered bytes");
  if (handle->flags & FW_HANDLE_WRITES_PENDING)
    check(sent->writes != NO_WRITES, "writes that never were");
  else
    check(sent->writes == NO_WRITES || sent->writes == WRITES_DONE, "the flag of writes is lost");
  sent->id = handle->id;
  sent->flags = handle->flags;
}

static inline uint32_t index_in(const uint8_t* body, size_t size) {
  uint32_t index;
  check(size >= sizeof(index), "a message is too short");
  memcpy(&index, body, sizeof(index));
  check(index < n_sends, "a message of nobody");
  return index;
}

static inline void note_message(int end, const fw_message_t* message) {
  side_t* side = &sides[end];
  uint32_t index = index_in(message->data, message->size);
  send_t* sent = &sends[index];
  int lane = message->lane;
  TRACE("  %d: got %u%s\n", end, index, message->handle != NULL ? " and its handle" : "");
  check(!side->is_over, "delivered after the end");
  check(sent->end != end && sent->lane == lane, "a message of another lane");
  check(!sent->is_delivered, "delivered twice");
  check(!sent->is_settled || sides[1 - end].did_close, "delivered, but settled before");
  check_all_before(end, lane, sent->n_before[lane]);
  if (lane == FW_LANE_USER) check_all_before(end, FW_LANE_INTERNAL, sent->n_before[1]);
  side->n_seen[lane] = sent->n_before[lane] + 1;
  check_body(sent, message, index);
  if (sent->has_handle) check_handle(sent, message->handle);
  sent->is_delivered = 1;
  side->inbox[lane][side->n_came[lane]++] = (item_t){index, message->cost};
}

/* It may come before the message does, which waits for a descriptor. */
static inline void note_writes_done(int end, uint64_t id, int failed) {
  TRACE("  %d: writes of handle %d are done\n", end, (int)id);
  check(id < MAX_ID && sides[end].written[id] == NO_WRITES, "WRITES_DONE twice");
  sides[end].written[id] = failed ? WRITES_FAILED : WRITES_DONE;
}

/* --------------------------------------------------------- the application */

static inline void take(int end, uint32_t index) {
  check(take_id(end, sends[index].id) == 0, "it cannot be taken");
  sends[index].is_taken = 1;
  check(take_id(end, sends[index].id) != 0, "it was taken twice");
  TRACE("  %d: takes %u\n", end, index);
}

static inline void refuse(int end, uint32_t index, fw_refused_reason_t reason) {
  sends[index].refused = reason;
  check(refuse_id(end, sends[index].id, reason) == 0, "it cannot be refused");
  TRACE("  %d: refuses %u\n", end, index);
}

/* A message reaches its listener. Fates: 0 refused, 1 adopted for a while, 2 adopted and refused, else taken. */
static inline void give_one(int end, int lane, uint32_t fate) {
  side_t* side = &sides[end];
  if (side->is_over || side->n_given[lane] == side->n_came[lane]) return;
  world_end = end;
  const item_t* item = &side->inbox[lane][side->n_given[lane]++];
  const send_t* sent = &sends[item->send];
  credit(end, (fw_lane_t)lane, item->cost);
  if (!sent->has_handle || has_discarded(end)) return;
  if (fate == 0) {
    refuse(end, item->send, FW_REFUSED_POLICY);
    return;
  }
  int fd = adopt_id(end, sent->id);
  check(fd >= 0, "a delivered handle cannot be adopted");
  check(world_socket(fd) == sent->socket, "another socket came");
  world_adopt(fd);
  world_close(fd); /* the model needs it no more */
  if (fate == 1) side->adopted[side->n_adopted++] = item->send;
  else if (fate == 2) refuse(end, item->send, FW_REFUSED_UNUSABLE);
  else take(end, item->send);
}

static inline void give_all(int end) {
  for (int lane = 0; lane < FW_N_LANES; lane++)
    while (!sides[end].is_over && sides[end].n_given[lane] < sides[end].n_came[lane])
      give_one(end, lane, 3);
}

/* One that was adopted earlier. */
static inline void resolve_one(int end, int is_taken) {
  side_t* side = &sides[end];
  if (side->n_adopted == 0) return;
  world_end = end;
  size_t i = choose(&choices, (uint32_t)side->n_adopted);
  uint32_t index = side->adopted[i];
  side->adopted[i] = side->adopted[--side->n_adopted];
  if (is_taken) take(end, index);
  else refuse(end, index, FW_REFUSED_UNUSABLE);
}

/* Some send of that end whose writes are pending, or NULL; `start` says where to look first. */
static inline send_t* pending_writes(int end, size_t start) {
  for (size_t i = 0; i < n_sends; i++) {
    send_t* sent = &sends[(start + i) % n_sends];
    if (sent->end == end && sent->writes == WRITES_PENDING) return sent;
  }
  return NULL;
}

static inline uint64_t token_of(const send_t* sent) {
  return TOKEN_BASE + (uint64_t)(sent - sends);
}

/* The client of some moved socket that is not settled goes away. */
static inline void reset_one(int end, size_t start) {
  world_end = end;
  if (sides[end].is_dead) return;
  for (size_t i = 0; i < n_sends; i++) {
    const send_t* sent = &sends[(start + i) % n_sends];
    if (sent->end != end || !sent->is_moved || sent->is_settled) continue;
    TRACE("%d: reset %zu\n", end, (size_t)(sent - sends));
    world_reset_socket(sent->fd);
    return;
  }
}

/* ------------------------------------------------------------------- the end */

static inline void check_settled(void) {
  for (size_t i = 0; i < n_sends; i++)
    if (sends[i].has_handle && !sides[sends[i].end].is_dead)
      check(sends[i].is_settled, "a handle was never settled");
}

static inline void check_writes_told(void) {
  for (size_t i = 0; i < n_sends; i++)
    if (sends[i].is_delivered && (sends[i].flags & FW_HANDLE_WRITES_PENDING))
      check(sides[1 - sends[i].end].written[sends[i].id] == sends[i].writes,
            "WRITES_DONE is wrong");
}

static inline void check_all_came(int end) {
  for (int lane = 0; lane < FW_N_LANES; lane++)
    check_all_before(end, lane, sides[1 - end].n_accepted[lane]);
}

/* ---------------------------------------------------------------- the program */

static void run(void);

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  choices = (choices_t){.bytes = bytes, .size = size < MAX_DECISIONS ? size : MAX_DECISIONS};
  run();
  return 0;
}

#ifdef STANDALONE
static uint64_t seed = 1;
static uint64_t current;

static void explain(void) {
  fprintf(stderr, "again: --run %llu --seed %llu\n", (unsigned long long)current,
          (unsigned long long)seed);
}

static void run_number(uint64_t number) {
  current = number;
  choices = (choices_t){.state = (seed << 40) + number * 0x10001};
  choices.left = 8 + choices_random(&choices) % 96;
  run();
}

int main(int argc, char** argv) {
  uint64_t runs = 100000;
  world_explain = explain;
  for (int i = 1; i + 1 < argc; i += 2) {
    uint64_t value = strtoull(argv[i + 1], NULL, 10);
    if (strcmp(argv[i], "--seed") == 0) seed = value;
    if (strcmp(argv[i], "--runs") == 0) runs = value;
    if (strcmp(argv[i], "--run") != 0) continue;
    is_tracing = 1;
    current = value;
    runs = 0;
  }
  if (is_tracing) run_number(current);
  for (uint64_t i = 0; i < runs; i++) run_number(i);
  printf("%llu interleavings, %llu operations, seed %llu: no fault\n",
         (unsigned long long)(is_tracing ? 1 : runs), (unsigned long long)n_operations,
         (unsigned long long)seed);
  return 0;
}
#endif

#endif
