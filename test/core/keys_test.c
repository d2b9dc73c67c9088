/* Which keys the peer's COUNTS may be about, and that what it says of each is told once. */
#include "../../src/core/keys.h"

#include "check.h"

static fw_keys_t keys;
static uint64_t told[64][2];
static size_t n_told;

static void tell(void* data, uint64_t key, uint64_t count) {
  CHECK(data == &keys && n_told < 64);
  told[n_told][0] = key;
  told[n_told++][1] = count;
}

static void tell_all(void) {
  n_told = 0;
  fw_keys_tell(&keys, tell, &keys);
}

static void what_is_closed_of_a_key_is_told_together_and_once(void) {
  CHECK_EQUAL(fw_keys_add(&keys, 5), 0);
  CHECK_EQUAL(fw_keys_add(&keys, 5), 0);
  for (int i = 0; i < 1000; i++) CHECK(fw_keys_closed(&keys, 5, 2));
  tell_all();
  CHECK_EQUAL(n_told, 1);
  CHECK(told[0][0] == 5 && told[0][1] == 2000);
  tell_all();
  CHECK_EQUAL(n_told, 0);
  fw_keys_free(&keys);
}

static void keys_that_are_not_expected_count_nothing(void) {
  CHECK(!fw_keys_closed(&keys, 5, 1));
  CHECK_EQUAL(fw_keys_add(&keys, 5), 0);
  CHECK(!fw_keys_closed(&keys, 4, 1) && !fw_keys_closed(&keys, 6, 1));
  CHECK(fw_keys_closed(&keys, 5, 1));
  fw_keys_remove(&keys, 5);
  fw_keys_remove(&keys, 5);
  CHECK(!fw_keys_closed(&keys, 5, 1));
  tell_all();
  CHECK_EQUAL(n_told, 0);
  fw_keys_free(&keys);
}

static void many_keys_are_found_however_they_came(void) {
  for (uint64_t i = 0; i < 64; i++) CHECK_EQUAL(fw_keys_add(&keys, i * 37 % 64), 0);
  for (uint64_t i = 1; i < 64; i += 2) fw_keys_remove(&keys, i);
  for (uint64_t i = 0; i < 64; i++) CHECK_EQUAL(fw_keys_closed(&keys, i, i + 1), i % 2 == 0);
  tell_all();
  CHECK_EQUAL(n_told, 32);
  for (size_t i = 0; i < 32; i++) CHECK(told[i][0] == 2 * i && told[i][1] == 2 * i + 1);
  fw_keys_free(&keys);
}

static void a_count_stops_at_the_largest_number(void) {
  CHECK_EQUAL(fw_keys_add(&keys, 5), 0);
  CHECK(fw_keys_closed(&keys, 5, UINT64_MAX - 1));
  CHECK(fw_keys_closed(&keys, 5, 2));
  tell_all();
  CHECK(told[0][1] == UINT64_MAX);
  fw_keys_free(&keys);
}

int main(void) {
  RUN(what_is_closed_of_a_key_is_told_together_and_once);
  RUN(keys_that_are_not_expected_count_nothing);
  RUN(many_keys_are_found_however_they_came);
  RUN(a_count_stops_at_the_largest_number);
  return check_done();
}
