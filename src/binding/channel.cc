#include "channel.h"

#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "bodies.h"
#include "text.h"

namespace {

constexpr int64_t kMemoryStep = int64_t{256} * 1024; // queued bytes are told to V8 in steps of this
constexpr size_t kShortText = 2048;                  // characters
constexpr size_t kExactFrom = 1024;     // longer strings are measured before they are encoded
constexpr size_t kMeasuredFrom = 32768; // the same for texts of UTF-8

enum {
  kQueued = 0,
  kWrittenUser = 1,
  kWrittenInternal = 2,
  kBroken = 3,
  kEvents = 4,
  kWaits = 5,
  kInBatch = 6,
  kScheduled = 7,
  kCounts = 8,
  kCosts = 10
}; // of the state array, as in lib/state.js

const char* const kMethods[] = {"onItems", "onBatch",  "onProgress", "onTurnWithin",
                                "onEnd",   "onClosed", "onMessage"};

uint64_t Id(const Napi::Value& value) {
  return static_cast<uint64_t>(value.As<Napi::Number>().DoubleValue());
}

fw_lane_t Lane(const Napi::Value& value) {
  return value.As<Napi::Number>().Int32Value() == FW_LANE_INTERNAL ? FW_LANE_INTERNAL
                                                                   : FW_LANE_USER;
}

Napi::Value Status(const Napi::CallbackInfo& info, int status) {
  return Napi::Number::New(info.Env(), status);
}

// Arguments 3 to 9 of send(): looking them up by name would cost more than all else that is done here.
fw_handle_out_t HandleOut(const Napi::CallbackInfo& info) {
  fw_handle_out_t handle = {};
  handle.fd = info[3].As<Napi::Number>().Int32Value();
  handle.dup = info[4].As<Napi::Boolean>().Value();
  handle.token = Id(info[5]);
  handle.type = static_cast<uint8_t>(info[6].As<Napi::Number>().Uint32Value());
  handle.flags = static_cast<uint8_t>(info[7].As<Napi::Number>().Uint32Value());
  bool lossless;
  if (info[8].IsBigInt()) handle.key = info[8].As<Napi::BigInt>().Uint64Value(&lossless);
  if (info[9].IsTypedArray()) {
    Napi::Uint8Array bytes = info[9].As<Napi::Uint8Array>();
    handle.buffered = bytes.Data();
    handle.buffered_size = static_cast<uint32_t>(bytes.ByteLength());
  }
  return handle;
}

// All units of a text in one: which bits it needs.
char16_t BitsOf(const char16_t* text, size_t length) {
  char16_t all = 0;
  for (size_t i = 0; i < length; i++) all = static_cast<char16_t>(all | text[i]);
  return all;
}

void Narrow(const char16_t* text, size_t length, uint8_t* ret_bytes) {
  for (size_t i = 0; i < length; i++) ret_bytes[i] = static_cast<uint8_t>(text[i]);
}

} // namespace

Napi::Function Channel::Define(Napi::Env env, Environment* environment) {
  return DefineClass(env, "Channel",
                     {InstanceMethod<&Channel::Send>("send"),
                      InstanceMethod<&Channel::SendText>("sendText"),
                      InstanceMethod<&Channel::TakesStrings>("takesStrings"),
                      InstanceMethod<&Channel::Flush>("flush"),
                      InstanceMethod<&Channel::Discard>("discard"),
                      InstanceMethod<&Channel::RunSizes>("runSizes"),
                      InstanceMethod<&Channel::Adopt>("adopt"),
                      InstanceMethod<&Channel::Claim>("claim"),
                      InstanceMethod<&Channel::Acknowledged>("acknowledged"),
                      InstanceMethod<&Channel::Taken>("taken"),
                      InstanceMethod<&Channel::Refuse>("refuse"),
                      InstanceMethod<&Channel::RetryMissing>("retryMissing"),
                      InstanceMethod<&Channel::WritesDone>("writesDone"),
                      InstanceMethod<&Channel::AddClosed>("addClosed"),
                      InstanceMethod<&Channel::ExpectCounts>("expectCounts"),
                      InstanceMethod<&Channel::Settle>("settle"),
                      InstanceMethod<&Channel::End>("end"),
                      InstanceMethod<&Channel::PeerDied>("peerDied"),
                      InstanceMethod<&Channel::Close>("close"),
                      InstanceMethod<&Channel::WatchPeer>("watchPeer"),
                      InstanceMethod<&Channel::RejectMessage>("rejectMessage"),
                      InstanceMethod<&Channel::Finish>("finish"),
                      InstanceMethod<&Channel::Referenced>("referenced"),
                      InstanceMethod<&Channel::HasRef>("hasRef"),
                      InstanceMethod<&Channel::Fd>("fd"),
                      InstanceMethod<&Channel::PeerPid>("peerPid"),
                      InstanceMethod<&Channel::LastSize>("lastSize"),
                      InstanceMethod<&Channel::Violation>("violation"),
                      InstanceMethod<&Channel::SetHandler>("setHandler")},
                     environment);
}

