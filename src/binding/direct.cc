// A message that came alone is given to its listener in the very callback of the loop that read it, as
// onMessage(text, cost). In stock it has a tick of its own, whose async context descends from the channel's: a store
// that a listener enters stays there, and an error that it throws is reported there. So it is here.
#include "channel.h"

// Made once: it costs more than many messages.
void Channel::MakeDirectFunctions() {
  napi_env env = Env();
  napi_value function;
  if (napi_create_function(env, nullptr, 0, EnterFreshContext, this, &function) == napi_ok)
    napi_create_reference(env, function, 1, &methods_[kEnterFreshContext]);
  if (napi_create_function(env, nullptr, 0, CallOnMessage, this, &function) == napi_ok)
    napi_create_reference(env, function, 1, &methods_[kCallOnMessage]);
}

// Whether that is all that the read brought.
bool Channel::TakeDirect(Batch& batch, napi_value* ret_args) {
  if (methods_[kOnMessage] == nullptr || events_.Count() > 0 || !batch.IsOneText()) return false;
  napi_create_double(Env(), batch.TextCost(), &ret_args[1]);
  ret_args[0] = batch.TakeText(Env());
  return true;
}

// Called in the channel's context, in which the message's own one is made.
napi_value Channel::EnterFreshContext(napi_env env, napi_callback_info info) {
  size_t n_args = kDirectArgs;
  napi_value args[kDirectArgs];
  napi_value handler;
  napi_value name = nullptr;
  napi_value function = nullptr;
  void* data = nullptr;
  napi_async_context fresh = nullptr;
  napi_get_cb_info(env, info, &n_args, args, &handler, &data);
  napi_ref call = static_cast<Channel*>(data)->methods_[kCallOnMessage];
  napi_create_string_latin1(env, "FORKWIREMESSAGE", NAPI_AUTO_LENGTH, &name);
  if (napi_get_reference_value(env, call, &function) != napi_ok) return nullptr;
  if (napi_async_init(env, nullptr, name, &fresh) != napi_ok) return nullptr;
  napi_make_callback(env, fresh, handler, function, n_args, args, nullptr);
  napi_async_destroy(env, fresh);
  return nullptr;
}

// What the listener throws is an uncaught exception while its context is still entered.
napi_value Channel::CallOnMessage(napi_env env, napi_callback_info info) {
  size_t n_args = kDirectArgs;
  napi_value args[kDirectArgs];
  napi_value handler;
  napi_value function;
  void* data = nullptr;
  napi_get_cb_info(env, info, &n_args, args, &handler, &data);
  auto* channel = static_cast<Channel*>(data);
  napi_ref method = channel->methods_[kOnMessage];
  if (napi_get_reference_value(env, method, &function) != napi_ok) return nullptr;
  napi_call_function(env, handler, function, n_args, args, nullptr);
  channel->ReportException();
  return nullptr;
}
