#include "environment.h"

#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cstdlib>

#include "channel.h"

namespace {

// That of the main thread: what atexit() calls gets no argument.
Environment* main_environment = nullptr;

} // namespace

Environment::Environment(Napi::Env env) {
  napi_add_async_cleanup_hook(env, OnCleanup, this, &cleanup_);
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  if (loop != uv_default_loop()) return;
  main_environment = this;
  thread_ = uv_thread_self();
  process_ = getpid();
  std::atexit(OnExit);
}

Environment::~Environment() {
  if (main_environment == this) main_environment = nullptr;
  fw_hub_free(hub_);
}

// Node ends the process in the midst of everything, behind an uncaught error for instance. 'exit' was flushed before, unless
// the program took away what does that. Where it was, nothing is left to do, and no time.
void Environment::OnExit() {
  Environment* environment = main_environment;
  uv_thread_t self = uv_thread_self();
  if (environment == nullptr || environment->is_ending_) return;
  if (getpid() != environment->process_) return;
  if (uv_thread_equal(&self, &environment->thread_) == 0) return;
  std::vector<fw_channel_t*> cores;
  for (Channel* channel : environment->channels_) cores.push_back(channel->core());
  environment->is_ending_ = true; // JavaScript is not called any more
  fw_channels_flush(cores.data(), cores.size());
}

void Environment::Flush(bool is_final) {
  std::vector<fw_channel_t*> cores;
  cores.reserve(channels_.size());
  for (Channel* channel : channels_)
    if (!is_ending_ || channel->owns_handles()) cores.push_back(channel->core());
  auto flush = is_final ? fw_channels_flush : fw_channels_write_out;
  flush(cores.data(), cores.size());
}

void Environment::Add(Channel* channel) {
  channels_.push_back(channel);
}

void Environment::Remove(Channel* channel) {
  channels_.erase(std::find(channels_.begin(), channels_.end(), channel));
  if (is_ending_ && channels_.empty()) napi_remove_async_cleanup_hook(cleanup_);
}

void Environment::Own(int fd) {
  fds_.push_back(fd);
}

void Environment::Disown(int fd) {
  fds_.erase(std::remove(fds_.begin(), fds_.end(), fd), fds_.end());
}

// Handles of an environment that is ending are closed already: only duplicates of them are sent.
// The loop goes on until the hook is removed, so that uv_close() callbacks still come.
void Environment::OnCleanup(napi_async_cleanup_hook_handle handle, void* data) {
  Environment* environment = static_cast<Environment*>(data);
  environment->is_ending_ = true;
  environment->Flush(true);
  for (int fd : environment->fds_) close(fd);
  environment->fds_.clear();
  if (environment->channels_.empty()) {
    napi_remove_async_cleanup_hook(handle);
    return;
  }
  std::vector<Channel*> channels = environment->channels_;
  for (Channel* channel : channels) channel->CloseNow();
}
