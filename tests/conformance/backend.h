// How a backend joins the conformance suite: it says what it is called, in which ways it is tried, and where it is
// allowed to differ from the contract. Whatever it does not declare, it keeps.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "transports/registry.h"

namespace netsense::conformance {

// Data, so that what a backend may not do stands in one place. The defaults are the whole contract.
struct Deviations {
  size_t parallel_sessions = 16;           // as many at once
  int cycles = 15;                         // so often a session is opened, used and closed in a row
  uint64_t large_stream_bytes = 50 << 20;  // the longest stream that is counted byte by byte
  uint32_t ping_payload_bytes = 4096;      // pings carry at least so much
  bool ping = true;
  bool stream_to_peer = true;
  bool stream_from_peer = true;
  bool busy_poll = true;
  bool responder_hold = true;
  bool over_the_door = true;  // its bytes go over the door's connection
  // A peer that leaves in the middle may take the backend's own process along. It is started again, which is waited
  // for.
  bool process_may_die = false;
};

// One of the backend's own ways, by its options.
struct Variant {
  std::string name;
  v1::TransportOptions options;
};

struct Backend {
  std::string transport;
  std::vector<Variant> variants;  // together they cover every mode that the backend lists
  Deviations deviations = {};
  // For a transport that the registry does not have; `fault` is what the responder's process was told to do wrong.
  std::unique_ptr<Transport> (*make)(const std::string& fault) = nullptr;
};

// Defined once in each backend's file.
const Backend& ThisBackend();

std::unique_ptr<TransportRegistry> MakeRegistry(const Backend& backend, const std::string& fault = "");

// What every test is run with.
struct Way {
  Variant variant;
  v1::WaitMode wait_mode = v1::WAIT_MODE_BLOCK;
};
// Every variant, blocking and (unless declared absent) busy-polling.
std::vector<Way> EveryWay(const Backend& backend);
void PrintTo(const Way& way, std::ostream* out);
std::string NameOfWay(const testing::TestParamInfo<Way>& info);

// A variant that is a mode and nothing else.
Variant Mode(const std::string& mode);
// UCX over the transports of `tls` (as in UCX_TLS).
Variant UcxOver(const std::string& name, const std::string& tls);

}  // namespace netsense::conformance
