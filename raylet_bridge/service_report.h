// What the service manager hears of a bridge: that its loop turns, when its node's door is open, how it does.
#pragma once

#include <cstddef>
#include <string>

#include "base/service_manager.h"
#include "raylet_bridge/engine_link/engine_driver.h"

namespace netsense {

class ServiceReport {
 public:
  // At each turn of the bridge's loop. `gcs_problem` is empty while the GCS answers.
  void Turn(const EngineDriver::State& engine, size_t nodes, const std::string& gcs_problem);
  // As Watchdog::due.
  MonotonicTime due() const { return watchdog_.due(); }

 private:
  Watchdog watchdog_;
  bool ready_ = false;
  std::string status_;
};

}  // namespace netsense
