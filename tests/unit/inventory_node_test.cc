// Rules on machines made here, the GPU driver, this very machine, and what is shown of it all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <nlohmann/json.hpp>
#include <pugixml.hpp>

#include "absl/strings/str_cat.h"
#include "bench/topo/drawing.h"
#include "bench/topo/json.h"
#include "bench/topo/table.h"
#include "engine/inventory/affinity.h"
#include "engine/inventory/hwloc_topology.h"
#include "engine/inventory/inventory.h"
#include "engine/inventory/pci.h"
#include "engine/inventory/to_proto.h"
#include "engine/local_ports.h"
#include "tests/unit/scratch_folder.h"

namespace netsense::inventory {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsSubsetOf;
using testing::Not;

PciPlace Place(std::vector<std::string> path, int numa) {
  PciPlace place;
  place.address = path.empty() ? "" : path.back();
  place.path = std::move(path);
  place.numa_node = numa;
  return place;
}

TEST(AffinityRule, GoesByTheLowestCommonAncestor) {
  const PciPlace gpu = Place({"pci0000:10", "0000:10:00.0", "0000:11:00.0", "0000:12:00.0", "0000:13:00.0"}, 0);
  Node node;
  auto to = [&](std::vector<std::string> path, int numa, bool hidden = false) {
    node.topology_hidden = hidden;
    return AffinityOf(node, gpu, Place(std::move(path), numa));
  };
  // The switch has an upstream port (11) and a downstream port each (12): one bridge below the common one.
  EXPECT_EQ(to({"pci0000:10", "0000:10:00.0", "0000:11:00.0", "0000:12:01.0", "0000:14:00.0"}, 0), Affinity::kPix);
  EXPECT_EQ(to({"pci0000:10", "0000:10:00.0", "0000:11:00.0", "0000:12:00.0", "0000:13:00.1"}, 0), Affinity::kPix);
  EXPECT_EQ(to({"pci0000:10", "0000:10:00.0", "0000:11:00.0", "0000:12:01.0", "0000:14:00.0", "0000:15:00.0"}, 0),
            Affinity::kPxb);
  EXPECT_EQ(to({"pci0000:10", "0000:10:01.0", "0000:20:00.0"}, 0), Affinity::kPhb);
  EXPECT_EQ(to({"pci0000:30", "0000:30:00.0", "0000:31:00.0"}, 0), Affinity::kNode);
  EXPECT_EQ(to({"pci0000:30", "0000:30:00.0", "0000:31:00.0"}, 1), Affinity::kSys);
  EXPECT_EQ(to({"pci0000:30", "0000:30:00.0", "0000:31:00.0"}, -1), Affinity::kUnknown);
  EXPECT_EQ(to({}, 0), Affinity::kUnknown);
  EXPECT_EQ(to({}, 1), Affinity::kSys);
  const PciPlace deep =
      Place({"pci0000:10", "0000:10:00.0", "0000:11:00.0", "0000:12:01.0", "0000:14:00.0", "0000:15:00.0"}, 0);
  EXPECT_EQ(AffinityOf(Node(), deep, gpu), Affinity::kPxb);
  // What is hidden is not told by a host bridge, but a shared PCIe bridge is real.
  EXPECT_EQ(to({"pci0000:10", "0000:10:01.0", "0000:20:00.0"}, 0, true), Affinity::kUnknown);
  EXPECT_EQ(to({"pci0000:30", "0000:30:00.0", "0000:31:00.0"}, 0, true), Affinity::kUnknown);
  EXPECT_EQ(to({"pci0000:10", "0000:10:00.0", "0000:11:00.0", "0000:12:01.0", "0000:14:00.0"}, -1, true),
            Affinity::kPix);
}

// On a real machine of one NUMA node, a device without a number is on that one; on a virtual one nobody knows.
TEST(AffinityRule, OneNumaNodeIsEverybodys) {
  const PciPlace a = Place({"pci0000:10", "0000:10:00.0"}, -1), b = Place({"pci0000:30", "0000:30:00.0"}, -1);
  const PciPlace nowhere = Place({}, -1);
  Node node;
  node.numa_nodes.resize(1);
  EXPECT_EQ(AffinityOf(node, a, b), Affinity::kUnknown);
  node.virtualized = Virtualized::kNo;
  EXPECT_EQ(AffinityOf(node, a, b), Affinity::kNode);
  EXPECT_EQ(AffinityOf(node, a, nowhere), Affinity::kUnknown);
  node.numa_nodes.resize(2);
  EXPECT_EQ(AffinityOf(node, a, b), Affinity::kUnknown);
  node.numa_nodes.resize(1);
  node.virtualized = Virtualized::kYes;
  EXPECT_EQ(AffinityOf(node, a, b), Affinity::kUnknown);
}

// Each "?" of the table has its cause in the notes.
TEST(Unknowns, AreNoted) {
  Node node;
  node.numa_nodes.resize(2);
  node.numa_nodes[1].index = 1;
  auto add = [&](const char* name, PciPlace place) {
    Port& port = node.ports.emplace_back();
    port.name = name;
    port.bus = Bus::kPci;
    port.place = std::move(place);
  };
  add("whole", Place({"pci0000:10", "0000:10:00.0"}, 0));
  add("nowhere", Place({}, -1));
  add("numa_only", Place({}, 1));
  add("path_only", Place({"pci0000:30", "0000:30:00.0"}, -1));
  NoteUnknowns(&node);
  EXPECT_THAT(node.notes, Contains(AllOf(HasSubstr("neither"), HasSubstr("of nowhere:"))));
  EXPECT_THAT(node.notes, Contains(AllOf(HasSubstr("no place on PCI"), HasSubstr("of numa_only:"))));
  EXPECT_THAT(node.notes, Contains(AllOf(HasSubstr("no NUMA node"), HasSubstr("of path_only:"))));
  EXPECT_THAT(node.notes, Contains(HasSubstr("which processors are near to whole, numa_only is not told")));
  EXPECT_EQ(node.notes.size(), 4u);
  EXPECT_THAT(TopologyTable(node), HasSubstr("see the notes"));
}

TEST(Pci, AddressesAreReadExactly) {
  EXPECT_EQ(FormatPciAddress(*ParsePciAddress("0000:3B:1f.7")), "0000:3b:1f.7");
  EXPECT_EQ(FormatPciAddress(*ParsePciAddress("10000:00:02.0")), "10000:00:02.0");
  EXPECT_LT(*ParsePciAddress("0000:9f:00.0"), *ParsePciAddress("0000:a0:00.0"));
  EXPECT_LT(*ParsePciAddress("ffff:00:00.0"), *ParsePciAddress("10000:00:00.0"));
  for (const char* bad : {"", "3b:00.0", "0000:3b:00", "0000:3b:00.8", "0000:3b:20.0", "0000:3b:00.0 ", "0000:3b:00.00",
                          "g000:00:00.0", "0000-3b:00.0", "000000000:00:00.0"})
    EXPECT_FALSE(ParsePciAddress(bad)) << bad;
}

TEST(Pci, LinksHaveTheirRate) {
  EXPECT_NEAR(ParsePcieLink("2.5 GT/s PCIe", "1", "", "").gbps, 2.0, 1e-9);
  EXPECT_NEAR(ParsePcieLink("8 GT/s", "16", "", "").gbps, 126.03, 0.01);
  EXPECT_NEAR(ParsePcieLink("64.0 GT/s PCIe", "16", "", "").gbps, 968.0, 0.1);
  for (const char* unknown : {"", "Unknown", "Unknown speed", "-1", "7 GT/s"})
    EXPECT_EQ(ParsePcieLink(unknown, "16", "", "").gbps, 0) << unknown;
  EXPECT_EQ(ParsePcieLink("8 GT/s", "255", "", "").width, 0);
}

TEST(Nvml, TellsModelsAndDomainsThatAreComplete) {
  Node node;
  for (int bus = 1; bus <= 4; ++bus) {
    Gpu& gpu = node.gpus.emplace_back();
    gpu.vendor = "NVIDIA";
    gpu.place.address = FormatPciAddress({.domain = 0, .bus = static_cast<uint32_t>(bus), .device = 0, .function = 0});
  }
  AddNvmlFacts(ReadNvml(NETSENSE_FAKE_NVML), &node);
  EXPECT_EQ(node.gpus[0].model, "NVIDIA GB200");
  EXPECT_EQ(node.gpus[0].nvlink_domain, "abababab-abab-abab-abab-abababababab.7");
  EXPECT_EQ(node.gpus[1].nvlink_domain, "");  // no domain: its UUID is zero
  EXPECT_EQ(node.gpus[2].nvlink_domain, "");  // not joined yet
  EXPECT_EQ(node.gpus[3].model, "");          // not NVML's
  EXPECT_TRUE(node.notes.empty());
}

TEST(Nvml, SaysWhenItIsNotThere) {
  Node node;
  AddNvmlFacts(ReadNvml("libnetsense-no-such-library.so"), &node);
  EXPECT_THAT(node.notes, Contains(HasSubstr("cannot be loaded")));
}

TEST(ThisMachineTest, IsReadWithoutLeavingAnythingOpen) {
  ThisMachine machine({});
  auto first = machine.Read();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_FALSE(first->hostname.empty());
  ASSERT_FALSE(first->numa_nodes.empty());
  EXPECT_FALSE(first->numa_nodes[0].cpus.empty());
  auto loopback = std::find_if(first->ports.begin(), first->ports.end(),
                               [](const Port& port) { return port.fabric == v1::FABRIC_KIND_LOOPBACK; });
  ASSERT_NE(loopback, first->ports.end());
  EXPECT_THAT(loopback->addresses, Contains("127.0.0.1"));
  EXPECT_FALSE(loopback->is_nic());
  auto descriptors = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}); };
  auto before = descriptors();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(machine.Read().ok());
  EXPECT_EQ(descriptors(), before);
}

