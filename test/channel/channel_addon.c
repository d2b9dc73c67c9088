/* The C API of src/forkwire.h for tests: channels by number, callbacks as lines of text. Not thread-safe, and
 * it checks nothing: its only user is test/integration/channel.test.js. */
#include <inttypes.h>
#include <node_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "forkwire.h"

#define MAX_CHANNELS 1024
#define MAX_ARGS 8

typedef struct {
  fw_channel_t* core;
  char* lines;
  size_t size;
  char act_on[16]; /* at the first line that begins with this ... */
  char act[16];    /* ... this is done: close, end, send or flush */
} slot_t;

static slot_t slots[MAX_CHANNELS];
static int n_slots;

static void act(slot_t* slot, const char* line) {
  char what[16];
  if (slot->act_on[0] == 0 || strncmp(line, slot->act_on, strlen(slot->act_on)) != 0) return;
  memcpy(what, slot->act, sizeof(what));
  slot->act_on[0] = 0;
  if (strcmp(what, "close") == 0) fw_channel_close(slot->core);
  if (strcmp(what, "end") == 0) fw_channel_end(slot->core);
  if (strcmp(what, "flush") == 0) fw_channels_flush(&slot->core, 1);
  if (strcmp(what, "send") == 0) {
    uint8_t* room = fw_channel_begin(slot->core, FW_LANE_USER, 2, NULL);
    memcpy(room, "42", 2);
    fw_channel_commit(slot->core, FW_LANE_USER, FW_ENCODING_JSON, 2, NULL);
  }
}

static void note(slot_t* slot, const char* line) {
  size_t length = strlen(line);
  slot->lines = realloc(slot->lines, slot->size + length + 2);
  memcpy(slot->lines + slot->size, line, length);
  slot->size += length;
  slot->lines[slot->size++] = '\n';
  slot->lines[slot->size] = 0;
  if (strncmp(line, "closed", 6) != 0) act(slot, line);
}

static void on_message(void* data, const fw_message_t* message) {
  char line[256];
  int shown = message->size < 64 ? (int)message->size : 64;
  int size = snprintf(line, sizeof(line), "message lane=%d encoding=%d size=%zu cost=%zu text=%.*s",
                      message->lane, message->encoding, message->size, message->cost, shown,
                      (const char*)message->data);
  if (message->handle != NULL)
    snprintf(line + size, sizeof(line) - (size_t)size, " handle=%" PRIu64 " buffered=%u",
             message->handle->id, message->handle->buffered_size);
  note(data, line);
}

static void on_settled(void* data, uint64_t token, fw_outcome_t outcome, uint32_t reason) {
  static const char* const names[] = {"", "taken", "returned", "closed"};
  char line[64];
  snprintf(line, sizeof(line), "settled %" PRIu64 " %s %u", token, names[outcome], reason);
  note(data, line);
}

static void on_counts(void* data, uint64_t key, uint64_t closed) {
  char line[64];
  snprintf(line, sizeof(line), "counts %" PRIu64 " %" PRIu64, key, closed);
  note(data, line);
}

static void on_writes_done(void* data, uint64_t id, int failed) {
  char line[64];
  snprintf(line, sizeof(line), "writes-done %" PRIu64 " %d", id, failed);
  note(data, line);
}

static void on_lost(void* data, uint64_t id) {
  char line[64];
  snprintf(line, sizeof(line), "lost %" PRIu64, id);
  note(data, line);
}

static void on_hello(void* data, uint32_t pid) {
  (void)pid;
  note(data, "hello");
}

static void on_ending(void* data) {
  (void)data;
}

static void on_batch(void* data) {
  note(data, "batch");
}

static void on_progress(void* data) {
  (void)data;
}

static void on_end(void* data, fw_end_t end) {
  static const char* const names[] = {"", "own", "peer", "died", "violation"};
  slot_t* slot = data;
  char line[128];
  const fw_violation_t* violation = fw_channel_violation(slot->core);
  snprintf(line, sizeof(line), "end %s%s%s", names[end], violation != NULL ? " " : "",
           violation != NULL ? violation->rule : "");
  note(slot, line);
}

static void on_closed(void* data) {
  slot_t* slot = data;
  slot->core = NULL;
  note(slot, "closed");
}

static int64_t args[MAX_ARGS];
static napi_value values[MAX_ARGS];

/* Reads all arguments; numbers into `args`. The channel of the first one. */
static slot_t* read_args(napi_env env, napi_callback_info info) {
  size_t count = MAX_ARGS;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  for (size_t i = 0; i < MAX_ARGS; i++) {
    args[i] = 0;
    if (i < count) napi_get_value_int64(env, values[i], &args[i]);
  }
  return &slots[args[0]];
}

static napi_value number(napi_env env, int64_t value) {
  napi_value result;
  napi_create_int64(env, value, &result);
  return result;
}

/* open(fd, endStall, exitStall, exitTotal, maxMessageSize): the channel's number */
static napi_value open_channel(napi_env env, napi_callback_info info) {
  uv_loop_t* loop;
  read_args(env, info);
  fw_options_t options = {.end_stall_ms = (uint32_t)args[1],
                          .exit_stall_ms = (uint32_t)args[2],
                          .exit_total_ms = (uint32_t)args[3],
                          .max_message_size = (uint64_t)args[4]};
  fw_callbacks_t callbacks = {.on_message = on_message,
                              .on_settled = on_settled,
                              .on_counts = on_counts,
                              .on_writes_done = on_writes_done,
                              .on_lost = on_lost,
                              .on_hello = on_hello,
                              .on_ending = on_ending,
                              .on_batch = on_batch,
                              .on_progress = on_progress,
                              .on_end = on_end,
                              .on_closed = on_closed};
  napi_get_uv_event_loop(env, &loop);
  if (n_slots == MAX_CHANNELS) return number(env, UV_ENFILE);
  slot_t* slot = &slots[n_slots];
  memset(slot, 0, sizeof(*slot));
  int status = fw_channel_open(loop, (int)args[0], &options, &callbacks, slot, &slot->core);
  return number(env, status < 0 ? status : n_slots++);
}

