#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "fd_kind.h"

#ifdef __linux__
#include <sys/vfs.h>
#endif

#define POPULATE_MIN 65536
#define HUGE_MIN \
  ((size_t)4 << 20) /* from here on large pages pay for what they waste at both ends */

#ifndef MAP_POPULATE
#define MAP_POPULATE 0
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; older ones refuse it */
#endif

int fw_memory_populate(uint8_t* memory, size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  size_t skipped = (page - (uintptr_t)memory % page) % page; /* whole pages only */
  if (size < POPULATE_MIN || size < skipped + page) return 0;
  uint8_t* start = memory + skipped;
  size_t length = (size - skipped) / page * page;
#ifdef MADV_HUGEPAGE
  if (size >= HUGE_MIN) madvise(start, length, MADV_HUGEPAGE);
#endif
  if (madvise(start, length, MADV_POPULATE_WRITE) == 0 || errno == EINVAL) return 0;
  return -errno;
}

void fw_segment_unmap(uint8_t* memory, size_t size) {
  munmap(memory, size);
}

#ifdef MFD_ALLOW_SEALING

#define TMPFS_MAGIC 0x01021994
#define BLOCK_SIZE 512 /* of st_blocks */
#define SIZE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3, which warns without it; older ones refuse it */
#endif

int fw_segment_is_supported(void) {
  return 1;
}

static int map(int fd, size_t size, int flags, uint8_t** ret_memory) {
  void* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);
  if (memory == MAP_FAILED) return -errno;
  *ret_memory = memory;
  return 0;
}

static int open_memory(void) {
  unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  int fd = memfd_create("forkwire", flags | MFD_NOEXEC_SEAL);
  if (fd < 0 && errno == EINVAL) fd = memfd_create("forkwire", flags);
  return fd < 0 ? -errno : fd;
}

/* With the pages allocated, a system that runs out of memory says so here and not with a signal later. */
static int prepare(int fd, size_t size, uint8_t** ret_memory) {
  if (ftruncate(fd, (off_t)size) != 0) return -errno;
  if (fallocate(fd, 0, 0, (off_t)size) != 0) return -errno;
  if (fcntl(fd, F_ADD_SEALS, SIZE_SEALS) != 0) return -errno;
  return map(fd, size, MAP_POPULATE, ret_memory);
}

/* Pages of a memfd can be taken away by whoever has its descriptor, and the next look at them takes
 * new ones. Where the system promises no more memory than it has, there may be none, and the look is
 * a SIGBUS. So it is if nobody can say. */
static int may_lack_pages(void) {
  char mode = 0;
  int fd = open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 1;
  ssize_t size = read(fd, &mode, 1);
  close(fd);
  return size != 1 || (mode != '0' && mode != '1');
}

int fw_segment_create(size_t size, uint8_t** ret_memory, int* ret_fd) {
  if (may_lack_pages()) return UV_ENOTSUP;
  int fd = open_memory();
  if (fd < 0) return fd;
  int status = prepare(fd, size, ret_memory);
  if (status == 0) *ret_fd = fd;
  else fw_fd_close(&fd);
  return status;
}

/* The seals first: only then the size stays what it is. Memory of another file system, huge pages for one, may end in a
 * signal when there is none left. */
static int check(int fd, uint64_t size) {
  struct statfs system;
  struct stat status;
  int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & SIZE_SEALS) != SIZE_SEALS) return UV_EINVAL;
  if (fstatfs(fd, &system) != 0 || system.f_type != TMPFS_MAGIC) return UV_EINVAL;
  if (fstat(fd, &status) != 0 || (uint64_t)status.st_size != size) return UV_EINVAL;
  if ((uint64_t)status.st_blocks * BLOCK_SIZE < size) return UV_EINVAL;
  return 0;
}

int fw_segment_map(int fd, uint64_t size, uint8_t** ret_memory) {
  if (may_lack_pages()) return UV_ENOTSUP;
  int status = check(fd, size);
  return status < 0 ? status : map(fd, (size_t)size, 0, ret_memory);
}

#else

int fw_segment_is_supported(void) {
  return 0;
}

int fw_segment_create(size_t size, uint8_t** ret_memory, int* ret_fd) {
  (void)size, (void)ret_memory, (void)ret_fd;
  return UV_ENOTSUP;
}

int fw_segment_map(int fd, uint64_t size, uint8_t** ret_memory) {
  (void)fd, (void)size, (void)ret_memory;
  return UV_ENOTSUP;
}

#endif
