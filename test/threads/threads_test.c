/* Several loops, each in a thread of its own, with channels between them: whatever the core shared between threads
 * would show under ThreadSanitizer (scripts/sanitize-threads.sh). Each channel carries messages and sockets both
 * ways and is ended by one of its ends; some are closed in the middle of it. Every other thread is like a Worker that
 * is terminated: it closes what it has sent at once, so that the numbers become those of other threads. Bodies of
 * large messages are kept, and read when their channel is gone. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "../../src/forkwire.h"

#define N_THREADS 4
#define N_ROUNDS 20
#define N_MESSAGES 200 /* each way, on each channel */
#define HANDLE_EVERY 20
#define LARGE 300000
#define LARGE_EVERY 50
#define N_LARGE (N_MESSAGES / LARGE_EVERY)

#define CHECK(condition)                                              \
  do {                                                                \
    if (!(condition)) {                                               \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      abort();                                                        \
    }                                                                 \
  } while (0)

/* One end of a channel. */
typedef struct {
  fw_channel_t* channel;
  int fd;
  int ends;   /* it says END when all has come */
  int closes; /* it closes at the hundredth message */
  uint64_t handles[N_MESSAGES];
  size_t n_handles;
  size_t n_came;
  size_t n_settled;
  size_t n_sent_handles;
  uint64_t cost;
  uint64_t n_new;
  struct {
    fw_body_t* body;
    const uint8_t* data;
    uint8_t first;
  } kept[N_LARGE];
  size_t n_kept;
} end_t;

typedef struct {
  uv_loop_t loop;
  uv_barrier_t* all; /* the threads of the round */
  end_t ends[2];     /* of the channels to the next thread and to the previous one */
  int owns;          /* see fw_options_t.owns_handles */
} thread_t;

static void keep(end_t* end, const fw_message_t* message) {
  fw_body_t* body = fw_message_keep(message);
  CHECK(body != NULL && end->n_kept < N_LARGE);
  end->kept[end->n_kept].body = body;
  end->kept[end->n_kept].data = message->data;
  end->kept[end->n_kept++].first = message->data[0];
}

/* What is kept is what it was, also when the channel is gone. */
static void release_kept(end_t* end) {
  for (size_t i = 0; i < end->n_kept; i++) {
    for (size_t j = 0; j < LARGE; j++) CHECK(end->kept[i].data[j] == end->kept[i].first);
    fw_body_release(end->kept[i].body);
  }
}

static void on_message(void* data, const fw_message_t* message) {
  end_t* end = data;
  end->n_came++;
  end->n_new++;
  end->cost += message->cost;
  if (message->size == LARGE) keep(end, message);
  if (message->handle != NULL) end->handles[end->n_handles++] = message->handle->id;
}

static void on_settled(void* data, uint64_t token, fw_outcome_t outcome, uint32_t reason) {
  (void)token, (void)outcome, (void)reason;
  ((end_t*)data)->n_settled++;
}

static void on_counts(void* data, uint64_t key, uint64_t count) {
  (void)data, (void)key, (void)count;
}

static void on_writes_done(void* data, uint64_t id, int failed) {
  (void)data, (void)id, (void)failed;
}

static void on_lost(void* data, uint64_t id) {
  (void)data, (void)id;
}

static void on_hello(void* data, uint32_t pid) {
  (void)data;
  CHECK(pid == (uint32_t)getpid());
}

static void on_nothing(void* data) {
  (void)data;
}

static void take_handles(end_t* end) {
  for (size_t i = 0; i < end->n_handles; i++) {
    int fd = fw_channel_adopt(end->channel, end->handles[i]);
    struct stat status;
    CHECK(fd >= 0 && fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode));
    fw_channel_taken(end->channel, end->handles[i]);
    close(fd);
  }
  end->n_handles = 0;
}

static void on_batch(void* data) {
  end_t* end = data;
  fw_channel_deliver(end->channel, FW_LANE_USER, end->n_new, end->cost);
  end->n_new = end->cost = 0;
  if (end->closes && end->n_came >= N_MESSAGES / 2) {
    fw_channel_close(end->channel);
    return;
  }
  take_handles(end);
  if (end->ends && end->n_came == N_MESSAGES) fw_channel_end(end->channel);
}

