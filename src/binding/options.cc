#include "options.h"

#include <limits>

namespace {

constexpr uint32_t kDisableSpinning = 4; // these as in lib/features.js
constexpr uint32_t kDisableExternal = 1 << 16;
constexpr uint32_t kDisableJoining = 1 << 17;

double NumberAt(napi_env env, napi_value object, const char* name) {
  double number = 0;
  napi_get_value_double(env, GetProperty(env, object, name), &number);
  return number;
}

// Any number, to one that the type can have: NaN and what is below are 0.
template <typename T> T Whole(double number) {
  constexpr T most = std::numeric_limits<T>::max();
  if (!(number > 0)) return 0;
  return number < static_cast<double>(most) ? static_cast<T>(number) : most;
}

uint64_t WholeAt(napi_env env, napi_value object, const char* name) {
  return Whole<uint64_t>(NumberAt(env, object, name));
}

uint32_t BitsAt(napi_env env, napi_value object, const char* name) {
  return Whole<uint32_t>(NumberAt(env, object, name));
}

std::vector<uint8_t> BytesAt(napi_env env, napi_value object, const char* name) {
  void* data = nullptr;
  size_t size = 0;
  napi_get_buffer_info(env, GetProperty(env, object, name), &data, &size);
  auto* bytes = static_cast<uint8_t*>(data);
  return {bytes, bytes + size};
}

std::string TextAt(napi_env env, napi_value object, const char* name) {
  napi_value value = GetProperty(env, object, name);
  size_t size = 0;
  napi_get_value_string_utf8(env, value, nullptr, 0, &size);
  std::string text(size, '\0');
  napi_get_value_string_utf8(env, value, &text[0], size + 1, &size);
  return text;
}

} // namespace

napi_value GetProperty(napi_env env, napi_value object, const char* name) {
  napi_value value = nullptr;
  napi_get_named_property(env, object, name, &value);
  return value;
}

void Options::Read(napi_env env, napi_value given) {
  core.max_message_size = WholeAt(env, given, "maxMessageSize");
  core.max_queue_bytes = WholeAt(env, given, "maxQueueBytes");
  core.credit_bytes = WholeAt(env, given, "creditBytes");
  core.credit_handles = BitsAt(env, given, "creditHandles");
  core.refused_types = BitsAt(env, given, "refusedTypes");
  core.refused_encodings = BitsAt(env, given, "refusedEncodings");
  core.end_stall_ms = BitsAt(env, given, "endStall");
  core.exit_stall_ms = BitsAt(env, given, "exitStall");
  core.exit_total_ms = BitsAt(env, given, "exitTotal");
  core.owns_handles = BitsAt(env, given, "ownsHandles") != 0;
  core.disabled = BitsAt(env, given, "disabled");
  bool may_spin = (core.disabled & kDisableSpinning) == 0;
  core.low_latency = may_spin && BitsAt(env, given, "lowLatency") != 0;
  joins = (core.disabled & kDisableJoining) == 0;
  keeps_bodies = (core.disabled & kDisableExternal) == 0;
  trace_name = TextAt(env, given, "trace");
  core.trace_name = trace_name.c_str();
  core.wire = static_cast<fw_wire_t>(BitsAt(env, given, "wire"));
  if (core.wire == FW_WIRE_NATIVE) return;
  ack_ = BytesAt(env, given, "ack");
  nack_ = BytesAt(env, given, "nack");
  core.ack = {ack_.data(), ack_.size()};
  core.nack = {nack_.data(), nack_.size()};
}
