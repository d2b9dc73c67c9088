/* Memory as a peer may offer it, sealed or not. */
#ifndef MEMORY_H
#define MEMORY_H

#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

#define ALL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Memory of `size` bytes of which the first `allocated` are there; the rest is a hole. */
static inline int memory_with_hole(size_t size, size_t allocated, int seals) {
  int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  CHECK(fd >= 0);
  CHECK(ftruncate(fd, (off_t)size) == 0);
  if (allocated > 0) CHECK(fallocate(fd, 0, 0, (off_t)allocated) == 0);
  CHECK(fcntl(fd, F_ADD_SEALS, seals) == 0);
  return fd;
}

static inline int memory_of(size_t size, int seals) {
  return memory_with_hole(size, size, seals);
}

#endif