// new Channel(fd, handler, state, options of options.h)
Channel::Channel(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<Channel>(info), environment_(static_cast<Environment*>(info.Data())) {
  options_.Read(info.Env(), info[3]);
  batches_.Configure(options_.joins, options_.keeps_bodies && IsMainThread());
  ReadHandler(info[1]);
  // So it stays while the Worker is being terminated: the descriptor is still the environment's.
  int status = UV_ECANCELED;
  int fd = info[0].As<Napi::Number>().Int32Value();
  state_ = Napi::Persistent(info[2].As<Napi::Float64Array>());
  state_data_ = state_.Value().Data();
  if (!IsEmpty() && CanCall()) status = Open(fd);
  if (status < 0) {
    DropHandler();
    ThrowOpenError(info.Env(), status);
    return;
  }
  environment_->Disown(fd);
  environment_->Add(this);
  Ref(); // an open channel is not collected
}

void Channel::ReadHandler(napi_value handler) {
  napi_env env = Env();
  napi_value name = nullptr;
  ReadMethods(handler);
  if (methods_[kOnMessage] != nullptr) MakeDirectFunctions();
  napi_create_string_latin1(env, "FORKWIRE", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, nullptr, name, &context_);
}

// As far as they can be had: Call() makes do without.
void Channel::ReadMethods(napi_value handler) {
  napi_env env = Env();
  napi_create_reference(env, handler, 1, &handler_);
  for (int i = 0; i < kHandlerMethods; i++) {
    napi_valuetype type = napi_undefined;
    napi_value method = GetProperty(env, handler, kMethods[i]);
    napi_typeof(env, method, &type);
    if (type == napi_function) napi_create_reference(env, method, 1, &methods_[i]);
  }
}

// Memory of ours is handed out only here: JavaScript can pass an ArrayBuffer on to another thread (transfer() makes one that may
// be), and Node frees what the addon owns when the environment ends that got it first. That of the main thread ends last.
bool Channel::IsMainThread() const {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(Env(), &loop);
  return loop == uv_default_loop();
}

void Channel::DropReference(napi_ref& reference) {
  if (reference != nullptr) napi_delete_reference(Env(), reference);
  reference = nullptr;
}

void Channel::DropMethods() {
  DropReference(handler_);
  for (int i = 0; i < kHandlerMethods; i++) DropReference(methods_[i]);
}

void Channel::DropHandler() {
  DropMethods();
  for (napi_ref& method : methods_) DropReference(method);
  if (context_ != nullptr) napi_async_destroy(Env(), context_);
  context_ = nullptr;
}

int Channel::Open(int fd) {
  fw_callbacks_t callbacks = {OnMessage,    OnSettled, OnCounts, OnWritesDone, OnLost,
                              OnNack,       OnHello,   OnEnding, OnBatch,      OnProgress,
                              OnTurnWithin, OnEnd,     OnClosed, nullptr};
  if (!options_.trace_name.empty()) callbacks.on_trace = OnTrace;
  options_.core.hub = environment_->hub();
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(Env(), &loop);
  return fw_channel_open(loop, fd, &options_.core, &callbacks, this, &core_);
}

void Channel::ThrowOpenError(Napi::Env env, int status) {
  Napi::Error error = Napi::Error::New(env, std::string("open channel: ") + uv_strerror(status));
  error.Set("code", uv_err_name(status));
  error.Set("errno", Napi::Number::New(env, status));
  error.ThrowAsJavaScriptException();
}

void Channel::CloseNow() {
  if (core_ != nullptr) fw_channel_close(core_);
}

// ------------------------------------------------------------- to JavaScript

void Channel::UpdateState() {
  size_t queued = fw_channel_queued(core_);
  state_data_[kQueued] = static_cast<double>(queued);
  state_data_[kWrittenUser] = static_cast<double>(fw_channel_written(core_, FW_LANE_USER));
  state_data_[kWrittenInternal] = static_cast<double>(fw_channel_written(core_, FW_LANE_INTERNAL));
  state_data_[kBroken] = fw_channel_is_broken(core_);
  state_data_[kEvents] = static_cast<double>(events_.Count());
  int64_t change = static_cast<int64_t>(fw_channel_memory(core_)) - reported_memory_;
  if (change > -kMemoryStep && change < kMemoryStep) return;
  int64_t total;
  napi_adjust_external_memory(Env(), change, &total);
  reported_memory_ += change;
}

// Plain Node-API: a call may fail because the environment is ending, at any moment.
void Channel::Call(Method method, size_t n_args, const napi_value* args) {
  napi_env env = Env();
  napi_value handler;
  napi_value function;
  if (napi_get_reference_value(env, handler_, &handler) != napi_ok) return;
  if (napi_get_reference_value(env, methods_[method], &function) != napi_ok) return;
  // The outer scope is for ticks and microtasks: Node-API would catch what they throw, and forget where. The inner call
  // enters the context, which a scope alone does not from Node 24 on.
  napi_callback_scope scope;
  if (napi_open_callback_scope(env, handler, context_, &scope) != napi_ok) return;
  napi_make_callback(env, context_, handler, function, n_args, args, nullptr);
  ReportException();
  napi_close_callback_scope(env, scope);
}

// An exception that comes out of a callback of the loop is an uncaught one.
void Channel::ReportException() {
  bool is_pending = false;
  napi_value error;
  napi_is_exception_pending(Env(), &is_pending);
  if (is_pending && napi_get_and_clear_last_exception(Env(), &error) == napi_ok)
    napi_fatal_exception(Env(), error);
}

// JavaScript keeps them until onBatch(): nothing else runs, as it would behind Call().
void Channel::HandItemsOver() {
  const std::vector<napi_value>& items = batches_.Filling().TakeItems();
  napi_value handler;
  napi_value function;
  if (napi_get_reference_value(Env(), handler_, &handler) != napi_ok) return;
  if (napi_get_reference_value(Env(), methods_[kOnItems], &function) != napi_ok) return;
  napi_value error;
  if (napi_call_function(Env(), handler, function, items.size(), items.data(), nullptr) != napi_ok)
    napi_get_and_clear_last_exception(Env(), &error); // the environment is ending
}

void Channel::SetHolding(bool is_holding) {
  if (is_holding == is_holding_) return;
  is_holding_ = is_holding;
  if (is_holding) fw_channel_hold(core_);
  else fw_channel_release(core_);
}

// Applies what JavaScript wrote of its deliveries, which then costs no call for each batch.
void Channel::Settle() {
  if (core_ == nullptr) return;
  for (int lane = FW_LANE_USER; lane <= FW_LANE_INTERNAL; lane++) {
    double* count = &state_data_[kCounts + lane];
    double* cost = &state_data_[kCosts + lane];
    if (*count == 0) continue;
    fw_channel_deliver(core_, static_cast<fw_lane_t>(lane), static_cast<uint64_t>(*count),
                       static_cast<uint64_t>(*cost));
    *count = *cost = 0;
  }
  SetHolding(state_data_[kScheduled] != 0);
}

// Whether JavaScript can run: not in a Worker that was terminated, nor while the environment is cleaned up.
bool Channel::CanCall() {
  napi_value handler;
  bool has;
  if (environment_->is_ending()) return false;
  if (batches_.Filling().IsOpen()) return true;
  napi_handle_scope scope;
  napi_open_handle_scope(Env(), &scope);
  // The cheapest of the calls that fail where JavaScript cannot run.
  bool can = napi_get_reference_value(Env(), handler_, &handler) == napi_ok &&
             napi_strict_equals(Env(), handler, handler, &has) == napi_ok;
  napi_close_handle_scope(Env(), scope);
  return can;
}

void Channel::OnMessage(void* data, const fw_message_t* message) {
  Channel* channel = static_cast<Channel*>(data);
  if (!channel->CanCall()) return;
  Batch& batch = channel->batches_.Filling();
  batch.Add(channel->Env(), *message);
  if (batch.IsFull()) channel->HandItemsOver();
}

void Channel::OnSettled(void* data, uint64_t token, fw_outcome_t outcome, uint32_t reason) {
  static_cast<Channel*>(data)->events_.Add(Events::kSettled, token, outcome, reason);
}

void Channel::OnCounts(void* data, uint64_t key, uint64_t count) {
  static_cast<Channel*>(data)->events_.Add(Events::kCounts, key, count, 0);
}

void Channel::OnWritesDone(void* data, uint64_t id, int failed) {
  static_cast<Channel*>(data)->events_.Add(Events::kWritesDone, id, failed != 0, 0);
}

void Channel::OnLost(void* data, uint64_t id) {
  static_cast<Channel*>(data)->events_.Add(Events::kLost, id, 0, 0);
}

void Channel::OnNack(void* data, uint64_t token, uint32_t count) {
  static_cast<Channel*>(data)->events_.Add(Events::kNack, token, count, 0);
}

void Channel::OnHello(void* data, uint32_t pid) {
  static_cast<Channel*>(data)->events_.Add(Events::kHello, pid, 0, 0);
}

void Channel::OnEnding(void* data) {
  static_cast<Channel*>(data)->events_.Add(Events::kEnding, 0, 0, 0);
}

void Channel::OnBatch(void* data) {
  Channel* channel = static_cast<Channel*>(data);
  if (!channel->CanCall()) return;
  Batch& batch = channel->batches_.Filling();
  if (!batch.IsOpen() && channel->events_.Count() == 0) return;
  Napi::Env env = channel->Env();
  {
    // Scopes close in reverse order, and that of the batch has been open since its first message.
    Napi::HandleScope scope(env);
    napi_value message[kDirectArgs];
    bool is_direct = channel->TakeDirect(batch, message);
    const std::vector<napi_value>* items = nullptr;
    if (!is_direct) items = &batch.Take(env, channel->events_.Take(env));
    channel->batches_.BeginHandingOver();
    channel->UpdateState();
    channel->SetHolding(true);
    channel->state_data_[kInBatch] = 1;
    if (is_direct) channel->Call(kEnterFreshContext, kDirectArgs, message);
    else channel->Call(kOnBatch, items->size(), items->data());
    channel->state_data_[kInBatch] = 0;
    channel->Settle();
    channel->batches_.EndHandingOver();
  }
  batch.Finish(env);
}

// What a listener does is looked at now, and not when it returns.
void Channel::OnTurnWithin(void* data) {
  Channel* channel = static_cast<Channel*>(data);
  if (!channel->CanCall()) return;
  Napi::HandleScope scope(channel->Env());
  channel->state_data_[kInBatch] = 0;
  channel->Settle();
  channel->Call(kOnTurnWithin, 0, nullptr);
}

void Channel::OnProgress(void* data) {
  Channel* channel = static_cast<Channel*>(data);
  if (channel->state_data_[kWaits] == 0 || !channel->CanCall()) return;
  Napi::HandleScope scope(channel->Env());
  channel->UpdateState();
  channel->Call(kOnProgress, 0, nullptr);
}

void Channel::OnEnd(void* data, fw_end_t end) {
  Channel* channel = static_cast<Channel*>(data);
  if (!channel->CanCall()) return;
  Napi::HandleScope scope(channel->Env());
  channel->UpdateState();
  napi_value arg;
  napi_create_int32(channel->Env(), end, &arg);
  channel->Call(kOnEnd, 1, &arg);
}

void Channel::OnClosed(void* data) {
  Channel* channel = static_cast<Channel*>(data);
  channel->core_ = nullptr;
  int64_t total;
  napi_adjust_external_memory(channel->Env(), -channel->reported_memory_, &total);
  bool is_ending = channel->environment_->is_ending();
  if (is_ending) channel->DropHandler();
  channel->environment_->Remove(channel);
  if (is_ending) return;
  Napi::HandleScope scope(channel->Env());
  channel->Call(kOnClosed, 0, nullptr);
  channel->DropHandler();
  channel->Unref();
}

// As util.debuglog() prints, but without JavaScript: a frame is traced while it is being laid out or read.
void Channel::OnTrace(void*, const char* line) {
  struct timespec now;
  struct tm parts;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &parts);
  std::fprintf(stderr, "FORKWIRE %d: %02d:%02d:%02d.%03ld %s\n", getpid(), parts.tm_hour,
               parts.tm_min, parts.tm_sec, now.tv_nsec / 1000000, line);
}

