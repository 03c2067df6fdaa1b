#include "raylet_bridge/records/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

namespace netsense {
namespace {

using testing::HasSubstr;

SettingsSources Flag(const std::string& name, const std::string& value) {
  SettingsSources sources;
  sources.flags[name] = value;
  return sources;
}

std::string ErrorOf(const SettingsSources& sources) {
  auto settings = ResolveSettings(sources);
  return settings.ok() ? "" : std::string(settings.status().message());
}

TEST(Settings, DefaultsAreThePrototypes) {
  auto settings = ResolveSettings({});
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(*settings, Settings());
  EXPECT_FALSE(settings->enabled);
  EXPECT_EQ(settings->tick_ms, 2000u);
  EXPECT_EQ(settings->rtt_m, 5u);
  EXPECT_EQ(settings->rtt_alpha, 0.3);
  EXPECT_EQ(settings->rtt_ttl_ms, 6000u);
  EXPECT_EQ(settings->bw_payload_bytes, 1048576u);
}

TEST(Settings, TheTableHoldsEveryDefaultInItsOwnRange) {
  std::set<std::string> names;
  for (const auto& setting : DescribeSettings()) {
    EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
    EXPECT_TRUE(setting.name.starts_with("network_sense_"));
    EXPECT_FALSE(setting.help.empty());
    auto resolved = ResolveSettings(Flag(setting.name, setting.default_value));
    ASSERT_TRUE(resolved.ok()) << resolved.status();
    EXPECT_EQ(*resolved, Settings()) << setting.name;
  }
  EXPECT_EQ(names.size(), 21u);
}

TEST(Settings, TransportsAreAListOfDistinctNames) {
  for (const char* good : {"tcp", "all", "tcp,grpc,ucx,verbs"})
    EXPECT_TRUE(ResolveSettings(Flag("network_sense_transports", good)).ok()) << good;
  for (const char* bad : {"", ",", "tcp,", "tcp,tcp", "tcp grpc", "t/../x", "<b>"})
    EXPECT_TRUE(absl::IsInvalidArgument(ResolveSettings(Flag("network_sense_transports", bad)).status())) << bad;
}

TEST(Settings, EverySettingReachesItsOwnMember) {
  SettingsSources sources;
  auto set = [&sources](const std::string& name, const std::string& value) {
    sources.flags["network_sense_" + name] = value;
  };
  set("enabled", "true"), set("tick_ms", "101"), set("rtt_m", "2"), set("rtt_alpha", "0.25");
  set("rtt_ttl_ms", "301"), set("rtt_concurrency_per_node", "3"), set("bw_enabled", "1");
  set("bw_payload_bytes", "65536"), set("bw_m", "7"), set("bw_alpha", "1"), set("bw_concurrency_per_node", "4");
  set("rtt_timeout_ms", "99"), set("rtt_payload_bytes", "65"), set("bw_slot_ms", "501"), set("lease_ms", "302");
  set("door_port", "0"), set("http_port", "65535"), set("transports", "tcp,ucx"), set("rails", "mlx5_0,eth1.7"),
      set("cpus", "0-3,8"), set("metrics_detail", "true");
  ASSERT_EQ(sources.flags.size(), DescribeSettings().size());
  auto settings = ResolveSettings(sources);
  ASSERT_TRUE(settings.ok()) << settings.status();
  Settings expected{.enabled = true,
                    .tick_ms = 101,
                    .rtt_m = 2,
                    .rtt_alpha = 0.25,
                    .rtt_ttl_ms = 301,
                    .rtt_concurrency_per_node = 3,
                    .bw_enabled = true,
                    .bw_payload_bytes = 65536,
                    .bw_m = 7,
                    .bw_alpha = 1.0,
                    .bw_concurrency_per_node = 4,
                    .rtt_timeout_ms = 99,
                    .rtt_payload_bytes = 65,
                    .bw_slot_ms = 501,
                    .lease_ms = 302,
                    .door_port = 0,
                    .http_port = 65535,
                    .transports = {.names = {"tcp", "ucx"}},
                    .rails = {Selection::Mode::kByHand, {"mlx5_0", "eth1.7"}},
                    .cpus = {Selection::Mode::kByHand, {"0-3", "8"}},
                    .metrics_detail = true};
  EXPECT_EQ(*settings, expected);
}

TEST(Settings, FlagBeatsEnvironmentBeatsFileBeatsCluster) {
  SettingsSources sources;
  const std::string tick = "network_sense_tick_ms";
  sources.cluster = {{tick, "1001"}, {"network_sense_rtt_m", "9"}};
  EXPECT_EQ(ResolveSettings(sources)->tick_ms, 1001u);
  sources.file = {{tick, "1002"}};
  EXPECT_EQ(ResolveSettings(sources)->tick_ms, 1002u);
  sources.environment = {{tick, "1003"}};
  EXPECT_EQ(ResolveSettings(sources)->tick_ms, 1003u);
  sources.flags = {{tick, "1004"}};
  EXPECT_EQ(ResolveSettings(sources)->tick_ms, 1004u);

  auto explained = ExplainSettings(sources);
  ASSERT_TRUE(explained.ok());
  ASSERT_EQ(explained->size(), DescribeSettings().size());
  for (const auto& setting : *explained) {
    if (setting.name == tick) {
      EXPECT_EQ(setting.value + " " + setting.source, "1004 flag");
    } else if (setting.name == "network_sense_rtt_m") {
      EXPECT_EQ(setting.value + " " + setting.source, "9 cluster");
    } else {
      EXPECT_EQ(setting.source, "default") << setting.name;
    }
  }
}

TEST(Settings, KnowWhichOfThemSomebodyNamed) {
  auto defaults = ResolveSettings({});
  ASSERT_TRUE(defaults.ok());
  EXPECT_FALSE(defaults->IsNamed(&Settings::http_port));
  const std::pair<const char*, std::map<std::string, std::string> SettingsSources::*> sources[] = {
      {"flag", &SettingsSources::flags},
      {"environment", &SettingsSources::environment},
      {"file", &SettingsSources::file},
      {"cluster", &SettingsSources::cluster}};
  for (const auto& [name, values] : sources) {
    SettingsSources of;
    (of.*values)["network_sense_http_port"] = "18591";  // the default's own value
    auto settings = ResolveSettings(of);
    ASSERT_TRUE(settings.ok()) << settings.status();
    EXPECT_EQ(*settings, *defaults);
    EXPECT_TRUE(settings->IsNamed(&Settings::http_port)) << name;
    EXPECT_FALSE(settings->IsNamed(&Settings::door_port)) << name;
    EXPECT_EQ(settings->source_of["network_sense_http_port"], name);
  }
}

TEST(Settings, AChoiceIsAWordOrNames) {
  EXPECT_EQ(ParseSelection("auto"), Selection());
  EXPECT_TRUE(ParseSelection("off").is_off());
  EXPECT_EQ(ParseSelection("eth0,auto"), (Selection{Selection::Mode::kByHand, {"eth0", "auto"}})) << "a port's name";
  EXPECT_TRUE(ParseTransportChoice("all").all);
  for (const char* text : {"auto", "off", "0-3,8"}) EXPECT_EQ(ParseSelection(text).Text(), text);
  for (const char* text : {"all", "tcp", "tcp,ucx"}) EXPECT_EQ(ParseTransportChoice(text).Text(), text);
  EXPECT_TRUE(ParseFilePlace("off").off);
  EXPECT_EQ(ParseFilePlace("").path, "");
  EXPECT_EQ(ParseFilePlace("./off").path, "./off");
}

TEST(Settings, AnUnknownNameGetsTheNearestKnownOne) {
  EXPECT_THAT(ErrorOf(Flag("network_sense_tik_ms", "500")), HasSubstr("did you mean network_sense_tick_ms?"));
  EXPECT_THAT(ErrorOf(Flag("network_sense_bw_enable", "1")), HasSubstr("did you mean network_sense_bw_enabled?"));
  SettingsSources cluster;
  cluster.cluster["network_sense_\x1b[31m"] = "1";
  EXPECT_THAT(ErrorOf(cluster), HasSubstr("(cluster)"));
  EXPECT_THAT(ErrorOf(cluster), HasSubstr("\\x1b"));
}

TEST(Settings, BadValuesAreRefusedWithWhatWouldBeRight) {
  const std::pair<const char*, const char*> bad[] = {
      {"tick_ms", "99"},
      {"tick_ms", "-1"},
      {"tick_ms", ""},
      {"tick_ms", "2000 "},
      {"tick_ms", "2e3"},
      {"tick_ms", "4294969296"},
      {"tick_ms", "2s"},
      {"rtt_alpha", "0"},
      {"rtt_alpha", "1.01"},
      {"rtt_alpha", "nan"},
      {"rtt_alpha", "-0.3"},
      {"rtt_alpha", "0.3x"},
      {"enabled", "yes"},
      {"enabled", "2"},
      {"door_port", "65536"},
      {"http_port", "-1"},
      {"bw_payload_bytes", "65535"},
      {"bw_payload_bytes", "18446744073709551617"},
      {"rtt_m", "0"},
      {"rtt_concurrency_per_node", "0"},
      {"rtt_concurrency_per_node", "65"},
      {"bw_concurrency_per_node", "17"},
      {"lease_ms", "60001"},
  };
  for (const auto& [name, value] : bad) {
    std::string error = ErrorOf(Flag(std::string("network_sense_") + name, value));
    EXPECT_THAT(error, HasSubstr(name)) << value;
    EXPECT_THAT(error, HasSubstr("(flag)")) << value;
    EXPECT_THAT(error, HasSubstr("it must be")) << value;
  }
  EXPECT_EQ(ErrorOf(Flag("network_sense_rtt_alpha", "1")), "");
}

TEST(Settings, WhatRunsOutBetweenTwoTicksIsRefused) {
  auto sources = Flag("network_sense_tick_ms", "6000");
  EXPECT_THAT(ErrorOf(sources), HasSubstr("network_sense_rtt_ttl_ms is 6000"));
  sources.flags["network_sense_rtt_ttl_ms"] = "18000";
  EXPECT_THAT(ErrorOf(sources), HasSubstr("network_sense_lease_ms is 6000"));
  sources.flags["network_sense_lease_ms"] = "18000";
  EXPECT_EQ(ErrorOf(sources), "");
}

TEST(Settings, JsonTakesShortAndFullNamesAndTypedOrTextValues) {
  auto values =
      ParseSettingsJson(R"({"tick_ms": 500, "network_sense_rtt_alpha": 0.5, "enabled": true, "rtt_m": "7"})", "config");
  ASSERT_TRUE(values.ok()) << values.status();
  SettingsSources sources;
  sources.cluster = *values;
  auto settings = ResolveSettings(sources);
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(*settings, (Settings{.enabled = true, .tick_ms = 500, .rtt_m = 7, .rtt_alpha = 0.5}));
  EXPECT_TRUE(ParseSettingsJson(" \n", "config")->empty());
  auto deep = ParseSettingsJson("{\"tick_ms\":" + std::string(100, '[') + std::string(100, ']') + "}", "config");
  EXPECT_NE(deep.status().message().find("nested too deeply"), std::string::npos) << deep.status();
}

TEST(Settings, BrokenJsonIsAnErrorThatNamesItsOrigin) {
  const std::string bad[] = {"{",
                             "[]",
                             "7",
                             "{\"tick_ms\": null}",
                             "{\"tick_ms\": [1]}",
                             "{\"a\":1}}",
                             "{\"a\":\"\xff\"}",
                             "\"",
                             std::string(100'000, '['),
                             R"({"tick_ms": 1, "network_sense_tick_ms": 2})"};
  for (const auto& text : bad) {
    auto values = ParseSettingsJson(text, "the file x.json");
    EXPECT_EQ(values.status().code(), absl::StatusCode::kInvalidArgument) << text.substr(0, 40);
    EXPECT_THAT(std::string(values.status().message()), HasSubstr("the file x.json"));
  }
}

TEST(Settings, EnvironmentOursBeforeRays) {
  setenv("RAY_network_sense_tick_ms", "700", 1);
  setenv("RAY_network_sense_rtt_m", "8", 1);
  setenv("RAY_network_sense_rtt_n", "8", 1);
  setenv("NETSENSE_TICK_MS", "800", 1);
  setenv("NETSENSE_LOG_LEVEL", "info", 1);
  auto values = SettingsFromEnvironment();
  for (const char* name : {"RAY_network_sense_tick_ms", "RAY_network_sense_rtt_m", "RAY_network_sense_rtt_n",
                           "NETSENSE_TICK_MS", "NETSENSE_LOG_LEVEL"})
    unsetenv(name);
  EXPECT_EQ(values["network_sense_tick_ms"], "800");
  EXPECT_EQ(values["network_sense_rtt_m"], "8");
  EXPECT_FALSE(values.contains("network_sense_log_level"));
  SettingsSources sources;
  sources.environment = values;
  EXPECT_THAT(ErrorOf(sources), HasSubstr("unknown setting 'network_sense_rtt_n' (environment): did you mean"));
}

}  // namespace
}  // namespace netsense
