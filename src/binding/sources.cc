#include "sources.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace {

const char kExtension[] = ".js";
constexpr size_t kExtensionSize = sizeof(kExtension) - 1;
constexpr size_t kSourceMax = 1 << 20; // bytes; none is nearly so large

bool IsSource(const std::string& name) {
  return name.size() > kExtensionSize &&
         name.compare(name.size() - kExtensionSize, kExtensionSize, kExtension) == 0;
}

bool ReadWhole(int fd, std::string* ret_text) {
  struct stat status;
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return false;
  auto size = static_cast<size_t>(status.st_size);
  if (size > kSourceMax) return false;
  ret_text->resize(size);
  size_t done = 0;
  while (done < size) {
    ssize_t n = read(fd, &(*ret_text)[done], size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

} // namespace

void Sources::Read(const std::string& folder) {
  DIR* listing = opendir(folder.c_str());
  if (listing == nullptr) return;
  for (struct dirent* entry = readdir(listing); entry != nullptr; entry = readdir(listing)) {
    std::string name = entry->d_name;
    if (!IsSource(name)) continue;
    int fd = openat(dirfd(listing), name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) continue;
    std::string text;
    std::string file = std::string(folder).append("/").append(name);
    if (ReadWhole(fd, &text)) sources_.push_back({std::move(file), std::move(text)});
    close(fd);
  }
  closedir(listing);
}

const std::string* Sources::Find(const std::string& file) const {
  for (const Source& source : sources_)
    if (source.file == file) return &source.text;
  return nullptr;
}
