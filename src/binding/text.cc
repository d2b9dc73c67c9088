#include "text.h"

#include <cstdint>
#include <cstring>

namespace {

bool IsOneByte(const char16_t* text, size_t length) {
  char16_t all = 0;
  for (size_t i = 0; i < length; i++) all |= text[i];
  return all < 256;
}

// Its characters are bytes already, in the order in which they lie.
int SendAscii(napi_env env, fw_channel_t* channel, fw_lane_t lane, napi_value text, size_t length) {
  size_t size;
  uint8_t* room = fw_channel_begin(channel, lane, length + 1, nullptr); // N-API adds a NUL
  if (room == nullptr) return UV_ENOMEM;
  napi_get_value_string_latin1(env, text, reinterpret_cast<char*>(room), length + 1, &size);
  return fw_channel_commit(channel, lane, FW_ENCODING_LATIN1, size, nullptr);
}

// Encoded as UTF-16 where it stays, or a byte further where that is no place for a char16_t; narrowed there when that turns out to be
// enough.
int SendOther(napi_env env, fw_channel_t* channel, fw_lane_t lane, napi_value text, size_t length) {
  uint8_t* room = fw_channel_begin(channel, lane, (length + 1) * sizeof(char16_t) + 1, nullptr);
  if (room == nullptr) return UV_ENOMEM;
  uint8_t* place = room + reinterpret_cast<uintptr_t>(room) % alignof(char16_t);
  auto* wide = reinterpret_cast<char16_t*>(place);
  napi_get_value_string_utf16(env, text, wide, length + 1, &length);
  if (!IsOneByte(wide, length)) {
    if (place != room) std::memmove(room, place, length * sizeof(char16_t));
    return fw_channel_commit(channel, lane, FW_ENCODING_UTF16, length * 2, nullptr);
  }
  for (size_t i = 0; i < length; i++) room[i] = static_cast<uint8_t>(wide[i]);
  return fw_channel_commit(channel, lane, FW_ENCODING_LATIN1, length, nullptr);
}

} // namespace

int SendLongText(napi_env env, fw_channel_t* channel, fw_lane_t lane, napi_value text,
                 size_t length) {
  size_t utf8_size;
  napi_get_value_string_utf8(env, text, nullptr, 0, &utf8_size);
  auto send = utf8_size == length ? SendAscii : SendOther;
  return send(env, channel, lane, text, length);
}
