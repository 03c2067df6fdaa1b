#include "engine/port_counters.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace netsense {
namespace {

constexpr auto kFatal = v1::CounterDelta::SEVERITY_FATAL;
constexpr auto kError = v1::CounterDelta::SEVERITY_ERROR;
constexpr auto kCongestion = v1::CounterDelta::SEVERITY_CONGESTION;
constexpr char kTcpRetransmits[] = "tcp_retransmits";

struct Known {
  const char* name;
  v1::CounterDelta::Severity severity;
};

// /sys/class/net/X
constexpr Known kNetdev[] = {
    {"carrier_down_count", kFatal},          {"statistics/rx_errors", kError},
    {"statistics/tx_errors", kError},        {"statistics/rx_crc_errors", kError},
    {"statistics/rx_missed_errors", kError}, {"statistics/rx_fifo_errors", kError},
    {"statistics/tx_dropped", kCongestion},
};

// /sys/class/infiniband/X/ports/N/{counters,hw_counters}: InfiniBand's PortCounters, and the names of mlx5 and rxe.
constexpr Known kRdma[] = {
    {"link_downed", kFatal},
    {"req_transport_retries_exceeded", kFatal},
    {"rnr_nak_retry_err", kFatal},
    {"retry_exceeded_err", kFatal},
    {"retry_rnr_exceeded_err", kFatal},
    {"symbol_error", kError},
    {"link_error_recovery", kError},
    {"local_link_integrity_errors", kError},
    {"excessive_buffer_overrun_errors", kError},
    {"port_rcv_errors", kError},
    {"port_xmit_discards", kError},
    {"out_of_sequence", kError},
    {"out_of_seq_request", kError},
    {"packet_seq_err", kError},
    {"local_ack_timeout_err", kError},
    {"send_err", kError},
    {"port_xmit_wait", kCongestion},
    {"np_cnp_sent", kCongestion},
    {"np_ecn_marked_roce_packets", kCongestion},
    {"rp_cnp_handled", kCongestion},
    {"rcvd_rnr_err", kCongestion},
};

void Read(const std::string& path, const std::string& name, PortCounters* counters) {
  std::ifstream file(path);
  uint64_t value = 0;
  if (file >> value) (*counters)[name] = value;
}

std::string ShortName(const char* name) {
  const std::string text = name;
  return text.substr(text.rfind('/') + 1);
}

v1::CounterDelta::Severity SeverityOf(const std::string& name) {
  if (name == kTcpRetransmits) return kCongestion;
  for (const Known& known : kNetdev)
    if (ShortName(known.name) == name) return known.severity;
  for (const Known& known : kRdma)
    if (name == known.name) return known.severity;
  return v1::CounterDelta::SEVERITY_UNSPECIFIED;
}

}  // namespace

PortCounters ReadPortCounters(const v1::Port& port, const std::string& sysfs) {
  PortCounters counters;
  if (!port.netdev().empty())
    for (const Known& known : kNetdev)
      Read(absl::StrCat(sysfs, "/class/net/", port.netdev(), "/", known.name), ShortName(known.name), &counters);
  if (port.rdma_device().empty()) return counters;
  const std::string folder = absl::StrCat(sysfs, "/class/infiniband/", port.rdma_device(), "/ports/", port.rdma_port());
  for (const Known& known : kRdma)
    for (const char* kind : {"/counters/", "/hw_counters/"}) Read(folder + kind + known.name, known.name, &counters);
  return counters;
}

void AddTcpCounters(int fd, PortCounters* counters) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && size > offsetof(tcp_info, tcpi_total_retrans))
    (*counters)[kTcpRetransmits] += info.tcpi_total_retrans;
}

std::vector<v1::CounterDelta> CounterDeltas(const PortCounters& before, const PortCounters& after) {
  std::vector<v1::CounterDelta> deltas;
  for (const auto& [name, value] : after) {
    auto old = before.find(name);
    if (old == before.end() || old->second == value) continue;
    v1::CounterDelta& delta = deltas.emplace_back();
    delta.set_name(name);
    delta.set_delta(value > old->second ? value - old->second : value);
    delta.set_severity(SeverityOf(name));
  }
  std::stable_sort(deltas.begin(), deltas.end(),
                   [](const auto& a, const auto& b) { return a.severity() > b.severity(); });
  return deltas;
}

}  // namespace netsense
