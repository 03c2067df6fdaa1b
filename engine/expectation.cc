#include "engine/expectation.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace netsense {
namespace {

constexpr double kEthernet = 14 + 4 + 20;
constexpr double kRoce = 20 + 8 + 12 + 4;
constexpr double kInfiniband = 8 + 12 + 4 + 2;
constexpr double kTcp = 40 + 12;
constexpr double kPcieEfficiency = 256.0 / (256 + 24);

double LinkEfficiency(const PathEnd& end, bool rdma) {
  const double mtu = end.mtu > 0 ? end.mtu : 1500;
  if (rdma && end.fabric == v1::FABRIC_KIND_INFINIBAND) return 4096 / (4096 + kInfiniband);
  if (rdma && end.fabric == v1::FABRIC_KIND_ROCE) return RdmaMtu(end.mtu) / (RdmaMtu(end.mtu) + kEthernet + kRoce);
  return (mtu - kTcp) / (mtu + kEthernet);
}

std::string Pcie(const v1::PcieLink& link) {
  return link.width() == 0 ? "" : absl::StrCat("PCIe ", link.generation(), ".0 x", link.width());
}

}  // namespace

double RdmaMtu(uint32_t mtu) {
  for (uint32_t rdma : {4096u, 2048u, 1024u, 512u, 256u})
    if (mtu >= rdma + static_cast<uint32_t>(kRoce) + 8) return rdma;  // 8: extended headers (RETH without its address)
  return 1024;
}

PathEnd EndOf(const v1::Port& port) {
  PathEnd end;
  end.port = port.name();
  // Without a driver it is a virtual device (veth, a bridge), which claims a rate of its own invention.
  if (!port.driver().empty() || !port.pci_address().empty()) end.speed_bps = port.speed_bps();
  end.pcie_gbps = port.pcie().gbps();
  end.pcie = Pcie(port.pcie());
  end.mtu = port.mtu();
  end.fabric = port.fabric();
  return end;
}

PathEnd EndOf(const v1::SessionReply::Grant& grant, v1::FabricKind fabric) {
  return {absl::StrCat("the peer's ", grant.port()),
          grant.port_speed_bps(),
          grant.port_pcie_gbps(),
          grant.port_pcie(),
          grant.port_mtu(),
          fabric};
}

v1::ExpectedBandwidth Expect(const PathEnd& from, const PathEnd& to, bool rdma) {
  v1::ExpectedBandwidth expected;
  for (const PathEnd* end : {&from, &to}) {
    if (end->speed_bps == 0) {
      expected.Clear();
      expected.set_reason(absl::StrCat("the link rate of ", end->port, " is not known"));
      return expected;
    }
    const double rate = static_cast<double>(end->speed_bps);
    const double link = rate * LinkEfficiency(*end, rdma);
    const double pcie = end->pcie_gbps * 1e9 * kPcieEfficiency;
    if (expected.bps() == 0 || link < expected.bps()) {
      expected.set_bps(link);
      expected.set_limit(absl::StrFormat("link rate of %s, %g Gb/s", end->port, rate / 1e9));
    }
    if (pcie > 0 && pcie < expected.bps()) {
      expected.set_bps(pcie);
      expected.set_limit(absl::StrFormat("%s of %s, %.4g Gb/s", end->pcie, end->port, end->pcie_gbps));
    }
  }
  return expected;
}

}  // namespace netsense
