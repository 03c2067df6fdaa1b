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
  absl::StatusOr<Transport*> Find(std::string_view name) const;
  // Each with what it can do, or why it cannot run here.
  std::vector<v1::TransportInfo> Describe() const;

 private:
  std::vector<std::unique_ptr<Transport>> transports_;
};

}  // namespace netsense
