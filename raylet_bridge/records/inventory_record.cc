#include "raylet_bridge/records/inventory_record.h"

#include <google/protobuf/util/json_util.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "raylet_bridge/records/json_fields.h"

namespace netsense {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxBytes = 256 << 10;
constexpr const char* kLists[] = {"ports", "gpus", "numa_nodes", "inventory_notes"};

v1::EngineInfo InventoryOf(const v1::EngineInfo& info) {
  v1::EngineInfo inventory;
  *inventory.mutable_ports() = info.ports();
  *inventory.mutable_gpus() = info.gpus();
  *inventory.mutable_numa_nodes() = info.numa_nodes();
  *inventory.mutable_inventory_notes() = info.inventory_notes();
  return inventory;
}

Json ToJson(const v1::EngineInfo& inventory) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  Json object;
  if (google::protobuf::util::MessageToJsonString(inventory, &text, options).ok())
    object = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  Json lists = Json::object();
  for (const char* name : kLists)
    lists[name] = object.is_object() && object.contains(name) ? std::move(object[name]) : Json::array();
  return lists;
}

std::string Document(const std::string& node_id, const v1::EngineInfo& inventory) {
  Json document = {{"schema_version", 1}, {"node_id", node_id}};
  document.update(ToJson(inventory));
  return DumpJson(document);
}

}  // namespace

std::string InventoryToJson(const std::string& node_id, const v1::EngineInfo& info) {
  v1::EngineInfo inventory = InventoryOf(info);
  std::string document = Document(node_id, inventory);
  if (document.size() <= kMaxBytes) return document;
  for (v1::Port& port : *inventory.mutable_ports()) port.clear_gids();
  document = Document(node_id, inventory);
  if (document.size() <= kMaxBytes) return document;
  v1::EngineInfo note;
  note.add_inventory_notes(absl::StrCat("the inventory takes ", document.size(), " bytes, more than the ", kMaxBytes,
                                        " that are written: see netsense-bench topo on the node"));
  return Document(node_id, note);
}

absl::StatusOr<Json> ParseInventory(const std::string& json, const std::string& node_id) {
  RETURN_IF_ERROR(ParseDocument(json, node_id, kMaxBytes).status());
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  v1::EngineInfo inventory;
  if (auto status = google::protobuf::util::JsonStringToMessage(json, &inventory, options); !status.ok())
    return absl::InvalidArgumentError(absl::StrCat("it is no inventory: ", status.ToString()));
  return ToJson(InventoryOf(inventory));
}

}  // namespace netsense
