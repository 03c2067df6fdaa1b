#include "raylet_bridge/http_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "raylet_bridge/json_fields.h"
#include "raylet_bridge/metrics.h"

namespace netsense {
namespace {

constexpr int64_t kGcsSilenceLimitMs = 5000;  // and at least three ticks

// Why the cluster's data are not of now; empty when they are.
std::string GcsProblem(const BridgeState& state, MonotonicTime now) {
  if (!state.gcs_heard) return "the GCS has not answered yet";
  const int64_t age_ms = MillisSince(*state.gcs_heard, now);
  if (age_ms <= std::max<int64_t>(kGcsSilenceLimitMs, 3 * int64_t{state.settings.tick_ms})) return "";
  return fmt::format("the GCS has not answered for {} ms: this is what it said then", age_ms);
}

HttpResponse AnswerTopology(const BridgeState& state) {
  const MonotonicTime now = MonotonicNow();
  return {.body = EnvelopeJson(BuildTopology(*state.view, state.settings, EpochMillis(), now), GcsProblem(state, now))};
}

HttpResponse AnswerHealth(const BridgeState& state) {
  const MonotonicTime now = MonotonicNow();
  const std::string reason = state.engine.problem.empty() ? GcsProblem(state, now) : state.engine.problem;
  nlohmann::ordered_json health = {{"status", reason.empty() ? "ok" : "unhealthy"},
                                   {"reason", reason},
                                   {"node_id", state.node_id},
                                   {"version", NETSENSE_VERSION},
                                   {"gcs_age_ms", nullptr}};
  if (state.gcs_heard) health["gcs_age_ms"] = MillisSince(*state.gcs_heard, now);
  return {.code = reason.empty() ? 200 : 503, .body = DumpJson(health)};
}

HttpResponse AnswerMetrics(const BridgeState& state, bool whole_cluster) {
  const MonotonicTime now = MonotonicNow();
  const int64_t now_epoch_ms = EpochMillis();
  std::optional<Topology> cluster;
  if (whole_cluster) cluster = BuildTopology(*state.view, state.settings, now_epoch_ms, now);
  return {.body = MetricsText(state, cluster ? &*cluster : nullptr, now_epoch_ms, now),
          .content_type = "text/plain; version=0.0.4; charset=utf-8"};
}

}  // namespace

std::vector<HttpRoute> HttpApiRoutes(const HttpApiOptions& options) {
  auto from_state = [state = options.state](auto answer) {
    return [state, answer](const HttpRequest&) { return answer(state()); };
  };
  std::vector<HttpRoute> routes = {{"/healthz", true, from_state(AnswerHealth)}};
  routes.push_back({"/metrics", false, from_state([whole = options.whole_cluster](const BridgeState& state) {
                      return AnswerMetrics(state, whole);
                    })});
  if (!options.whole_cluster) return routes;
  routes.push_back({"/api/v0/network_topology", false, from_state(AnswerTopology)});
  return routes;
}

}  // namespace netsense
