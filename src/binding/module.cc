// The addon: its functions, and its life in an environment.
#include <napi.h>
#include <unistd.h>
#include <uv.h>

#include <string>
#include <vector>

#include "channel.h"
#include "environment.h"

namespace {

Environment* EnvironmentOf(const Napi::CallbackInfo& info) {
  return info.Env().GetInstanceData<Environment>();
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
  exports["processGroup"] = Napi::Function::New(env, ProcessGroup);
  exports["flushAll"] = Napi::Function::New(env, FlushAll, "flushAll", environment);
  return exports;
}

NODE_API_MODULE(forkwire, Init)

} // namespace
