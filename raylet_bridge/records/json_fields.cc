#include "raylet_bridge/records/json_fields.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/json_depth.h"
#include "base/logging.h"
#include "base/utf8.h"

namespace netsense {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxString = 1024;
constexpr double kMaxNumber = 1e18;                // no time and no rate, in whatever unit; a float holds it
constexpr int64_t kMaxInteger = int64_t{1} << 53;  // every JSON reader holds whole numbers exactly up to here

const Json* Find(const Json& object, const char* key) {
  auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

}  // namespace

std::string DumpJson(const Json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

std::string EnvelopeJson(Json result, const std::string& message) {
  return DumpJson({{"result", true}, {"msg", message}, {"data", {{"result", std::move(result)}}}});
}

Json ParseJson(const std::string& text) {
  if (IsNestedDeeper(text)) return Json(Json::value_t::discarded);
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

absl::StatusOr<Json> ParseDocument(const std::string& text, const std::string& node_id, size_t max_bytes) {
  if (text.size() > max_bytes)
    return absl::InvalidArgumentError(absl::StrCat(text.size(), " bytes, more than the ", max_bytes, " that are read"));
  if (IsNestedDeeper(text)) return absl::InvalidArgumentError("it is nested too deeply");
  auto document = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return absl::InvalidArgumentError("it is not a JSON object");
  if (auto version = IntegerAt(document, "schema_version"); version != 1)
    return absl::InvalidArgumentError(absl::StrCat(
        "its schema_version is ", version ? absl::StrCat(*version) : "missing", ", and this netsense reads 1"));
  if (auto named = StringAt(document, "node_id"); named != node_id)
    return absl::InvalidArgumentError(absl::StrCat("it names node ", Printable(named.value_or("(none)")),
                                                   ", and stands under the key of node ", node_id));
  return document;
}

std::optional<double> NumberAt(const Json& object, const char* key) {
  const Json* value = Find(object, key);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  double number = value->get<double>();
  if (!(number >= 0 && number <= kMaxNumber)) return std::nullopt;
  return number;
}

std::optional<int64_t> IntegerAt(const Json& object, const char* key) {
  const Json* value = Find(object, key);
  if (value == nullptr || !value->is_number_integer()) return std::nullopt;
  if (value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(kMaxInteger)) return std::nullopt;
  int64_t number = value->get<int64_t>();
  if (number < 0 || number > kMaxInteger) return std::nullopt;
  return number;
}

std::optional<std::string> StringAt(const Json& object, const char* key) {
  const Json* value = Find(object, key);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  const auto& text = value->get_ref<const std::string&>();
  return text.size() <= kMaxString ? text : ToUtf8(text.substr(0, kMaxString));  // the cut may go through a character
}

}  // namespace netsense
