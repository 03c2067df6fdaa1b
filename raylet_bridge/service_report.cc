#include "raylet_bridge/service_report.h"

#include <fmt/format.h>

#include "base/host_port.h"
#include "base/logging.h"
#include "raylet_bridge/identity/node_identity.h"

namespace netsense {

void ServiceReport::Turn(const EngineDriver::State& engine, size_t nodes, const std::string& gcs_problem) {
  watchdog_.Turn();
  if (engine.info && !ready_) {
    TellReady();
    ready_ = true;
  }
  std::string words = engine.problem.empty() ? gcs_problem : engine.problem;
  if (words.empty() && engine.info)
    words = fmt::format("door {}, {} nodes, {} paths to probe",
                        FormatHostPort(engine.info->door_address(), static_cast<uint16_t>(engine.info->door_port())),
                        nodes, engine.plan->paths_size());
  if (words == status_) return;
  TellStatus(Printable(words));
  status_ = words;
}

}  // namespace netsense
