#include "proto/enum_names.h"

#include <gtest/gtest.h>

#include <set>

namespace netsense {
namespace {

template <typename Enum>
constexpr Enum kOfANewerRelease = static_cast<Enum>(97);

// All names of a proto enum, each another one.
template <typename Enum>
std::set<std::string> NamesOf(std::string (*name_of)(Enum)) {
  const auto* descriptor = google::protobuf::GetEnumDescriptor<Enum>();
  std::set<std::string> names;
  for (int i = 0; i < descriptor->value_count(); ++i)
    EXPECT_TRUE(names.insert(name_of(static_cast<Enum>(descriptor->value(i)->number()))).second)
        << descriptor->value(i)->name();
  return names;
}

using Names = std::set<std::string>;

TEST(EnumNames, AreThoseOfTheDocuments) {
  EXPECT_EQ(NamesOf(PathStateName),
            (Names{"UNKNOWN", "OK", "DEGRADED", "STALE", "UNREACHABLE", "REFUSED", "VERSION_MISMATCH", "ISOLATED"}));
  EXPECT_EQ(NamesOf(BandwidthStateName), (Names{"NOT_KNOWN", "MEASURED", "FAILED"}));
  EXPECT_EQ(NamesOf(FabricName), (Names{"unknown", "ethernet", "roce", "infiniband", "loopback", "iwarp", "efa",
                                        "slingshot", "omnipath", "wifi"}));
  EXPECT_EQ(NamesOf(FabricTitle), (Names{"fabric not known", "Ethernet", "RoCE", "InfiniBand", "loopback", "iWARP",
                                         "EFA", "Slingshot", "Omni-Path", "Wi-Fi"}));
  EXPECT_EQ(NamesOf(PortStateName), (Names{"unknown", "up", "down"}));
  EXPECT_EQ(NamesOf(PortRoleName), (Names{"unknown", "management", "compute", "storage"}));
  EXPECT_EQ(NamesOf(TimestampSourceName), (Names{"", "user", "kernel", "nic"}));
  EXPECT_EQ(NamesOf(WaitModeName), (Names{"blocking", "busy-poll"}));
}

TEST(EnumNames, AreReadAsTheyAreWritten) {
  for (int state = 0; state < v1::PathState_ARRAYSIZE; ++state)
    EXPECT_EQ(ParsePathState(PathStateName(static_cast<v1::PathState>(state))), state);
  for (int state = 0; state < v1::BandwidthState_ARRAYSIZE; ++state)
    EXPECT_EQ(ParseBandwidthState(BandwidthStateName(static_cast<v1::BandwidthState>(state))), state);
  for (int fabric = 0; fabric < v1::FabricKind_ARRAYSIZE; ++fabric)
    EXPECT_EQ(ParseFabric(FabricName(static_cast<v1::FabricKind>(fabric))), fabric);
}

TEST(EnumNames, OfANewerReleaseAreTheZero) {
  EXPECT_EQ(PathStateName(kOfANewerRelease<v1::PathState>), "UNKNOWN");
  EXPECT_EQ(BandwidthStateName(kOfANewerRelease<v1::BandwidthState>), "NOT_KNOWN");
  EXPECT_EQ(FabricName(kOfANewerRelease<v1::FabricKind>), "unknown");
  EXPECT_EQ(FabricTitle(kOfANewerRelease<v1::FabricKind>), "fabric not known");
  EXPECT_EQ(PortStateName(kOfANewerRelease<v1::PortState>), "unknown");
  EXPECT_EQ(PortRoleName(kOfANewerRelease<v1::PortRole>), "unknown");
  EXPECT_EQ(TimestampSourceName(kOfANewerRelease<v1::TimestampSource>), "");
  EXPECT_EQ(SeverityName(kOfANewerRelease<v1::CounterDelta::Severity>), "congestion");
  EXPECT_EQ(ParsePathState("SPLENDID"), std::nullopt);
  EXPECT_EQ(ParseBandwidthState("SPLENDID"), v1::BANDWIDTH_STATE_NOT_KNOWN);
  EXPECT_EQ(ParseFabric("aether"), v1::FABRIC_KIND_UNKNOWN);
}

}  // namespace
}  // namespace netsense
