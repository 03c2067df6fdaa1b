#include "transports/options.h"

#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "transports/registry.h"
#include "transports/transport.h"

namespace netsense {
namespace {

Capabilities WithOptions() {
  Capabilities capabilities;
  capabilities.modes = {"usual", "other"};
  capabilities.options = {{.name = "level", .flags = "--level", .help = "", .most = 15},
                          {.name = "size", .flags = "--size", .help = "", .choices = {256, 512}},
                          {.name = "text", .flags = "--text", .help = ""}};
  return capabilities;
}

// What is wrong, in words; empty when nothing is.
std::string Wrong(const v1::TransportOptions& options, const Capabilities& capabilities = WithOptions()) {
  const absl::Status status = CheckOptions(options, "pigeon", capabilities);
  EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

std::string Wrong(const std::string& name, const std::string& value) {
  v1::TransportOptions options;
  (*options.mutable_values())[name] = value;
  return Wrong(options);
}

TEST(Options, WhatIsDeclaredIsTaken) {
  const std::vector<std::pair<std::string, std::string>> good = {
      {"level", "0"}, {"level", "15"}, {"size", "512"}, {"text", "^shm"}, {"text", ""}};
  for (const auto& [name, value] : good) EXPECT_EQ(Wrong(name, value), "") << name << " " << value;
  v1::TransportOptions options;
  EXPECT_EQ(NumberOption(options, "level"), std::nullopt);
  EXPECT_EQ(TextOption(options, "text"), "");
  (*options.mutable_values())["level"] = "7";
  (*options.mutable_values())["text"] = "^shm";
  EXPECT_EQ(NumberOption(options, "level"), 7u);
  EXPECT_EQ(TextOption(options, "text"), "^shm");
}

TEST(Options, WhatIsNotIsRefusedAndNamed) {
  EXPECT_EQ(Wrong("colour", "red"), "pigeon has no option colour");
  EXPECT_EQ(Wrong("level", "16"), "pigeon level is a number from 0 to 15, not '16'");
  for (const char* value : {"", "-1", "1.5", "one", "99999999999", "1 2"})
    EXPECT_NE(Wrong("level", value), "") << value;
  EXPECT_EQ(Wrong("size", "300"), "pigeon size is one of 256, 512, not '300'");
  EXPECT_EQ(Wrong("a\nb", ""), "pigeon has no option a\\nb");
  v1::TransportOptions options;
  options.set_mode("third");
  EXPECT_EQ(Wrong(options), "pigeon has no mode 'third'; there is: usual, other");
}

TEST(Options, DevicesOnlyWhereSessionsGoByThem) {
  v1::TransportOptions ours, theirs;
  ours.set_device("eth0");
  theirs.set_peer_device("eth0");
  EXPECT_EQ(Wrong(ours), "pigeon has no option device");
  EXPECT_EQ(Wrong(theirs), "pigeon has no option peer device");
  Capabilities capabilities = WithOptions();
  capabilities.devices = "by name";
  EXPECT_EQ(Wrong(ours, capabilities), "");
  EXPECT_EQ(Wrong(theirs, capabilities), "");
}

TEST(Options, AFieldOfAnotherReleaseIsRefusedNotDropped) {
  v1::TransportOptions options;
  options.GetReflection()->MutableUnknownFields(&options)->AddVarint(9, 184);
  EXPECT_EQ(Wrong(options), "pigeon has no option number 9, which another release sends");
}

TEST(Options, EveryBackendDeclaresThemWhole) {
  const TransportRegistry transports;
  for (const auto& transport : transports.all())
    for (const OptionSpec& option : transport->capabilities().options) {
      EXPECT_FALSE(option.help.empty()) << transport->name() << " " << option.name;
      EXPECT_NE(option.flags.find("--"), std::string::npos) << transport->name() << " " << option.name;
      EXPECT_TRUE(option.choices.empty() || option.most == 0) << "a range or a choice";
    }
}

}  // namespace
}  // namespace netsense
