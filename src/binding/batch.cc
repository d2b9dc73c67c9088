// Plain Node-API and unchecked: when the environment is ending, its calls fail, and what they would have
// made is not wanted any more.
#include "batch.h"

#include <cstring>

#include "bodies.h"

namespace {

constexpr size_t kJoinMax = 1024;    // larger texts are better parsed alone
constexpr size_t kJoinedMax = 65536; // V8 would make a page for a string of more than twice that
// Buffer#toString() keeps strings of this size outside V8's heap, in memory that is used again; those of Node-API are made in
// fresh pages each time.
constexpr size_t kLongText = 1 << 20;

bool IsAscii(const uint8_t* bytes, size_t size) {
  uint64_t high = 0;
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes + i, 8);
    high |= word;
  }
  for (; i < size; i++) high |= bytes[i];
  return (high & 0x8080808080808080ULL) == 0;
}

// Whether the text leaves no string and no bracket open. Joined to others it cannot hide a comma between them then: an
// array with as many elements as texts has one of each.
bool IsClosed(const uint8_t* text, size_t size) {
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < size; i++) {
    uint8_t c = text[i];
    if (in_string) {
      if (c == '\\') i++;
      else in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      depth++;
    } else if (c == '}' || c == ']') {
      depth--;
    }
  }
  return depth == 0 && !in_string;
}

// What the peer can still write to may not be what was looked at when it is joined.
bool IsJoinable(const fw_message_t& message) {
  return !message.is_shared && message.lane == FW_LANE_USER &&
         message.encoding == FW_ENCODING_JSON && message.handle == nullptr && message.size > 0 &&
         message.size <= kJoinMax && IsAscii(message.data, message.size) &&
         IsClosed(message.data, message.size);
}

napi_value Number(napi_env env, double number) {
  napi_value value = nullptr;
  napi_create_double(env, number, &value);
  return value;
}

napi_value BigInt(napi_env env, uint64_t number) {
  napi_value value = nullptr;
  napi_create_bigint_uint64(env, number, &value);
  return value;
}

// nullptr when JavaScript cannot hold it.
napi_value Decode(napi_env env, const fw_message_t& message, bool keeps_bodies) {
  const char* bytes = reinterpret_cast<const char*>(message.data);
  napi_value value = nullptr;
  switch (message.encoding) {
    case FW_ENCODING_LATIN1:
      if (message.size >= kLongText) return BytesOf(env, message, keeps_bodies);
      napi_create_string_latin1(env, bytes, message.size, &value);
      break;
    case FW_ENCODING_JSON:
      if (IsAscii(message.data, message.size))
        napi_create_string_latin1(env, bytes, message.size, &value);
      else value = TextFromUtf8(env, message);
      break;
    case FW_ENCODING_UTF8:
      value = TextFromUtf8(env, message);
      break;
    case FW_ENCODING_UTF16: {
      if (message.size >= kLongText) return BytesOf(env, message, keeps_bodies);
      std::u16string aligned(message.size / 2, u'\0');
      std::memcpy(&aligned[0], bytes, message.size);
      napi_create_string_utf16(env, aligned.data(), aligned.size(), &value);
      break;
    }
    default:
      value = BytesOf(env, message, keeps_bodies);
  }
  return value;
}

napi_value OneByteString(napi_env env, const std::string& text) {
  napi_value value = nullptr;
  napi_create_string_latin1(env, text.data(), text.size(), &value);
  return value;
}

napi_value Undefined(napi_env env) {
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  return value;
}

napi_value Copy(napi_env env, const uint8_t* bytes, size_t size) {
  napi_value value = nullptr;
  void* copy;
  napi_create_buffer_copy(env, size, bytes, &copy, &value);
  return value;
}

} // namespace

void Batch::Open(napi_env env) {
  if (scope_ != nullptr) return;
  napi_open_handle_scope(env, &scope_);
}

// An argument, since an element that is set through Node-API costs several times as much.
void Batch::Push(napi_env env, napi_value value) {
  arguments_.push_back(value != nullptr ? value : Undefined(env));
}

void Batch::PushNumber(napi_env env, double number) {
  Push(env, Number(env, number));
}

void Batch::Join(napi_env env, const fw_message_t& message) {
  if (joined_.size() + message.size > kJoinedMax) EndRun(env);
  joined_ += joined_.empty() ? '[' : ',';
  joined_.append(reinterpret_cast<const char*>(message.data), message.size);
  joined_cost_ += static_cast<double>(message.cost);
  sizes_.push_back(static_cast<uint32_t>(message.size));
}

