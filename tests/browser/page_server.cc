// Serves the routes of a head's bridge, with the page, over a cluster that is made up: for tests of the page.
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <sstream>

#include "base/logging.h"
#include "base/process.h"
#include "raylet_bridge/cluster/edge_history.h"
#include "raylet_bridge/records/inventory_record.h"
#include "raylet_bridge/records/kv_keys.h"
#include "raylet_bridge/serve/http_api.h"
#include "synthetic_cluster.h"

namespace netsense {
namespace {

using std::chrono::milliseconds;

struct Options {
  SyntheticOptions cluster;
  std::string token, page_folder;
  uint16_t port = 0;
  uint32_t tick_ms = 2000;
};

std::vector<PageFile> PageIn(const std::string& folder) {
  if (folder.empty()) return EmbeddedPage();
  std::vector<PageFile> page = {{"/", "text/html; charset=utf-8", "index.html"},
                                {"/page.js", "text/javascript; charset=utf-8", "page.js"},
                                {"/page.css", "text/css; charset=utf-8", "page.css"}};
  for (PageFile& file : page) {
    std::ifstream in(folder + "/" + file.content, std::ios::binary);
    if (!in) throw CLI::ValidationError("--page-dir", "there is no " + file.content + " in " + folder);
    std::ostringstream text;
    text << in.rdbuf();
    file.content = text.str();
  }
  return page;
}

class PageServer {
 public:
  explicit PageServer(const Options& options) : options_(options), cluster_(options.cluster) {
    settings_.tick_ms = options.tick_ms;
    settings_.rtt_ttl_ms = std::max(settings_.rtt_ttl_ms, 3 * options.tick_ms);
  }

  int Run(std::stop_token stop) {
    RememberAnHour();
    Tick();
    auto server = HttpServer::Start(
        {.host = "127.0.0.1",
         .port = options_.port,
         .token = options_.token,
         .routes = HttpApiRoutes({.sources = {.state = [this] { return State(); },
                                              .history = &history_,
                                              .read_key = [this](const std::string& key) { return Read(key); }},
                                  .whole_cluster = true,
                                  .page = PageIn(options_.page_folder)})});
    if (!server.ok()) {
      fprintf(stderr, "%s\n", std::string(server.status().message()).c_str());
      return 3;
    }
    printf("%u\n", unsigned{(*server)->port()});
    fflush(stdout);
    while (!SleepUnlessStopped(stop, milliseconds(options_.tick_ms)))
      if (!gcs_silent_) Tick();
    return 0;
  }

  // From now on, or no longer: the bridge answers, but with what the GCS said before.
  void ToggleGcs() { gcs_silent_ = !gcs_silent_; }

 private:
  void Tick() {
    auto view = cluster_.At(++tick_, EpochMillis());
    history_.Look(*view, settings_, EpochMillis(), MonotonicNow());
    std::lock_guard lock(mutex_);
    view_ = std::move(view);
    gcs_heard_ = MonotonicNow();
  }

  // As much of an hour as the machine has been up: its clock begins then.
  void RememberAnHour() {
    const MonotonicTime now = MonotonicNow();
    for (MonotonicTime then = std::max(now - EdgeHistory::kSpan, MonotonicTime()); then < now;
         then += milliseconds(history_.step_ms())) {
      const int64_t then_epoch_ms = EpochMillis() - MillisSince(then, now);
      auto view = cluster_.At(++tick_, then_epoch_ms);
      history_.Look(*view, settings_, then_epoch_ms, then);
    }
  }

  BridgeState State() {
    BridgeState state;
    state.node_id = cluster_.node_id(0);
    state.settings = settings_;
    std::lock_guard lock(mutex_);
    state.gcs_heard = gcs_heard_;
    state.view = view_;
    return state;
  }

  absl::StatusOr<std::optional<std::string>> Read(const std::string& key) const {
    for (size_t i = 0; i < options_.cluster.nodes; ++i)
      if (key == InventoryKey(cluster_.node_id(i)) && i % 8 != 5)
        return InventoryToJson(cluster_.node_id(i), cluster_.Inventory(i));
    return std::nullopt;
  }

  const Options options_;
  SyntheticCluster cluster_;
  Settings settings_;
  EdgeHistory history_;
  uint64_t tick_ = 0;
  std::atomic<bool> gcs_silent_ = false;
  std::mutex mutex_;
  std::shared_ptr<const ClusterView> view_;
  MonotonicTime gcs_heard_{};
};

// Who started us with a pipe and ended without a word has closed it; a byte from them is a word to the GCS.
void WatchStdin(std::stop_token stop, SignalStop& signals, PageServer& server) {
  struct stat kind {};
  if (fstat(STDIN_FILENO, &kind) < 0 || !(S_ISFIFO(kind.st_mode) || S_ISSOCK(kind.st_mode))) return;
  char byte = 0;
  pollfd input{STDIN_FILENO, POLLIN, 0};
  while (!stop.stop_requested()) {
    if (poll(&input, 1, 100) <= 0) continue;
    if (read(STDIN_FILENO, &byte, 1) <= 0) return signals.RequestStop();
    server.ToggleGcs();
  }
}

}  // namespace
}  // namespace netsense

int main(int argc, char** argv) {
  netsense::Options options;
  CLI::App app(
      "Serves the page over a made-up cluster; prints its port. Ends on SIGTERM, or when its input ends; "
      "each byte of the input makes the GCS silent, or answer again.");
  app.add_option("--nodes", options.cluster.nodes)->check(CLI::Range(1, 2048))->capture_default_str();
  app.add_option("--token", options.token, "empty = anybody may ask");
  app.add_option("--seed", options.cluster.seed)->capture_default_str();
  app.add_option("--port", options.port, "0 = any free one")->capture_default_str();
  app.add_option("--tick-ms", options.tick_ms)->check(CLI::Range(10, 60000))->capture_default_str();
  app.add_option("--rails", options.cluster.rails, "of verbs; 0 = none")->check(CLI::Range(0, 8));
  app.add_flag("--hostile", options.cluster.hostile, "names that try to become markup");
  app.add_option("--page-dir", options.page_folder, "index.html, page.js and page.css; default: those in the program");
  CLI11_PARSE(app, argc, argv);
  netsense::SignalStop signals;
  try {
    netsense::PageServer server(options);
    std::jthread watch([&](std::stop_token stop) { netsense::WatchStdin(std::move(stop), signals, server); });
    return server.Run(signals.token());
  } catch (const CLI::Error& error) {
    return app.exit(error);
  }
}
