/* What every test program uses: CHECK, and RUN, which compares the open descriptors before and after
 * each single test. A failed check ends the program with 1. */
#ifndef CHECK_H
#define CHECK_H

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK_MAX_FD 4096

static const char* check_test = "";
static int check_n_tests = 0;

#define CHECK(condition)                                          \
  do {                                                            \
    if (!(condition)) check_fail(__FILE__, __LINE__, #condition); \
  } while (0)

#define CHECK_EQUAL(got, wanted) \
  check_equal(__FILE__, __LINE__, #got, (int64_t)(got), (int64_t)(wanted))

/* Rule names, or NULL. */
#define CHECK_RULE(got, wanted) check_rule(__FILE__, __LINE__, #got, got, wanted)

#define RUN(test) check_run(#test, test)

static inline void check_fail(const char* file, int line, const char* what) {
  fprintf(stderr, "%s:%d: %s: %s\n", file, line, check_test, what);
  exit(1);
}

static inline void check_equal(const char* file, int line, const char* what, int64_t got,
                               int64_t wanted) {
  char text[256];
  if (got == wanted) return;
  snprintf(text, sizeof(text), "%s is %" PRId64 ", not %" PRId64, what, got, wanted);
  check_fail(file, line, text);
}

static inline void check_rule(const char* file, int line, const char* what, const char* got,
                              const char* wanted) {
  char text[256];
  if (got == wanted || (got != NULL && wanted != NULL && strcmp(got, wanted) == 0)) return;
  snprintf(text, sizeof(text), "%s is %s, not %s", what, got != NULL ? got : "no rule",
           wanted != NULL ? wanted : "no rule");
  check_fail(file, line, text);
}

typedef struct {
  uint8_t is_open[CHECK_MAX_FD];
} check_fds_t;

/* One call for all of them, since it is made twice for each test. */
static inline void check_open_fds(check_fds_t* ret_fds) {
  DIR* folder = opendir("/proc/self/fd");
  if (folder == NULL) check_fail(__FILE__, __LINE__, "/proc/self/fd can be read");
  memset(ret_fds, 0, sizeof(*ret_fds));
  for (struct dirent* entry; (entry = readdir(folder)) != NULL;) {
    long fd = strtol(entry->d_name, NULL, 10); /* 0 for . and .. */
    if (entry->d_name[0] == '.' || fd == dirfd(folder) || fd >= CHECK_MAX_FD) continue;
    ret_fds->is_open[fd] = 1;
  }
  closedir(folder);
}

/* Some are closed on threads: src/core/closer.c. */
static inline void check_no_leaked_fds(const check_fds_t* before) {
  check_fds_t after;
  for (int i = 0; i < 2000; i++) {
    check_open_fds(&after);
    if (memcmp(&after, before, sizeof(after)) == 0) return;
    usleep(1000);
  }
  for (int fd = 0; fd < CHECK_MAX_FD; fd++) {
    if (after.is_open[fd] == before->is_open[fd]) continue;
    fprintf(stderr, "%s: descriptor %d was %s\n", check_test, fd,
            after.is_open[fd] ? "leaked" : "closed and was not its own");
    exit(1);
  }
}

static inline void check_run(const char* name, void (*test)(void)) {
  check_fds_t before;
  check_test = name;
  check_open_fds(&before);
  test();
  check_no_leaked_fds(&before);
  check_n_tests++;
}

static inline int check_done(void) {
  printf("%d tests\n", check_n_tests);
  return 0;
}

#endif
