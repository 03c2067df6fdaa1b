#include "raylet_bridge/serve/http_api.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "raylet_bridge/records/json_fields.h"
#include "raylet_bridge/serve/metrics.h"

namespace netsense {
namespace {

HttpResponse AnswerHealth(const BridgeState& state) {
  const MonotonicTime now = MonotonicNow();
  std::string reason = state.engine.problem;
  if (const std::string gcs = GcsProblem(state, now); !gcs.empty()) reason += (reason.empty() ? "" : "; ") + gcs;
  nlohmann::ordered_json health = {{"status", reason.empty() ? "ok" : "unhealthy"},
                                   {"reason", reason},
                                   {"node_id", state.node_id},
                                   {"version", NETSENSE_VERSION},
                                   {"gcs_age_ms", nullptr}};
  if (state.gcs_heard) health["gcs_age_ms"] = MillisSince(*state.gcs_heard, now);
  return {.code = reason.empty() ? 200 : 503, .body = DumpJson(health)};
}

HttpResponse AnswerMetrics(const BridgeState& state, bool whole_cluster) {
  return {.body = MetricsText(state, whole_cluster, EpochMillis(), MonotonicNow()),
          .content_type = "text/plain; version=0.0.4; charset=utf-8"};
}

}  // namespace

std::vector<HttpRoute> HttpApiRoutes(const HttpApiOptions& options) {
  auto from_state = [state = options.sources.state](auto answer) {
    return [state, answer](const HttpRequest&) { return answer(state()); };
  };
  std::vector<HttpRoute> routes = {{"/healthz", true, from_state(AnswerHealth)}};
  routes.push_back({"/metrics", false, from_state([whole = options.whole_cluster](const BridgeState& state) {
                      return AnswerMetrics(state, whole);
                    })});
  if (!options.whole_cluster) return routes;
  for (HttpRoute& route : ClusterRoutes(options.sources)) routes.push_back(std::move(route));
  for (HttpRoute& route : PageRoutes(options.page)) routes.push_back(std::move(route));
  return routes;
}

}  // namespace netsense
