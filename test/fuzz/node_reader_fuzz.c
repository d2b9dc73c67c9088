/* What a hostile peer can do to the decoder of stock Node's wire: bytes in any pieces with descriptors at any place, in
 * both formats. However they are cut, the same messages come out as from all bytes at once; memory is taken as bytes
 * arrive, and no descriptor is left behind. */
// fuzz-sources: src/core/buffer.c src/core/node_frame.c src/core/node_reader.c
// fuzz-sources: test/fuzz/fake_fd_kind.c test/fuzz/fake_transport.c
#include "../../src/core/node_reader.h"
#include "peer.h"

#define MAX_SIZE 100000
#define MAX_MESSAGE 1000
#define N_CLAIMS 16

static fw_node_reader_t reader;
static uint8_t stream[MAX_SIZE]; /* all that was fed */
static size_t n_stream;
static size_t expected_at; /* where the next message begins in it */
static uint64_t claims[N_CLAIMS];
static size_t n_claims;
static int is_dropping;

static const fw_bytes_t ack = {(const uint8_t*)"ack", 3};
static const fw_bytes_t nack = {(const uint8_t*)"nak", 3};

/* The next message of the stream, found the simplest way. 1, or 0 when it is not complete. */
static int next_expected(const uint8_t** ret_payload, size_t* ret_size) {
  const uint8_t* bytes = stream + expected_at;
  size_t left = n_stream - expected_at;
  if (reader.format == FW_NODE_ADVANCED) {
    if (left < 4) return 0;
    *ret_size = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
    *ret_payload = bytes + 4;
    if (left - 4 < *ret_size) return 0;
    expected_at += 4 + *ret_size;
    return 1;
  }
  for (size_t i = 0; i < left; i++) {
    if (bytes[i] != '\n') continue;
    *ret_payload = bytes;
    *ret_size = i;
    expected_at += i + 1;
    return 1;
  }
  return 0;
}

/* The text has no quotes, so in JSON blanks count nowhere in it. */
static int is(fw_bytes_t what, const uint8_t* bytes, size_t size) {
  size_t matched = 0;
  for (size_t i = 0; i < size; i++) {
    if (reader.format == FW_NODE_JSON && memchr(" \t\r", bytes[i], 3) != NULL) continue;
    if (matched == what.size || bytes[i] != what.data[matched++]) return 0;
  }
  return matched == what.size;
}

static void on_message(void* data, const fw_message_t* message) {
  const uint8_t* payload;
  size_t size;
  (void)data;
  check(!is_dropping, "delivered what was to be dropped");
  check(message->size <= reader.max_message_size, "a message above the limit");
  check(next_expected(&payload, &size), "a message that is not there");
  check(size == message->size && memcmp(payload, message->data, size) == 0, "another message");
  check(!is(ack, payload, size) && !is(nack, payload, size), "an acknowledgement as a message");
  if (message->handle == NULL) return;
  check(message->handle->id != 0, "a handle without an id");
  if (n_claims < N_CLAIMS) claims[n_claims++] = message->handle->id;
}

static void on_acknowledged(void* data, int is_ack) {
  const uint8_t* payload;
  size_t size;
  (void)data;
  do check(next_expected(&payload, &size), "an acknowledgement that is not there");
  while (is_dropping && !is(ack, payload, size) && !is(nack, payload, size));
  check(is(is_ack ? ack : nack, payload, size), "no acknowledgement");
}

static void claim(void) {
  int is_cut;
  for (size_t i = 0; i < n_claims; i++) {
    if (next_byte() & 1) continue; /* a message that does not want it */
    int fd = fw_node_reader_claim(&reader, claims[i], &is_cut);
    if (fd < 0) continue;
    check(!is_cut, "a descriptor that is there and cut off");
    world_adopt(fd);
    world_close(fd);
  }
  n_claims = 0;
}

static int feed(size_t size) {
  struct iovec iov[2];
  size_t n_iov = fw_node_reader_prepare(&reader, iov);
  check(n_iov == 1, "no memory");
  if (size > fw_buffer_size(&pending)) size = fw_buffer_size(&pending);
  if (size > iov[0].iov_len) size = iov[0].iov_len;
  if (size > MAX_SIZE - n_stream) size = MAX_SIZE - n_stream;
  if (size == 0) return UV_EOF;
  memcpy(iov[0].iov_base, fw_buffer_bytes(&pending), size);
  memcpy(stream + n_stream, fw_buffer_bytes(&pending), size);
  n_stream += size;
  fw_buffer_consume(&pending, size);
  int status = fw_node_reader_received(&reader, size, &next_set);
  check(!next_set.present, "a set was not taken over");
  check(status == 0 || status == UV_EPROTO, "another status");
  if (status == UV_EPROTO) check(reader.violation.rule != NULL, "a violation without a rule");
  claim();
  fw_node_reader_settle(&reader);
  check(reader.in.capacity <= (1 << 19), "the read buffer grows");
  return status;
}

static void drop(void) {
  is_dropping = 1;
  fw_node_reader_drop_messages(&reader);
}

static int operate(void) {
  uint8_t what = next_byte();
  switch (what % 8) {
    case 0:
      put_input(next_byte());
      return 0;
    case 1:
    case 2:
    case 3:
      put_node_message();
      return 0;
    case 4:
      attach();
      return 0;
    case 5:
      if (what > 250) drop();
      fw_node_reader_deliver(&reader, next_byte());
      return 0;
    case 6:
      return feed(1 + (size_t)next_byte());
    default:
      return feed(SIZE_MAX);
  }
}

static void finish(int status) {
  const uint8_t* payload;
  size_t size;
  while (status == 0) status = feed(SIZE_MAX);
  if (status == UV_EOF && n_stream < MAX_SIZE && !is_dropping)
    check(!next_expected(&payload, &size), "a message did not come out");
}

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  static const fw_node_reader_callbacks_t callbacks = {on_message, on_acknowledged};
  static fw_buffer_t kept; /* to make and free it is most of what a short run costs */
  int status = 0;
  peer_begin();
  input = (input_t){bytes, size};
  uint8_t shape = next_byte();
  fw_node_reader_init(&reader, shape & 1 ? FW_NODE_ADVANCED : FW_NODE_JSON, &callbacks, NULL);
  reader.ack = ack;
  reader.nack = nack;
  if (shape & 2) reader.max_message_size = MAX_MESSAGE;
  reader.in = kept;
  reader.in.start = reader.in.end = 0;
  n_stream = expected_at = n_claims = 0;
  is_dropping = 0;
  while (input.size > 0 && (status == 0 || status == UV_EOF)) status = operate();
  finish(status == UV_EOF ? 0 : status);
  kept = reader.in;
  fw_buffer_init(&reader.in);
  fw_node_reader_free(&reader);
  peer_end();
  check(world_n_open(0) == 0, "a descriptor was left behind");
  return 0;
}
