/* Watching the death of a process that is not our own child but descends from it. Linux only: /proc says who
 * descends from whom, a pidfd says when it dies. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel_state.h"

#ifdef __linux__
#include <sys/syscall.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define MAX_GENERATIONS 64

/* The parent of a process, or 0. */
static uint32_t parent_of(uint32_t pid) {
  char path[32];
  char line[512];
  unsigned long parent = 0;
  snprintf(path, sizeof(path), "/proc/%" PRIu32 "/stat", pid);
  FILE* file = fopen(path, "re");
  if (file == NULL) return 0;
  size_t size = fread(line, 1, sizeof(line) - 1, file);
  fclose(file);
  line[size] = 0;
  /* "pid (name) state ppid ...", where the name may hold anything. */
  const char* rest = strrchr(line, ')');
  if (rest != NULL && strlen(rest) > 4) parent = strtoul(rest + 4, NULL, 10);
  return (uint32_t)parent;
}

static int is_descendant(uint32_t pid) {
  uint32_t self = (uint32_t)getpid();
  for (int i = 0; i < MAX_GENERATIONS && pid > 1; i++) {
    pid = parent_of(pid);
    if (pid == self) return 1;
  }
  return 0;
}

int fw__descendant_open(uint32_t pid) {
  int fd =
      (int)syscall(SYS_pidfd_open, (long)pid, 0L); /* before the look, so that it cannot change */
  if (fd < 0) return errno == ENOSYS ? UV_ENOTSUP : -errno;
  if (is_descendant(pid)) return fd;
  close(fd);
  return UV_ESRCH;
}

#else

int fw__descendant_open(uint32_t pid) {
  (void)pid;
  return UV_ENOTSUP;
}

#endif
