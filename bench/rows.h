// Results as rows of the result document (docs/results.md) and as tables for people, with the peers' columns.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"
#include "engine/measure.h"

namespace netsense {

// Rows. `source` is the name of the host that measured.
nlohmann::json PingRow(const PingRequest& request, const PingResult& result);
nlohmann::json BandwidthRow(const BandwidthRequest& request, const BandwidthResult& result);
nlohmann::json PingFailureRow(const PingRequest& request, const absl::Status& status);
nlohmann::json BandwidthFailureRow(const BandwidthRequest& request, const absl::Status& status);

// A second of a measurement that runs: a line of JSON Lines that is no row, and a line for people.
nlohmann::json IntervalRow(const BandwidthRequest& request, uint32_t repeat, const BandwidthInterval& interval);
std::string IntervalLine(const BandwidthRequest& request, const BandwidthInterval& interval);

std::string PingTable(const PingRequest& request, const PingResult& result);
std::string BandwidthTable(const BandwidthRequest& request, const BandwidthResult& result);

std::string HostName();

}  // namespace netsense
