/* The slot beside the socket: alone, between two processes that race for it, and with the frames that offer it. */
#include "../../src/core/slot.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "end.h"
#include "memory.h"
#include "wire.h"

static fw_slot_t reader;
static fw_slot_t writer;
static uint8_t room[FW_SLOT_ROOM];

static void begin(void) {
  memset(&reader, 0, sizeof(reader));
  memset(&writer, 0, sizeof(writer));
  CHECK_EQUAL(fw_slot_create(&reader), 0);
  fw_slot_map(&writer, reader.segment.fd);
}

static void end(void) {
  fw_slot_free(&reader);
  fw_slot_free(&writer);
}

static int fill(uint64_t position, const char* text) {
  return fw_slot_fill(&writer, position, (const uint8_t*)text, strlen(text));
}

static void check_takes(const char* text) {
  CHECK_EQUAL(fw_slot_close(&reader), FW_SLOT_FULL);
  size_t size = fw_slot_take(&reader, room);
  CHECK_EQUAL(size, strlen(text));
  CHECK(memcmp(room, text, size) == 0);
}

/* ---------------------------------------------------------------- the memory */

static void an_open_one_is_filled_once(void) {
  begin();
  fw_slot_open(&reader, 10);
  CHECK(!fw_slot_is_filled(&reader));
  CHECK(fill(10, "answer"));
  CHECK(!fill(10, "again"));
  CHECK(fw_slot_is_filled(&reader));
  check_takes("answer");
  CHECK(!fw_slot_is_filled(&reader));
  CHECK(!fill(16, "nobody looks"));
  CHECK_EQUAL(fw_slot_close(&reader), FW_SLOT_EMPTY);
  end();
}

static void one_that_was_never_opened_takes_nothing(void) {
  begin();
  CHECK(!fill(0, "early"));
  CHECK_EQUAL(fw_slot_close(&reader), FW_SLOT_EMPTY);
  end();
}

static void only_who_is_at_the_same_position_may_fill_it(void) {
  begin();
  fw_slot_open(&reader, 10);
  CHECK(!fill(9, "behind"));
  CHECK(!fill(11, "ahead"));
  CHECK(!fill(UINT64_MAX >> 2, "far ahead"));
  CHECK_EQUAL(fw_slot_close(&reader), FW_SLOT_EMPTY);
  end();
}

static void a_closed_one_takes_nothing_until_it_is_opened_again(void) {
  begin();
  fw_slot_open(&reader, 10);
  CHECK_EQUAL(fw_slot_close(&reader), FW_SLOT_EMPTY);
  CHECK(!fill(10, "late"));
  fw_slot_open(&reader, 10);
  CHECK(fill(10, "in time"));
  check_takes("in time");
  end();
}

static void what_is_in_it_stays_until_it_is_taken(void) {
  begin();
  fw_slot_open(&reader, 10);
  CHECK(fill(10, "one"));
  fw_slot_open(&reader, 99); /* it is open */
  CHECK_EQUAL(fw_slot_close(&reader), FW_SLOT_FULL);
  check_takes("one");
  end();
}

static void it_takes_as_much_as_it_has_room_for(void) {
  static uint8_t bytes[FW_SLOT_ROOM + 1];
  begin();
  memset(bytes, 7, sizeof(bytes));
  fw_slot_open(&reader, 0);
  CHECK(!fw_slot_fill(&writer, 0, bytes, FW_SLOT_ROOM + 1));
  CHECK(fw_slot_fill(&writer, 0, bytes, FW_SLOT_ROOM));
  CHECK_EQUAL(fw_slot_close(&reader), FW_SLOT_FULL);
  CHECK_EQUAL(fw_slot_take(&reader, room), FW_SLOT_ROOM);
  CHECK(memcmp(room, bytes, FW_SLOT_ROOM) == 0);
  end();
}

/* ------------------------------------------------------------ a hostile peer */

static void write_state(uint64_t word) {
  memcpy(writer.segment.memory, &word, sizeof(word));
}

static void write_size(uint32_t size) {
  memcpy(writer.segment.memory + 8, &size, sizeof(size));
}