void Batch::EndRun(napi_env env) {
  if (joined_.empty()) return;
  size_t count = sizes_.size() - (run_ends_.empty() ? 0 : run_ends_.back());
  joined_ += ']';
  PushNumber(env, static_cast<double>(kJoined + count * 256));
  Push(env, OneByteString(env, joined_));
  PushNumber(env, joined_cost_);
  run_ends_.push_back(sizes_.size());
  joined_.clear();
  joined_cost_ = 0;
}

void Batch::Add(napi_env env, const fw_message_t& message) {
  Open(env);
  if (joins && IsJoinable(message)) {
    Join(env, message);
    return;
  }
  EndRun(env);
  int code = message.encoding;
  if (message.handle != nullptr) code |= kHasHandle;
  if (message.lane == FW_LANE_INTERNAL) code |= kInternal;
  PushNumber(env, code);
  Push(env, Decode(env, message, keeps_bodies));
  PushNumber(env, static_cast<double>(message.cost));
  if (message.handle != nullptr) PushHandle(env, *message.handle);
}

// Flat as well: an object made through Node-API costs several times as much as one that JavaScript makes.
void Batch::PushHandle(napi_env env, const fw_handle_in_t& handle) {
  bool is_counted = (handle.flags & FW_HANDLE_COUNTED) != 0;
  bool has_bytes = handle.buffered_size > 0;
  PushNumber(env, static_cast<double>(handle.id));
  PushNumber(env, handle.kind);
  PushNumber(env, handle.type);
  PushNumber(env, handle.flags);
  Push(env, is_counted ? BigInt(env, handle.key) : Undefined(env));
  Push(env, has_bytes ? Copy(env, handle.buffered, handle.buffered_size) : Undefined(env));
}

void Events::Add(Type type, uint64_t a, uint64_t b, uint32_t c) {
  events_.push_back({type, a, b, c});
}

napi_value Events::Take(napi_env env) {
  if (events_.empty()) return Undefined(env);
  uint32_t i = 0;
  napi_value events = nullptr;
  napi_create_array_with_length(env, events_.size() * 4, &events);
  for (const Record& event : events_) {
    bool has_key = event.type == kCounts;
    napi_value a = has_key ? BigInt(env, event.a) : Number(env, static_cast<double>(event.a));
    napi_set_element(env, events, i++, Number(env, event.type));
    napi_set_element(env, events, i++, a);
    napi_set_element(env, events, i++, Number(env, static_cast<double>(event.b)));
    napi_set_element(env, events, i++, Number(env, event.c));
  }
  events_.clear();
  return events;
}

const std::vector<napi_value>& Batch::TakeItems() {
  taken_.assign(arguments_.begin() + 1, arguments_.end());
  arguments_.resize(1);
  return taken_;
}

const std::vector<napi_value>& Batch::Take(napi_env env, napi_value events) {
  EndRun(env);
  arguments_[0] = events;
  return arguments_;
}

napi_value Batch::TakeText(napi_env env) {
  napi_value value = nullptr;
  napi_create_string_latin1(env, joined_.data() + 1, joined_.size() - 1, &value); // without '['
  joined_.clear();
  joined_cost_ = 0;
  return value;
}

void Batch::Finish(napi_env env) {
  if (scope_ != nullptr) napi_close_handle_scope(env, scope_);
  scope_ = nullptr;
  arguments_.resize(1);
  sizes_.clear();
  run_ends_.clear();
}

Napi::Value Batch::RunSizes(Napi::Env env, size_t run) const {
  Napi::Array sizes = Napi::Array::New(env);
  if (run >= run_ends_.size()) return sizes;
  size_t first = run == 0 ? 0 : run_ends_[run - 1];
  for (size_t i = first; i < run_ends_[run]; i++)
    sizes[static_cast<uint32_t>(i - first)] = Number(env, sizes_[i]);
  return sizes;
}

void Batches::Configure(bool joins, bool keeps_bodies) {
  joins_ = joins;
  keeps_bodies_ = keeps_bodies;
}

void Batches::Push() {
  batches_.emplace_back(new Batch);
  batches_.back()->joins = joins_;
  batches_.back()->keeps_bodies = keeps_bodies_;
}
