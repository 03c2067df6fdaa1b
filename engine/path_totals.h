// What is counted of paths and never goes down: of one path, and of all paths of a kind, those that are gone too.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/cumulative_histogram.h"
#include "netsense/measurement.pb.h"

namespace netsense {

struct PathTotals {
  CumulativeHistogram rtt, network_rtt;
  uint64_t pings_sent = 0, pings_lost = 0, retransmits = 0;
  uint64_t bandwidth_probes = 0, bandwidth_failed = 0, bandwidth_busy = 0, bandwidth_deferred = 0;
};

// Few, however many nodes there are: these are the labels of the metrics.
struct PathKind {
  std::string transport;
  v1::FabricKind fabric = v1::FABRIC_KIND_UNKNOWN;
  std::optional<uint32_t> rail;
  bool cross_rail = false;

  auto operator<=>(const PathKind&) const = default;
};

v1::PathTotals ExportTotals(const PathKind& kind, const PathTotals& totals);

}  // namespace netsense
