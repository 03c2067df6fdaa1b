#include "engine/stream_evidence.h"

#include <utility>

#include "engine/expectation.h"

namespace netsense {

StreamEvidence::StreamEvidence(const v1::Port& port, std::vector<const ProbeSession*> streams)
    : port_(port), streams_(std::move(streams)), before_(Read()) {}

std::vector<v1::CounterDelta> StreamEvidence::Counted() const { return CounterDeltas(before_, Read()); }

v1::ExpectedBandwidth StreamEvidence::Expected() const {
  const ProbeSession& first = *streams_.front();
  return Expect(EndOf(port_), EndOf(first.session->peer(), port_.fabric()), first.rdma);
}

PortCounters StreamEvidence::Read() const {
  PortCounters now = ReadPortCounters(port_);
  for (const ProbeSession* stream : streams_) AddTcpCounters(stream->connection.get(), &now);
  return now;
}

}  // namespace netsense
