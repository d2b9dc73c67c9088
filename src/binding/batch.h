// What one read brought, as JavaScript wants it: events of the ledger in a flat array, and messages as so many arguments.
#ifndef FW_BINDING_BATCH_H
#define FW_BINDING_BATCH_H

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "../forkwire.h"

// Layout, which lib/inbox.js reads:
//   items of messages: code, value, cost [, id, kind, type, flags, key, buffered: its handle] ...
//   events: type, a, b, c ...
// code: encoding | kHasHandle | kInternal; or kJoined | (count << 8), whose value "[text,text,...]"
// joins the JSON texts of small messages, so that they are parsed in one go.

// Events that JavaScript was not told yet.
class Events {
public:
  enum Type {
    kSettled = 1,
    kCounts = 2,
    kWritesDone = 3,
    kLost = 4,
    kHello = 5,
    kEnding = 6,
    kNack = 7
  };

  void Add(Type type, uint64_t a, uint64_t b, uint32_t c);
  size_t Count() const {
    return events_.size();
  }
  // undefined where there are none.
  napi_value Take(napi_env env);

private:
  struct Record {
    Type type;
    uint64_t a;
    uint64_t b;
    uint32_t c;
  };
  std::vector<Record> events_;
};

class Batch {
public:
  enum { kHasHandle = 16, kInternal = 32, kJoined = 64 };

  // Whether small JSON texts are joined.
  bool joins = true;
  // Whether large bodies are handed out where they lie.
  bool keeps_bodies = true;

  // Opens a handle scope that stays open until Finish().
  void Add(napi_env env, const fw_message_t& message);
  bool IsOpen() const {
    return scope_ != nullptr;
  }
  // Whether there are as many items as one call may have arguments: TakeItems() is due.
  bool IsFull() const {
    return arguments_.size() >= kMaxArguments;
  }
  // The items of messages so far, valid until the next Add().
  const std::vector<napi_value>& TakeItems();
  // All that is left: first `events`, then items. The runs stay known until Finish().
  const std::vector<napi_value>& Take(napi_env env, napi_value events);
  // Whether it is the JSON text of one small message and nothing else.
  bool IsOneText() const {
    return arguments_.size() == 1 && run_ends_.empty() && sizes_.size() == 1;
  }
  // What that costs of the credit.
  double TextCost() const {
    return joined_cost_;
  }
  napi_value TakeText(napi_env env);
  void Finish(napi_env env);
  // Payload bytes of each message of joined run number `run` of the batch, in order.
  Napi::Value RunSizes(Napi::Env env, size_t run) const;

private:
  static constexpr size_t kMaxArguments = 1024;

  void Open(napi_env env);
  void Push(napi_env env, napi_value value);
  void PushNumber(napi_env env, double number);
  void PushHandle(napi_env env, const fw_handle_in_t& handle);
  void Join(napi_env env, const fw_message_t& message);
  void EndRun(napi_env env);

  napi_handle_scope scope_ = nullptr;
  std::vector<napi_value> arguments_{nullptr}; // a place for the events, and items
  std::vector<napi_value> taken_;
  std::string joined_;
  std::vector<uint32_t> sizes_;  // of all joined messages
  std::vector<size_t> run_ends_; // in sizes_
  double joined_cost_ = 0;
};

// The batch that is being filled, behind those that JavaScript is just being given: while it has one, a listener may have the
// loop turn, and more arrives.
class Batches {
public:
  void Configure(bool joins, bool keeps_bodies);
  Batch& Filling() {
    if (depth_ == batches_.size()) Push();
    return *batches_[depth_];
  }
  // JavaScript gets what was filled; from here on another one is filled.
  void BeginHandingOver() {
    depth_++;
  }
  void EndHandingOver() {
    depth_--;
  }
  // The last one that JavaScript was given and is not through with, or nullptr.
  const Batch* HandedOver() const {
    return depth_ == 0 ? nullptr : batches_[depth_ - 1].get();
  }

private:
  void Push();

  bool joins_ = true;
  bool keeps_bodies_ = true;
  std::vector<std::unique_ptr<Batch>> batches_;
  size_t depth_ = 0;
};

#endif
