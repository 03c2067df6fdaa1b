#include "engine/path_totals.h"

namespace netsense {

v1::PathTotals ExportTotals(const PathKind& kind, const PathTotals& totals) {
  v1::PathTotals exported;
  exported.set_transport(kind.transport);
  exported.set_fabric(kind.fabric);
  if (kind.rail) exported.set_rail(*kind.rail);
  exported.set_cross_rail(kind.cross_rail);
  *exported.mutable_rtt() = totals.rtt.Export();
  *exported.mutable_network_rtt() = totals.network_rtt.Export();
  exported.set_pings_sent(totals.pings_sent);
  exported.set_pings_lost(totals.pings_lost);
  exported.set_retransmits(totals.retransmits);
  exported.set_bandwidth_failed(totals.bandwidth_failed);
  exported.set_bandwidth_probes(totals.bandwidth_probes);
  exported.set_bandwidth_busy(totals.bandwidth_busy);
  exported.set_bandwidth_deferred(totals.bandwidth_deferred);
  return exported;
}

}  // namespace netsense
