// What the rows of results hold, and which of them are failures.
#include "bench/rows.h"

#include <gtest/gtest.h>

#include "bench/result_file.h"

namespace netsense {
namespace {

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