// ----------------------------------------------------------- from JavaScript

// Short texts are read as UTF-16 and narrowed here: V8 takes several times as long to write UTF-8.
size_t Channel::ReadShort(napi_value text, size_t length, char16_t* ret_all) {
  if (wide_.size() <= length) wide_.resize(length + 1);
  napi_get_value_string_utf16(Env(), text, wide_.data(), length + 1, &length);
  *ret_all = BitsOf(wide_.data(), length);
  return length;
}

int Channel::SendUtf8(fw_lane_t lane, napi_value text, const fw_handle_out_t* handle) {
  size_t length;
  size_t size;
  char16_t all = 0xffff;
  napi_get_value_string_utf16(Env(), text, nullptr, 0, &length);
  size_t max_size = length * 3;
  if (length >= kMeasuredFrom) napi_get_value_string_utf8(Env(), text, nullptr, 0, &max_size);
  else ReadShort(text, length, &all);
  bool is_ascii = all < 0x80;
  if (is_ascii) max_size = length;
  uint8_t* room = fw_channel_begin(core_, lane, max_size + 1, handle); // N-API adds a NUL
  if (room == nullptr) return UV_ENOMEM;
  if (is_ascii) Narrow(wide_.data(), size = length, room);
  else napi_get_value_string_utf8(Env(), text, reinterpret_cast<char*>(room), max_size + 1, &size);
  return fw_channel_commit(core_, lane, FW_ENCODING_JSON, size, handle);
}

