#include "bench/matrix/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "bench/result_file.h"

namespace netsense::matrix {
namespace {

using Json = nlohmann::json;

constexpr size_t kWorst = 20;

struct Cell {
  std::string from, to;
  double value = 0;
};

// What rows of one transport hold of one metric: bandwidth from one node to another, or the round trip, both ways; of
// repeats the median.
std::vector<Cell> CellsOf(const Json& document, const std::string& transport, bool rtt) {
  std::map<std::pair<std::string, std::string>, std::vector<double>> by_pair;
  for (const Json& row : document.at("results")) {
    if (TextOf(row, "transport") != transport || TextOf(row, "kind") != (rtt ? "ping" : "bw")) continue;
    auto value = NumberOf(ObjectOf(row, rtt ? "network_rtt_us" : "bw_gbps"), rtt ? "p50" : "avg");
    if (!value) continue;
    std::pair way(TextOf(row, "source"), TextOf(row, "target"));
    if (TextOf(row, "direction") == "from_peer") std::swap(way.first, way.second);
    by_pair[way].push_back(*value);
    if (rtt) by_pair[{way.second, way.first}].push_back(*value);
  }
  std::vector<Cell> cells;
  for (auto& [way, values] : by_pair) {
    std::sort(values.begin(), values.end());
    cells.push_back({way.first, way.second, (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2});
  }
  return cells;
}

std::string Table(const std::vector<std::string>& names, const std::vector<Cell>& cells, bool rtt) {
  std::map<std::pair<std::string, std::string>, double> by_pair;
  for (const Cell& cell : cells) by_pair[{cell.from, cell.to}] = cell.value;
  std::string table = fmt::format("{:>4}", "");
  for (size_t i = 1; i <= names.size(); ++i) table += fmt::format("{:>9}", i);
  table += "\n";
  for (size_t i = 0; i < names.size(); ++i) {
    table += fmt::format("{:>4}", i + 1);
    for (const std::string& to : names) {
      auto found = by_pair.find({names[i], to});
      if (names[i] == to)
        table += fmt::format("{:>9}", ".");
      else if (found == by_pair.end())
        table += fmt::format("{:>9}", "-");
      else
        table += fmt::format("{:>9.{}f}", found->second, rtt ? 1 : 3);
    }
    table += "\n";
  }
  return table;
}

std::string Summary(std::vector<Cell> cells, bool rtt) {
  // Worst first.
  std::sort(cells.begin(), cells.end(),
            [rtt](const Cell& x, const Cell& y) { return rtt ? x.value > y.value : x.value < y.value; });
  if (rtt) std::erase_if(cells, [](const Cell& cell) { return cell.to < cell.from; });
  auto at = [&cells](double share) {
    return cells[static_cast<size_t>(share * static_cast<double>(cells.size() - 1))];
  };
  std::string text = fmt::format("  best {:.4g}, p90 {:.4g}, median {:.4g}, p10 {:.4g}, worst {:.4g}; the worst:\n",
                                 at(1).value, at(0.9).value, at(0.5).value, at(0.1).value, at(0).value);
  for (size_t i = 0; i < std::min(kWorst, cells.size()); ++i)
    text += fmt::format("  {:>10.4g}  {} → {}\n", cells[i].value, cells[i].from, cells[i].to);
  return text;
}

}  // namespace

std::string TablesOf(const Json& document) {
  std::vector<std::string> alive;
  std::string dead;
  for (const Json& node : document.at("nodes")) {
    const std::string name = node.value("name", "");
    if (node.value("alive", false))
      alive.push_back(name);
    else
      dead += fmt::format("not there: {}: {}\n", name, node.value("reason", ""));
  }
  std::string text;
  const bool in_table = alive.size() <= kMostInTable;
  if (in_table)
    for (size_t i = 0; i < alive.size(); ++i) text += fmt::format("{:>4}  {}\n", i + 1, alive[i]);
  for (const Json& transport : document.at("plan").at("transports")) {
    for (bool rtt : {true, false}) {
      std::vector<Cell> cells = CellsOf(document, transport, rtt);
      if (cells.empty()) continue;
      text += rtt ? fmt::format("\n{}: network round trip, median, us\n", transport.get<std::string>())
                  : fmt::format("\n{}: bandwidth from row to column, Gb/s\n", transport.get<std::string>());
      text += in_table ? Table(alive, cells, rtt) : Summary(std::move(cells), rtt);
    }
  }
  text += "\n" + dead;
  size_t failures = 0;
  for (const Json& row : document.at("results")) {
    if (!row.contains("error")) continue;
    if (++failures <= kWorst)
      text += fmt::format("failed: {} → {} over {}: {}\n", TextOf(row, "source"), TextOf(row, "target"),
                          TextOf(row, "transport"), TextOf(ObjectOf(row, "error"), "message"));
  }
  if (failures > kWorst) text += fmt::format("failed: {} more\n", failures - kWorst);
  for (const Json& suspect : document.at("suspects")) {
    std::string nodes;
    for (const Json& node : suspect.at("nodes")) nodes += (nodes.empty() ? "" : " - ") + node.get<std::string>();
    text += fmt::format("SUSPECT {} {} ({}, {})\n", suspect.value("what", ""), nodes, suspect.value("transport", ""),
                        suspect.value("metric", "") == "rtt" ? "round trip" : "bandwidth");
    for (const Json& line : suspect.at("evidence")) text += fmt::format("    {}\n", line.get<std::string>());
  }
  if (!document.value("judged", false))
    text += fmt::format("not judged: {}\n", TextOf(document, "not_judged_reason"));
  else if (document.at("suspects").empty())
    text += "no suspects\n";
  return text;
}

}  // namespace netsense::matrix
