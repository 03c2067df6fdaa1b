// Real machines under tests/data/topology, and files that are none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <pugixml.hpp>
#include <random>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

#include "absl/strings/str_format.h"
#include "engine/inventory/cpu_list.h"
#include "engine/inventory/inventory.h"
#include "engine/inventory/nearest.h"
#include "engine/inventory/trial.h"
#include "tests/unit/scratch_folder.h"

namespace netsense::inventory {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Node Read(const std::string& relative, const Options& options = {}) {
  auto node = ReadFrom(NETSENSE_TEST_DATA "/topology/" + relative, options);
  EXPECT_TRUE(node.ok()) << node.status();
  return node.ok() ? *std::move(node) : Node();
}

const Port& PortOf(const Node& node, const std::string& name) {
  static const Port none;
  for (const Port& port : node.ports)
    if (port.name == name) return port;
  ADD_FAILURE() << "no port " << name;
  return none;
}

std::string AffinityTo(const Node& node, size_t gpu, const std::string& port) {
  return Name(AffinityOf(node, node.gpus.at(gpu), PortOf(node, port)));
}

std::vector<std::string> NearestNames(const Node& node, size_t gpu) {
  std::vector<std::string> names;
  for (size_t i : NearestPort(node, node.gpus.at(gpu)).ports) names.push_back(node.ports[i].name);
  return names;
}

// The ports of rail 0, 1, ...
std::vector<std::string> Rails(const Node& node) {
  std::vector<std::string> names;
  for (const Port& port : node.ports) {
    if (!port.rail) continue;
    names.resize(std::max<size_t>(names.size(), *port.rail + 1));
    names[*port.rail] = port.name;
  }
  return names;
}

TEST(RealMachines, LassenHasNumaNodesThatAreNotDense) {
  Node node = Read("hwloc/coral-lassen.xml");
  EXPECT_EQ(node.hostname, "lassen28");
  ASSERT_EQ(node.numa_nodes.size(), 2u);
  EXPECT_EQ(node.numa_nodes[0].index, 0);
  EXPECT_EQ(node.numa_nodes[1].index, 8);
  EXPECT_EQ(CpuList(node.numa_nodes[1].cpus), "96-175");
  ASSERT_EQ(node.gpus.size(), 4u);  // and not the management controller's graphics
  EXPECT_EQ(node.gpus[0].model, "Tesla V100-SXM2-16GB");
  EXPECT_EQ(node.gpus[3].place.numa_node, 8);
  for (size_t gpu : {0u, 1u}) {
    EXPECT_EQ(AffinityTo(node, gpu, "mlx5_0"), "NODE");
    EXPECT_EQ(AffinityTo(node, gpu, "mlx5_1"), "NODE");
    EXPECT_EQ(AffinityTo(node, gpu, "mlx5_2"), "SYS");
    EXPECT_THAT(NearestNames(node, gpu), ElementsAre("mlx5_0", "mlx5_1"));
  }
  for (size_t gpu : {2u, 3u}) EXPECT_THAT(NearestNames(node, gpu), ElementsAre("mlx5_2", "mlx5_3"));
  EXPECT_THAT(Rails(node), ElementsAre("mlx5_0", "mlx5_1", "mlx5_2", "mlx5_3"));
  const Port& port = PortOf(node, "mlx5_3");
  EXPECT_EQ(port.netdev, "hsi3");
  EXPECT_EQ(port.fabric, v1::FABRIC_KIND_INFINIBAND);
  EXPECT_EQ(port.state, v1::PORT_STATE_UP);
  EXPECT_EQ(port.place.address, "0033:01:00.1");
  EXPECT_NEAR(port.pcie.gbps, 126.03, 0.1);
  EXPECT_EQ(PortOf(node, "enP5p1s0f0").role, v1::PORT_ROLE_MANAGEMENT);
}

TEST(RealMachines, PascalSharesOneSwitch) {
  Node node = Read("hwloc/cts1-pascal.xml");
  ASSERT_EQ(node.gpus.size(), 2u);
  for (size_t gpu : {0u, 1u}) {
    EXPECT_EQ(AffinityTo(node, gpu, "mlx5_0"), "PIX");
    EXPECT_EQ(AffinityTo(node, gpu, "enp12s0f0"), "PHB");
    EXPECT_THAT(NearestNames(node, gpu), ElementsAre("mlx5_0"));
  }
  EXPECT_THAT(Rails(node), ElementsAre("mlx5_0"));
}

TEST(RealMachines, G4dnHasItsAdapterOnOneSide) {
  Node node = Read("hwloc/g4dnmetal.xml");
  ASSERT_EQ(node.gpus.size(), 8u);
  for (size_t gpu = 0; gpu < 8; ++gpu) {
    EXPECT_EQ(AffinityTo(node, gpu, "rdmap197s0"), gpu < 4 ? "SYS" : "NODE") << gpu;
    EXPECT_THAT(NearestNames(node, gpu), ElementsAre("rdmap197s0")) << gpu;
  }
  const Port& efa = PortOf(node, "rdmap197s0");
  EXPECT_EQ(efa.fabric, v1::FABRIC_KIND_EFA);
  EXPECT_EQ(efa.state, v1::PORT_STATE_UNKNOWN);  // EFA says ACTIVE whatever is
  EXPECT_EQ(PortOf(node, "eth0").fabric, v1::FABRIC_KIND_ETHERNET);
}

TEST(RealMachines, Dgx2HasNoNicAndSaysSo) {
  Node node = Read("hwloc/hwloc-nvidiaDGX2-v2.12.xml");
  ASSERT_EQ(node.gpus.size(), 16u);
  EXPECT_THAT(node.ports, IsEmpty());
  for (const Gpu& gpu : node.gpus) {
    Nearest nearest = NearestPort(node, gpu);
    EXPECT_THAT(nearest.ports, IsEmpty());
    EXPECT_THAT(nearest.reason, HasSubstr("no NIC"));
  }
  EXPECT_EQ(Name(AffinityOf(node, node.gpus[0].place, node.gpus[1].place)), "PIX");
  EXPECT_EQ(Name(AffinityOf(node, node.gpus[0].place, node.gpus[2].place)), "PXB");
  EXPECT_EQ(Name(AffinityOf(node, node.gpus[0].place, node.gpus[4].place)), "NODE");
  EXPECT_EQ(Name(AffinityOf(node, node.gpus[0].place, node.gpus[8].place)), "SYS");
}

TEST(RealMachines, VirtualFunctionsAreNoRails) {
  Node node = Read("hwloc/hwloc-16intel64-manyVFs.xml");
  EXPECT_EQ(node.ports.size(), 6u);  // two of the board, four of the adapters
  for (const Port& port : node.ports) {
    EXPECT_THAT(port.netdev, HasSubstr("eth"));
    EXPECT_EQ(port.place.address.substr(port.place.address.size() - 2), port.netdev == "eth1" ? ".1" : ".0");
  }
  EXPECT_THAT(Rails(node), ElementsAre("usnic_0", "usnic_1", "usnic_2"));
  EXPECT_EQ(PortOf(node, "usnic_0").fabric, v1::FABRIC_KIND_ETHERNET);
  EXPECT_THAT(node.notes, Contains(HasSubstr("12 network functions")));
}

// The same machine, with its virtual functions given network devices: by the names that PCI has for them.
TEST(RealMachines, VirtualFunctionsWithADeviceAreNoRailsEither) {
  pugi::xml_document document;
  ASSERT_TRUE(document.load_file(NETSENSE_TEST_DATA "/topology/hwloc/cts1-pascal.xml"));
  pugi::xml_node physical = document.select_node("//object[@pci_busid='0000:08:00.0']").node();
  pugi::xml_node virtual_one = physical.parent().append_copy(physical);
  virtual_one.attribute("pci_busid").set_value("0000:08:00.1");
  virtual_one.attribute("gp_index").set_value("990001");
  virtual_one.select_node("info[@name='PCIDevice']").node().attribute("value").set_value("ConnectX Virtual Function");
  int index = 990002;
  for (pugi::xml_node device : virtual_one.children("object")) {
    device.attribute("gp_index").set_value(index++);
    device.attribute("name").set_value((std::string(device.attribute("name").value()) + "v").c_str());
  }
  ScratchFolder scratch;
  ASSERT_TRUE(document.save_file(scratch.At("vf.xml").c_str()));
  auto node = ReadFrom(scratch.At("vf.xml"), {});
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_TRUE(PortOf(*node, "mlx5_0v").virtual_function);
  EXPECT_THAT(Rails(*node), ElementsAre("mlx5_0"));
}

TEST(RealMachines, AzureHasOneNicToAGpu) {
  Node node = Read("nccl/azure-ndv5-topo.xml");
  ASSERT_EQ(node.gpus.size(), 8u);
  ASSERT_EQ(node.ports.size(), 8u);
  for (size_t i = 0; i < 8; ++i)
    for (size_t j = 0; j < 8; ++j)
      EXPECT_EQ(Name(AffinityOf(node, node.gpus[i], node.ports[j])), i == j ? "PIX" : i / 4 == j / 4 ? "NODE" : "SYS");
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(node.ports[i].fabric, v1::FABRIC_KIND_INFINIBAND);
    EXPECT_EQ(node.ports[i].rail, i);
    EXPECT_EQ(node.ports[i].pcie.generation, 5);
    EXPECT_EQ(node.ports[i].pcie.width, 16);
    EXPECT_NEAR(node.ports[i].pcie.gbps, 504.1, 0.1);
  }
  EXPECT_EQ(CpuList(node.numa_nodes.at(1).cpus), "48-95");
}

