// What the binding uses of the C++ library beyond its headers, for scripts/prebuild.js: the binaries in the package
// then need no libstdc++, and zig does not have to compile the whole of libc++ for each of them.
#include <cstdlib>
#include <new>
#include <string>

// The binding is compiled without exceptions: there is nothing else to do without memory.
void* operator new(std::size_t size) {
  void* memory = std::malloc(size > 0 ? size : 1);
  if (memory == nullptr) std::abort();
  return memory;
}

void* operator new[](std::size_t size) {
  return operator new(size);
}

void operator delete(void* memory) noexcept {
  std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

void operator delete[](void* memory) noexcept {
  std::free(memory);
}

void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

// libc++ leaves this function to the program: what a failed check does.
void std::__libcpp_verbose_abort(const char*, ...) noexcept {
  std::abort();
}

template class std::basic_string<char>;
