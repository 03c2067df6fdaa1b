// Trees of sysfs that are made here: what drivers and hypervisors show, and what a hostile copy may hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "bench/topo/table.h"
#include "engine/inventory/inventory.h"
#include "engine/inventory/nearest.h"
#include "engine/inventory/sysfs_netdevs.h"
#include "engine/inventory/sysfs_reader.h"
#include "engine/inventory/sysfs_tree.h"
#include "tests/unit/scratch_folder.h"

namespace netsense::inventory {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class SysfsTest : public testing::Test {
 protected:
  // A PCI function; returns its folder. `path` is what lies between devices/ and it: "pci0000:00/0000:00:01.0".
  std::string Function(const std::string& path, const std::string& pci_class, const std::string& vendor,
                       const std::string& device, int numa, const std::string& driver = "") {
    std::string folder = "sys/devices/" + path, address = path.substr(path.rfind('/') + 1);
    scratch.Write(folder + "/class", pci_class + "\n");
    scratch.Write(folder + "/vendor", vendor + "\n");
    scratch.Write(folder + "/device", device + "\n");
    scratch.Write(folder + "/numa_node", std::to_string(numa) + "\n");
    scratch.Link("sys/bus/pci/devices/" + address, folder);
    if (!driver.empty()) {
      std::filesystem::create_directories(scratch.At("sys/bus/pci/drivers/" + driver));
      scratch.Link(folder + "/driver", "sys/bus/pci/drivers/" + driver);
    }
    return folder;
  }

  std::string Netdev(const std::string& parent, const std::string& name, const std::string& speed,
                     const std::string& type = "1") {
    std::string folder = (parent.empty() ? "sys/devices/virtual" : parent) + "/net/" + name;
    scratch.Write(folder + "/type", type + "\n");
    scratch.Write(folder + "/mtu", "9000\n");
    scratch.Write(folder + "/operstate", "up\n");
    if (!speed.empty()) scratch.Write(folder + "/speed", speed + "\n");
    if (!parent.empty()) scratch.Link(folder + "/device", parent);
    scratch.Link("sys/class/net/" + name, folder);
    return folder;
  }

  std::string Rdma(const std::string& parent, const std::string& name, const std::string& link_layer,
                   const std::string& rate, const std::string& node_type = "1: CA", int ports = 1) {
    std::string folder = (parent.empty() ? "sys/devices/virtual" : parent) + "/infiniband/" + name;
    scratch.Write(folder + "/node_type", node_type + "\n");
    for (int port = 1; port <= ports; ++port) {
      const std::string port_folder = folder + "/ports/" + std::to_string(port);
      scratch.Write(port_folder + "/state", "4: ACTIVE\n");
      scratch.Write(port_folder + "/link_layer", link_layer + "\n");
      scratch.Write(port_folder + "/rate", rate + "\n");
    }
    if (!parent.empty()) scratch.Link(folder + "/device", parent);
    scratch.Link("sys/class/infiniband/" + name, folder);
    return folder;
  }

  void SetGid(const std::string& rdma, int port, int index, const std::string& gid, const std::string& type,
              const std::string& netdev) {
    const std::string folder = rdma + "/ports/" + std::to_string(port), entry = std::to_string(index);
    scratch.Write(folder + "/gids/" + entry, gid + "\n");
    scratch.Write(folder + "/gid_attrs/types/" + entry, type + "\n");
    scratch.Write(folder + "/gid_attrs/ndevs/" + entry, netdev + "\n");
  }

  void NumaNode(int index, const std::string& cpus) {
    scratch.Write("sys/devices/system/node/node" + std::to_string(index) + "/cpulist", cpus + "\n");
  }

  Node Read(const Options& options = {}) {
    auto node = ReadFrom(scratch.path(), options);
    EXPECT_TRUE(node.ok()) << node.status();
    return node.ok() ? *std::move(node) : Node();
  }

  static const Port& PortOf(const Node& node, const std::string& name) {
    static const Port none;
    for (const Port& port : node.ports)
      if (port.name == name) return port;
    ADD_FAILURE() << "no port " << name;
    return none;
  }

