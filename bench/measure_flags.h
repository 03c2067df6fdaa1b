// The flags that every measuring command has, and what they mean for a measurement. Letters as in perftest.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/plain_transport.h"
#include "bench/results.h"
#include "engine/measure.h"

namespace netsense {

// Of everything that opens a door or knocks at one.
struct DoorFlags {
  std::string token_file;
  bool insecure = false;
  PinningOptions pinning;
  bool no_pin = false;
  std::string log_level;
};
void AddDoorFlags(CLI::App* command, DoorFlags* flags);

struct MeasureFlags {
  DoorFlags door;
  std::string target;
  std::vector<std::string> transports = {kPlainTransport};
  std::optional<uint64_t> iterations;
  std::optional<double> duration_s;
  uint32_t repeat = 1;
  LocalEnd from;
  v1::TransportOptions options;
  std::string memory = "host";
  bool blocking = false;
  bool busy_poll = false;
  OutputOptions output;
};
void AddMeasureFlags(CLI::App* command, MeasureFlags* flags);
// Of those that have several: "grpc: unary, stream; ...".
std::string ModesInWords(const TransportRegistry& transports);
void AddWaitModeFlags(CLI::App* command, MeasureFlags* flags);
void AddRttThreshold(CLI::App* command, MeasureFlags* flags);
void AddBandwidthThresholds(CLI::App* command, MeasureFlags* flags);

// InvalidArgument for a target that cannot be, or no token for a target that needs one.
absl::StatusOr<MeasureTarget> TargetOf(const MeasureFlags& flags, const std::string& transport);
MeasureBounds MeasureBoundsOf(const MeasureFlags& flags, MeasureBounds by_default);

// `wanted`, or less where the transport's messages are smaller; 0 for a transport that is not here.
uint32_t MessageBytes(const TransportRegistry& transports, const std::string& transport, uint64_t wanted);

// Says what is wrong on stderr; the exit code.
int Fail(const absl::Status& status);

// For each transport in turn, and that --repeat times, so that what changes with time meets all of them alike. Ends
// early when `stop` is triggered. The exit code.
using MeasureOne = std::function<void(const MeasureTarget&, uint32_t repeat, Results*)>;
int RunInterleaved(const MeasureFlags& flags, const std::string& command, const std::stop_token& stop,
                   const MeasureOne& measure);

// One measurement into the results, failures too, with its progress line.
void PingInto(const TransportRegistry& transports, const PingRequest& request, uint32_t repeat, const char* load,
              const std::stop_token& stop, Results* results);
void BandwidthInto(const TransportRegistry& transports, const BandwidthRequest& request, uint32_t repeat,
                   const std::stop_token& stop, Results* results);

}  // namespace netsense