int Channel::SendAscii(const char16_t* text, size_t length) {
  uint8_t* room = fw_channel_begin(core_, FW_LANE_USER, length, nullptr);
  if (room == nullptr) return UV_ENOMEM;
  Narrow(text, length, room);
  return fw_channel_commit(core_, FW_LANE_USER, FW_ENCODING_JSON, length, nullptr);
}

// One-byte strings go as Latin-1, others as UTF-16, which keeps lone surrogates.
int Channel::SendString(fw_lane_t lane, napi_value text, const fw_handle_out_t* handle) {
  size_t length;
  napi_get_value_string_utf16(Env(), text, nullptr, 0, &length);
  if (length >= kExactFrom && handle == nullptr)
    return SendLongText(Env(), core_, lane, text, length);
  std::u16string wide(length + 1, u'\0');
  napi_get_value_string_utf16(Env(), text, &wide[0], length + 1, &length);
  bool is_one_byte = BitsOf(wide.data(), length) < 256;
  size_t size = is_one_byte ? length : length * 2;
  uint8_t* room = fw_channel_begin(core_, lane, size, handle);
  if (room == nullptr) return UV_ENOMEM;
  if (is_one_byte) {
    Narrow(wide.data(), length, room);
  } else {
    std::memcpy(room, wide.data(), size);
  }
  fw_encoding_t encoding = is_one_byte ? FW_ENCODING_LATIN1 : FW_ENCODING_UTF16;
  return fw_channel_commit(core_, lane, encoding, size, handle);
}

