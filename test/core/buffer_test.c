#include "../../src/core/buffer.h"

#include <uv.h>

#include "check.h"

static void is_empty_at_first_and_after_free(void) {
  fw_buffer_t buffer;
  fw_buffer_init(&buffer);
  CHECK_EQUAL(fw_buffer_size(&buffer), 0);
  CHECK_EQUAL(fw_buffer_append(&buffer, "abc", 3), 0);
  fw_buffer_free(&buffer);
  CHECK_EQUAL(fw_buffer_size(&buffer), 0);
  CHECK(buffer.data == NULL);
  fw_buffer_free(&buffer);
}

static void gives_back_what_was_appended(void) {
  fw_buffer_t buffer;
  fw_buffer_init(&buffer);
  CHECK_EQUAL(fw_buffer_append(&buffer, "abc", 3), 0);
  CHECK_EQUAL(fw_buffer_append(&buffer, "", 0), 0);
  CHECK_EQUAL(fw_buffer_append(&buffer, "defg", 4), 0);
  CHECK_EQUAL(fw_buffer_size(&buffer), 7);
  CHECK(memcmp(fw_buffer_bytes(&buffer), "abcdefg", 7) == 0);
  fw_buffer_consume(&buffer, 2);
  CHECK_EQUAL(fw_buffer_size(&buffer), 5);
  CHECK(memcmp(fw_buffer_bytes(&buffer), "cdefg", 5) == 0);
  fw_buffer_free(&buffer);
}

static void what_is_reserved_counts_once_it_is_committed(void) {
  fw_buffer_t buffer;
  fw_buffer_init(&buffer);
  uint8_t* room = fw_buffer_reserve(&buffer, 100);
  CHECK(room != NULL);
  memset(room, 'x', 100);
  CHECK_EQUAL(fw_buffer_size(&buffer), 0);
  fw_buffer_commit(&buffer, 60);
  CHECK_EQUAL(fw_buffer_size(&buffer), 60);
  CHECK(fw_buffer_reserve(&buffer, 40) == room + 60);
  fw_buffer_free(&buffer);
}

static void keeps_its_bytes_when_it_grows(void) {
  fw_buffer_t buffer;
  fw_buffer_init(&buffer);
  for (uint32_t i = 0; i < 100000; i++) CHECK_EQUAL(fw_buffer_append(&buffer, &i, sizeof(i)), 0);
  CHECK_EQUAL(fw_buffer_size(&buffer), 400000);
  for (uint32_t i = 0; i < 100000; i++)
    CHECK(memcmp(fw_buffer_bytes(&buffer) + i * sizeof(i), &i, sizeof(i)) == 0);
  CHECK(buffer.capacity < 1000000);
  fw_buffer_free(&buffer);
}

static void uses_consumed_room_before_it_grows(void) {
  fw_buffer_t buffer;
  fw_buffer_init(&buffer);
  CHECK(fw_buffer_reserve(&buffer, 256) != NULL);
  size_t capacity = buffer.capacity;
  for (int i = 0; i < 10000; i++) {
    CHECK_EQUAL(fw_buffer_append(&buffer, "0123456789", 10), 0);
    if (i > 0) fw_buffer_consume(&buffer, 10);
    CHECK_EQUAL(fw_buffer_size(&buffer), 10);
    CHECK(memcmp(fw_buffer_bytes(&buffer), "0123456789", 10) == 0);
  }
  CHECK_EQUAL(buffer.capacity, capacity);
  fw_buffer_free(&buffer);
}

static void begins_at_the_front_again_when_all_is_consumed(void) {
  fw_buffer_t buffer;
  fw_buffer_init(&buffer);
  CHECK_EQUAL(fw_buffer_append(&buffer, "abc", 3), 0);
  fw_buffer_consume(&buffer, 3);
  CHECK_EQUAL(buffer.start, 0);
  CHECK_EQUAL(buffer.end, 0);
  fw_buffer_free(&buffer);
}

