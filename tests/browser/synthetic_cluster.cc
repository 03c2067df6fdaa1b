#include "synthetic_cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/clock.h"

namespace netsense {
namespace {

constexpr size_t kLeaf = 16, kPod = 64;
constexpr size_t kMany = 8;  // from here on, whole nodes are ill
constexpr int64_t kOldMs = 600'000;
constexpr double kPortMbps = 100'000;
constexpr char kMarkup[] = "<img src=x onerror=alert(1)>";

// The same each time, and different for each of its arguments: between 0 and 1.
double Noise(uint64_t a, uint64_t b, uint64_t c, uint64_t d = 0) {
  uint64_t x = a * 0x9e3779b97f4a7c15 ^ b * 0xbf58476d1ce4e5b9 ^ c * 0x94d049bb133111eb ^ d * 0xd6e8feb86659fd93;
  for (int i = 0; i < 3; ++i) x = (x ^ (x >> 29)) * 0xff51afd7ed558ccd;
  return static_cast<double>(x >> 11) / static_cast<double>(uint64_t{1} << 53);
}

bool HasNoReport(size_t i, size_t nodes) { return nodes >= kMany && i == 5; }
bool ReportIsOld(size_t i, size_t nodes) { return nodes >= kMany && i == 6; }
bool IsDown(size_t i, size_t nodes) { return nodes >= kMany && i == 7; }

v1::Port MakePort(const std::string& name, v1::FabricKind fabric, size_t node, std::optional<uint32_t> rail) {
  v1::Port port;
  port.set_name(name);
  port.set_netdev(rail ? fmt::format("ib{}", *rail) : name);
  port.set_fabric(fabric);
  port.set_speed_bps(static_cast<uint64_t>(kPortMbps * 1e6));
  port.set_mtu(rail ? 4092 : 9000);
  port.add_addresses(fmt::format("10.{}.{}.{}", rail ? *rail + 1 : 0, node / 250, node % 250 + 1));
  port.set_state(v1::PORT_STATE_UP);
  port.set_state_text(rail ? "4: ACTIVE" : "up");
  port.set_numa_node(rail ? static_cast<int>(*rail % 2) : 0);
  port.set_pci_address(fmt::format("0000:{:02x}:00.0", 0x1a + (rail ? 0x10 * (*rail + 1) : 0)));
  port.set_driver(rail ? "mlx5_core" : "ice");
  if (rail) {
    port.set_rdma_device(name);
    port.set_rdma_port(1);
    port.set_rail(*rail);
    port.set_rail_reason(fmt::format("the port next to GPU{}", *rail));
  }
  return port;
}

}  // namespace

SyntheticCluster::SyntheticCluster(const SyntheticOptions& options) : options_(options) {
  for (size_t i = 0; i < options.nodes; ++i)
    ids_.push_back(fmt::format("{:08x}{:016x}{:032x}", i, options.seed, i * 7919));
}

std::shared_ptr<const ClusterView> SyntheticCluster::At(uint64_t tick, int64_t now_epoch_ms) {
  std::shared_ptr<ClusterView>& spare = views_[1 - current_];
  if (spare == nullptr) spare = std::make_shared<ClusterView>(Make());
  if (spare.use_count() > 1) return views_[current_];
  Update(spare.get(), tick, now_epoch_ms);
  // Another object for each tick, as a real head has: but the same memory.
  spare = std::make_shared<ClusterView>(std::move(*spare));
  current_ = 1 - current_;
  return spare;
}

ClusterView SyntheticCluster::Make() const {
  ClusterView view;
  for (size_t i = 0; i < ids_.size(); ++i) {
    std::string hostname = fmt::format("gpu-{:03}", i);
    if (options_.hostile && i == 1) hostname = kMarkup;
    if (options_.hostile && i == 2) hostname = "\"'`;</script>\u202e\xff node";
    view.nodes.push_back(
        {ids_[i], fmt::format("10.0.{}.{}", i / 250, i % 250 + 1), std::move(hostname), true, i == 0, 0});
    DoorRecord door;
    door.node_id = ids_[i];
    door.address = view.nodes.back().address;
    door.port = 18590;
    door.version = NETSENSE_VERSION;
    const v1::EngineInfo inventory = Inventory(i);
    door.ports.assign(inventory.ports().begin(), inventory.ports().end());
    door.transports = {"tcp", "verbs"};
    view.doors.emplace(ids_[i], std::move(door));
    if (HasNoReport(i, ids_.size())) continue;
    Report report;
    report.node_id = ids_[i];
    report.version = NETSENSE_VERSION;
    report.tick_ms = 2000;
    report.ttl_ms = 6000;
    for (size_t dst = 0; dst < ids_.size(); ++dst)
      if (dst != i) AddEdges(i, dst, &report);
    view.reports.emplace(ids_[i], std::move(report));
  }
  if (ids_.size() >= 8)
    view.lost.push_back(
        {{.node_id = std::string(56, 'f'), .address = "10.0.9.9", .hostname = options_.hostile ? kMarkup : "gpu-gone"},
         options_.hostile ? kMarkup : "no heartbeat for 5000 ms",
         EpochMillis(),
         MonotonicNow()});
  return view;
}

void SyntheticCluster::AddEdges(size_t src, size_t dst, Report* report) const {
  ReportEdge edge;
  edge.dst_node_id = ids_[dst];
  edge.transport = "tcp";
  edge.fabric = "ethernet";
  edge.src_port = edge.dst_port = "eth0";
  edge.rtt_window = edge.rtt_samples = 5;
  edge.bw_window = edge.bw_samples = 3;
  edge.bw_probes = 14;
  edge.pings_sent = 905;
  edge.timestamp_source = "kernel";
  edge.bw_expected_mbps = 0.94 * kPortMbps;
  edge.bw_limit = "link rate of eth0, 100 Gb/s";
  if (options_.rails > 1) {  // the path between two rails comes first, as in a node's plan
    edge.cross_rail = true;
    report->edges.push_back(edge);
    edge.cross_rail = false;
  }
  report->edges.push_back(edge);
  if (src / kPod != dst / kPod) return;
  edge.transport = "verbs";
  edge.fabric = "infiniband";
  edge.timestamp_source = "user";
  for (uint32_t rail = 0; rail < std::max(options_.rails, uint32_t{1}); ++rail) {
    edge.src_port = edge.dst_port = fmt::format("mlx5_{}", rail);
    edge.bw_limit = fmt::format("link rate of mlx5_{}, 100 Gb/s", rail);
    if (options_.rails > 0) edge.rail = rail;
    report->edges.push_back(edge);
  }
}

void SyntheticCluster::Update(ClusterView* view, uint64_t tick, int64_t now_epoch_ms) const {
  for (size_t src = 0; src < ids_.size(); ++src) {
    auto found = view->reports.find(ids_[src]);
    if (found == view->reports.end()) continue;
    Report& report = *found->second;
    report.ts_ms = now_epoch_ms - (ReportIsOld(src, ids_.size()) ? kOldMs : 0);
    for (ReportEdge& edge : report.edges)
      UpdateEdge(src, std::strtoul(edge.dst_node_id.substr(0, 8).c_str(), nullptr, 16), tick, &edge);
  }
}

void SyntheticCluster::UpdateEdge(size_t src, size_t dst, uint64_t tick, ReportEdge* edge) const {
  const size_t nodes = ids_.size();
  const auto way = static_cast<uint64_t>(edge->transport == "tcp" ? 0 : 1 + edge->rail.value_or(0));
  const double chance = Noise(options_.seed, src, dst, way);
  edge->reason.clear();
  edge->rtt_age_ms = edge->last_ok_age_ms = static_cast<int64_t>(1500 * Noise(src, dst, tick));
  edge->bw_age_ms = 1000 + static_cast<int64_t>(60'000 * Noise(dst, src, tick / 8));
  edge->state_age_ms = 120'000;
  ClearFigures(*edge);
  if (edge->cross_rail) {
    edge->state = v1::PATH_STATE_ISOLATED;
    edge->reason = "no route between these rails was ever seen: no answer in time";
    edge->rtt_age_ms = edge->bw_age_ms = edge->last_ok_age_ms = std::nullopt;
    return;
  }
  if (IsDown(dst, nodes) || (src == 2 && dst == 1)) {
    edge->state = v1::PATH_STATE_UNREACHABLE;
    edge->reason = options_.hostile ? kMarkup : "connection refused: does netsense-engine run there?";
    edge->last_ok_age_ms = 340'000;
    return;
  }
  if (nodes >= kMany && chance < 0.002) {
    edge->state = v1::PATH_STATE_UNKNOWN;
    edge->reason = "not measured yet";
    edge->rtt_age_ms = edge->bw_age_ms = edge->last_ok_age_ms = std::nullopt;
    return;
  }
  // Breaks and heals again.
  if (nodes >= kMany && chance > 0.998 && Noise(src, dst, tick / 16) < 0.5) {
    edge->state = v1::PATH_STATE_DEGRADED;
    edge->reason = fmt::format("{} of the last 20 pings were lost", 2 + src % 5);
    return;
  }
  const bool slow = (src == 0 && dst == 1) || (chance > 0.5 && chance < 0.51);
  double rtt_ms = src / kLeaf == dst / kLeaf ? 0.018 : src / kPod == dst / kPod ? 0.031 : 0.058;
  if (way > 0) rtt_ms *= 0.12;
  rtt_ms *= (slow ? 9 : 1) * (0.9 + 0.2 * chance) * (0.97 + 0.06 * Noise(src, dst, tick, way));
  const double share = (slow ? 0.11 : 0.93) * (0.97 + 0.05 * Noise(dst, src, tick, way));
  edge->state = v1::PATH_STATE_OK;
  edge->rtt_ms = edge->rtt_p50_ms = rtt_ms;
  edge->jitter_ms = rtt_ms * (0.05 + 0.2 * Noise(tick, src, dst, way));
  edge->network_rtt_ms = edge->network_rtt_p50_ms = rtt_ms * 0.82;
  edge->network_rtt_jitter_ms = *edge->jitter_ms * 0.5;
  edge->bw_state = v1::BANDWIDTH_STATE_MEASURED;
  edge->bw_life_ms = 3'600'000;
  edge->bw_mbps = edge->bw_p50_mbps = share * *edge->bw_expected_mbps;
  edge->bw_percent = 100 * share;
  edge->rtt_distribution_ms = DistributionMs{900,          rtt_ms * 0.8, rtt_ms,       rtt_ms * 1.2,  rtt_ms * 1.9,
                                             rtt_ms * 4.1, rtt_ms * 6,   rtt_ms * 1.1, rtt_ms * 0.15, 600'000};
}

v1::EngineInfo SyntheticCluster::Inventory(size_t i) const {
  v1::EngineInfo info;
  info.set_software_version(NETSENSE_VERSION);
  *info.add_ports() = MakePort("eth0", v1::FABRIC_KIND_ETHERNET, i, std::nullopt);
  for (uint32_t rail = 0; rail < std::max(options_.rails, uint32_t{2}); ++rail) {
    v1::Port* port = info.add_ports();
    *port = MakePort(fmt::format("mlx5_{}", rail), v1::FABRIC_KIND_INFINIBAND, i, rail);
    if (options_.rails == 0) port->clear_rail();
    if (options_.hostile && rail == 1) port->set_driver(kMarkup);
  }
  for (int gpu = 0; gpu < 8; ++gpu) {
    v1::Gpu* made = info.add_gpus();
    made->set_name(fmt::format("GPU{}", gpu));
    made->set_vendor("NVIDIA");
    made->set_model("H100 80GB HBM3");
    made->set_pci_address(fmt::format("0000:{:02x}:00.0", 0x1b + 0x10 * gpu));
    made->set_numa_node(gpu / 4);
    made->set_nearest_port(fmt::format("mlx5_{}", gpu % info.ports_size() == 0 ? 0 : gpu % (info.ports_size() - 1)));
    made->set_nearest_affinity(gpu % 2 == 0 ? "PIX" : "NODE");
  }
  for (int numa = 0; numa < 2; ++numa) {
    v1::NumaNode* made = info.add_numa_nodes();
    made->set_index(numa);
    made->set_cpus(numa == 0 ? "0-55" : "56-111");
    made->set_memory_bytes(uint64_t{1} << 40);
  }
  if (options_.hostile) info.add_inventory_notes(kMarkup);
  info.add_inventory_notes("this machine is made up");
  return info;
}

}  // namespace netsense
