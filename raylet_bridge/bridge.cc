#include "raylet_bridge/bridge.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/deadlines.h"
#include "base/host_port.h"
#include "base/logging.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "base/token_watch.h"
#include "raylet_bridge/bridge_setup.h"
#include "raylet_bridge/cluster/cluster_reader.h"
#include "raylet_bridge/cluster/edge_history.h"
#include "raylet_bridge/cluster/roster_keeper.h"
#include "raylet_bridge/engine_link/engine_driver.h"
#include "raylet_bridge/engine_link/engine_host.h"
#include "raylet_bridge/gcs/dead_keys.h"
#include "raylet_bridge/gcs/gcs_watch.h"
#include "raylet_bridge/gcs/publisher.h"
#include "raylet_bridge/identity/raylet.h"
#include "raylet_bridge/identity/start_anew.h"
#include "raylet_bridge/plan/mesh_plan.h"
#include "raylet_bridge/records/inventory_record.h"
#include "raylet_bridge/records/json_fields.h"
#include "raylet_bridge/records/kv_keys.h"
#include "raylet_bridge/serve/bridge_state.h"
#include "raylet_bridge/serve/file_sd.h"
#include "raylet_bridge/serve/http_api.h"
#include "raylet_bridge/serve/http_server.h"
#include "raylet_bridge/service_report.h"

namespace netsense {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kHeartbeat{1000};   // of a standalone node
constexpr milliseconds kNewsPause{250};    // between two reports, when states change in a row
constexpr milliseconds kWriteAgain{1000};  // after a write of the publisher failed

class Bridge {
 public:
  explicit Bridge(BridgeSetup setup)
      : setup_(std::move(setup)),
        settings_(setup_.settings),
        own_node_{setup_.self.node_id,  setup_.self.address,
                  setup_.self.hostname, true,
                  setup_.self.is_head,  static_cast<uint64_t>(EpochMillis())},
        keeper_(setup_.gcs.get(),
                setup_.standalone() ? RosterFile(setup_.options.state_file, setup_.self.gcs_address) : ""),
        reader_(setup_.gcs.get(), setup_.self.is_head ? keeper_.roster() : nullptr),
        dead_keys_(setup_.gcs.get()) {}

  absl::Status Run(std::stop_token stop);

 private:
  void StartEngine();
  void StartFileSd();
  bool UsesRails() const;
  absl::Status StartHttp();
  void FollowRaylet(const UniqueFd& pidfd, std::stop_token stop);
  void BeatHeart(std::stop_token stop);
  void Loop();
  absl::Status Tick();
  absl::Status LookForOurselves();
  void RefreshSettings(const std::optional<std::string>& config);
  void RefreshPlan();
  void RefreshDoor(const EngineDriver::State& engine);
  void PublishInventory(const v1::EngineInfo& info, bool lost);
  absl::Status RefreshApi();
  void PublishReport(const EngineDriver::State& engine);
  void NoteGcs(const absl::Status& status);
  void Leave(const std::string& why);
  void RemoveOwnKeys();
  EngineDriver::State EngineState() const;
  BridgeState state() const;

  const BridgeSetup setup_;
  const TokenWatch watch_token_{setup_.token, setup_.options.token_file, setup_.tokens};
  ResolvedSettings settings_;          // written by the loop's thread with mutex_ held
  std::optional<std::string> config_;  // the text of the KV key `config` that settings_ come from
  const ClusterNode own_node_;         // as a standalone node registers
  RosterKeeper keeper_;                // used by the head alone
  ClusterReader reader_;
  DeadKeys dead_keys_;
  std::map<std::string, DoorRecord> doors_;  // those that can be used
  std::string inventory_;                    // as published last
  std::string gcs_problem_;
  std::stop_source leave_;

  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  bool news_ = false;
  std::shared_ptr<const ClusterView> view_ = std::make_shared<ClusterView>();
  const MonotonicTime started_ = MonotonicNow();
  std::optional<MonotonicTime> gcs_heard_;
  EdgeHistory history_;  // where this bridge shows the cluster

