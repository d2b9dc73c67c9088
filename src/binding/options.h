// What a channel is opened with, from JavaScript: { limits of lib/limits.js, refusedEncodings, endStall, disabled, wire, ack?, nack?,
// trace }; trace names the peer in the wire log, '' means none.
#ifndef FW_BINDING_OPTIONS_H
#define FW_BINDING_OPTIONS_H

#include <node_api.h>

#include <cstdint>
#include <string>
#include <vector>

#include "../forkwire.h"

// A property of an object, or nullptr where JavaScript cannot run any more, because the Worker is being terminated: there,
// node-addon-api's next call on the empty value would end the process.
napi_value GetProperty(napi_env env, napi_value object, const char* name);

struct Options {
  // What cannot be read is 0 or empty.
  void Read(napi_env env, napi_value given);

  fw_options_t core = {}; // points into the others
  bool joins = true;
  bool keeps_bodies = true;
  std::string trace_name;

private:
  std::vector<uint8_t> ack_; // the payloads of Node's acknowledgements
  std::vector<uint8_t> nack_;
};

#endif