  ScratchFolder scratch;
};

constexpr char kNvidiaGpu[] = "0x030200";
constexpr char kEthernetClass[] = "0x020000";

TEST_F(SysfsTest, RoceHasItsGidsItsNetdevAndTheEthernetRate) {
  const std::string nic =
      Function("pci0000:00/0000:00:01.0/0000:01:00.0", kEthernetClass, "0x15b3", "0x1021", 0, "mlx5_core");
  scratch.Write(nic + "/current_link_speed", "16.0 GT/s PCIe\n");
  scratch.Write(nic + "/current_link_width", "8\n");
  scratch.Write(nic + "/max_link_speed", "32.0 GT/s PCIe\n");
  scratch.Write(nic + "/max_link_width", "16\n");
  Netdev(nic, "eth2", "200000");
  const std::string rdma = Rdma(nic, "mlx5_0", "Ethernet", "100 Gb/sec (4X EDR)");
  SetGid(rdma, 1, 0, "fe80:0000:0000:0000:0ac0:ebff:fe00:0001", "IB/RoCE v1", "eth2");
  SetGid(rdma, 1, 1, "fe80:0000:0000:0000:0ac0:ebff:fe00:0001", "RoCE v2", "eth2");
  SetGid(rdma, 1, 10, "0000:0000:0000:0000:0000:ffff:0a00:0001", "RoCE v2", "eth2");
  SetGid(rdma, 1, 2, "0000:0000:0000:0000:0000:0000:0000:0000", "", "");
  Node node = Read();
  ASSERT_EQ(node.ports.size(), 1u);
  const Port& port = node.ports[0];
  EXPECT_EQ(port.name, "mlx5_0");
  EXPECT_EQ(port.netdev, "eth2");
  EXPECT_EQ(port.fabric, v1::FABRIC_KIND_ROCE);
  EXPECT_EQ(port.speed_bps, 200'000'000'000u);
  EXPECT_EQ(port.mtu, 9000u);
  EXPECT_EQ(port.driver, "mlx5_core");
  EXPECT_EQ(port.place.numa_node, 0);
  EXPECT_THAT(port.place.path, ElementsAre("pci0000:00", "0000:00:01.0", "0000:01:00.0"));
  EXPECT_EQ(port.pcie.generation, 4);
  EXPECT_EQ(port.pcie.width, 8);
  EXPECT_EQ(port.pcie.max_generation, 5);
  EXPECT_EQ(port.pcie.max_width, 16);
  EXPECT_NEAR(port.pcie.gbps, 126.03, 0.1);
  ASSERT_EQ(port.gids.size(), 3u);
  EXPECT_EQ(port.gids[2].index, 10u);
  EXPECT_EQ(port.gids[1].type, "RoCE v2");
  EXPECT_EQ(port.gids[1].netdev, "eth2");
}

TEST_F(SysfsTest, WithoutAGidTypeItIsEthernetAndSaidSo) {
  const std::string nic = Function("pci0000:00/0000:00:01.0", kEthernetClass, "0x15b3", "0x1021", 0);
  Rdma(nic, "mlx5_0", "Ethernet", "100 Gb/sec (4X EDR)");
  Node node = Read();
  EXPECT_EQ(PortOf(node, "mlx5_0").fabric, v1::FABRIC_KIND_ETHERNET);
  EXPECT_THAT(node.notes, Contains(HasSubstr("RoCE")));
}

TEST_F(SysfsTest, SpeedsThatAreNotKnownAreZero) {
  const std::string nic = Function("pci0000:00/0000:00:01.0", kEthernetClass, "0x8086", "0x1572", 0);
  Netdev(nic, "minus", "-1");
  Netdev(nic, "wrapped", "4294967295");
  Netdev(nic, "words", "fast");
  Netdev(nic, "absent", "");
  Netdev(nic, "known", "2500");
  Node node = Read();
  for (const char* name : {"minus", "wrapped", "words", "absent"}) EXPECT_EQ(PortOf(node, name).speed_bps, 0u) << name;
  EXPECT_EQ(PortOf(node, "known").speed_bps, 2'500'000'000u);
  EXPECT_EQ(ParseRdmaRate("2.5 Gb/sec (1X SDR)"), 2'500'000'000u);
  EXPECT_EQ(ParseRdmaRate("400 Gb/sec (4X NDR)"), 400'000'000'000u);
  for (const char* bad : {"", "400", "-1 Gb/sec", "nan Gb/sec", "1e99 Gb/sec", "inf Gb/sec", "400 MB/sec"})
    EXPECT_EQ(ParseRdmaRate(bad), 0u) << bad;
}

TEST_F(SysfsTest, ABondHasItsMembersAndTheirPlace) {
  for (int i = 0; i < 2; ++i) {
    const std::string name = "ens1f" + std::to_string(i);
    const std::string nic =
        Function("pci0000:3a/0000:3a:00.0/0000:3b:00." + std::to_string(i), kEthernetClass, "0x15b3", "0x1017", 1);
    const std::string member = Netdev(nic, name, "25000");
    scratch.Link(member + "/master", "sys/devices/virtual/net/bond0");
    if (i == 0) SetGid(Rdma(nic, "mlx5_bond_0", "Ethernet", "50 Gb/sec"), 1, 0, "fe80::1", "RoCE v2", "bond0");
  }
  const std::string bond = Netdev("", "bond0", "50000");
  scratch.Write(bond + "/bonding/slaves", "ens1f0 ens1f1\n");
  Netdev("", "bond0.100", "50000");
  scratch.Link("sys/devices/virtual/net/bond0.100/lower_bond0", "sys/devices/virtual/net/bond0");
  Node node = Read();
  const Port& port = PortOf(node, "mlx5_bond_0");
  EXPECT_EQ(port.netdev, "bond0");
  EXPECT_THAT(port.bond_members, ElementsAre("ens1f0", "ens1f1"));
  EXPECT_EQ(port.place.address, "0000:3b:00.0");
  EXPECT_EQ(port.place.numa_node, 1);
  EXPECT_EQ(port.speed_bps, 50'000'000'000u);
  EXPECT_EQ(port.rail, 0u);
  EXPECT_EQ(PortOf(node, "ens1f1").bond, "bond0");
  EXPECT_FALSE(PortOf(node, "ens1f1").rail);
  EXPECT_FALSE(PortOf(node, "bond0.100").is_nic());
  // The default route of the VLAN is that of everything beneath it.
  for (Port& vlan : node.ports)
    if (vlan.name == "bond0.100") vlan.default_route = true;
  SpreadDefaultRoute(&node.ports);
  for (const Port& each : node.ports) EXPECT_TRUE(each.default_route) << each.name;
}

TEST_F(SysfsTest, ABondWithoutRdmaSitsWhereItsMembersDo) {
  for (int i = 0; i < 2; ++i) {
    const std::string nic =
        Function("pci0000:3a/0000:3a:0" + std::to_string(i) + ".0/0000:3" + std::to_string(i + 1) + ":00.0",
                 kEthernetClass, "0x8086", "0x1572", i);
    scratch.Link(Netdev(nic, "eth" + std::to_string(i), "10000") + "/master", "sys/devices/virtual/net/bond0");
  }
  scratch.Write(Netdev("", "bond0", "20000") + "/bonding/slaves", "eth0 eth1\n");
  Node node = Read();
  const Port& bond = PortOf(node, "bond0");
  EXPECT_EQ(bond.place.address, "0000:31:00.0");
  EXPECT_EQ(bond.place.numa_node, -1);  // the members are on two
  EXPECT_TRUE(bond.place.path.empty());
}

TEST_F(SysfsTest, VirtioSitsOnItsFunctionAndUsbOnNone) {
  const std::string virtio = Function("pci0000:00/0000:00:03.0", kEthernetClass, "0x1af4", "0x1041", -1);
  const std::string usb = Function("pci0000:00/0000:00:14.0", "0x0c0330", "0x8086", "0xa36d", -1);
  Netdev(virtio + "/virtio2", "eth0", "-1");
  Netdev(usb + "/usb1/1-2/1-2:1.0", "enx0", "1000");
  Node node = Read();
  EXPECT_EQ(PortOf(node, "eth0").place.address, "0000:00:03.0");
  EXPECT_EQ(PortOf(node, "eth0").bus, Bus::kVirtio);
  EXPECT_EQ(PortOf(node, "enx0").place.address, "");
  EXPECT_EQ(PortOf(node, "enx0").role, v1::PORT_ROLE_MANAGEMENT);
}

TEST_F(SysfsTest, EveryFabricIsKnownByItsOwnSign) {
  auto nic = [&](int bus, const char* pci_class, const char* vendor, const char* device, const char* driver) {
    return Function("pci0000:00/0000:00:0" + std::to_string(bus) + ".0", pci_class, vendor, device, 0, driver);
  };
  Rdma(nic(1, kEthernetClass, "0x1d0f", "0xefa1", "efa"), "rdmap0s1", "Unspecified", "100 Gb/sec (4X EDR)",
       "8: <unknown>");
  Rdma(nic(2, "0x020800", "0x8086", "0x24f0", "hfi1"), "hfi1_0", "InfiniBand", "100 Gb/sec (4X EDR)");
  Rdma(nic(3, "0x020700", "0x15b3", "0x1021", "mlx5_core"), "mlx5_0", "InfiniBand", "400 Gb/sec (4X NDR)");
  const std::string chelsio = nic(4, kEthernetClass, "0x1425", "0x6001", "cxgb4");
  SetGid(Rdma(chelsio, "cxgb4_0", "Ethernet", "40 Gb/sec (4X QDR)", "4: RNIC"), 1, 0, "0007:4300::", "", "");
  Netdev(chelsio, "eth4", "25000");
  const std::string cassini = nic(5, kEthernetClass, "0x17db", "0x0501", "cxi_core");
  Netdev(cassini, "hsn0", "200000");
  scratch.Write(cassini + "/cxi/cxi0/uevent", "");
  scratch.Link("sys/class/cxi/cxi0", cassini + "/cxi/cxi0");
  Netdev(nic(6, kEthernetClass, "0x8086", "0x1572", "i40e"), "eth6", "10000");
  Rdma(nic(7, kEthernetClass, "0xabcd", "0x0001", "novel"), "novel_0", "Novel", "1 Gb/sec");
  Node node = Read();
  EXPECT_EQ(PortOf(node, "rdmap0s1").fabric, v1::FABRIC_KIND_EFA);
  EXPECT_EQ(PortOf(node, "rdmap0s1").state, v1::PORT_STATE_UNKNOWN);
  EXPECT_EQ(PortOf(node, "hfi1_0").fabric, v1::FABRIC_KIND_OMNIPATH);
  EXPECT_EQ(PortOf(node, "mlx5_0").fabric, v1::FABRIC_KIND_INFINIBAND);
  EXPECT_EQ(PortOf(node, "cxgb4_0").fabric, v1::FABRIC_KIND_IWARP);
  EXPECT_EQ(PortOf(node, "cxgb4_0").netdev, "eth4");
  EXPECT_EQ(PortOf(node, "cxi0").fabric, v1::FABRIC_KIND_SLINGSHOT);
  EXPECT_EQ(PortOf(node, "cxi0").netdev, "hsn0");
  EXPECT_EQ(PortOf(node, "cxi0").speed_bps, 200'000'000'000u);
  EXPECT_EQ(PortOf(node, "eth6").fabric, v1::FABRIC_KIND_ETHERNET);
  EXPECT_EQ(PortOf(node, "novel_0").fabric, v1::FABRIC_KIND_UNKNOWN);
}

TEST_F(SysfsTest, VirtualFunctionsAndStandInsAreNoRails) {
  const std::string physical = Function("pci0000:00/0000:00:01.0/0000:01:00.0", "0x020700", "0x15b3", "0x1021", 0);
  const std::string virtual_one = Function("pci0000:00/0000:00:01.0/0000:01:00.1", "0x020700", "0x15b3", "0x101e", 0);
  scratch.Link(virtual_one + "/physfn", physical);
  Rdma(physical, "mlx5_9", "InfiniBand", "400 Gb/sec (4X NDR)");
  Rdma(virtual_one, "mlx5_1", "InfiniBand", "400 Gb/sec (4X NDR)");
  scratch.Write(Netdev(physical, "pf0rep", "400000") + "/phys_port_name", "pf0vf3\n");
  Node node = Read();
  EXPECT_TRUE(PortOf(node, "mlx5_1").virtual_function);
  EXPECT_FALSE(PortOf(node, "mlx5_1").rail);
  EXPECT_THAT(PortOf(node, "mlx5_1").rail_reason, HasSubstr("virtual function"));
  EXPECT_EQ(PortOf(node, "mlx5_9").rail, 0u);
  EXPECT_EQ(PortOf(node, "mlx5_9").netdev, "");
  EXPECT_FALSE(PortOf(node, "pf0rep").is_nic());
}

TEST_F(SysfsTest, TwoPortsOfOneFunctionHaveEachTheirNetdev) {
  const std::string nic = Function("pci0000:00/0000:00:01.0", kEthernetClass, "0x15b3", "0x1007", 0);
  Rdma(nic, "mlx4_0", "Ethernet", "40 Gb/sec (4X QDR)", "1: CA", 2);
  Netdev(nic, "eth0", "40000");
  scratch.Write(Netdev(nic, "eth1", "40000") + "/dev_port", "1\n");
  Node node = Read();
  EXPECT_EQ(PortOf(node, "mlx4_0:1").netdev, "eth0");
  EXPECT_EQ(PortOf(node, "mlx4_0:2").netdev, "eth1");
  EXPECT_EQ(PortOf(node, "mlx4_0:1").rail, 0u);
  EXPECT_EQ(PortOf(node, "mlx4_0:2").rail, 1u);
}

TEST_F(SysfsTest, SoftRoceStandsOnItsNetdevAndInventsNoRate) {
  for (const char* name : {"va", "vb"}) {
    Netdev("", name, "10000");
    const std::string rdma = Rdma("", std::string("rxe") + name, "Ethernet", "1 Gb/sec (1X SDR)");
    scratch.Write(rdma + "/parent", std::string(name) + "\n");
    SetGid(rdma, 1, 1, "0000:0000:0000:0000:0000:ffff:0a09:0001", "RoCE v2", name);
  }
  Node node = Read();
  EXPECT_EQ(PortOf(node, "rxevb").netdev, "vb");
  EXPECT_EQ(PortOf(node, "rxevb").fabric, v1::FABRIC_KIND_ROCE);
  EXPECT_EQ(PortOf(node, "rxevb").speed_bps, 10'000'000'000u);
  EXPECT_EQ(PortOf(node, "rxeva").rail, 0u);
  EXPECT_EQ(PortOf(node, "rxevb").rail, 1u);
  EXPECT_THAT(PortOf(node, "rxeva").rail_reason, HasSubstr("by name"));
}

TEST_F(SysfsTest, GpusAreOnlyThoseThatCompute) {
  auto at = [](int slot) { return "pci0000:00/0000:00:0" + std::to_string(slot) + ".0"; };
  Function(at(1), kNvidiaGpu, "0x10de", "0x2330", 0);
  Function(at(2), "0x030000", "0x1a03", "0x2000", 0);  // a management controller's
  Function(at(3), "0x030000", "0x102b", "0x0536", 0);  // another's
  Function(at(4), "0x120000", "0x1002", "0x74a1", 0);  // AMD's accelerators are of this class
  Function(at(5), "0x068000", "0x10de", "0x22a3", 0);  // NVSwitch
  Function(at(6), "0x038000", "0x1af4", "0x1050", 0);  // a hypervisor's
  const std::string part = Function(at(7), kNvidiaGpu, "0x10de", "0x2330", 0);
  scratch.Link(part + "/physfn", "sys/devices/" + at(1));
  Node node = Read();
  ASSERT_EQ(node.gpus.size(), 2u);
  EXPECT_EQ(node.gpus[0].vendor, "NVIDIA");
  EXPECT_EQ(node.gpus[0].model, "10de:2330");
  EXPECT_EQ(node.gpus[1].vendor, "AMD");
  EXPECT_EQ(node.gpus[1].name, "GPU1");
}

TEST_F(SysfsTest, RolesComeWithTheirReasons) {
  NumaNode(0, "0-15");
  NumaNode(3, "16-31");
  Function("pci0000:10/0000:10:00.0/0000:11:00.0/0000:12:00.0/0000:13:00.0", kNvidiaGpu, "0x10de", "0x2330", 0);
  auto nic = [&](const std::string& path, const std::string& name, const std::string& speed, int numa) {
    Netdev(Function(path, kEthernetClass, "0x15b3", "0x1021", numa), name, speed);
  };
  nic("pci0000:10/0000:10:00.0/0000:11:00.0/0000:12:01.0/0000:14:00.0", "rail", "400000", 0);
  nic("pci0000:20/0000:20:00.0/0000:21:00.0", "near", "100000", 0);
  nic("pci0000:30/0000:30:00.0/0000:31:00.0", "far", "100000", 3);
  nic("pci0000:10/0000:10:00.0/0000:11:00.0/0000:12:02.0/0000:15:00.0", "slow", "1000", 0);
  Node node = Read();
  EXPECT_EQ(PortOf(node, "rail").role, v1::PORT_ROLE_COMPUTE);
  EXPECT_THAT(PortOf(node, "rail").role_reason, HasSubstr("PIX to GPU0"));
  EXPECT_EQ(PortOf(node, "near").role, v1::PORT_ROLE_STORAGE);
  EXPECT_THAT(PortOf(node, "near").role_reason, HasSubstr("NODE to GPU0"));
  EXPECT_EQ(PortOf(node, "far").role, v1::PORT_ROLE_STORAGE);
  EXPECT_EQ(PortOf(node, "slow").role, v1::PORT_ROLE_MANAGEMENT);
  EXPECT_EQ(NearestPort(node, node.gpus[0]).ports.size(), 1u);
  EXPECT_EQ(node.ports[NearestPort(node, node.gpus[0]).ports[0]].name, "rail");
  EXPECT_FALSE(node.topology_hidden);
}

TEST_F(SysfsTest, AVirtualMachineHidesWhatItHides) {
  for (int slot = 1; slot <= 4; ++slot) {
    const std::string path = "pci0000:00/0000:00:0" + std::to_string(slot) + ".0";
    if (slot <= 2) {
      Function(path, kNvidiaGpu, "0x10de", "0x2330", -1);
    } else {
      Rdma(Function(path, "0x020700", "0x15b3", "0x101e", -1), "mlx5_" + std::to_string(slot), "InfiniBand",
           "400 Gb/sec (4X NDR)");
    }
  }
  NumaNode(0, "0-7");
  Node node = Read();
  EXPECT_TRUE(node.topology_hidden);
  EXPECT_THAT(node.notes, Contains(HasSubstr("hidden by the hypervisor")));
  EXPECT_EQ(AffinityOf(node, node.gpus[0], PortOf(node, "mlx5_3")), Affinity::kUnknown);
  EXPECT_EQ(PortOf(node, "mlx5_3").role, v1::PORT_ROLE_COMPUTE);
  EXPECT_TRUE(NearestPort(node, node.gpus[0]).ports.empty());
  EXPECT_FALSE(NearestPort(node, node.gpus[0]).reason.empty());

  const std::string file = scratch.Write(
      "topo.xml",
      "<system version=\"1\"><cpu numaid=\"0\"><pci busid=\"ffff:ff:01.0\" class=\"0x060400\">"
      "<pci busid=\"0000:00:01.0\" class=\"0x030200\"/><pci busid=\"0000:00:04.0\" class=\"0x020700\"/></pci>"
      "<pci busid=\"ffff:ff:02.0\" class=\"0x060400\"><pci busid=\"0000:00:02.0\" class=\"0x030200\"/>"
      "<pci busid=\"0000:00:03.0\" class=\"0x020700\"/></pci></cpu></system>");
  Node told = Read({.rails = {}, .topology_override = file});
  EXPECT_FALSE(told.topology_hidden);
  EXPECT_EQ(AffinityOf(told, told.gpus[0], PortOf(told, "mlx5_4")), Affinity::kPix);
  EXPECT_EQ(AffinityOf(told, told.gpus[0], PortOf(told, "mlx5_3")), Affinity::kNode);
}

TEST_F(SysfsTest, ACopyThatFollowedTheLinksStillTellsAddressesAndNodes) {
  const std::string device = "sys/class/infiniband/mlx5_0/device";
  scratch.Write("sys/class/infiniband/mlx5_0/ports/1/link_layer", "InfiniBand\n");
  scratch.Write("sys/class/infiniband/mlx5_0/ports/1/rate", "400 Gb/sec (4X NDR)\n");
  scratch.Write(device + "/uevent", "DRIVER=mlx5_core\nPCI_SLOT_NAME=0000:18:00.0\n");
  scratch.Write(device + "/numa_node", "1\n");
  scratch.Write("sys/bus/pci/devices/0000:1b:00.0/class", "0x030200\n");
  scratch.Write("sys/bus/pci/devices/0000:1b:00.0/vendor", "0x10de\n");
  scratch.Write("sys/bus/pci/devices/0000:1b:00.0/numa_node", "0\n");
  Node node = Read();
  EXPECT_EQ(PortOf(node, "mlx5_0").place.address, "0000:18:00.0");
  EXPECT_EQ(PortOf(node, "mlx5_0").place.numa_node, 1);
  EXPECT_EQ(PortOf(node, "mlx5_0").driver, "mlx5_core");
  EXPECT_EQ(PortOf(node, "mlx5_0").rail, 0u);
  ASSERT_EQ(node.gpus.size(), 1u);
  EXPECT_EQ(AffinityOf(node, node.gpus[0], PortOf(node, "mlx5_0")), Affinity::kSys);
}

TEST_F(SysfsTest, WifiIsNoPortForWork) {
  NumaNode(0, "0-7");
  NumaNode(1, "8-15");
  Function("pci0000:00/0000:00:01.0/0000:01:00.0", kNvidiaGpu, "0x10de", "0x1b81", 0);
  const std::string wifi = Function("pci0000:00/0000:00:03.0/0000:03:00.0", "0x028000", "0x8086", "0x2723", 0);
  scratch.Write(wifi + "/ieee80211/phy0/name", "phy0\n");
  scratch.Link(Netdev(wifi, "wlp3s0", "") + "/phy80211", wifi + "/ieee80211/phy0");
  Node alone = Read();
  EXPECT_EQ(PortOf(alone, "wlp3s0").fabric, v1::FABRIC_KIND_WIFI);
  EXPECT_EQ(PortOf(alone, "wlp3s0").role, v1::PORT_ROLE_UNKNOWN);
  EXPECT_TRUE(NearestPort(alone, alone.gpus.at(0)).ports.empty());
  const std::string nic = Function("pci0000:00/0000:00:02.0/0000:02:00.0", kEthernetClass, "0x8086", "0x1539", 0);
  Netdev(nic, "enp2s0", "1000");
  Node both = Read();
  EXPECT_EQ(PortOf(both, "enp2s0").role, v1::PORT_ROLE_STORAGE);
  const Nearest nearest = NearestPort(both, both.gpus.at(0));
  ASSERT_EQ(nearest.ports.size(), 1u);
  EXPECT_EQ(both.ports[nearest.ports[0]].name, "enp2s0");
}

TEST_F(SysfsTest, OfEquallyNearPortsOneThatIsUpIsTheNearest) {
  NumaNode(0, "0-7");
  NumaNode(1, "8-15");
  Function("pci0000:00/0000:00:01.0/0000:01:00.0", kNvidiaGpu, "0x10de", "0x20b0", 0);
  auto add = [&](const std::string& bus, const std::string& name) {
    return Rdma(Function("pci0000:" + bus + "0/0000:" + bus + "0:01.0/0000:" + bus + "1:00.0", "0x020700", "0x15b3",
                         "0x101b", 0),
                name, "InfiniBand", "200 Gb/sec (4X HDR)");
  };
  scratch.Write(add("4", "mlx5_0") + "/ports/1/state", "1: DOWN\n");
  const std::string up = add("6", "mlx5_1");
  Node node = Read();
  auto nearest = [&] { return node.ports[NearestPort(node, node.gpus.at(0)).ports.at(0)].name; };
  EXPECT_EQ(nearest(), "mlx5_1");
  EXPECT_THAT(TopologyTable(node), HasSubstr("GPU0: mlx5_1, NODE, rail 1\n"));
  // Where all are down, it is said.
  scratch.Write(up + "/ports/1/state", "1: DOWN\n");
  node = Read();
  EXPECT_EQ(nearest(), "mlx5_0");
  EXPECT_THAT(TopologyTable(node), HasSubstr("GPU0: mlx5_0, NODE, rail 0, down (as near: mlx5_1)\n"));
}

// A cloud provider's file that says where functions are and not what: over a virtual machine that knows what.
TEST_F(SysfsTest, AFileWithoutClassesPlacesDevices) {
  NumaNode(0, "0-47");
  NumaNode(1, "48-95");
  for (const char* gpu : {"18", "19", "1a", "1b"})
    Function(std::string("pci0000:00/0000:00:") + gpu + ".0", kNvidiaGpu, "0x10de", "0x2237", -1);
  Netdev(Function("pci0000:00/0000:00:05.0", kEthernetClass, "0x1d0f", "0xec20", -1), "ens5", "");
  Rdma(Function("pci0000:00/0000:00:15.0", kEthernetClass, "0x1d0f", "0xefa1", -1, "efa"), "efa_0", "Unspecified",
       "100 Gb/sec (4X EDR)");
  Node node = Read({.rails = {}, .topology_override = NETSENSE_TEST_DATA "/topology/nccl/made-classless.xml"});
  ASSERT_EQ(node.gpus.size(), 4u);
  for (size_t gpu = 0; gpu < 4; ++gpu) {
    EXPECT_EQ(node.gpus[gpu].place.numa_node, gpu < 2 ? 0 : 1) << gpu;
    EXPECT_EQ(AffinityOf(node, node.gpus[gpu], PortOf(node, "efa_0")), gpu < 2 ? Affinity::kSys : Affinity::kNode);
    ASSERT_EQ(NearestPort(node, node.gpus[gpu]).ports.size(), 1u);
    EXPECT_EQ(node.ports[NearestPort(node, node.gpus[gpu]).ports[0]].name, "efa_0");
  }
  EXPECT_EQ(PortOf(node, "efa_0").place.numa_node, 1);
  EXPECT_THAT(node.notes, Contains(HasSubstr("places of 5 of 6")));
  EXPECT_THAT(node.notes, Contains(HasSubstr("of ens5")));  // why its cells are "?"
}

TEST_F(SysfsTest, AHostileCopyLeadsNowhere) {
  ScratchFolder outside;
  outside.Write("secret/ports/1/link_layer", "InfiniBand\n");
  const std::string nic = Function("pci0000:00/0000:00:01.0", kEthernetClass, "0x15b3", "0x1021", 0);
  const std::string folder = Netdev(nic, "eth0", "");
  std::filesystem::create_symlink(outside.Write("speed", "100000"), scratch.At(folder + "/speed"));
  ASSERT_EQ(mkfifo(scratch.At(folder + "/dev_port").c_str(), 0600), 0);
  std::filesystem::create_directories(scratch.At("sys/class/infiniband"));
  std::filesystem::create_symlink(outside.At("secret"), scratch.At("sys/class/infiniband/mlx5_0"));
  std::filesystem::create_symlink(scratch.At("sys/class/net/loop"), scratch.At("sys/class/net/loop"));
  scratch.Write("sys/devices/system/node/node0/cpulist", "0-999999999999,5-1,0-2000000000,x,-3\n");
  scratch.Write("sys/devices/system/node/node99999999999999999999/cpulist", "0\n");
  scratch.Write("sys/class/net/huge/mtu", std::string(1 << 20, '9'));
  std::filesystem::create_symlink("/", scratch.At("sys/root"));
  auto tree = SysfsTree::Open(scratch.At("sys"));
  ASSERT_TRUE(tree.ok());
  for (const char* away : {"root", "root/etc", "../..", "class/infiniband/mlx5_0", "../../../../../../etc/passwd"}) {
    EXPECT_FALSE(tree->Resolve(away)) << away;
    EXPECT_FALSE(tree->Read(away)) << away;
    EXPECT_TRUE(tree->List(away).empty()) << away;
  }
  Node node = Read();
  EXPECT_EQ(PortOf(node, "eth0").speed_bps, 0u);
  EXPECT_EQ(PortOf(node, "huge").mtu, 0u);
  for (const Port& port : node.ports) EXPECT_TRUE(port.rdma_device.empty()) << port.name;
  ASSERT_EQ(node.numa_nodes.size(), 1u);
  EXPECT_LE(node.numa_nodes[0].cpus.size(), 65537u);
}

// Else a copy of a few kilobytes names enough of them to keep its reader for hours.
TEST_F(SysfsTest, AProcessorIsOneNodesAlone) {
  NumaNode(0, "0-3");
  NumaNode(1, "2-5");
  for (int index = 2; index < 30; ++index) NumaNode(index, "0-9999");
  scratch.Write("sys/devices/system/node/node007/cpulist", "0\n");
  for (int cpu = 0; cpu < 4; ++cpu) {
    const std::string topology = "sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    scratch.Write(topology + "physical_package_id", "0\n");
    scratch.Write(topology + "core_id", std::to_string(cpu / 2) + "\n");
  }
  const Node node = Read();
  ASSERT_EQ(node.numa_nodes.size(), 30u);
  EXPECT_THAT(node.numa_nodes[0].cpus, ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(node.numa_nodes[0].cores, 2);
  EXPECT_THAT(node.numa_nodes[1].cpus, ElementsAre(4, 5));
  EXPECT_EQ(node.numa_nodes[2].cpus.size(), 9'994u);
  for (size_t i = 3; i < 30; ++i) EXPECT_TRUE(node.numa_nodes[i].cpus.empty());
}

TEST_F(SysfsTest, AFolderOfSomethingElseIsRefusedWithWhatIsWanted) {
  scratch.Write("readme.txt", "hello");
  auto node = ReadFrom(scratch.path(), {});
  EXPECT_TRUE(absl::IsFailedPrecondition(node.status()));
  EXPECT_THAT(std::string(node.status().message()), HasSubstr("class/infiniband"));
}

}  // namespace
}  // namespace netsense::inventory
