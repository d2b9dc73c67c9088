// What one read brought, as JavaScript wants it: ledger events in a flat array, and messages as so many arguments.
#ifndef FW_BINDING_BATCH_H
#define FW_BINDING_BATCH_H

#include <napi.h>

#include <string>
#include <vector>

#include "../forkwire.h"

// Layout, which lib/inbox.js reads:
//   items of messages: code, value, cost [, id, kind, type, flags, key, buffered: its handle] ...
//   events: type, a, b, c ...
// code: encoding | kHasHandle | kInternal; or kJoined | (count << 8), whose value "[text,text,...]"
// joins the JSON texts of small messages, so that they are parsed in one go.
class Batch {
public:
  enum { kHasHandle = 16, kInternal = 32, kJoined = 64 };
  enum Event {
    kSettled = 1,
    kCounts = 2,
    kWritesDone = 3,
    kLost = 4,
    kHello = 5,
    kEnding = 6,
    kNack = 7
  };

  // Whether small JSON texts are joined.
  bool joins = true;
  // Whether large bodies are handed out where they lie.
  bool keeps_bodies = true;

  // Opens a handle scope that stays open until Finish().
  void Add(napi_env env, const fw_message_t& message);
  void AddEvent(Event type, uint64_t a, uint64_t b, uint32_t c);

  size_t CountEvents() const {
    return events_.size();
  }
  bool IsOpen() const {
    return scope_ != nullptr;
  }
  bool IsEmpty() const {
    return scope_ == nullptr && events_.empty();
  }
  // Whether there are as many items as one call may have arguments: TakeItems() is due.
  bool IsFull() const {
    return arguments_.size() >= kMaxArguments;
  }
  // The items of messages so far, valid until the next Add().
  const std::vector<napi_value>& TakeItems();
  // All that is left: first the events, or undefined, then items. The runs stay known until Finish().
  const std::vector<napi_value>& Take(napi_env env);
  void Finish(napi_env env);
  // Payload bytes of each message of joined run number `run` of the batch, in order.
  Napi::Value RunSizes(Napi::Env env, size_t run) const;

private:
  struct EventRecord {
    Event type;
    uint64_t a;
    uint64_t b;
    uint32_t c;
  };

  static constexpr size_t kMaxArguments = 1024;

  void Open(napi_env env);
  napi_value TakeEvents(napi_env env);
  void Push(napi_env env, napi_value value);
  void PushNumber(napi_env env, double number);
  void PushHandle(napi_env env, const fw_handle_in_t& handle);
  void Join(napi_env env, const fw_message_t& message);
  void EndRun(napi_env env);

  napi_handle_scope scope_ = nullptr;
  std::vector<napi_value> arguments_{nullptr}; // a place for the events, and items
  std::vector<napi_value> taken_;
  std::vector<EventRecord> events_;
  std::string joined_;
  std::vector<uint32_t> sizes_;  // of all joined messages
  std::vector<size_t> run_ends_; // in sizes_
  double joined_cost_ = 0;
};

#endif