static void nonsense_in_the_state_is_seen(void) {
  static const uint64_t words[] = {0, 3, 10 << 2, (10 << 2) + 3, (11 << 2) + 2, UINT64_MAX};
  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
    begin();
    fw_slot_open(&reader, 10);
    write_state(words[i]);
    CHECK(fw_slot_is_filled(&reader));
    CHECK_EQUAL(fw_slot_close(&reader), FW_SLOT_BROKEN);
    end();
  }
}

static void a_size_beyond_the_memory_is_nothing(void) {
  static const uint32_t sizes[] = {0, FW_SLOT_ROOM + 1, UINT32_MAX};
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    begin();
    fw_slot_open(&reader, 10);
    CHECK(fill(10, "x"));
    write_size(sizes[i]);
    CHECK_EQUAL(fw_slot_close(&reader), FW_SLOT_FULL);
    CHECK_EQUAL(fw_slot_take(&reader, room), 0);
    end();
  }
}

static int is_mapped(int fd) {
  fw_slot_t slot;
  memset(&slot, 0, sizeof(slot));
  fw_slot_map(&slot, fd);
  int mapped = slot.segment.memory != NULL;
  CHECK(mapped || !fw_slot_fill(&slot, 0, room, 1));
  fw_slot_free(&slot);
  if (fd >= 0) close(fd);
  return mapped;
}

static void only_sealed_memory_of_its_size_is_mapped(void) {
  CHECK(is_mapped(memory_of(FW_SLOT_SIZE, ALL_SEALS)));
  CHECK(!is_mapped(memory_of(FW_SLOT_SIZE, F_SEAL_GROW | F_SEAL_SEAL)));
  CHECK(!is_mapped(memory_of(FW_SLOT_SIZE - 1, ALL_SEALS)));
  CHECK(!is_mapped(memory_of(FW_SLOT_SIZE * 2, ALL_SEALS)));
  CHECK(!is_mapped(-1));
}

/* ------------------------------------------------------------------ two ends */

static end_t* a;
static end_t* b;
static wire_t wire;

static end_t* fast_end(int fd, int is_fast) {
  end_t* end = end_new_mute(fd);
  end->channel->options.low_latency = is_fast;
  end->channel->out.slot = &end->channel->in.slot;
  end->delivers = 1;
  fw__control_lay_hello(end->channel);
  return end;
}

static void begin_ends(int a_is_fast, int b_is_fast) {
  int fds[2];
  CHECK(fw_socketpair(fds) == 0);
  a = fast_end(fds[0], a_is_fast);
  b = fast_end(fds[1], b_is_fast);
  wire_init(&wire, -1);
  end_pump(a, b);
}

static void end_ends(void) {
  fw_slot_free(&a->channel->slot);
  fw_slot_free(&b->channel->slot);
  end_free(a);
  end_free(b);
  wire_free(&wire);
}

static size_t slots_read(const end_t* end) {
  size_t count = 0;
  for (size_t i = 0; i < end->n_frames; i++) count += end->frames[i] == FW_KIND_SLOT;
  return count;
}

static void open_for_b(void) {
  fw_slot_open(&b->channel->slot, a->channel->out.bytes_written);
}

/* As the channel does it. */
static void read_slot_of_b(void) {
  struct iovec iov[2];
  fw_fd_set_t set;
  fw_fd_set_init(&set);
  CHECK_EQUAL(fw_slot_close(&b->channel->slot), FW_SLOT_FULL);
  CHECK_EQUAL(fw_read_queue_prepare(&b->channel->in, iov), 1);
  size_t size = fw_slot_take(&b->channel->slot, iov[0].iov_base);
  CHECK(size > 0);
  CHECK_EQUAL(fw_read_queue_received(&b->channel->in, size, &set), 0);
}

static void each_end_offers_one_and_keeps_no_descriptor(void) {
  begin_ends(1, 1);
  CHECK_EQUAL(slots_read(a), 1);
  CHECK_EQUAL(slots_read(b), 1);
  CHECK(a->channel->in.slot.segment.memory != NULL);
  CHECK(b->channel->in.slot.segment.memory != NULL);
  CHECK_EQUAL(a->channel->slot.segment.fd, -1);
  CHECK_EQUAL(b->channel->slot.segment.fd, -1);
  end_ends();
}

static void none_is_offered_unless_both_want_it(void) {
  begin_ends(1, 0);
  CHECK_EQUAL(slots_read(a) + slots_read(b), 0);
  end_ends();
  begin_ends(0, 1);
  CHECK_EQUAL(slots_read(a) + slots_read(b), 0);
  end_ends();
}

