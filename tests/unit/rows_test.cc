// What the rows of results hold, and which of them are failures.
#include "bench/rows.h"

#include <gtest/gtest.h>

#include "bench/result_file.h"

namespace netsense {
namespace {

BandwidthResult Streams(std::vector<uint64_t> bytes) {
  BandwidthResult result;
  for (uint64_t each : bytes) {
    StreamSample sample;
    sample.bytes = each;
    sample.elapsed = std::chrono::milliseconds(10);
    result.streams.push_back({Direction::kToPeer, sample});
    result.sample.bytes += each;
  }
  return result;
}

TEST(Rows, AStreamOfNoByteIsAFailure) {
  EXPECT_TRUE(WhatArrived(Streams({1})).ok());
  EXPECT_TRUE(absl::IsDataLoss(WhatArrived(Streams({0})).status()));
  const auto one_of_two = WhatArrived(Streams({1 << 20, 0}));
  EXPECT_TRUE(absl::IsDataLoss(one_of_two.status()));
  EXPECT_NE(one_of_two.status().message().find("1 of 2 streams"), std::string::npos);
  EXPECT_TRUE(absl::IsAborted(WhatArrived(absl::AbortedError("busy")).status()));
}

TEST(Rows, RepeatsOfOnePairAreMeasurementsOfTheirOwn) {
  nlohmann::json row = {
      {"kind", "bw"}, {"source", "a"}, {"target", "b"}, {"transport", "tcp"}, {"direction", "to_peer"}};
  const MatrixKey first = MatrixKeyOf(row);
  row["repeat"] = 1;
  EXPECT_EQ(MatrixKeyOf(row), first);
  row["repeat"] = 2;
  EXPECT_NE(MatrixKeyOf(row), first);
  for (const nlohmann::json& odd : {nlohmann::json("x"), nlohmann::json(-1e300), nlohmann::json(1e300)}) {
    row["repeat"] = odd;
    MatrixKeyOf(row);  // and no undefined behaviour
  }
}

}  // namespace
}  // namespace netsense
