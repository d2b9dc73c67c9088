// Bytes between JavaScript and the core without a copy that can be saved: what arrives is handed out where it lies, several
// pieces are sent as one body.
#ifndef FW_BINDING_BODIES_H
#define FW_BINDING_BODIES_H

#include <napi.h>

#include "../forkwire.h"

// A Buffer with the bytes of a message that just arrived: over the memory that they are in if they are many and `may_keep`, else
// a copy.
napi_value BytesOf(napi_env env, const fw_message_t& message, bool may_keep);

// A string from UTF-8. nullptr when JavaScript cannot hold it.
napi_value TextFromUtf8(napi_env env, const fw_message_t& message);

// `parts` are ArrayBufferViews, and each begins at a multiple of 16 in the body; lib/views.js and
// lib/long-strings.js count on it.
int SendParts(Napi::Env env, fw_channel_t* channel, fw_lane_t lane, fw_encoding_t encoding,
              const Napi::Array& parts, const fw_handle_out_t* handle);

#endif
