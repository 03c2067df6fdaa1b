// Results as one HTML page that needs nothing beside it: heat maps, curves, suspects, nodes, rows.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/result_file.h"

namespace netsense {

// A RowFilter that keeps what the page shows: percentiles of the first rows only, nobody reads hundreds of curves.
class RowsForPage {
 public:
  static constexpr int kCurves = 48;
  void operator()(nlohmann::json& row);

 private:
  int rows_with_percentiles_ = 0;
};

// The page. Whatever the documents hold is text in it: the data stands in a block that no browser runs, and the page's
// policy lets nothing run or load but the page's own script and style.
std::string ReportPage(const std::vector<ResultFile>& files, int64_t made_at_ms);

// Either the whole new file stands under the path afterwards, or what stood there before.
absl::Status WriteWhole(const std::string& path, const std::string& content);

}  // namespace netsense