static void what_is_sent_while_it_is_open_does_not_touch_the_socket(void) {
  begin_ends(1, 1);
  open_for_b();
  end_send_text(a, FW_LANE_USER, "through memory");
  CHECK_EQUAL(end_flush(a), 0);
  CHECK_EQUAL(end_receive(b), UV_EAGAIN);
  CHECK_EQUAL(b->n_got, 0);
  read_slot_of_b();
  CHECK(end_got_text(b, 0, "through memory"));
  end_send_text(a, FW_LANE_USER, "through the socket");
  end_pump(a, b);
  CHECK(end_got_text(b, 1, "through the socket"));
  end_ends();
}

static void a_second_message_goes_over_the_socket_and_is_later(void) {
  begin_ends(1, 1);
  open_for_b();
  end_send_text(a, FW_LANE_USER, "first");
  CHECK_EQUAL(end_flush(a), 0);
  end_send_text(a, FW_LANE_USER, "second");
  CHECK_EQUAL(end_flush(a), 0);
  read_slot_of_b();
  CHECK_EQUAL(end_drain(b), 0);
  CHECK(end_got_text(b, 0, "first"));
  CHECK(end_got_text(b, 1, "second"));
  end_ends();
}

static void it_is_not_used_while_bytes_are_in_the_socket(void) {
  begin_ends(1, 1);
  uint64_t position = a->channel->out.bytes_written;
  end_send_text(a, FW_LANE_USER, "on its way");
  CHECK_EQUAL(end_flush(a), 0);
  fw_slot_open(&b->channel->slot, position); /* b has not read it */
  end_send_text(a, FW_LANE_USER, "behind it");
  CHECK_EQUAL(end_flush(a), 0);
  CHECK_EQUAL(fw_slot_close(&b->channel->slot), FW_SLOT_EMPTY);
  CHECK_EQUAL(end_drain(b), 0);
  CHECK(end_got_text(b, 0, "on its way"));
  CHECK(end_got_text(b, 1, "behind it"));
  end_ends();
}

static void descriptors_and_large_messages_go_over_the_socket(void) {
  static uint8_t large[FW_SLOT_ROOM];
  int tcp[2];
  tcp_pair(tcp);
  begin_ends(1, 1);
  open_for_b();
  end_send_socket(a, FW_LANE_USER, "with a socket", tcp[0], 1);
  CHECK_EQUAL(end_flush(a), 0);
  CHECK_EQUAL(fw_slot_close(&b->channel->slot), FW_SLOT_EMPTY);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 1);
  open_for_b();
  CHECK_EQUAL(end_send(a, FW_LANE_USER, large, sizeof(large), NULL), 0);
  CHECK_EQUAL(end_flush(a), 0);
  CHECK_EQUAL(fw_slot_close(&b->channel->slot), FW_SLOT_EMPTY);
  end_pump(a, b);
  CHECK_EQUAL(b->n_got, 2);
  end_take(b, 0);
  end_ends();
  close(tcp[0]);
  close(tcp[1]);
}

static void an_end_without_descriptors_does_without(void) {
  int fds[2];
  CHECK(fw_socketpair(fds) == 0);
  a = fast_end(fds[0], 1);
  b = fast_end(fds[1], 1);
  wire_init(&wire, -1);
  limit_room(0);
  end_pump(a, b);
  unlimit_room();
  CHECK_EQUAL(slots_read(a) + slots_read(b), 0);
  end_send_text(a, FW_LANE_USER, "all the same");
  end_pump(a, b);
  CHECK(end_got_text(b, 0, "all the same"));
  end_ends();
}

static void offer(void) {
  wire_set(&wire, 1);
  wire_header(&wire, (fw_frame_t){.kind = FW_KIND_SLOT, .handles = 1});
}

static int feed(void) {
  size_t at = 0;
  int status = 0;
  while (status == 0 && at < fw_buffer_size(&wire.bytes)) {
    at += wire_send_some(&wire, a->fd, at, SIZE_MAX / 2);
    status = end_drain(b);
  }
  return status;
}

