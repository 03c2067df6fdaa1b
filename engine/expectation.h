// What a path could carry at best, by what is known of both its ports: a figure to lay the measured one beside.
#pragma once

#include <string>

#include "netsense/measurement.pb.h"
#include "netsense/session.pb.h"

namespace netsense {

// One end of a path.
struct PathEnd {
  std::string port;        // its name
  uint64_t speed_bps = 0;  // link rate; 0 = not known, or a virtual device's, which means nothing
  double pcie_gbps = 0;    // what its PCIe link carries after line coding; 0 = none, or not known
  std::string pcie;        // "PCIe 4.0 x16"
  uint32_t mtu = 0;        // of the network device; 0 = not known
  v1::FabricKind fabric = v1::FABRIC_KIND_UNKNOWN;
};
PathEnd EndOf(const v1::Port& port);
// What the responder said of itself.
PathEnd EndOf(const v1::SessionReply::Grant& grant, v1::FabricKind fabric);

// The largest RDMA MTU that fits into a network device's: 256 to 4096; 1024 where even 256 does not, or the MTU is not
// known.
double RdmaMtu(uint32_t netdev_mtu);

// The smallest of both link rates and both PCIe links, each less its protocol's overhead. Formulas:
//   TCP over Ethernet   (MTU - 40 IP and TCP - 12 timestamps) / (MTU + 14 Ethernet + 4 FCS + 20 preamble and gap)
//   RoCE v2             M / (M + 14 + 4 + 20 + 20 IP + 8 UDP + 12 BTH + 4 ICRC), M = the RDMA MTU (Annex A17)
//   InfiniBand          M / (M + 8 LRH + 12 BTH + 4 ICRC + 2 VCRC), M = 4096 (IBTA Vol. 1)
//   PCIe                256 / (256 + 24): a TLP of 256 bytes with header, framing and CRC (PCIe Base, 2.2)
// `rdma`: the transport moves by RDMA where the ports have it (Capabilities); else it goes over TCP.
v1::ExpectedBandwidth Expect(const PathEnd& from, const PathEnd& to, bool rdma);

}  // namespace netsense
