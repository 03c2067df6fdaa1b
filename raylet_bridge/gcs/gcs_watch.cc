#include "raylet_bridge/gcs/gcs_watch.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "base/logging.h"
#include "base/process.h"
#include "raylet_bridge/records/kv_keys.h"

namespace netsense {

GcsWatch::GcsWatch(GcsClientOptions options)
    : options_(std::move(options)), thread_([this](const std::stop_token& stop) { Run(stop); }) {}

std::string GcsWatch::problem() const {
  std::lock_guard lock(mutex_);
  return problem_;
}

void GcsWatch::Run(const std::stop_token& stop) {
  while (!SleepUnlessStopped(stop, std::chrono::seconds(1))) {
    auto client = GcsClient::Create(options_);
    const absl::Status served = client.ok() ? (*client)->Get(kConfigKey).status() : client.status();
    std::string problem;
    if (!served.ok())
      problem =
          fmt::format("no new connection to the embedded GCS is served, so that no node can join or come back: {}",
                      std::string(served.message()));
    std::lock_guard lock(mutex_);
    if (problem.empty() != problem_.empty())
      spdlog::log(problem.empty() ? spdlog::level::info : spdlog::level::warn, "{}",
                  problem.empty() ? "the embedded GCS serves new connections again" : problem);
    problem_ = std::move(problem);
  }
}

}  // namespace netsense