TEST(ThisMachineTest, WrongOptionsAreNamed) {
  EXPECT_TRUE(
      absl::IsInvalidArgument(ThisMachine({.rails = {"no_such_port"}, .topology_override = ""}).Read().status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(ThisMachine({.rails = {}, .topology_override = "/none.xml"}).Read().status()));
}

// Two ways to one tree: what hwloc exports of this machine's devices is what sysfs shows.
TEST(ThisMachineTest, HwlocAndSysfsAgree) {
  hwloc_topology_t raw = nullptr;
  ASSERT_EQ(hwloc_topology_init(&raw), 0);
  HwlocTopology topology(raw);
  hwloc_topology_set_io_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_ALL);
  ASSERT_EQ(hwloc_topology_load(raw), 0);
  ScratchFolder scratch;
  ASSERT_EQ(hwloc_topology_export_xml(raw, scratch.At("here.xml").c_str(), 0), 0);
  auto exported = ReadFrom(scratch.At("here.xml"), {});
  auto here = ThisMachine({}).Read();
  ASSERT_TRUE(exported.ok() && here.ok()) << exported.status() << here.status();
  for (const Port& port : here->ports) {
    if (port.place.path.empty() || port.netdev.empty() || !port.bond_members.empty()) continue;
    auto same = std::find_if(exported->ports.begin(), exported->ports.end(),
                             [&](const Port& candidate) { return candidate.netdev == port.netdev; });
    ASSERT_NE(same, exported->ports.end()) << port.name;
    EXPECT_EQ(same->place.path, port.place.path) << port.name;
  }
  EXPECT_EQ(exported->gpus.size(), here->gpus.size());
  ASSERT_EQ(exported->numa_nodes.size(), here->numa_nodes.size());
  for (size_t i = 0; i < here->numa_nodes.size(); ++i)
    EXPECT_EQ(exported->numa_nodes[i].cpus, here->numa_nodes[i].cpus);
}

