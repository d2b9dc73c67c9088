// Plain Node-API and unchecked where an ending environment makes calls fail, as in batch.cc.
#include "bodies.h"

#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr size_t kKeepFrom = 65536; // an external ArrayBuffer costs more than a copy of less
constexpr size_t kAlignment = 16;

size_t Aligned(size_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

void Release(napi_env, void*, void* body) {
  fw_body_release(static_cast<fw_body_t*>(body));
}

// V8 of Node 20 and 22 collects young objects when they hold much external memory, which finds a dead Buffer at a small part
// of what a whole collection costs; but it looks only when it makes an ArrayBuffer of its own.
void LookAtYoungMemory(napi_env env) {
  napi_value buffer;
  void* memory;
  napi_create_arraybuffer(env, 1, &memory, &buffer);
}

napi_value Copy(napi_env env, const fw_message_t& message) {
  napi_value value = nullptr;
  void* copy;
  napi_create_buffer_copy(env, message.size, message.data, &copy, &value);
  return value;
}

struct Piece {
  const uint8_t* data;
  size_t size;
};

// Of any ArrayBufferView.
Piece PieceOf(napi_env env, napi_value view) {
  void* data = nullptr;
  size_t size = 0;
  napi_get_buffer_info(env, view, &data, &size);
  return {static_cast<const uint8_t*>(data), size};
}

} // namespace

// napi_no_external_buffers_allowed, in a Node with pointer compression, is one of the reasons for a copy.
napi_value BytesOf(napi_env env, const fw_message_t& message, bool may_keep) {
  bool is_parsed = message.encoding == FW_ENCODING_V8;
  if (!may_keep || message.size < kKeepFrom || (is_parsed && message.is_shared))
    return Copy(env, message);
  fw_body_t* body = fw_message_keep(&message);
  if (body == nullptr) return Copy(env, message);
  napi_value value = nullptr;
  LookAtYoungMemory(env);
  void* data = const_cast<uint8_t*>(message.data);
  if (napi_create_external_buffer(env, message.size, data, Release, body, &value) == napi_ok)
    return value;
  value = Copy(env, message);
  fw_body_release(body);
  return value;
}

// V8 reads UTF-8 twice, to measure and to decode, so nobody may write to it meanwhile.
napi_value TextFromUtf8(napi_env env, const fw_message_t& message) {
  const char* bytes = reinterpret_cast<const char*>(message.data);
  std::string copy;
  if (message.is_shared) bytes = copy.assign(bytes, message.size).data();
  napi_value value = nullptr;
  napi_create_string_utf8(env, bytes, message.size, &value);
  return value;
}

int SendParts(Napi::Env env, fw_channel_t* channel, fw_lane_t lane, fw_encoding_t encoding,
              const Napi::Array& parts, const fw_handle_out_t* handle) {
  std::vector<Piece> pieces;
  size_t size = 0;
  for (uint32_t i = 0; i < parts.Length(); i++) {
    napi_value part = nullptr;
    if (napi_get_element(env, parts, i, &part) != napi_ok) return UV_ECANCELED;
    pieces.push_back(PieceOf(env, part));
    size = Aligned(size) + pieces.back().size;
  }
  uint8_t* room = fw_channel_begin(channel, lane, size, handle);
  if (room == nullptr) return UV_ENOMEM;
  size_t at = 0;
  for (const Piece& piece : pieces) {
    std::memset(room + at, 0, Aligned(at) - at);
    at = Aligned(at);
    if (piece.size > 0) std::memcpy(room + at, piece.data, piece.size);
    at += piece.size;
  }
  return fw_channel_commit(channel, lane, encoding, size, handle);
}
