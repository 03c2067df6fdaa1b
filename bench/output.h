// Results for people (tables with the peers' columns) and for scripts (one JSON document), and a progress line on a
// terminal.
#pragma once

#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "bench/measure.h"

namespace netsense {

// One entry of the document's results[].
nlohmann::json PingJson(const PingRequest& request, const PingResult& result);
nlohmann::json BandwidthJson(const BandwidthRequest& request, const BandwidthResult& result);
nlohmann::json FailureJson(const std::string& transport, const absl::Status& status);
// The document around results[]: schema_version, command, target, versions, host, kernel, start time.
nlohmann::json Document(const std::string& command, const std::string& target, nlohmann::json results);

std::string PingTable(const PingRequest& request, const PingResult& result);
std::string BandwidthTable(const BandwidthRequest& request, const BandwidthResult& result);

// Redraws one line on stderr while alive, when stderr is a terminal and the work takes longer than a second.
// Thread-safe.
class Progress {
 public:
  // With a known duration the line moves by itself.
  Progress(std::string what, std::optional<std::chrono::nanoseconds> duration, bool wanted);
  ~Progress();
  void Set(double done) { done_ = done; }

 private:
  void Draw();

  const std::string what_;
  const std::optional<std::chrono::nanoseconds> duration_;
  const MonotonicTime start_ = MonotonicNow();
  std::atomic<double> done_ = 0;
  std::jthread thread_;
};

}  // namespace netsense