TEST(RealMachines, P4dHasOneNicToTwoGpus) {
  Node node = Read("nccl/aws-p4d-24xl-topo.xml");
  ASSERT_EQ(node.gpus.size(), 8u);
  ASSERT_EQ(node.ports.size(), 4u);
  for (size_t gpu = 0; gpu < 8; ++gpu) {
    Nearest nearest = NearestPort(node, node.gpus[gpu]);
    EXPECT_EQ(nearest.affinity, Affinity::kPix);
    EXPECT_THAT(nearest.ports, ElementsAre(gpu / 2));
  }
  EXPECT_EQ(node.ports[0].fabric, v1::FABRIC_KIND_EFA);
  EXPECT_EQ(CpuList(node.numa_nodes.at(0).cpus), "0-23,48-71");
}

TEST(RealMachines, AnInfinibandFolderAloneTellsPortsButNoPlaces) {
  Node node = Read("sysfs/h100-infiniband");
  ASSERT_EQ(node.ports.size(), 9u);
  for (const Port& port : node.ports) {
    bool bond = port.name == "mlx5_bond_0";
    EXPECT_EQ(port.fabric, bond ? v1::FABRIC_KIND_ETHERNET : v1::FABRIC_KIND_INFINIBAND) << port.name;
    EXPECT_EQ(port.speed_bps, bond ? 200'000'000'000u : 400'000'000'000u) << port.name;
    EXPECT_EQ(port.state, v1::PORT_STATE_UP) << port.name;
    EXPECT_EQ(port.role, bond ? v1::PORT_ROLE_STORAGE : v1::PORT_ROLE_COMPUTE) << port.name;
    EXPECT_FALSE(port.rail) << "a rail by the number in the name: " << port.name;
  }
  EXPECT_THAT(node.notes, AllOf(Contains(HasSubstr("rails are not known")), Contains(HasSubstr("mlx5_bond_0"))));
}