  std::unique_ptr<EngineHost> host_;
  std::unique_ptr<EngineDriver> driver_;
  std::unique_ptr<Publisher> publisher_;
  std::optional<GcsWatch> gcs_watch_;  // where this bridge serves the GCS
  std::unique_ptr<HttpServer> http_;
  std::string http_address_;  // where others reach it
  std::optional<FileSd> file_sd_;
};

absl::Status Bridge::Run(std::stop_token stop) {
  UniqueFd raylet;
  if (!setup_.standalone()) {
    raylet = OpenPidFd(setup_.self.raylet_pid);
    // Looked at again behind the descriptor: a process id may have changed hands in between.
    const auto still_there = FindRaylets();
    if (!raylet || std::none_of(still_there.begin(), still_there.end(), [this](const RayletProcess& process) {
          return process.pid == setup_.self.raylet_pid && process.node_id == setup_.self.node_id;
        }))
      return absl::NotFoundError(fmt::format("the raylet (pid {}) has just ended", setup_.self.raylet_pid));
  } else {
    NoteGcs(setup_.gcs->RegisterNode(own_node_));
  }
  if (setup_.self.is_head) NoteGcs(keeper_.Begin());
  if (auto config = setup_.gcs->Get(kConfigKey); config.ok()) RefreshSettings(*config);
  if (setup_.embedded != nullptr)
    gcs_watch_.emplace(GcsClientOptions{.address = setup_.self.gcs_address, .token_file = setup_.options.token_file});
  StartEngine();
  publisher_ = std::make_unique<Publisher>(setup_.writer_gcs.get(), kWriteAgain);
  RETURN_IF_ERROR(StartHttp());
  StartFileSd();
  if (!settings_.enabled)
    spdlog::warn(
        "probing is disabled: turn it on by --network-sense-enabled true here, NETSENSE_ENABLED=true, or for the whole "
        "cluster by: netsense-bridge config set network_sense_enabled true");

  std::stop_callback told_to_stop(stop, [this] { Leave("told to stop"); });
  std::jthread raylet_watch, heart;
  if (raylet) raylet_watch = std::jthread([&](std::stop_token done) { FollowRaylet(raylet, std::move(done)); });
  if (setup_.standalone()) heart = std::jthread([this](std::stop_token done) { BeatHeart(std::move(done)); });
  Loop();

  driver_->RequestStop();
  host_->RequestStop();
  if (heart.joinable()) heart = {};
  http_.reset();
  file_sd_.reset();
  publisher_.reset();
  driver_.reset();
  RemoveOwnKeys();
  host_.reset();
  return absl::OkStatus();
}

// A node on loopback is one of several on its host, which has its rails once.
bool Bridge::UsesRails() const { return !settings_.rails.is_off() && !IsLoopback(setup_.self.address); }

void Bridge::StartEngine() {
  host_ = EngineHost::Start({.node_id = setup_.self.node_id,
                             .door_address = setup_.self.address,
                             .door_port = static_cast<uint16_t>(settings_.door_port),
                             .any_port_if_taken = !settings_.IsNamed(&Settings::door_port),
                             .has_token = !setup_.token.secret.empty(),
                             .rails = settings_.rails,
                             .cpus = settings_.cpus,
                             .listen_on_rails = UsesRails(),
                             .token_file = setup_.options.token_file,
                             .insecure = setup_.options.insecure,
                             .program = setup_.options.engine_program,
                             .external_socket = setup_.options.engine_socket,
                             .log_level = setup_.options.log_level});
  driver_ = std::make_unique<EngineDriver>(host_->socket_path(), [this] {
    std::lock_guard lock(mutex_);
    news_ = true;
    wake_.notify_all();
  });
}

void Bridge::StartFileSd() {
  const FilePlace& place = setup_.options.metrics_sd_file;
  std::string path = place.path;
  if (path.empty() && setup_.self.is_head) path = FileSdPath(setup_.self.session_dir);
  if (path.empty() || place.off) return;
  const std::string& name = setup_.options.cluster_name;
  file_sd_.emplace(path, name.empty() ? setup_.self.gcs_address : name);
  spdlog::info("Prometheus finds the bridges by file_sd: {}", path);
}

absl::Status Bridge::StartHttp() {
  HttpServer::Options http{
      .host = setup_.self.address,
      .port = static_cast<uint16_t>(settings_.http_port),
      .token = setup_.tokens,
      .routes = HttpApiRoutes({.sources = {.state = [this] { return state(); },
                                           .history = &history_,
                                           .read_key = [this](const auto& key) { return setup_.gcs->Get(key); }},
                               .whole_cluster = setup_.shows_cluster(),
                               .page = EmbeddedPage()}),
      .names = setup_.options.http_names};
  bool named = settings_.IsNamed(&Settings::http_port);  // else any free port rather than none: it stands in the GCS
  if (!setup_.options.http_listen.empty()) {
    ASSIGN_OR_RETURN(auto listen, ParseHostPort(setup_.options.http_listen, "--http-listen"));
    http.host = listen.host;
    http.names.push_back(listen.host);
    http.port = listen.port;
    named = true;
  }
  auto server = HttpServer::Start(http);
  if (!server.ok() && !named) {
    spdlog::warn("{}; taking any free port", std::string(server.status().message()));
    http.port = 0;
    server = HttpServer::Start(http);
  }
  if (!server.ok()) return server.status();
  http_ = *std::move(server);
  const bool everywhere = IsUnspecified(http.host);
  http_address_ = FormatHostPort(everywhere ? setup_.self.address : http.host, http_->port());
  spdlog::info("HTTP: http://{}{}", http_address_, setup_.shows_cluster() ? "/api/v0/network_topology" : "/healthz");
  return absl::OkStatus();
}

void Bridge::FollowRaylet(const UniqueFd& pidfd, std::stop_token stop) {
  UniqueFd quit(eventfd(0, EFD_CLOEXEC));
  std::stop_callback wake(stop, [&quit] { eventfd_write(quit.get(), 1); });
  pollfd fds[2] = {{pidfd.get(), POLLIN, 0}, {quit.get(), POLLIN, 0}};
  while (poll(fds, 2, -1) < 0) {
  }
  if (fds[0].revents != 0) Leave(fmt::format("the raylet (pid {}) ended", setup_.self.raylet_pid));
}

void Bridge::BeatHeart(std::stop_token stop) {
  while (!SleepUnlessStopped(stop, kHeartbeat))
    (void)setup_.gcs->RegisterNode(own_node_);  // an outage shows in the loop, which says so
}

void Bridge::Leave(const std::string& why) {
  if (!leave_.request_stop()) return;
  TellStopping();
  spdlog::info("leaving: {}", why);
}

void Bridge::Loop() {
  const std::stop_token leave = leave_.get_token();
  MonotonicTime next_tick = MonotonicNow();
  ServiceReport service;
  while (!leave.stop_requested()) {
    MonotonicTime now = MonotonicNow();
    if (now >= next_tick) {
      NoteGcs(Tick());
      next_tick = std::max(next_tick + milliseconds(settings_.tick_ms), now);
    }
    if (leave.stop_requested()) return;
    const EngineDriver::State engine = EngineState();
    RefreshDoor(engine);
    PublishReport(engine);
    service.Turn(engine, reader_.view()->nodes.size(), gcs_problem_);
    if (SleepUnlessStopped(leave, std::min<MonotonicTime::duration>(kNewsPause, next_tick - now))) return;
    std::unique_lock lock(mutex_);
    wake_.wait_until(lock, leave, std::min(next_tick, service.due()), [this] { return news_; });
    news_ = false;
  }
}

absl::Status Bridge::Tick() {
  if (setup_.self.is_head) RETURN_IF_ERROR(keeper_.Begin());
  ASSIGN_OR_RETURN(auto config, setup_.gcs->Get(kConfigKey));
  RefreshSettings(config);
  RETURN_IF_ERROR(reader_.Poll(setup_.shows_cluster()));
  {
    std::lock_guard lock(mutex_);
    view_ = reader_.view();
    gcs_heard_ = MonotonicNow();
  }
  if (setup_.shows_cluster()) history_.Look(*reader_.view(), settings_, EpochMillis(), MonotonicNow());
  if (file_sd_) file_sd_->Update(*reader_.view());
  const auto& nodes = reader_.view()->nodes;
  if (std::none_of(nodes.begin(), nodes.end(),
                   [this](const auto& node) { return node.node_id == setup_.self.node_id; }))
    return LookForOurselves();
  RefreshPlan();
  if (setup_.self.is_head) RETURN_IF_ERROR(keeper_.Turn(config_, *publisher_));
  RETURN_IF_ERROR(RefreshApi());
  return setup_.self.is_head ? dead_keys_.Remove(nodes) : absl::OkStatus();
}

// We are not among the alive. The GCS may have forgotten everything; or our node is dead, which is the end with Ray,
// while a standalone node simply registers again.
absl::Status Bridge::LookForOurselves() {
  if (setup_.standalone()) return absl::OkStatus();
  ASSIGN_OR_RETURN(auto all, setup_.gcs->AllNodes());
  for (const ClusterNode& node : all)
    if (node.node_id == setup_.self.node_id && !node.alive) Leave("the GCS says that this node is dead");
  return absl::OkStatus();
}

void Bridge::RefreshSettings(const std::optional<std::string>& config) {
  if (config == config_) return;
  config_ = config;
  SettingsSources sources = setup_.options.sources;
  auto cluster = ParseSettingsJson(config.value_or(""), "the KV key config");
  if (cluster.ok()) sources.cluster = *cluster;
  auto resolved = cluster.ok() ? ResolveSettings(sources) : absl::StatusOr<ResolvedSettings>(cluster.status());
  if (!resolved.ok()) {
    spdlog::warn("{}; the settings in force are kept (see netsense-bridge config)",
                 std::string(resolved.status().message()));
    return;
  }
  std::lock_guard lock(mutex_);
  if (*resolved != settings_)
    spdlog::info("new settings: probing {}, tick {} ms", resolved->enabled ? "enabled" : "disabled", resolved->tick_ms);
  settings_ = *std::move(resolved);
}

void Bridge::RefreshPlan() {
  doors_.clear();
  for (const auto& [node_id, door] : reader_.view()->doors)
    if (door.ok()) doors_.emplace(node_id, *door);
  driver_->SetPlan(MakeMeshPlan(setup_.self.node_id, reader_.view()->nodes, doors_, settings_));
}

// Compares what the GCS holds with what is true, so that a GCS that forgot everything is told again.
void Bridge::RefreshDoor(const EngineDriver::State& engine) {
  const auto& info = engine.info;
  if (!info) return;
  const std::string& listens = info->door_address();
  const std::string& address = IsUnspecified(listens) ? setup_.self.address : listens;
  DoorRecord door = MakeDoorRecord(setup_.self.node_id, address, *info, EpochMillis());
  door.http = http_address_;
  if (!UsesRails())
    for (v1::Port& port : door.ports) port.clear_rail();
  auto written = doors_.find(setup_.self.node_id);
  const bool lost = written == doors_.end();
  if (lost && address != setup_.self.address)
    spdlog::warn(
        "the engine's door is on {}, and other nodes dial this one at {}, as the node list has it: they will not reach "
        "it",
        address, setup_.self.address);
  if (lost || !SameDoor(written->second, door))
    publisher_->Publish(DoorKey(setup_.self.node_id), DumpJson(DoorToJson(door)));
  PublishInventory(*info, lost);
}

// Nobody reads it back: whatever loses it loses the door, too.
void Bridge::PublishInventory(const v1::EngineInfo& info, bool lost) {
  std::string inventory = InventoryToJson(setup_.self.node_id, info);
  if (!lost && inventory == inventory_) return;
  inventory_ = std::move(inventory);
  publisher_->Publish(InventoryKey(setup_.self.node_id), inventory_);
}

// Where the cluster's API is, for those who ask the GCS. Written anew now and then: a GCS may have forgotten it.
absl::Status Bridge::RefreshApi() {
  if (!setup_.self.is_head) return absl::OkStatus();
  ASSIGN_OR_RETURN(auto listens, ParseHostPort(http_address_, "the HTTP API"));
  const nlohmann::ordered_json api = {
      {"node_id", setup_.self.node_id}, {"address", listens.host}, {"port", listens.port}};
  auto written = setup_.gcs->Get(kHttpApiKey);
  if (!written.ok() || *written == DumpJson(api)) return written.status();
  publisher_->Publish(kHttpApiKey, DumpJson(api));
  return absl::OkStatus();
}

void Bridge::PublishReport(const EngineDriver::State& engine) {
  if (engine.plan->plan_id().empty()) return;
  const Report report =
      MakeReport(*engine.plan, *engine.readings, engine.problem, doors_, settings_, EpochMillis(), MonotonicNow());
  publisher_->Publish(ReportKey(setup_.self.node_id), ReportToJson(report));
}

void Bridge::NoteGcs(const absl::Status& status) {
  std::string problem(status.message());
  if (problem == gcs_problem_) return;
  if (status.ok()) {
    spdlog::info("the GCS at {} answers again", setup_.gcs->address());
  } else if (gcs_problem_.empty()) {
    spdlog::warn("{}; the last plan and the last report are kept", problem);
  }
  gcs_problem_ = problem;
}

void Bridge::RemoveOwnKeys() {
  auto gcs = GcsClient::Create({.address = setup_.self.gcs_address,
                                .token_file = setup_.options.token_file,
                                .timeout = deadlines::kGcsLastWords()});
  if (!gcs.ok()) return;
  absl::Status status = (*gcs)->Delete(ReportKey(setup_.self.node_id));
  status.Update((*gcs)->Delete(DoorKey(setup_.self.node_id)));
  status.Update((*gcs)->Delete(InventoryKey(setup_.self.node_id)));
  if (setup_.self.is_head) status.Update((*gcs)->Delete(kHttpApiKey));
  if (setup_.standalone()) status.Update((*gcs)->UnregisterNode(setup_.self.node_id));
  if (!status.ok()) spdlog::info("this node's keys stay in the GCS: {}", std::string(status.message()));
}

// Who cannot reach the engine may know why there is none.
EngineDriver::State Bridge::EngineState() const {
  EngineDriver::State engine = driver_->state();
  if (std::string why = host_->problem(); !engine.problem.empty() && !why.empty()) engine.problem = std::move(why);
  return engine;
}

BridgeState Bridge::state() const {
  BridgeState state{.node_id = setup_.self.node_id,
                    .settings = {},
                    .view = {},
                    .started = started_,
                    .gcs_heard = {},
                    .gcs_watch_problem = gcs_watch_ ? gcs_watch_->problem() : "",
                    .engine = EngineState(),
                    .published = publisher_->counters()};
  std::lock_guard lock(mutex_);
  state.settings = settings_;
  state.view = view_;
  state.gcs_heard = gcs_heard_;
  return state;
}

}  // namespace

absl::Status RunBridge(const BridgeOptions& options, std::stop_token stop) {
  ASSIGN_OR_RETURN(auto setup, PrepareBridge(options));
  const auto watch = StartAnewWhenTheClockIsPutBack(setup.standalone() ? setup.self.node_id : "");
  spdlog::info("node {} at {}, GCS {}, {}", setup.self.node_id, setup.self.address, Printable(setup.self.gcs_address),
               setup.standalone() ? "standalone" : fmt::format("raylet pid {}", setup.self.raylet_pid));
  return Bridge(std::move(setup)).Run(std::move(stop));
}

}  // namespace netsense
