/* Where the decisions of a run come from: the fuzzer's bytes, or numbers that a seed gives. */
#ifndef CHOICES_H
#define CHOICES_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  const uint8_t* bytes; /* NULL: the generator */
  size_t size;
  uint64_t state;
  size_t left; /* decisions that the generator still gives */
} choices_t;

static inline int choices_are_over(const choices_t* choices) {
  return choices->bytes != NULL ? choices->size == 0 : choices->left == 0;
}

static inline uint32_t choices_random(choices_t* choices) {
  choices->state += 0x9e3779b97f4a7c15;
  uint64_t value = choices->state;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return (uint32_t)(value >> 32);
}

/* 0 to `count` - 1; 0 when nothing is left. */
static inline uint32_t choose(choices_t* choices, uint32_t count) {
  uint32_t value = 0;
  if (choices->bytes == NULL) return choices_random(choices) % count;
  for (uint32_t limit = count - 1; limit > 0 && choices->size > 0; limit >>= 8) {
    value = value << 8 | *choices->bytes++;
    choices->size--;
  }
  return value % count;
}

#endif
