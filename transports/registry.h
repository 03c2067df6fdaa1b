// Every backend there is, in the order in which they are listed to people.
#pragma once

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "netsense/engine.pb.h"
#include "transports/transport.h"

namespace netsense {

class TransportRegistry {
 public:
  TransportRegistry();
  // Of just these: for tests.
  explicit TransportRegistry(std::vector<std::unique_ptr<Transport>> transports) : transports_(std::move(transports)) {}

  const std::vector<std::unique_ptr<Transport>>& all() const { return transports_; }
  // Unimplemented when there is no such transport (the known ones are named), Unavailable when this host cannot run it.
  // Does not block.
  absl::StatusOr<Transport*> Find(std::string_view name) const;
  // The same for a session with this peer (as Transport::AwaitAvailability): one that starts is waited for.
  absl::StatusOr<Transport*> Await(std::string_view name,
                                   MonotonicTime deadline = MonotonicNow() + deadlines::kChildAnswer(),
                                   const std::stop_token& stop = {}, const std::string& peer_address = "") const;
  // Each with what it can do, or why it cannot run here. One that starts is waited for, for deadlines::kChildAnswer.
  std::vector<v1::TransportInfo> Describe() const;

 private:
  // Whether it can run or not.
  absl::StatusOr<Transport*> Named(std::string_view name) const;

  std::vector<std::unique_ptr<Transport>> transports_;
};

}  // namespace netsense
