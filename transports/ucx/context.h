// UCX's contexts: one per choice of devices and transports, shared by the sessions that made it.
#pragma once

#include <ucp/api/ucp.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace netsense::ucx {

// Unavailable, or what else of the contract's codes an error of UCX is.
absl::Status StatusOf(ucs_status_t status, const std::string& what);

struct ContextChoice {
  std::string net_devices;  // empty = UCX's own choice
  std::string tls;
  unsigned max_rndv_rails = 1;
  bool wakeup = false;  // for sessions that sleep while they wait

  auto operator<=>(const ContextChoice&) const = default;
};

class Context {
 public:
  // One that is in use already, or a new one. Thread-safe.
  static absl::StatusOr<std::shared_ptr<Context>> Get(const ContextChoice& choice);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  ucp_context_h get() const { return context_; }
  const ContextChoice& choice() const { return choice_; }

 private:
  Context(ucp_context_h context, ContextChoice choice) : context_(context), choice_(std::move(choice)) {}
  static absl::StatusOr<std::shared_ptr<Context>> Make(const ContextChoice& choice);

  const ucp_context_h context_;
  const ContextChoice choice_;
};

}  // namespace netsense::ucx
