// What stands beside a stream's figure, whoever measures: what our port and connections counted meanwhile, and what the
// path could carry at best.
#pragma once

#include <vector>

#include "engine/port_counters.h"
#include "engine/probe_session.h"
#include "netsense/measurement.pb.h"
#include "netsense/session.pb.h"

namespace netsense {

class StreamEvidence {
 public:
  // Reads the counters. `port`: that the streams leave by. `streams`: all of one measurement, at least one; they
  // outlive this.
  StreamEvidence(const v1::Port& port, std::vector<const ProbeSession*> streams);

  // What they have counted since.
  std::vector<v1::CounterDelta> Counted() const;
  v1::ExpectedBandwidth Expected() const;

 private:
  PortCounters Read() const;

  const v1::Port port_;
  const std::vector<const ProbeSession*> streams_;
  const PortCounters before_;
};

}  // namespace netsense
