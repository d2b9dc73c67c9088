// The addon: its functions, and its life in an environment.
#include <napi.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <cstdio>
#include <string>
#include <vector>

#include "channel.h"
#include "environment.h"

namespace {

Environment* EnvironmentOf(const Napi::CallbackInfo& info) {
  return info.Env().GetInstanceData<Environment>();
}

constexpr size_t kIdentitySize = 96; // four numbers of 20 digits at most

uint64_t ModifiedNs(const struct stat& status) {
#ifdef __APPLE__
  const struct timespec& time = status.st_mtimespec;
#else
  const struct timespec& time = status.st_mtim;
#endif
  return static_cast<uint64_t>(time.tv_sec) * 1000000000 + static_cast<uint64_t>(time.tv_nsec);
}

int Int(const Napi::Value& value) {
  return value.As<Napi::Number>().Int32Value();
}

// [fd, fd], or a negative errno.
Napi::Value SocketPair(const Napi::CallbackInfo& info) {
  int fds[2];
  int status = fw_socketpair(fds);
  if (status < 0) return Napi::Number::New(info.Env(), status);
  Napi::Array pair = Napi::Array::New(info.Env(), 2);
  for (int fd : fds) EnvironmentOf(info)->Own(fd);
  pair[0u] = fds[0];
  pair[1u] = fds[1];
  return pair;
}

Napi::Value Inode(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(fw_fd_inode(Int(info[0]))));
}

Napi::Value IsSocket(const Napi::CallbackInfo& info) {
  auto inode = static_cast<uint64_t>(info[1].As<Napi::Number>().DoubleValue());
  return Napi::Boolean::New(info.Env(), fw_fd_is_socket(Int(info[0]), inode) != 0);
}

Napi::Value IsHungUp(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), fw_fd_is_hung_up(Int(info[0])) != 0);
}

Napi::Value CloseFd(const Napi::CallbackInfo& info) {
  int fd = Int(info[0]);
  EnvironmentOf(info)->Disown(fd);
  fw_fd_close_foreign(&fd);
  return info.Env().Undefined();
}

// A close-on-exec duplicate, or a negative errno.
Napi::Value DupFd(const Napi::CallbackInfo& info) {
  int fd = fw_fd_dup(Int(info[0]));
  if (fd >= 0) EnvironmentOf(info)->Own(fd);
  return Napi::Number::New(info.Env(), fd);
}

Napi::Value IsPrivileged(const Napi::CallbackInfo& info) {
  std::string path = info[0].As<Napi::String>();
  return Napi::Boolean::New(info.Env(), fw_program_is_privileged(path.c_str()) != 0);
}

Napi::Value StartedAs(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), fw_program_started_as());
}

Napi::Value ProcessGroup(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), getpgrp());
}

// flushAll(isFinal): all channels of this environment, before the process ends, or may end.
Napi::Value FlushAll(const Napi::CallbackInfo& info) {
  auto* environment = static_cast<Environment*>(info.Data());
  environment->Flush(info[0].As<Napi::Boolean>().Value());
  for (Channel* channel : environment->channels()) channel->UpdateState();
  return info.Env().Undefined();
}

// Whether a file is the program of this process, whatever has its name by now. False as well where /proc does not tell.
Napi::Value IsOwnProgram(const Napi::CallbackInfo& info) {
  struct stat file;
  struct stat own;
  std::string path = info[0].As<Napi::String>();
  bool is_known = stat(path.c_str(), &file) == 0 && stat("/proc/self/exe", &own) == 0;
  bool is_same = is_known && file.st_dev == own.st_dev && file.st_ino == own.st_ino;
  return Napi::Boolean::New(info.Env(), is_same);
}

// identityOf(file): what tells it from another that took its place; undefined where it cannot be read.
Napi::Value IdentityOf(const Napi::CallbackInfo& info) {
  struct stat status;
  std::string path = info[0].As<Napi::String>();
  if (stat(path.c_str(), &status) != 0 || access(path.c_str(), R_OK) != 0)
    return info.Env().Undefined();
  char identity[kIdentitySize];
  std::snprintf(identity, sizeof(identity), "%llu:%llu:%lld:%llu",
                static_cast<unsigned long long>(status.st_dev),
                static_cast<unsigned long long>(status.st_ino),
                static_cast<long long>(status.st_size),
                static_cast<unsigned long long>(ModifiedNs(status)));
  return Napi::String::New(info.Env(), identity);
}

// readSources(folder): all JavaScript files of it, before they are needed.
Napi::Value ReadSources(const Napi::CallbackInfo& info) {
  EnvironmentOf(info)->sources().Read(info[0].As<Napi::String>());
  return info.Env().Undefined();
}

// sourceOf(file): the text of one that was read, or undefined.
Napi::Value SourceOf(const Napi::CallbackInfo& info) {
  const std::string* text = EnvironmentOf(info)->sources().Find(info[0].As<Napi::String>());
  if (text == nullptr) return info.Env().Undefined();
  return Napi::String::New(info.Env(), *text);
}

// libuv promises Node's addons no ABI, but the handles that the core uses have been the same since 1.46.
bool FitsHost() {
  return uv_version() >> 16 == UV_VERSION_MAJOR && uv_handle_size(UV_POLL) == sizeof(uv_poll_t) &&
         uv_handle_size(UV_PREPARE) == sizeof(uv_prepare_t) &&
         uv_handle_size(UV_TIMER) == sizeof(uv_timer_t) &&
         uv_handle_size(UV_IDLE) == sizeof(uv_idle_t);
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  if (!FitsHost()) {
    const std::string what = std::string("built for another libuv than ") + uv_version_string();
    Napi::Error::New(env, what).ThrowAsJavaScriptException();
    return exports;
  }
  // Freed with the environment, behind its cleanup hooks.
  auto* environment = new Environment(env);
  env.SetInstanceData(environment);
  exports["Channel"] = Channel::Define(env, environment);
  exports["socketPair"] = Napi::Function::New(env, SocketPair);
  exports["inode"] = Napi::Function::New(env, Inode);
  exports["isSocket"] = Napi::Function::New(env, IsSocket);
  exports["isHungUp"] = Napi::Function::New(env, IsHungUp);
  exports["closeFd"] = Napi::Function::New(env, CloseFd);
  exports["dupFd"] = Napi::Function::New(env, DupFd);
  exports["isPrivileged"] = Napi::Function::New(env, IsPrivileged);
  exports["startedAs"] = Napi::Function::New(env, StartedAs);
  exports["isOwnProgram"] = Napi::Function::New(env, IsOwnProgram);
  exports["identityOf"] = Napi::Function::New(env, IdentityOf);
  exports["readSources"] = Napi::Function::New(env, ReadSources);
  exports["sourceOf"] = Napi::Function::New(env, SourceOf);
  exports["processGroup"] = Napi::Function::New(env, ProcessGroup);
  exports["flushAll"] = Napi::Function::New(env, FlushAll, "flushAll", environment);
  return exports;
}

NODE_API_MODULE(forkwire, Init)

} // namespace
