// Long strings, with as few passes and copies as Node-API allows.
#ifndef FW_BINDING_TEXT_H
#define FW_BINDING_TEXT_H

#include <napi.h>

#include "../forkwire.h"

// One-byte strings go as Latin-1, others as UTF-16, which keeps lone surrogates. `length` is the string's.
int SendLongText(napi_env env, fw_channel_t* channel, fw_lane_t lane, napi_value text,
                 size_t length);

#endif
