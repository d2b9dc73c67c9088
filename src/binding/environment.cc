#include "environment.h"

#include <unistd.h>

#include <algorithm>

#include "channel.h"

Environment::Environment(Napi::Env env) {
  napi_add_async_cleanup_hook(env, OnCleanup, this, &cleanup_);
}

Environment::~Environment() {
  fw_hub_free(hub_);
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