TEST(LocalPorts, AreNamedAsTheInventoryNamesThem) {
  EXPECT_EQ(PortOfAddress("127.0.0.1").name(), "lo");
  EXPECT_EQ(PortOfAddress("127.9.9.9").name(), "lo");
  EXPECT_EQ(PortOfAddress("127.0.0.1").fabric(), v1::FABRIC_KIND_LOOPBACK);
  EXPECT_EQ(PortOfAddress("192.0.2.77").name(), "");
  auto here = ThisMachine({}).Read();
  ASSERT_TRUE(here.ok());
  for (const Port& port : here->ports)
    for (const std::string& address : port.addresses)
      if (port.state == v1::PORT_STATE_UP) {
        EXPECT_EQ(PortOfAddress(address).name(), port.name) << address;
        EXPECT_EQ(PortOfAddress(address).fabric(), port.fabric) << address;
      }
}

TEST(Message, HasAllThatIsKnown) {
  auto node = ReadFrom(NETSENSE_TEST_DATA "/topology/hwloc/coral-lassen.xml", {});
  ASSERT_TRUE(node.ok());
  v1::EngineInfo info;
  Describe(*node, &info);
  ASSERT_EQ(info.ports_size(), 6);
  EXPECT_EQ(info.ports(4).rdma_device(), "mlx5_2");
  EXPECT_EQ(info.ports(4).numa_node(), 8);
  EXPECT_EQ(info.ports(4).rail(), 2u);
  EXPECT_EQ(info.ports(4).role(), v1::PORT_ROLE_COMPUTE);
  EXPECT_FALSE(info.ports(2).has_rail());
  EXPECT_EQ(info.gpus(3).nearest_port(), "mlx5_2");
  EXPECT_EQ(info.gpus(3).nearest_affinity(), "NODE");
  EXPECT_EQ(info.numa_nodes(1).cpus(), "96-175");
}

