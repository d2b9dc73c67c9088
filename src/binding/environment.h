// What the addon keeps per environment (main thread or Worker): its open channels, and their orderly
// closing when the environment ends.
#ifndef FW_BINDING_ENVIRONMENT_H
#define FW_BINDING_ENVIRONMENT_H

#include <napi.h>

#include <vector>

class Channel;

class Environment {
public:
  explicit Environment(Napi::Env env);

  void Add(Channel* channel);
  void Remove(Channel* channel);
  const std::vector<Channel*>& channels() const {
    return channels_;
  }
  // JavaScript must not be called any more.
  bool is_ending() const {
    return is_ending_;
  }

private:
  static void OnCleanup(napi_async_cleanup_hook_handle handle, void* data);

  std::vector<Channel*> channels_;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  bool is_ending_ = false;
};

#endif
