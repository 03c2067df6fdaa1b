// Which device, port and GID a session takes, of all that a node may have.
#include <gmock/gmock.h>

#include "tests/provider/fabric/fabric.h"
#include "transports/verbs/device.h"

namespace netsense::verbs {
namespace {

using provider::DeviceSpec;
using provider::Fabric;
using provider::RoceDevice;
using testing::HasSubstr;

absl::StatusOr<PortChoice> Choose(const std::string& address, const std::string& wish = "",
                                  std::optional<uint32_t> gid = std::nullopt) {
  return ChoosePort(address, wish, gid, Fabric::Sysfs());
}

std::string NameOf(const absl::StatusOr<PortChoice>& choice) {
  return choice.ok() ? choice->Name() : choice.status().ToString();
}

TEST(VerbsChoice, TheDeviceIsTheOneThatHasTheAddress) {
  Fabric fabric({RoceDevice("mlx5_0", "10.0.0.1"), RoceDevice("mlx5_1", "10.0.1.1")});
  EXPECT_EQ(NameOf(Choose("10.0.0.1")), "mlx5_0:1 gid 0");
  EXPECT_EQ(NameOf(Choose("10.0.1.1")), "mlx5_1:1 gid 0");
  auto none = Choose("10.0.2.1");
  EXPECT_TRUE(absl::IsUnavailable(none.status()));
  EXPECT_THAT(none.status().message(), HasSubstr("no RDMA port has the address 10.0.2.1"));
  EXPECT_THAT(none.status().message(), HasSubstr("mlx5_1:1 is 4: ACTIVE"));
}

TEST(VerbsChoice, TheGidIsTheAddressInItsRoceV2Form) {
  DeviceSpec device = RoceDevice("mlx5_0", "");
  device.ports[0].gids = {{.address = "fe80::1", .type = "IB/RoCE v1"},
                          {.address = "fe80::1"},
                          {.address = "10.0.0.1", .type = "IB/RoCE v1"},
                          {.address = "10.0.0.1"},
                          {.address = ""},
                          {.address = "2001:db8::1"}};
  Fabric fabric({device});
  EXPECT_EQ(NameOf(Choose("10.0.0.1")), "mlx5_0:1 gid 3");
  EXPECT_EQ(NameOf(Choose("2001:db8::1")), "mlx5_0:1 gid 5");
  EXPECT_EQ(NameOf(Choose("10.0.0.1", "", 1)), "mlx5_0:1 gid 1");
  EXPECT_EQ(Choose("10.0.0.1")->gid, provider::RawGidOf({.address = "10.0.0.1"}));
}

TEST(VerbsChoice, AWishedDeviceIsTakenWithTheFirstGidOfTheFamily) {
  DeviceSpec storage = RoceDevice("mlx5_1", "");
  storage.ports[0].gids = {{.address = "fe80::2"}, {.address = "2001:db8::2"}, {.address = "10.0.1.1"}};
  storage.ports.push_back({.gids = {{.address = "10.0.2.1"}}});
  Fabric fabric({RoceDevice("mlx5_0", "10.0.0.1"), storage});
  EXPECT_EQ(NameOf(Choose("10.0.0.1", "mlx5_1")), "mlx5_1:1 gid 2");
  EXPECT_EQ(NameOf(Choose("2001:db8::9", "mlx5_1")), "mlx5_1:1 gid 1");
  EXPECT_EQ(NameOf(Choose("10.0.0.1", "mlx5_1:2")), "mlx5_1:2 gid 0");
  EXPECT_EQ(NameOf(Choose("10.0.2.1")), "mlx5_1:2 gid 0");
  EXPECT_EQ(NameOf(Choose("10.0.0.1", "mlx5_1", 0)), "mlx5_1:1 gid 0");
  EXPECT_TRUE(absl::IsInvalidArgument(Choose("10.0.0.1", "mlx5_1:2", 7).status()));
  EXPECT_THAT(std::string(Choose("10.0.0.1", "mlx5_9").status().message()), HasSubstr("no device 'mlx5_9'"));
}

TEST(VerbsChoice, APortThatIsDownOrIwarpIsNotUsable) {
  DeviceSpec iwarp = RoceDevice("irdma0", "10.0.1.1");
  iwarp.iwarp = true;
  Fabric fabric({RoceDevice("mlx5_0", "10.0.0.1"), iwarp});
  EXPECT_TRUE(AnyActivePort(Fabric::Sysfs()).ok());
  fabric.SetPortState("mlx5_0", 1, IBV_PORT_DOWN);
  EXPECT_THAT(std::string(Choose("10.0.0.1").status().message()), HasSubstr("mlx5_0:1 is 1: DOWN"));
  EXPECT_THAT(std::string(Choose("10.0.1.1").status().message()), HasSubstr("iWARP"));
  EXPECT_TRUE(absl::IsUnavailable(AnyActivePort(Fabric::Sysfs())));
  fabric.SetPortState("mlx5_0", 1, IBV_PORT_ACTIVE);
  EXPECT_EQ(NameOf(Choose("10.0.0.1")), "mlx5_0:1 gid 0");
}

TEST(VerbsChoice, OnInfinibandTheNetworkDeviceNamesTheRdmaDevice) {
  DeviceSpec device = RoceDevice("mlx5_0", "fe80::506b:4b03:a1:1");
  device.ports[0].infiniband = true;
  device.ports[0].lid = 0x2a;
  Fabric fabric({device});
  auto choice = Choose("127.0.0.1");  // of "lo", which the port is said to carry
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->Name(), "mlx5_0:1 gid 0");
  EXPECT_TRUE(choice->infiniband);
  EXPECT_EQ(choice->lid, 0x2a);
}

TEST(VerbsChoice, ADeviceThatLeftIsMissedAndOneThatCameBackIsFound) {
  Fabric fabric({RoceDevice("mlx5_0", "10.0.0.1")});
  fabric.Remove("mlx5_0", provider::Removal::kUnderItsUsers);
  EXPECT_THAT(std::string(Choose("10.0.0.1").status().message()), HasSubstr("there is no RDMA device"));
  EXPECT_THAT(std::string(AnyActivePort(Fabric::Sysfs()).message()), HasSubstr("no RDMA device"));
  fabric.Add(RoceDevice("mlx5_0", "10.0.0.1"));
  EXPECT_EQ(NameOf(Choose("10.0.0.1")), "mlx5_0:1 gid 0");
  fabric.SetGid("mlx5_0", 1, 0, {.address = "10.0.0.9"});
  EXPECT_TRUE(absl::IsUnavailable(Choose("10.0.0.1").status()));
  EXPECT_EQ(NameOf(Choose("10.0.0.9")), "mlx5_0:1 gid 0");
}

}  // namespace
}  // namespace netsense::verbs