// Names of a file that means harm.
Node HostileNode() {
  Node node;
  node.hostname = "<script>alert(1)</script>&\"'";
  node.source = "\x1b[2Jfile";
  Port& port = node.ports.emplace_back();
  port.name = port.rdma_device = "mlx5\x1b[31m<b>\xff";
  port.bus = Bus::kPci;
  port.place = Place({"pci0000:10<", "0000:11:00.0"}, 0);
  port.role_reason = "]]></title><x>";
  Gpu& gpu = node.gpus.emplace_back();
  gpu.name = "GPU0";
  gpu.model = std::string(10'000, '<');
  gpu.place = port.place;
  node.notes.push_back("<note>\n\x1b");
  return node;
}

TEST(Shown, HostileNamesStayText) {
  Node node = HostileNode();
  pugi::xml_document svg;
  const std::string drawn = TopologySvg(node);
  ASSERT_TRUE(svg.load_string(drawn.c_str())) << drawn;
  EXPECT_TRUE(svg.select_nodes("//*[local-name()='script' or local-name()='x' or local-name()='b']").empty());
  EXPECT_THAT(TopologyTable(node), Not(HasSubstr("\x1b")));
  EXPECT_NO_THROW(TopologyJson(node).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

// A message with a name in it that is no UTF-8 would be refused as a whole.
TEST(Message, HostileNamesAreReadByItsReader) {
  Node node = HostileNode();
  node.ports[0].netdev = "eth\xe9";
  v1::EngineInfo sent, read;
  Describe(node, &sent);
  ASSERT_TRUE(read.ParseFromString(sent.SerializeAsString()));
  ASSERT_EQ(read.ports_size(), 1);
  EXPECT_EQ(read.ports(0).netdev(), "eth\xef\xbf\xbd");
}

TEST(Shown, EveryMachineHasAPictureWithAllItsDevices) {
  for (const char* relative : {"hwloc/coral-lassen.xml", "hwloc/g4dnmetal.xml", "hwloc/hwloc-nvidiaDGX2-v2.12.xml",
                               "nccl/azure-ndv5-topo.xml", "sysfs/h100-infiniband"}) {
    auto node = ReadFrom(std::string(NETSENSE_TEST_DATA "/topology/") + relative, {});
    ASSERT_TRUE(node.ok());
    pugi::xml_document svg;
    ASSERT_TRUE(svg.load_string(TopologySvg(*node).c_str())) << relative;
    std::vector<std::string> texts;
    for (const auto& found : svg.select_nodes("//*[local-name()='text']")) texts.push_back(found.node().child_value());
    std::vector<std::string> names;
    for (const Gpu& gpu : node->gpus) names.push_back(gpu.name);
    for (size_t i : ShownPorts(*node)) names.push_back(node->ports[i].name);
    EXPECT_THAT(names, IsSubsetOf(texts)) << relative;
    // Nothing is drawn outside of the picture.
    double width = svg.document_element().attribute("width").as_double();
    double height = svg.document_element().attribute("height").as_double();
    for (const auto& found : svg.select_nodes("//*[local-name()='g']/*[local-name()='rect']")) {
      pugi::xml_node rect = found.node();
      EXPECT_LE(rect.attribute("x").as_double() + rect.attribute("width").as_double(), width) << relative;
      EXPECT_LE(rect.attribute("y").as_double() + rect.attribute("height").as_double(), height) << relative;
    }
  }
}

// Twice the devices, twice the text: beyond what anybody reads, there is no matrix.
TEST(Shown, ATableOfManyDevicesDoesNotGrowWithTheirSquare) {
  auto table_of = [](size_t ports) {
    Node node;
    for (size_t i = 0; i < ports; ++i) {
      Port& port = node.ports.emplace_back();
      port.name = absl::StrCat("mlx5_", i);
      port.bus = Bus::kPci;
    }
    return TopologyTable(node);
  };
  EXPECT_THAT(table_of(512), HasSubstr("NUMA Affinity"));
  EXPECT_THAT(table_of(1024), HasSubstr("--json"));
  EXPECT_LT(table_of(4096).size(), 5 * table_of(1024).size());
}

TEST(Shown, JsonNamesRowsAndColumns) {
  auto node = ReadFrom(NETSENSE_TEST_DATA "/topology/hwloc/g4dnmetal.xml", {});
  ASSERT_TRUE(node.ok());
  nlohmann::json json = TopologyJson(*node);
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["affinity_rows"][7], "GPU7");
  EXPECT_EQ(json["affinity_columns"][0], "rdmap197s0");
  EXPECT_EQ(json["affinity"][7][0], "NODE");
  EXPECT_EQ(json["affinity"][0][0], "SYS");
  EXPECT_EQ(json["gpu_affinity"][2][3], "PHB");
  EXPECT_EQ(json["gpus"][7]["nearest_nic"], "rdmap197s0");
  EXPECT_EQ(json["gpus"][7]["affinity"], "NODE");
  EXPECT_TRUE(json["nics"][0]["speed_gbps"].is_null());
  EXPECT_EQ(json["nics"][0]["fabric"], "efa");
  EXPECT_EQ(json["nics"][0]["rail"], 0);
  EXPECT_TRUE(json["nics"][1]["rail"].is_null());
}

}  // namespace
}  // namespace netsense::inventory
