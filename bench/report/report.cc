#include "bench/report/report.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "bench/report/page.h"
#include "fmt/format.h"

namespace netsense {
namespace {

using Json = nlohmann::json;

std::string AsText(const Json& json) {
  // Names may hold anything: what is no UTF-8 is replaced.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Five digits are more than a page shows, and half the size.
Json Short(std::optional<double> value) {
  if (!value) return nullptr;
  return std::strtod(fmt::format("{:.5g}", *value).c_str(), nullptr);
}

// Names that repeat in every row stand once.
class Texts {
 public:
  size_t Index(const std::string& text) {
    auto [place, is_new] = places_.try_emplace(text, texts_.size());
    if (is_new) texts_.push_back(text);
    return place->second;
  }
  Json Take() { return std::move(texts_); }

 private:
  std::map<std::string, size_t> places_;
  Json texts_ = Json::array();
};

// What rows of the same measurement between other nodes have in common.
Json SeriesOf(const Json& row) {
  Json series = Json::object();
  for (const char* field :
       {"kind", "transport", "mode", "device", "direction", "streams", "load", "timestamp_source", "fabric", "rail"})
    if (auto value = row.find(field); value != row.end() && value->is_primitive()) series[field] = *value;
  for (const char* field : {"payload_bytes", "message_bytes"})
    if (auto bytes = NumberOf(row, field)) series["bytes"] = *bytes;
  if (std::string wait = TextOf(ObjectOf(row, "wait_mode"), "prober"); !wait.empty()) series["wait"] = wait;
  return series;
}

// [series, source, target, repeat, then]
//   of a failure: index of its text
//   of ping: rtt p50, p99, min, max, network p50, p99, samples, lost
//   of bw: average, worst window, best window, percent of what was expected
Json RowForPage(const Json& row, size_t series, Texts* texts) {
  Json out = {series, texts->Index(TextOf(row, "source")), texts->Index(TextOf(row, "target")),
              Short(NumberOf(row, "repeat"))};
  const Json& error = ObjectOf(row, "error");
  if (!error.empty()) {
    out.push_back(texts->Index(absl::StrCat(TextOf(error, "code"), ": ", TextOf(error, "message"))));
    return out;
  }
  if (TextOf(row, "kind") == "bw") {
    const Json& bw = ObjectOf(row, "bw_gbps");
    for (const char* name : {"avg", "min_window", "max_window"}) out.push_back(Short(NumberOf(bw, name)));
    out.push_back(Short(NumberOf(ObjectOf(row, "expected"), "percent")));
    return out;
  }
  const Json &rtt = ObjectOf(row, "rtt_us"), &network = ObjectOf(row, "network_rtt_us");
  for (const char* name : {"p50", "p99", "min", "max"}) out.push_back(Short(NumberOf(rtt, name)));
  for (const char* name : {"p50", "p99"}) out.push_back(Short(NumberOf(network, name)));
  for (const char* name : {"samples", "lost"}) {
    auto count = row.find(name);
    out.push_back(count != row.end() && count->is_number() ? *count : Json());
  }
  return out;
}

Json DocumentForPage(const ResultFile& file) {
  Json head = Json::object();
  for (const auto& [name, value] : file.document.items())
    if (name != "results") head[name] = value;
  Texts texts;
  std::map<std::string, size_t> known;
  Json series = Json::array(), rows = Json::array(), curves = Json::array(), summaries = Json::array();
  for (const Json& row : file.document.at("results")) {
    // What `loaded` says of its own rows.
    if (TextOf(row, "kind") == "loaded") {
      summaries.push_back(row);
      continue;
    }
    Json own = SeriesOf(row);
    auto [place, is_new] = known.try_emplace(AsText(own), series.size());
    if (is_new) series.push_back(std::move(own));
    if (auto points = ObjectOf(row, "rtt_us").find("percentiles"); points != ObjectOf(row, "rtt_us").end()) {
      Json curve = Json::array();
      for (const Json& point : *points)
        if (point.is_array() && point.size() == 2 && point[0].is_number() && point[1].is_number())
          curve.push_back({Short(point[0].get<double>()), Short(point[1].get<double>())});
      curves.push_back({{"row", rows.size()}, {"points", std::move(curve)}});
    }
    rows.push_back(RowForPage(row, place->second, &texts));
  }
  return {{"path", file.path},           {"note", file.note},
          {"head", std::move(head)},     {"texts", texts.Take()},
          {"series", std::move(series)}, {"rows", std::move(rows)},
          {"curves", std::move(curves)}, {"summaries", std::move(summaries)}};
}

// As the policy names what may run.
std::string Source(std::string_view content) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(content.data()), content.size(), digest);
  return absl::StrCat("'sha256-", absl::Base64Escape(absl::string_view(reinterpret_cast<char*>(digest), sizeof digest)),
                      "'");
}

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

void RowsForPage::operator()(Json& row) {
  if (!row.is_object()) return;
  for (const char* name : {"responder_hold_us", "host_delay_us", "binding", "peer", "by_stream", "counters"})
    row.erase(name);
  if (auto network = row.find("network_rtt_us"); network != row.end() && network->is_object())
    network->erase("percentiles");
  if (auto rtt = row.find("rtt_us"); rtt != row.end() && rtt->is_object() && rtt->contains("percentiles"))
    if (++rows_with_percentiles_ > kCurves) rtt->erase("percentiles");
}

std::string ReportPage(const std::vector<ResultFile>& files, int64_t made_at_ms) {
  Json documents = Json::array();
  for (const ResultFile& file : files) documents.push_back(DocumentForPage(file));
  const Json data = {{"made_at_ms", made_at_ms}, {"version", NETSENSE_VERSION}, {"documents", std::move(documents)}};
  // Without "<" nothing in the data ends its block.
  const std::string text = absl::StrReplaceAll(AsText(data), {{"<", "\\u003c"}});
  const std::string policy = absl::StrCat("default-src 'none'; base-uri 'none'; form-action 'none'; style-src ",
                                          Source(page::kStyle), "; script-src ", Source(page::kScript));
  return absl::StrReplaceAll(View(page::kHtml), {{"{{policy}}", policy},
                                                 {"{{style}}", View(page::kStyle)},
                                                 {"{{script}}", View(page::kScript)},
                                                 {"{{data}}", text}});
}

absl::Status WriteWhole(const std::string& path, const std::string& content) {
  auto fail = [&] { return absl::UnavailableError(absl::StrCat("cannot write ", path, ": ", strerror(errno))); };
  std::string beside = path + ".XXXXXX";
  const int file = mkostemp(beside.data(), O_CLOEXEC);
  if (file < 0) return fail();
  auto remove = absl::MakeCleanup([&] { unlink(beside.c_str()); });
  auto close_file = absl::MakeCleanup([&] { close(file); });
  for (size_t written = 0; written < content.size();) {
    const ssize_t now = write(file, content.data() + written, content.size() - written);
    if (now < 0 && errno == EINTR) continue;
    if (now < 0) return fail();
    written += static_cast<size_t>(now);
  }
  // mkostemp's file is its owner's alone; a report is as open as any other new file.
  const mode_t mask = umask(0);
  umask(mask);
  if (fchmod(file, 0666 & ~mask) < 0 || fsync(file) < 0 || rename(beside.c_str(), path.c_str()) < 0) return fail();
  std::move(remove).Cancel();
  return absl::OkStatus();
}

}  // namespace netsense