int Channel::SendBytes(fw_lane_t lane, fw_encoding_t encoding, Napi::Uint8Array bytes,
                       const fw_handle_out_t* handle) {
  size_t size = bytes.ByteLength();
  uint8_t* room = fw_channel_begin(core_, lane, size, handle);
  if (room == nullptr) return UV_ENOMEM;
  if (size > 0) std::memcpy(room, bytes.Data(), size);
  return fw_channel_commit(core_, lane, encoding, size, handle);
}

int Channel::SendPayload(fw_lane_t lane, int encoding, Napi::Value payload,
                         const fw_handle_out_t* handle) {
  if (encoding == FW_ENCODING_JSON) return SendUtf8(lane, payload, handle);
  if (encoding == FW_ENCODING_LATIN1) return SendString(lane, payload, handle);
  auto named = static_cast<fw_encoding_t>(encoding);
  if (named == FW_ENCODING_VIEWS || named == FW_ENCODING_STRINGS)
    return SendParts(Env(), core_, lane, named, payload.As<Napi::Array>(), handle);
  return SendBytes(lane, named, payload.As<Napi::Uint8Array>(), handle);
}

// send(lane, encoding, payload [, fd, dup, token, type, flags, key, buffered]): 0 or a negative errno. Encoding LATIN1 stands
// for any string.
Napi::Value Channel::Send(const Napi::CallbackInfo& info) {
  if (core_ == nullptr) return Status(info, UV_EPIPE);
  fw_handle_out_t handle;
  const fw_handle_out_t* given = nullptr;
  if (info.Length() > 3) {
    handle = HandleOut(info);
    given = &handle;
  }
  int status = SendPayload(Lane(info[0]), info[1].As<Napi::Number>().Int32Value(), info[2], given);
  UpdateState();
  return Status(info, status);
}

