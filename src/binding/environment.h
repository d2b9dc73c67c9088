// What the addon keeps per environment (main thread or Worker): its open channels and the descriptors that are to
// become channels, and their orderly closing when the environment ends.
#ifndef FW_BINDING_ENVIRONMENT_H
#define FW_BINDING_ENVIRONMENT_H

#include <napi.h>
#include <sys/types.h>
#include <uv.h>

#include <vector>

#include "../forkwire.h"
#include "sources.h"

class Channel;

class Environment {
public:
  explicit Environment(Napi::Env env);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  void Add(Channel* channel);
  void Remove(Channel* channel);
  const std::vector<Channel*>& channels() const {
    return channels_;
  }
  // Writes out all channels: the process is about to end, or may end where it is not final.
  void Flush(bool is_final);
  // A descriptor that JavaScript holds as a number: a Worker may be terminated before it does something with it.
  void Own(int fd);
  void Disown(int fd);
  // JavaScript must not be called any more.
  bool is_ending() const {
    return is_ending_;
  }

  Sources& sources() {
    return sources_;
  }
  fw_hub_t* hub() const {
    return hub_;
  }

private:
  static void OnExit();
  static void OnCleanup(napi_async_cleanup_hook_handle handle, void* data);

  fw_hub_t* hub_ = fw_hub_new();
  std::vector<Channel*> channels_;
  std::vector<int> fds_;
  Sources sources_;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  uv_thread_t thread_ = {}; // who runs it, that of the main thread
  pid_t process_ = 0;       // a process which that forked without exec is another one
  bool is_ending_ = false;
};

#endif
