// Untrusted: what an engine tells its bridge over the control socket: it may be of another release. The input is a
// snapshot; its first byte says how old it is when it is read. What must hold: every reader gets a report that it
// takes, and the metrics are written.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "netsense/engine.pb.h"
#include "raylet_bridge/records/report.h"
#include "raylet_bridge/serve/metrics.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/messages.h"
#include "tests/fuzz/node_ids.h"

namespace netsense::fuzz {
namespace {

constexpr int64_t kNowMs = 1'700'000'000'000;

void Run(std::string_view bytes) {
  Input input(bytes);
  const std::chrono::seconds age(input.Byte());
  const auto snapshot = ReadMessage<v1::Snapshot>(input.Rest());
  const MonotonicTime now = MonotonicNow();
  auto plan = std::make_shared<v1::Plan>();
  auto readings = std::make_shared<PathReadings>();
  plan->set_self_node_id(NodeId(0));
  for (const v1::PathResult& result : snapshot.paths()) {
    v1::PlannedPath& path = *plan->add_paths();
    path.set_dst_node_id(NodeId(1));
    path.set_transport("tcp");
    path.set_source_port(std::to_string(plan->paths_size()));  // each edge is another
    readings->push_back(std::make_shared<const PathReading>(PathReading{result, now - age}));
  }
  const Report report = MakeReport(*plan, *readings, "", {}, Settings(), kNowMs, now);
  const auto read = ParseReport(ReportToJson(report), NodeId(0));
  MustHold(read.ok() && read->edges.size() == report.edges.size(), "a reader takes every edge of a report");
  for (size_t i = 0; i < read->edges.size(); ++i)
    MustHold(read->edges[i].state == report.edges[i].state, "an edge is to its reader what it is to its writer");

  v1::EngineInfo info;
  for (const uint64_t bound : {1000, 2000, 5000}) info.add_histogram_bounds_ns(bound);
  BridgeState state;
  state.node_id = NodeId(0);
  state.view = std::make_shared<const ClusterView>();
  state.settings.metrics_detail = true;
  state.engine = {.plan = plan,
                  .readings = readings,
                  .info = std::make_shared<const v1::EngineInfo>(info),
                  .whole = std::make_shared<const v1::Snapshot>(snapshot)};
  MustHold(!MetricsText(state, false, kNowMs, now).empty(), "the metrics are written");
}

const Harness kHarness("engine_snapshot", Run);

}  // namespace
}  // namespace netsense::fuzz