// sendText(text): send() of a JSON text to the listeners, most of all that is sent, at less cost.
Napi::Value Channel::SendText(const Napi::CallbackInfo& info) {
  napi_value text = info[0];
  size_t length = 0;
  if (core_ == nullptr) return Status(info, UV_EPIPE);
  if (wide_.size() < kShortText) wide_.resize(kShortText);
  napi_get_value_string_utf16(Env(), text, wide_.data(), kShortText, &length);
  bool is_short = length < kShortText - 1; // it may have been cut
  int status = is_short && BitsOf(wide_.data(), length) < 0x80
                   ? SendAscii(wide_.data(), length)
                   : SendUtf8(FW_LANE_USER, text, nullptr);
  UpdateState();
  return Status(info, status);
}

// Whether encoding STRINGS may be used.
Napi::Value Channel::TakesStrings(const Napi::CallbackInfo& info) {
  bool does = core_ != nullptr && fw_channel_takes_strings(core_) != 0;
  return Napi::Boolean::New(info.Env(), does);
}

Napi::Value Channel::Flush(const Napi::CallbackInfo& info) {
  if (core_ != nullptr) {
    fw_channel_flush(core_);
    UpdateState();
  }
  return info.Env().Undefined();
}

// A Buffer that this channel handed out is not used any more: its memory need not wait for the garbage collector.
Napi::Value Channel::Discard(const Napi::CallbackInfo& info) {
  napi_detach_arraybuffer(info.Env(), info[0].As<Napi::Uint8Array>().ArrayBuffer());
  return info.Env().Undefined();
}

Napi::Value Channel::RunSizes(const Napi::CallbackInfo& info) {
  const Batch* batch = batches_.HandedOver();
  if (batch == nullptr) return info.Env().Undefined();
  return batch->RunSizes(info.Env(), info[0].As<Napi::Number>().Uint32Value());
}

Napi::Value Channel::Adopt(const Napi::CallbackInfo& info) {
  return Status(info, core_ == nullptr ? UV_ENOENT : fw_channel_adopt(core_, Id(info[0])));
}

// claim(lane, id, type), see fw_channel_claim(); -1 after an end.
Napi::Value Channel::Claim(const Napi::CallbackInfo& info) {
  int64_t id = UV_EPROTO;
  auto type = static_cast<uint8_t>(info[2].As<Napi::Number>().Uint32Value());
  if (core_ != nullptr) id = fw_channel_claim(core_, Lane(info[0]), Id(info[1]), type);
  return Napi::Number::New(info.Env(), static_cast<double>(id));
}

Napi::Value Channel::Acknowledged(const Napi::CallbackInfo& info) {
  if (core_ != nullptr) fw_channel_acknowledged(core_, info[0].As<Napi::Boolean>().Value());
  return info.Env().Undefined();
}

Napi::Value Channel::Taken(const Napi::CallbackInfo& info) {
  return Status(info, core_ == nullptr ? UV_ENOENT : fw_channel_taken(core_, Id(info[0])));
}

Napi::Value Channel::Refuse(const Napi::CallbackInfo& info) {
  auto reason = static_cast<fw_refused_reason_t>(info[1].As<Napi::Number>().Int32Value());
  return Status(info, core_ == nullptr ? UV_ENOENT : fw_channel_refuse(core_, Id(info[0]), reason));
}

Napi::Value Channel::RetryMissing(const Napi::CallbackInfo& info) {
  if (core_ != nullptr) fw_channel_retry_missing(core_);
  return info.Env().Undefined();
}

