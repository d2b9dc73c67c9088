/* Memory as a peer may offer it, sealed or not. */
#ifndef MEMORY_H
#define MEMORY_H

#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

#define ALL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static inline int memory_of(size_t size, int seals) {
  int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  CHECK(fd >= 0);
  CHECK(ftruncate(fd, (off_t)size) == 0);
  CHECK(fcntl(fd, F_ADD_SEALS, seals) == 0);
  return fd;
}

#endif