static const char* rule_for_offer(int is_fast) {
  begin_ends(is_fast, is_fast);
  wire.fd = memory_of(FW_SLOT_SIZE, ALL_SEALS);
  offer();
  CHECK_EQUAL(feed(), UV_EPROTO);
  const char* rule = b->channel->in.violation.rule;
  close(wire.fd);
  end_ends();
  return rule;
}

static void a_second_one_and_one_that_nobody_wants_are_violations(void) {
  CHECK_RULE(rule_for_offer(1), "slot");
  CHECK_RULE(rule_for_offer(0), "feature");
}

/* ------------------------------------------------------------ two processes */

#define N_NUMBERS 20000u

static void write_all(int fd, const void* bytes, size_t size) {
  CHECK(write(fd, bytes, size) == (ssize_t)size);
}

/* Most wait for the other process to look. */
static int fill_with(uint64_t number) {
  unsigned patience = number % 3 == 0 ? 1 : 20;
  for (unsigned i = 0; i < patience; i++) {
    if (fw_slot_fill(&writer, number, (const uint8_t*)&number, sizeof(number))) return 1;
    if (i > 5) sched_yield();
  }
  return 0;
}

/* Each number by the way that is open. */
static void write_numbers(int fd) {
  uint64_t in_slot = 0;
  for (uint64_t i = 0; i < N_NUMBERS; i++) {
    if (fill_with(i)) in_slot++;
    else write_all(fd, &i, sizeof(i));
  }
  write_all(fd, &in_slot, sizeof(in_slot));
}

static ssize_t read_one(int fd, uint64_t* ret_number) {
  return recv(fd, ret_number, sizeof(*ret_number), MSG_DONTWAIT);
}

/* Opens and closes at any moment, and looks into the slot before the socket. Numbers that came through the slot. */
static uint64_t read_numbers(int fd) {
  uint64_t n_from_slot = 0;
  for (uint64_t next = 0; next < N_NUMBERS;) {
    uint64_t number = UINT64_MAX;
    fw_slot_open(&reader, next);
    for (unsigned i = 0; i < next % 13 && !fw_slot_is_filled(&reader); i++) sched_yield();
    fw_slot_content_t content = fw_slot_close(&reader);
    CHECK(content != FW_SLOT_BROKEN);
    if (content == FW_SLOT_FULL) {
      CHECK_EQUAL(fw_slot_take(&reader, room), sizeof(number));
      memcpy(&number, room, sizeof(number));
      n_from_slot++;
    } else if (read_one(fd, &number) < 0) {
      sched_yield();
      continue;
    }
    CHECK_EQUAL(number, next);
    next++;
  }
  return n_from_slot;
}

static void order_holds_between_two_processes_that_race(void) {
  int fds[2];
  int status;
  uint64_t said;
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
  begin();
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    close(fds[0]);
    write_numbers(fds[1]);
    _exit(0);
  }
  uint64_t n_from_slot = read_numbers(fds[0]);
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(read_one(fds[0], &said) == sizeof(said));
  CHECK_EQUAL(said, n_from_slot);
  CHECK(n_from_slot > 0 && n_from_slot < N_NUMBERS); /* both ways were used */
  end();
  close(fds[0]);
  close(fds[1]);
}

int main(void) {
  RUN(an_open_one_is_filled_once);
  RUN(one_that_was_never_opened_takes_nothing);
  RUN(only_who_is_at_the_same_position_may_fill_it);
  RUN(a_closed_one_takes_nothing_until_it_is_opened_again);
  RUN(what_is_in_it_stays_until_it_is_taken);
  RUN(it_takes_as_much_as_it_has_room_for);
  RUN(nonsense_in_the_state_is_seen);
  RUN(a_size_beyond_the_memory_is_nothing);
  RUN(only_sealed_memory_of_its_size_is_mapped);
  RUN(each_end_offers_one_and_keeps_no_descriptor);
  RUN(none_is_offered_unless_both_want_it);
  RUN(what_is_sent_while_it_is_open_does_not_touch_the_socket);
  RUN(a_second_message_goes_over_the_socket_and_is_later);
  RUN(it_is_not_used_while_bytes_are_in_the_socket);
  RUN(descriptors_and_large_messages_go_over_the_socket);
  RUN(an_end_without_descriptors_does_without);
  RUN(a_second_one_and_one_that_nobody_wants_are_violations);
  RUN(order_holds_between_two_processes_that_race);
  return check_done();
}