Napi::Value Channel::WritesDone(const Napi::CallbackInfo& info) {
  if (core_ != nullptr)
    fw_channel_writes_done(core_, Id(info[0]), info[1].As<Napi::Boolean>().Value());
  return info.Env().Undefined();
}

Napi::Value Channel::AddClosed(const Napi::CallbackInfo& info) {
  bool lossless;
  uint64_t key = info[0].As<Napi::BigInt>().Uint64Value(&lossless);
  return Status(info, core_ == nullptr ? UV_EPIPE : fw_channel_add_closed(core_, key, Id(info[1])));
}

// expectCounts(key, areExpected). Without memory what the peer closed is not counted down before its end.
Napi::Value Channel::ExpectCounts(const Napi::CallbackInfo& info) {
  bool lossless;
  uint64_t key = info[0].As<Napi::BigInt>().Uint64Value(&lossless);
  bool are_expected = info[1].As<Napi::Boolean>().Value();
  return Status(info, core_ == nullptr ? 0 : fw_channel_expect_counts(core_, key, are_expected));
}

// Deliveries outside a batch: what the state array says of them.
Napi::Value Channel::Settle(const Napi::CallbackInfo& info) {
  Settle();
  return info.Env().Undefined();
}

// Whether nothing is outstanding; else onEnd follows.
Napi::Value Channel::End(const Napi::CallbackInfo& info) {
  bool is_done = core_ == nullptr || fw_channel_end(core_) == 1;
  if (core_ != nullptr) UpdateState();
  return Napi::Boolean::New(info.Env(), is_done);
}

Napi::Value Channel::PeerDied(const Napi::CallbackInfo& info) {
  if (core_ != nullptr) fw_channel_peer_died(core_);
  return info.Env().Undefined();
}

Napi::Value Channel::RejectMessage(const Napi::CallbackInfo& info) {
  if (core_ != nullptr) fw_channel_reject_message(core_);
  return info.Env().Undefined();
}

Napi::Value Channel::WatchPeer(const Napi::CallbackInfo& info) {
  return Status(info, core_ == nullptr ? UV_ESRCH : fw_channel_watch_peer(core_));
}

Napi::Value Channel::Close(const Napi::CallbackInfo& info) {
  CloseNow();
  return info.Env().Undefined();
}

Napi::Value Channel::Referenced(const Napi::CallbackInfo& info) {
  if (core_ != nullptr) {
    if (info[0].As<Napi::Boolean>().Value()) fw_channel_ref(core_);
    else fw_channel_unref(core_);
  }
  return info.Env().Undefined();
}

// The next internal message ends the channel there.
Napi::Value Channel::Finish(const Napi::CallbackInfo& info) {
  if (core_ != nullptr) fw_channel_finish(core_);
  return info.Env().Undefined();
}

Napi::Value Channel::HasRef(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), core_ != nullptr && fw_channel_has_ref(core_) != 0);
}

Napi::Value Channel::Fd(const Napi::CallbackInfo& info) {
  return Status(info, core_ == nullptr ? -1 : fw_channel_fd(core_));
}

Napi::Value Channel::LastSize(const Napi::CallbackInfo& info) {
  size_t size = core_ == nullptr ? 0 : fw_channel_last_size(core_);
  return Napi::Number::New(info.Env(), static_cast<double>(size));
}

Napi::Value Channel::PeerPid(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), core_ == nullptr ? 0 : fw_channel_peer_pid(core_));
}

// setHandler(handler): that one is called from now on, in the same async context.
Napi::Value Channel::SetHandler(const Napi::CallbackInfo& info) {
  if (handler_ != nullptr) {
    DropMethods();
    ReadMethods(info[0]);
  }
  return info.Env().Undefined();
}

// { rule, kind, offset, detail }, or undefined.
Napi::Value Channel::Violation(const Napi::CallbackInfo& info) {
  const fw_violation_t* violation = core_ == nullptr ? nullptr : fw_channel_violation(core_);
  if (violation == nullptr) return info.Env().Undefined();
  Napi::Object object = Napi::Object::New(info.Env());
  object["rule"] = violation->rule;
  object["kind"] = fw_frame_name(violation->kind);
  object["code"] = static_cast<uint32_t>(violation->kind);
  object["offset"] = static_cast<double>(violation->offset);
  object["detail"] = static_cast<double>(violation->detail);
  return object;
}