TEST(RealMachines, RailsByHandGoBeforeTheRank) {
  Node node = Read("hwloc/coral-lassen.xml", {.rails = {"hsi3", "0003:01:00.0"}, .topology_override = ""});
  EXPECT_THAT(Rails(node), ElementsAre("mlx5_3", "mlx5_0"));
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{"mlx5_9"}, {"mlx5_0", "mlx5_0"}, {"mlx5_0", "hsi0"}, {""}}) {
    auto bad =
        ReadFrom(NETSENSE_TEST_DATA "/topology/hwloc/coral-lassen.xml", {.rails = wrong, .topology_override = ""});
    EXPECT_TRUE(absl::IsInvalidArgument(bad.status())) << bad.status();
  }
}

// The places of one file over the devices of another: as where a hypervisor hides them.
TEST(TopologyOverride, MovesWhatItKnowsAndLeavesTheRestWithoutAPlace) {
  ScratchFolder scratch;
  const std::string file =
      scratch.Write("topo.xml",
                    "<system version=\"1\"><cpu numaid=\"8\" affinity=\"ffff\">"
                    "<pci busid=\"ffff:ff:01.0\" class=\"0x060400\" link_speed=\"\" link_width=\"\">"
                    "<pci busid=\"0004:04:00.0\" class=\"0x030200\"/><pci busid=\"0033:01:00.0\" "
                    "class=\"0x020700\"/></pci></cpu></system>");
  Node node = Read("hwloc/coral-lassen.xml", {.rails = {}, .topology_override = file});
  EXPECT_EQ(AffinityTo(node, 0, "mlx5_2"), "PIX");
  EXPECT_EQ(AffinityTo(node, 0, "mlx5_0"), "UNKNOWN");
  EXPECT_EQ(node.gpus[0].place.numa_node, 8);
  EXPECT_EQ(node.gpus[1].place.numa_node, -1);
  EXPECT_THAT(node.notes, Contains(HasSubstr("places of 2 of 10")));

  auto other = ReadFrom(NETSENSE_TEST_DATA "/topology/hwloc/coral-lassen.xml",
                        {.rails = {}, .topology_override = NETSENSE_TEST_DATA "/topology/nccl/azure-ndv5-topo.xml"});
  EXPECT_THAT(std::string(other.status().message()), HasSubstr("another machine"));
}