/* send(channel, lane, encoding, text, fd, token, dup, flags): a status; fd -1 for no handle */
static napi_value send_message(napi_env env, napi_callback_info info) {
  slot_t* slot = read_args(env, info);
  size_t size;
  napi_get_value_string_utf8(env, values[3], NULL, 0, &size);
  fw_handle_out_t handle = {.fd = (int)args[4],
                            .token = (uint64_t)args[5],
                            .dup = (int)args[6],
                            .type = FW_HANDLE_SOCKET,
                            .flags = (uint8_t)args[7]};
  const fw_handle_out_t* given = args[4] >= 0 ? &handle : NULL;
  uint8_t* room = fw_channel_begin(slot->core, (fw_lane_t)args[1], size + 1, given);
  if (room == NULL) return number(env, UV_ENOMEM);
  napi_get_value_string_utf8(env, values[3], (char*)room, size + 1, &size);
  return number(
      env, fw_channel_commit(slot->core, (fw_lane_t)args[1], (fw_encoding_t)args[2], size, given));
}

/* call(channel, name, a, b, c): one function of the API by its name */
static napi_value call(napi_env env, napi_callback_info info) {
  char name[32];
  size_t size;
  slot_t* slot = read_args(env, info);
  fw_channel_t* channel = slot->core;
  napi_get_value_string_utf8(env, values[1], name, sizeof(name), &size);
  if (channel == NULL) return number(env, UV_EPIPE);
  if (strcmp(name, "deliver") == 0)
    fw_channel_deliver(channel, (fw_lane_t)args[2], (uint64_t)args[3], (uint64_t)args[4]);
  else if (strcmp(name, "adopt") == 0)
    return number(env, fw_channel_adopt(channel, (uint64_t)args[2]));
  else if (strcmp(name, "taken") == 0)
    return number(env, fw_channel_taken(channel, (uint64_t)args[2]));
  else if (strcmp(name, "refuse") == 0)
    return number(env, fw_channel_refuse(channel, (uint64_t)args[2], (fw_refused_reason_t)args[3]));
  else if (strcmp(name, "addClosed") == 0)
    return number(env, fw_channel_add_closed(channel, (uint64_t)args[2], (uint64_t)args[3]));
  else if (strcmp(name, "expectCounts") == 0)
    return number(env, fw_channel_expect_counts(channel, (uint64_t)args[2], (int)args[3]));
  else if (strcmp(name, "writesDone") == 0)
    fw_channel_writes_done(channel, (uint64_t)args[2], (int)args[3]);
  else if (strcmp(name, "hold") == 0) fw_channel_hold(channel);
  else if (strcmp(name, "release") == 0) fw_channel_release(channel);
  else if (strcmp(name, "end") == 0) return number(env, fw_channel_end(channel));
  else if (strcmp(name, "peerDied") == 0) fw_channel_peer_died(channel);
  else if (strcmp(name, "close") == 0) fw_channel_close(channel);
  else if (strcmp(name, "flushFinal") == 0) fw_channels_flush(&channel, 1);
  else if (strcmp(name, "writeOut") == 0) fw_channels_write_out(&channel, 1);
  else if (strcmp(name, "queued") == 0) return number(env, (int64_t)fw_channel_queued(channel));
  else if (strcmp(name, "written") == 0)
    return number(env, (int64_t)fw_channel_written(channel, (fw_lane_t)args[2]));
  else if (strcmp(name, "rejectMessage") == 0) fw_channel_reject_message(channel);
  else return number(env, UV_ENOSYS);
  return number(env, 0);
}

/* actOn(channel, lineStart, what) */
static napi_value act_on(napi_env env, napi_callback_info info) {
  size_t size;
  slot_t* slot = read_args(env, info);
  napi_get_value_string_utf8(env, values[1], slot->act_on, sizeof(slot->act_on), &size);
  napi_get_value_string_utf8(env, values[2], slot->act, sizeof(slot->act), &size);
  return number(env, 0);
}

/* lines(channel): what its callbacks noted since the last time */
static napi_value take_lines(napi_env env, napi_callback_info info) {
  napi_value text;
  slot_t* slot = read_args(env, info);
  napi_create_string_utf8(env, slot->lines != NULL ? slot->lines : "", slot->size, &text);
  free(slot->lines);
  slot->lines = NULL;
  slot->size = 0;
  return text;
}

static napi_value socket_pair(napi_env env, napi_callback_info info) {
  int fds[2];
  napi_value pair;
  (void)info;
  if (fw_socketpair(fds) < 0) return NULL;
  napi_create_array_with_length(env, 2, &pair);
  napi_set_element(env, pair, 0, number(env, fds[0]));
  napi_set_element(env, pair, 1, number(env, fds[1]));
  return pair;
}

static void define(napi_env env, napi_value exports, const char* name, napi_callback function) {
  napi_value value;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, function, NULL, &value);
  napi_set_named_property(env, exports, name, value);
}

static napi_value init(napi_env env, napi_value exports) {
  define(env, exports, "open", open_channel);
  define(env, exports, "send", send_message);
  define(env, exports, "call", call);
  define(env, exports, "actOn", act_on);
  define(env, exports, "lines", take_lines);
  define(env, exports, "socketPair", socket_pair);
  return exports;
}

NAPI_MODULE(channel_test, init)
