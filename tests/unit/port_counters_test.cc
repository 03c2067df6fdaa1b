#include "engine/port_counters.h"

#include <gtest/gtest.h>

#include "engine/expectation.h"
#include "tests/unit/scratch_folder.h"

namespace netsense {
namespace {

v1::Port RdmaPort() {
  v1::Port port;
  port.set_name("mlx5_0");
  port.set_netdev("eth0");
  port.set_rdma_device("mlx5_0");
  port.set_rdma_port(1);
  return port;
}

TEST(PortCounters, OfTheNetworkDeviceAndTheRdmaPort) {
  ScratchFolder sys;
  sys.Write("class/net/eth0/carrier_down_count", "3\n");
  sys.Write("class/net/eth0/statistics/rx_crc_errors", "7\n");
  sys.Write("class/net/eth0/statistics/rx_packets", "1000\n");
  const std::string rdma = "class/infiniband/mlx5_0/ports/1/";
  sys.Write(rdma + "counters/symbol_error", "65535\n");
  sys.Write(rdma + "hw_counters/np_cnp_sent", "12\n");
  sys.Write(rdma + "hw_counters/out_of_sequence", "no number\n");
  PortCounters counters = ReadPortCounters(RdmaPort(), sys.path());
  EXPECT_EQ(
      counters,
      (PortCounters{{"carrier_down_count", 3}, {"rx_crc_errors", 7}, {"symbol_error", 65535}, {"np_cnp_sent", 12}}));
}

TEST(PortCounters, DeltasAreWhatMovedTheGravestFirst) {
  auto deltas =
      CounterDeltas({{"np_cnp_sent", 5}, {"symbol_error", 1}, {"link_downed", 2}, {"rx_errors", 9}, {"gone", 1}},
                    {{"np_cnp_sent", 9}, {"symbol_error", 1}, {"link_downed", 3}, {"rx_errors", 2}, {"new", 4}});
  ASSERT_EQ(deltas.size(), 3u);
  EXPECT_EQ(deltas[0].name(), "link_downed");
  EXPECT_EQ(deltas[0].delta(), 1u);
  EXPECT_EQ(deltas[0].severity(), v1::CounterDelta::SEVERITY_FATAL);
  EXPECT_EQ(deltas[1].name(), "rx_errors");
  EXPECT_EQ(deltas[1].delta(), 2u) << "it was reset in between";
  EXPECT_EQ(deltas[2].severity(), v1::CounterDelta::SEVERITY_CONGESTION);
}

PathEnd End(double gbps, double pcie_gbps = 0) {
  PathEnd end;
  end.port = "mlx5_0";
  end.speed_bps = static_cast<uint64_t>(gbps * 1e9);
  end.pcie_gbps = pcie_gbps;
  end.pcie = "PCIe 3.0 x8";
  end.mtu = 1500;
  end.fabric = v1::FABRIC_KIND_ETHERNET;
  return end;
}

TEST(Expectation, LinkRateLessTheHeaders) {
  auto expected = Expect(End(10), End(25), false);
  EXPECT_NEAR(expected.bps(), 10e9 * 1448 / 1538, 1e3) << "what iperf3 shows on a good 10 Gb/s link: 9.41";
  EXPECT_NE(expected.limit().find("10 Gb/s"), std::string::npos) << expected.limit();
}

TEST(Expectation, ASlowPcieLinkOfEitherEndIsTheLimit) {
  auto expected = Expect(End(100), End(100, 63), false);
  EXPECT_NEAR(expected.bps(), 63e9 * 256 / 280, 1e3);
  EXPECT_NE(expected.limit().find("PCIe 3.0 x8"), std::string::npos) << expected.limit();
}

TEST(Expectation, RdmaHasItsOwnHeaders) {
  PathEnd roce = End(100);
  roce.fabric = v1::FABRIC_KIND_ROCE;
  roce.mtu = 4200;
  EXPECT_NEAR(Expect(roce, roce, true).bps() / 100e9, 4096.0 / 4178, 1e-6);
  roce.mtu = 1500;
  EXPECT_NEAR(Expect(roce, roce, true).bps() / 100e9, 1024.0 / 1106, 1e-6);
  PathEnd infiniband = End(400);
  infiniband.fabric = v1::FABRIC_KIND_INFINIBAND;
  EXPECT_NEAR(Expect(infiniband, infiniband, true).bps() / 400e9, 4096.0 / 4122, 1e-6);
}

TEST(Expectation, NotKnownIsNotGuessed) {
  auto expected = Expect(End(10), End(0), false);
  EXPECT_EQ(expected.bps(), 0);
  EXPECT_FALSE(expected.reason().empty());
  v1::Port veth;
  veth.set_name("e0");
  veth.set_speed_bps(10'000'000'000);
  EXPECT_EQ(EndOf(veth).speed_bps, 0u) << "a device without a driver invents its rate";
}

}  // namespace
}  // namespace netsense