TEST(NcclDump, NamesNetsAndCountsNvlinks) {
  ScratchFolder scratch;
  const std::string gpu =
      "class=\"0x030200\" vendor=\"0x10de\" device=\"0x2330\" link_speed=\"32.0 GT/s PCIe\" link_width=\"16\"";
  const std::string to_switch = "<nvlink target=\"0000:05:00.0\" count=\"18\" tclass=\"0x068000\"/>";
  auto node = ReadFrom(
      scratch.Write(
          "dump.xml",
          "<system version=\"1\"><cpu numaid=\"0\" affinity=\"3\">"
          "<pci busid=\"0000:1b:00.0\" " +
              gpu + "><gpu dev=\"0\">" + to_switch +
              "</gpu></pci>"
              "<pci busid=\"0000:1a:00.0\" " +
              gpu + "><gpu dev=\"1\">" + to_switch +
              "<nvlink target=\"0000:1b:00.0\" count=\"2\" tclass=\"0x030200\"/></gpu></pci>"
              "<pci busid=\"0000:18:00.0\" class=\"0x020000\"><nic><net name=\"mlx5_3\" speed=\"200000\" port=\"1\" "
              "guid=\"0x6b4b0300\"/></nic></pci>"
              "<nic><net name=\"eth0\" speed=\"10000\" port=\"0\" guid=\"0x0\"/></nic></cpu></system>"),
      {});
  ASSERT_TRUE(node.ok()) << node.status();
  ASSERT_EQ(node->gpus.size(), 2u);
  EXPECT_EQ(node->gpus[0].place.address, "0000:1a:00.0");
  EXPECT_THAT(node->gpus[0].nvlinks, ElementsAre(std::pair(1u, 20)));
  EXPECT_EQ(PortOf(*node, "mlx5_3").speed_bps, 200'000'000'000u);
  EXPECT_EQ(PortOf(*node, "mlx5_3").fabric, v1::FABRIC_KIND_UNKNOWN);  // an Ethernet or an InfiniBand one: not said
  EXPECT_EQ(PortOf(*node, "eth0").rdma_device, "");
}

// ---- made-up machines that once came out wrong

TEST(MadeMachines, MemoryOfAnotherKindNearTheSameProcessorsIsNoOtherPlace) {
  for (const char* file : {"hwloc/made-hbm-cache.xml", "hwloc/made-hbm-flat.xml"}) {
    Node node = Read(file);
    ASSERT_EQ(node.gpus.size(), 1u) << file;
    EXPECT_EQ(node.gpus[0].place.numa_node, 0) << file;
    EXPECT_EQ(PortOf(node, "mlx5_0").place.numa_node, 1) << file;
    EXPECT_EQ(AffinityTo(node, 0, "mlx5_0"), "SYS") << file;
    EXPECT_THAT(NearestNames(node, 0), ElementsAre("mlx5_0")) << file;
    EXPECT_THAT(node.notes, IsEmpty()) << file;
  }
}

TEST(MadeMachines, OfTwoHostsInOneFileTheFirstIsShown) {
  Node fused = Read("nccl/made-two-hosts.xml"), one = Read("nccl/made-one-host.xml");
  ASSERT_EQ(fused.gpus.size(), 4u);
  ASSERT_EQ(fused.ports.size(), 1u);
  EXPECT_EQ(fused.ports[0].name, "mlx5_0");
  for (size_t gpu = 0; gpu < 4; ++gpu) {
    EXPECT_EQ(fused.gpus[gpu].place.address, one.gpus[gpu].place.address);
    EXPECT_EQ(AffinityTo(fused, gpu, "mlx5_0"), AffinityTo(one, gpu, "mlx5_0"));
  }
  EXPECT_THAT(fused.notes, Contains(HasSubstr("2 machines")));
  EXPECT_THAT(one.notes, Each(Not(HasSubstr("machines in it"))));
  // As this machine's places it cannot serve: which of them is this one?
  auto over = ReadFrom(NETSENSE_TEST_DATA "/topology/hwloc/coral-lassen.xml",
                       {.rails = {}, .topology_override = NETSENSE_TEST_DATA "/topology/nccl/made-two-hosts.xml"});
  EXPECT_TRUE(absl::IsFailedPrecondition(over.status()));
  EXPECT_THAT(std::string(over.status().message()), HasSubstr("several machines"));
}

TEST(MadeMachines, AFunctionWithoutAClassIsABridgeWhereThingsAreBehindIt) {
  Node node = Read("nccl/made-classless-bridge.xml");
  ASSERT_EQ(node.gpus.size(), 1u);
  EXPECT_THAT(node.gpus[0].place.path, ElementsAre("root of 0000:45:00.0", "0000:45:00.0", "0000:50:00.0"));
  ASSERT_EQ(node.functions.size(), 1u);
  EXPECT_EQ(node.functions[0].address, "0000:4f:00.0");
  EXPECT_THAT(node.notes, Contains(HasSubstr("without a class")));
}

TEST(MadeMachines, SocketsAreNoRdmaDevices) {
  Node node = Read("nccl/made-sockets.xml");
  for (const char* name : {"eth0", "eth1", "tun0"}) {
    EXPECT_EQ(PortOf(node, name).netdev, name);
    EXPECT_EQ(PortOf(node, name).rdma_device, "") << name;
    EXPECT_NE(PortOf(node, name).role, v1::PORT_ROLE_COMPUTE) << name;
  }
  EXPECT_THAT(NearestNames(node, 0), ElementsAre("eth0", "eth1"));
  EXPECT_THAT(node.notes, Contains(HasSubstr("tun0")));  // why its cells are "?"
}

TEST(MadeMachines, ARateThatNoPortCarriesIsNotKnown) {
  Node node = Read("nccl/made-speed-unit.xml");
  EXPECT_EQ(PortOf(node, "cxi0").rdma_device, "cxi0");  // its GUID is 0, but it counts its ports from 1
  EXPECT_EQ(PortOf(node, "cxi0").speed_bps, 0u);
  EXPECT_NE(PortOf(node, "mlx5_0").role, v1::PORT_ROLE_MANAGEMENT);
  EXPECT_THAT(node.notes, Contains(AllOf(HasSubstr("cxi0"), HasSubstr("which no port carries"))));
}

TEST(MadeMachines, TheOnlyCpuNeedsNoNumber) {
  Node node = Read("nccl/made-gb10.xml");
  ASSERT_EQ(node.gpus.size(), 1u);
  for (const char* name : {"rocep1s0f0", "roceP2p1s0f0"}) EXPECT_EQ(AffinityTo(node, 0, name), "NODE");
  EXPECT_THAT(NearestNames(node, 0), ElementsAre("rocep1s0f0", "roceP2p1s0f0"));
  EXPECT_THAT(Rails(node), ElementsAre("rocep1s0f0", "roceP2p1s0f0"));
  EXPECT_EQ(node.gpus[0].place.numa_node, -1);
  EXPECT_THAT(node.notes, Contains(HasSubstr("no NUMA number")));
}

// A PCI device's number in hwloc's first format is its packed address, and no processor's.
TEST(MadeMachines, PciDomainsOfAnOldFileAreNoProcessors) {
  Node node = Read("hwloc/made-v1-domain1.xml");
  EXPECT_EQ(PortOf(node, "mlx5_0").place.address, "0001:02:00.0");
  ASSERT_EQ(node.numa_nodes.size(), 1u);
  EXPECT_EQ(CpuList(node.numa_nodes[0].cpus), "0-1");
}

// Ten times as many GPUs, at most some twenty times as many joins: never their square, and beyond what machines have,
// none.
TEST(MadeMachines, NoFileCostsMoreThanAMachine) {
  ScratchFolder scratch;
  auto dump = [](size_t gpus) {
    std::string text = "<system><cpu numaid=\"0\">";
    for (size_t i = 0; i < gpus; ++i)
      text += absl::StrFormat(
          "<pci busid=\"%04x:%02x:00.0\" class=\"0x030200\" vendor=\"0x10de\"><gpu><nvlink "
          "target=\"%04x:%02x:00.0\" count=\"1\" tclass=\"0x030200\"/></gpu></pci>",
          i / 256, i % 256, (i + 1) / 256, (i + 1) % 256);
    return text + "</cpu></system>";
  };
  auto fits = ReadFrom(scratch.Write("fits.xml", dump(kMaxGpus)), {});
  ASSERT_TRUE(fits.ok()) << fits.status();
  EXPECT_EQ(fits->gpus.size(), kMaxGpus);
  size_t links = 0;
  for (const Gpu& gpu : fits->gpus) links += gpu.nvlinks.size();
  EXPECT_EQ(links, kMaxGpus - 1);
  auto more = ReadFrom(scratch.Write("more.xml", dump(4000)), {});
  EXPECT_TRUE(absl::IsFailedPrecondition(more.status()));
  EXPECT_THAT(std::string(more.status().message()), HasSubstr("more than 512 GPUs"));
  std::string nets = "<system><cpu numaid=\"0\"><nic>";
  for (int i = 0; i < 5000; ++i) nets += absl::StrFormat("<net name=\"eth%d\" port=\"0\"/>", i);
  auto ports = ReadFrom(scratch.Write("ports.xml", nets + "</nic></cpu></system>"), {});
  EXPECT_THAT(std::string(ports.status().message()), HasSubstr("more than 4096 ports"));
}

struct BadFile {
  const char* name;
  std::string content;
  const char* reason;
};

TEST(BadFiles, SayWhy) {
  ScratchFolder scratch;
  std::string deep, wide = "<topology version=\"2.0\">";
  for (int i = 0; i < 200'000; ++i) deep += "<object>";
  for (int i = 0; i < 300'000; ++i) wide += "<x/>";
  const std::vector<BadFile> files = {
      {"empty.xml", "", "empty"},
      {"blank.xml", " \n\t", "empty"},
      {"json.xml", "{\"gpus\":[]}", "not XML"},
      {"binary.xml",
       std::string("\x7f"
                   "ELF\0\0\0\0",
                   8),
       "not XML"},
      {"html.xml", "<html><body>404</body></html>", "<html>"},
      {"cut.xml", "<topology version=\"2.0\"><object type=\"Machine\" os_ind", "cut off"},
      {"unclosed.xml", "<topology version=\"2.0\"><object type=\"Machine\">", "cut off"},
      {"bare.xml", "<topology version=\"2.0\"></topology>", "hwloc"},
      {"future.xml", "<topology version=\"9.1\"></topology>", "format 9.1"},
      {"words.xml", "<topology version=\"x\"></topology>", "no version"},
      {"index.xml", "<topology version=\"2.0\"><object type=\"Machine\" os_index=\"4294967295\"/></topology>",
       "no machine"},
      {"pu.xml", "<topology version=\"2.0\"><object type=\"PU\" os_index=\"16385\"/></topology>", "no machine"},
      {"numaid.xml", "<system><cpu numaid=\"1024\"/></system>", "no machine"},
      {"twice.xml", "<system><cpu><pci busid=\"0000:01:00.0\"/><pci busid=\"0000:01:00.0\"/></cpu></system>", "twice"},
      {"matrix.xml", "<topology version=\"2.0\"><distances2 nbobjs=\"4000000000\"/></topology>", "matrix"},
      {"deep.xml", deep, "XML"},
      {"wide.xml", wide + "</topology>", "more elements"},
      {"long.xml", "<topology version=\"2.0\" x=\"" + std::string(1 << 20, 'f') + "\"/>", "attribute"},
      {"huge.xml", std::string((16 << 20) + 1, ' '), "larger"},
      {"nccl.xml", "<system version=\"1\"/>", "<cpu>"},
      {"busid.xml", "<system><cpu><pci busid=\"0000:zz:00.0\" class=\"0x030200\"/></cpu></system>", "no PCI address"},
  };
  for (const BadFile& file : files) {
    auto node = ReadFrom(scratch.Write(file.name, file.content), {});
    EXPECT_TRUE(absl::IsFailedPrecondition(node.status())) << file.name << ": " << node.status();
    EXPECT_THAT(std::string(node.status().message()), AllOf(HasSubstr(file.name), HasSubstr(file.reason)));
  }
}

TEST(BadFiles, AFormatTooNewSaysWhatToDo) {
  auto node = ReadFrom(NETSENSE_TEST_DATA "/topology/hwloc/hwloc-nvidiaDGX2-v3-MUST-FAIL-on-2.9.xml", {});
  EXPECT_THAT(std::string(node.status().message()),
              AllOf(HasSubstr("format 3.0"), HasSubstr("2.x"), HasSubstr("lstopo")));
}

// What ends libhwloc with a signal ends no program of ours.
TEST(BadFiles, WhatHwlocDoesNotSurviveIsRefused) {
  auto node = ReadFrom(NETSENSE_TEST_DATA "/topology/hwloc/made-crash-MUST-FAIL.xml", {});
  EXPECT_TRUE(absl::IsFailedPrecondition(node.status()));
  EXPECT_THAT(std::string(node.status().message()), HasSubstr("hwloc cannot take this file"));
}

TEST(Trial, SaysHowItWent) {
  EXPECT_TRUE(TryInChild([] { return absl::OkStatus(); }).ok());
  EXPECT_EQ(TryInChild([] { return absl::InternalError("so it is"); }).message(), "so it is");
  const std::string long_words(100'000, 'x');
  EXPECT_EQ(TryInChild([&] { return absl::InternalError(long_words); }).message(), long_words);
  auto killed = TryInChild([]() -> absl::Status {
    raise(SIGKILL);
    return absl::OkStatus();
  });
  EXPECT_THAT(std::string(killed.message()), HasSubstr("Killed"));
#if !defined(__SANITIZE_ADDRESS__)
  auto greedy = TryInChild([] {
    std::vector<std::unique_ptr<char[]>> all;
    for (int i = 0; i < 4096; ++i) all.push_back(std::make_unique_for_overwrite<char[]>(1 << 20));  // 4 GiB
    return absl::OkStatus();
  });
  EXPECT_THAT(std::string(greedy.message()), HasSubstr("Aborted"));
#endif
}

TEST(BadFiles, APortThatHasNoNameAndNoPlaceIsNone) {
  ScratchFolder scratch;
  const auto node = ReadFrom(scratch.Write("nameless.xml", R"(<system><cpu numaid="0">
      <nic><net dev="0" speed="1000"/><net name="" dev="1"/><net name="tun0" dev="2"/></nic>
      <pci busid="0000:01:00.0" class="0x020000"><nic><net dev="3"/></nic></pci></cpu></system>)"),
                             {});
  ASSERT_TRUE(node.ok()) << node.status();
  ASSERT_EQ(node->ports.size(), 2u);
  for (const Port& port : node->ports) EXPECT_THAT(port.name, testing::AnyOf("tun0", "0000:01:00.0"));
  EXPECT_THAT(node->notes, Contains(HasSubstr("2 nets without a name")));
}

TEST(BadFiles, NestingIsBounded) {
  ScratchFolder scratch;
  std::string open, close;
  for (int i = 0; i < 5000; ++i) {
    open += "<object type=\"Group\">";
    close += "</object>";
  }
  auto node = ReadFrom(scratch.Write("nested.xml", "<topology version=\"2.0\">" + open + close + "</topology>"), {});
  EXPECT_THAT(std::string(node.status().message()), HasSubstr("nested"));
}

TEST(BadFiles, AnythingElseThanAFileOrFolderIsRefused) {
  ScratchFolder scratch;
  ASSERT_EQ(mkfifo(scratch.At("pipe").c_str(), 0600), 0);
  for (const std::string& path : {scratch.At("pipe"), scratch.At("none"), std::string("/dev/zero"), scratch.path()}) {
    auto node = ReadFrom(path, {});
    EXPECT_TRUE(absl::IsFailedPrecondition(node.status())) << path << ": " << node.status();
  }
}

// Damaged files are refused or read, and never more. hwloc itself loses some kilobytes over some of them, whose
// topology we do destroy: no leaks are looked for here.
TEST(BadFiles, DamageHarmsNothing) {
#if defined(__SANITIZE_ADDRESS__)
  const __lsan::ScopedDisabler expected;
#endif
  ScratchFolder scratch;
  std::mt19937 random(20240611);
  for (const char* relative :
       {"hwloc/cts1-pascal.xml", "hwloc/hwloc-16intel64-manyVFs.xml", "nccl/aws-p4d-24xl-topo.xml"}) {
    std::ifstream file(std::string(NETSENSE_TEST_DATA "/topology/") + relative);
    const std::string whole((std::istreambuf_iterator<char>(file)), {});
    ASSERT_GT(whole.size(), 1000u);
    for (int round = 0; round < 60; ++round) {
      std::string damaged = whole;
      if (round % 3 == 0) damaged.resize(random() % damaged.size());
      for (int flips = 0; round % 3 != 0 && flips < 1 + round / 10; ++flips)
        damaged[random() % damaged.size()] = "0123456789abcdef<>\"/-x"[random() % 22];
      auto node = ReadFrom(scratch.Write("damaged.xml", damaged), {});
      if (!node.ok()) {
        EXPECT_TRUE(absl::IsFailedPrecondition(node.status())) << node.status();
      }
    }
  }
}

}  // namespace
}  // namespace netsense::inventory
