#include "base/host_port.h"

#include <gtest/gtest.h>

namespace netsense {
namespace {

TEST(HostPort, ReadsWhatPeopleWrite) {
  EXPECT_EQ(ParseHostPort("10.0.0.1:80")->host, "10.0.0.1");
  EXPECT_EQ(ParseHostPort("10.0.0.1:80")->port, 80);
  EXPECT_EQ(ParseHostPort("[fd00::1]:65535")->host, "fd00::1");
  EXPECT_EQ(ParseHostPort("node-7:0")->host, "node-7");
  for (const char* bad :
       {"", "host", "host:", "host:x", "host:65536", "host:-1", "fd00::1:80", "[fd00::1:80", "host:8 0"})
    EXPECT_TRUE(absl::IsInvalidArgument(ParseHostPort(bad).status())) << bad;
  EXPECT_EQ(ParseHostPort("host", "--listen").status().message(),
            "--listen 'host': the port is missing; give HOST:PORT, 10.0.0.1:18590 or [fd00::1]:18590 say");
}

TEST(HostPort, IsWrittenAsItIsRead) {
  for (const char* text : {"10.0.0.1:80", "[fd00::1]:65535", "node-7:0"}) {
    const auto parsed = ParseHostPort(text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(FormatHostPort(parsed->host, parsed->port), text);
  }
}

TEST(Loopback, IsKnown) {
  for (const char* yes : {"127.0.0.1", "127.9.9.9", "::1", "localhost"}) EXPECT_TRUE(IsLoopback(yes)) << yes;
  for (const char* no : {"10.0.0.1", "0.0.0.0", "", "::", "128.0.0.1", "localhost.example", "127.example.org",
                         "127.0.0.1.example.org", "127.1"})
    EXPECT_FALSE(IsLoopback(no)) << no;
}

TEST(Unspecified, IsAllAddressesOfThisHost) {
  for (const char* yes : {"", "0.0.0.0", "::"}) EXPECT_TRUE(IsUnspecified(yes)) << yes;
  for (const char* no : {"127.0.0.1", "::1", "10.0.0.1", "localhost"}) EXPECT_FALSE(IsUnspecified(no)) << no;
}

}  // namespace
}  // namespace netsense
