// One channel as a JavaScript object. Translates values and callbacks; decides nothing.
#ifndef FW_BINDING_CHANNEL_H
#define FW_BINDING_CHANNEL_H

#include <napi.h>

#include <string>
#include <vector>

#include "../forkwire.h"
#include "batch.h"
#include "environment.h"
#include "options.h"

class Channel : public Napi::ObjectWrap<Channel> {
public:
  static Napi::Function Define(Napi::Env env, Environment* environment);
  explicit Channel(const Napi::CallbackInfo& info);

  // For the end of the environment: no JavaScript runs any more.
  void CloseNow();
  bool owns_handles() const {
    return options_.core.owns_handles != 0;
  }
  fw_channel_t* core() const {
    return core_;
  }
  void UpdateState();

private:
  // The core's callbacks; `data` is the Channel.
  static void OnMessage(void* data, const fw_message_t* message);
  static void OnSettled(void* data, uint64_t token, fw_outcome_t outcome, uint32_t reason);
  static void OnCounts(void* data, uint64_t key, uint64_t count);
  static void OnWritesDone(void* data, uint64_t id, int failed);
  static void OnLost(void* data, uint64_t id);
  static void OnNack(void* data, uint64_t token, uint32_t count);
  static void OnHello(void* data, uint32_t pid);
  static void OnEnding(void* data);
  static void OnBatch(void* data);
  static void OnProgress(void* data);
  static void OnTurnWithin(void* data);
  static void OnEnd(void* data, fw_end_t end);
  static void OnClosed(void* data);
  static void OnTrace(void* data, const char* line);

  Napi::Value Send(const Napi::CallbackInfo& info);
  Napi::Value SendText(const Napi::CallbackInfo& info);
  Napi::Value TakesStrings(const Napi::CallbackInfo& info);
  Napi::Value LastSize(const Napi::CallbackInfo& info);
  Napi::Value Flush(const Napi::CallbackInfo& info);
  Napi::Value Discard(const Napi::CallbackInfo& info);
  Napi::Value RunSizes(const Napi::CallbackInfo& info);
  Napi::Value Adopt(const Napi::CallbackInfo& info);
  Napi::Value Claim(const Napi::CallbackInfo& info);
  Napi::Value Acknowledged(const Napi::CallbackInfo& info);
  Napi::Value Taken(const Napi::CallbackInfo& info);
  Napi::Value Refuse(const Napi::CallbackInfo& info);
  Napi::Value RetryMissing(const Napi::CallbackInfo& info);
  Napi::Value WritesDone(const Napi::CallbackInfo& info);
  Napi::Value AddClosed(const Napi::CallbackInfo& info);
  Napi::Value ExpectCounts(const Napi::CallbackInfo& info);
  Napi::Value Settle(const Napi::CallbackInfo& info);
  Napi::Value End(const Napi::CallbackInfo& info);
  Napi::Value PeerDied(const Napi::CallbackInfo& info);
  Napi::Value RejectMessage(const Napi::CallbackInfo& info);
  Napi::Value WatchPeer(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  Napi::Value Finish(const Napi::CallbackInfo& info);
  Napi::Value HasRef(const Napi::CallbackInfo& info);
  Napi::Value Referenced(const Napi::CallbackInfo& info);
  Napi::Value Fd(const Napi::CallbackInfo& info);
  Napi::Value PeerPid(const Napi::CallbackInfo& info);
  Napi::Value Violation(const Napi::CallbackInfo& info);
  Napi::Value SetHandler(const Napi::CallbackInfo& info);

  // In direct.cc.
  static napi_value EnterFreshContext(napi_env env, napi_callback_info info);
  static napi_value CallOnMessage(napi_env env, napi_callback_info info);
  static constexpr size_t kDirectArgs = 2;
  bool TakeDirect(Batch& batch, napi_value* ret_args);
  void MakeDirectFunctions();
  void ReportException();

  void ReadHandler(napi_value handler);
  void ReadMethods(napi_value handler);
  void DropMethods();
  void DropHandler();
  void DropReference(napi_ref& reference);
  bool IsMainThread() const;
  int Open(int fd);
  static void ThrowOpenError(Napi::Env env, int status);
  // Methods of the handler, by their index in kMethods.
  enum Method {
    kOnItems,
    kOnBatch,
    kOnProgress,
    kOnTurnWithin,
    kOnEnd,
    kOnClosed,
    kOnMessage,
    kHandlerMethods,
    // Functions of the addon itself, which the one above is called through.
    kEnterFreshContext = kHandlerMethods,
    kCallOnMessage,
    kMethodCount
  };
  void Call(Method method, size_t n_args, const napi_value* args);
  void HandItemsOver();
  void Settle();
  void SetHolding(bool is_holding);
  bool CanCall();
  int SendPayload(fw_lane_t lane, int encoding, Napi::Value payload, const fw_handle_out_t* handle);
  size_t ReadShort(napi_value text, size_t length, char16_t* ret_all);
  int SendAscii(const char16_t* text, size_t length);
  int SendUtf8(fw_lane_t lane, napi_value text, const fw_handle_out_t* handle);
  int SendString(fw_lane_t lane, napi_value text, const fw_handle_out_t* handle);
  int SendBytes(fw_lane_t lane, fw_encoding_t encoding, Napi::Uint8Array bytes,
                const fw_handle_out_t* handle);

  Environment* environment_;
  fw_channel_t* core_ = nullptr;
  Options options_;
  Events events_;
  Batches batches_;
  std::vector<char16_t> wide_; // of one text, while it is encoded
  napi_ref handler_ = nullptr;
  napi_ref methods_[kMethodCount] = {};
  bool is_holding_ = false; // the core waits with END for what JavaScript has scheduled
  napi_async_context context_ = nullptr;
  Napi::Reference<Napi::Float64Array> state_;
  double* state_data_ = nullptr;
  int64_t reported_memory_ = 0;
};

#endif