static void refuses_a_size_that_cannot_be_and_stays_as_it_was(void) {
  fw_buffer_t buffer;
  fw_buffer_init(&buffer);
  CHECK_EQUAL(fw_buffer_append(&buffer, "abc", 3), 0);
  CHECK(fw_buffer_reserve(&buffer, SIZE_MAX) == NULL);
  CHECK(fw_buffer_reserve(&buffer, SIZE_MAX / 2) == NULL);
  CHECK_EQUAL(fw_buffer_append(&buffer, "x", SIZE_MAX - 1), UV_ENOMEM);
  CHECK_EQUAL(fw_buffer_size(&buffer), 3);
  CHECK(memcmp(fw_buffer_bytes(&buffer), "abc", 3) == 0);
  fw_buffer_free(&buffer);
}

/* Pieces of all sizes in and out: a byte that leaves is the one that came at its place. */
static void passes_every_byte_on_in_order(void) {
  fw_buffer_t buffer;
  size_t in = 0;
  size_t out = 0;
  uint32_t seed = 1;
  fw_buffer_init(&buffer);
  for (int i = 0; i < 20000; i++) {
    seed = seed * 1103515245 + 12345;
    size_t size = (seed >> 8) % 700;
    if (seed & 0x8000) {
      uint8_t* room = fw_buffer_reserve(&buffer, size + 1);
      CHECK(room != NULL);
      for (size_t j = 0; j < size; j++) room[j] = (uint8_t)(in++ * 7);
      fw_buffer_commit(&buffer, size);
    } else {
      if (size > fw_buffer_size(&buffer)) size = fw_buffer_size(&buffer);
      for (size_t j = 0; j < size; j++) CHECK(fw_buffer_bytes(&buffer)[j] == (uint8_t)(out++ * 7));
      fw_buffer_consume(&buffer, size);
    }
    CHECK_EQUAL(fw_buffer_size(&buffer), in - out);
  }
  fw_buffer_free(&buffer);
}

static void gives_the_memory_of_a_large_message_back(void) {
  fw_buffer_t buffer;
  fw_buffer_init(&buffer);
  size_t size = (size_t)64 << 20;
  uint8_t* room = fw_buffer_reserve(&buffer, size);
  CHECK(room != NULL);
  memset(room, 'x', size);
  memcpy(room + size - 3, "abc", 3);
  fw_buffer_commit(&buffer, size);
  fw_buffer_consume(&buffer, size / 2);
  CHECK(buffer.capacity >= size); /* half of it is in use */
  fw_buffer_consume(&buffer, size / 2 - 3);
  CHECK(buffer.capacity <= 1 << 20);
  CHECK_EQUAL(fw_buffer_size(&buffer), 3);
  CHECK(memcmp(fw_buffer_bytes(&buffer), "abc", 3) == 0);
  CHECK(fw_buffer_reserve(&buffer, size) != NULL);
  fw_buffer_consume(&buffer, 3);
  CHECK(buffer.capacity <= 1 << 20);
  fw_buffer_free(&buffer);
}

static void keeps_the_memory_of_usual_messages(void) {
  fw_buffer_t buffer;
  fw_buffer_init(&buffer);
  CHECK(fw_buffer_reserve(&buffer, (size_t)1 << 20) != NULL);
  fw_buffer_commit(&buffer, (size_t)1 << 20);
  fw_buffer_consume(&buffer, (size_t)1 << 20);
  CHECK_EQUAL(buffer.capacity, (size_t)1 << 20);
  fw_buffer_free(&buffer);
}

int main(void) {
  RUN(is_empty_at_first_and_after_free);
  RUN(gives_back_what_was_appended);
  RUN(what_is_reserved_counts_once_it_is_committed);
  RUN(keeps_its_bytes_when_it_grows);
  RUN(uses_consumed_room_before_it_grows);
  RUN(begins_at_the_front_again_when_all_is_consumed);
  RUN(refuses_a_size_that_cannot_be_and_stays_as_it_was);
  RUN(passes_every_byte_on_in_order);
  RUN(gives_the_memory_of_a_large_message_back);
  RUN(keeps_the_memory_of_usual_messages);
  return check_done();
}