static void on_end(void* data, fw_end_t how) {
  (void)data;
  CHECK(how != FW_END_VIOLATION);
}

static void on_closed(void* data) {
  end_t* end = data;
  end->channel = NULL;
  CHECK(end->n_settled == end->n_sent_handles);
}

static void open_end(uv_loop_t* loop, end_t* end, int owns) {
  static const fw_callbacks_t callbacks = {.on_message = on_message,
                                           .on_settled = on_settled,
                                           .on_counts = on_counts,
                                           .on_writes_done = on_writes_done,
                                           .on_lost = on_lost,
                                           .on_hello = on_hello,
                                           .on_ending = on_nothing,
                                           .on_batch = on_batch,
                                           .on_progress = on_nothing,
                                           .on_end = on_end,
                                           .on_closed = on_closed};
  fw_options_t options = {.exit_stall_ms = 500, .exit_total_ms = 5000, .owns_handles = owns};
  CHECK(fw_channel_open(loop, end->fd, &options, &callbacks, end, &end->channel) == 0);
}

static void send_all(end_t* end, int socket_fd, int owns) {
  for (int i = 0; i < N_MESSAGES; i++) {
    size_t size = i % LARGE_EVERY == 7 ? LARGE : 10;
    fw_handle_out_t handle = {
        .fd = socket_fd, .dup = !owns, .token = (uint64_t)i, .type = FW_HANDLE_SOCKET};
    const fw_handle_out_t* given = i % HANDLE_EVERY == 0 ? &handle : NULL;
    uint8_t* room = fw_channel_begin(end->channel, FW_LANE_USER, size, given);
    CHECK(room != NULL);
    memset(room, i, size);
    int status = fw_channel_commit(end->channel, FW_LANE_USER, FW_ENCODING_BYTES, size, given);
    CHECK(status == 0 || status == UV_EPIPE);
    if (status == 0 && given != NULL) end->n_sent_handles++;
  }
}

static void run_thread(void* argument) {
  thread_t* thread = argument;
  int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(socket_fd >= 0 && uv_loop_init(&thread->loop) == 0);
  int owns = thread->owns;
  for (int i = 0; i < 2; i++) open_end(&thread->loop, &thread->ends[i], owns);
  for (int i = 0; i < 2; i++) send_all(&thread->ends[i], socket_fd, owns);
  if (owns) {
    close(socket_fd);
    socket_fd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* most likely that number */
    CHECK(socket_fd >= 0);
  }
  uv_run(&thread->loop, UV_RUN_DEFAULT);
  for (int i = 0; i < 2; i++)
    if (thread->ends[i].channel != NULL) fw_channel_close(thread->ends[i].channel);
  uv_run(&thread->loop, UV_RUN_DEFAULT);
  /* What libuv closes, ThreadSanitizer does not see: the number must not come back in a thread that goes on. */
  uv_barrier_wait(thread->all);
  for (int i = 0; i < 2; i++) release_kept(&thread->ends[i]);
  CHECK(uv_loop_close(&thread->loop) == 0);
  close(socket_fd);
}

static void run_round(int round) {
  thread_t* threads = calloc(N_THREADS, sizeof(*threads));
  uv_thread_t ids[N_THREADS];
  uv_barrier_t all;
  CHECK(threads != NULL && uv_barrier_init(&all, N_THREADS) == 0);
  for (int i = 0; i < N_THREADS; i++) {
    int fds[2];
    end_t* ours = &threads[i].ends[0];
    end_t* theirs = &threads[(i + 1) % N_THREADS].ends[1];
    CHECK(fw_socketpair(fds) == 0);
    ours->fd = fds[0];
    theirs->fd = fds[1];
    ours->ends = 1;
    threads[i].all = &all;
    threads[i].owns = i % 2;
    theirs->closes = (round + i) % 5 == 0;
  }
  for (int i = 0; i < N_THREADS; i++)
    CHECK(uv_thread_create(&ids[i], run_thread, &threads[i]) == 0);
  for (int i = 0; i < N_THREADS; i++) uv_thread_join(&ids[i]);
  uv_barrier_destroy(&all);
  free(threads);
}

int main(void) {
  for (int round = 0; round < N_ROUNDS; round++) run_round(round);
  printf("%d threads, %d rounds: no fault\n", N_THREADS, N_ROUNDS);
  return 0;
}
