// Untrusted: what stands on one line: of a flag, a setting, a file of the kernel's, another host's record. The first
// byte says what it is read as. What must hold: what is taken means the same when it is written again.
#include <algorithm>
#include <array>
#include <string>

#include "base/deadlines.h"
#include "base/host_port.h"
#include "base/json_depth.h"
#include "base/logging.h"
#include "base/utf8.h"
#include "engine/inventory/cpu_list.h"
#include "engine/inventory/pci.h"
#include "nlohmann/json.hpp"
#include "proto/enum_names.h"
#include "raylet_bridge/gcs/gcs_client.h"
#include "raylet_bridge/records/choices.h"
#include "raylet_bridge/serve/known_hosts.h"
#include "raylet_bridge/serve/request_target.h"
#include "tests/fuzz/harness.h"

namespace netsense::fuzz {
namespace {

void Processors(const std::string& text) {
  const auto cpus = inventory::ParseCpuList(text);
  if (!cpus.ok()) return;
  MustHold(!cpus->empty() && std::is_sorted(cpus->begin(), cpus->end()) && cpus->front() >= 0 && cpus->back() < 100'000,
           "processors are few, and rise");
  const auto again = inventory::ParseCpuList(inventory::CpuList(*cpus));
  MustHold(again.ok() && *again == *cpus, "a list of processors is the same when it is written again");
}

void Address(const std::string& text) {
  if (CheckGcsAddress(text).ok()) MustHold(ParseHostPort(text).ok(), "a GCS's address is an address");
  const auto address = ParseHostPort(text, "--listen");
  (void)IsLoopback(text);
  if (!address.ok()) return;
  if (address->host.find_first_of("[]") != std::string::npos)
    return;  // names have no brackets, and nothing resolves them
  const auto again = ParseHostPort(FormatHostPort(address->host, address->port));
  MustHold(again.ok() && again->host == address->host && again->port == address->port,
           "an address is the same when it is written again");
}

void Choices(const std::string& text) {
  MustHold(ParseSelection(ParseSelection(text).Text()) == ParseSelection(text),
           "a selection is the same when it is written again");
  MustHold(ParseTransportChoice(ParseTransportChoice(text).Text()) == ParseTransportChoice(text),
           "a choice is the same when it is written again");
  (void)ParseFilePlace(text);
  if (const auto scale = ParseTimeScale(text); scale.ok())
    MustHold(*scale >= 1 && *scale <= 100, "the scale of time is within its bounds");
}

void Words(const std::string& text) {
  const std::string printable = Printable(text);
  MustHold(std::all_of(printable.begin(), printable.end(), [](unsigned char c) { return c >= 0x20 && c < 0x7f; }),
           "what is printed steers no terminal");
  const std::string utf8 = ToUtf8(text);
  MustHold(ToUtf8(utf8) == utf8, "text is text");
  const std::string replaced = nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  MustHold(nlohmann::json(utf8).dump() == replaced, "text is replaced as JSON's writers do it");
  if (const auto state = ParsePathState(text)) MustHold(PathStateName(*state) == text, "a state is called by its name");
}

void Pci(const std::string& text) {
  if (const auto address = inventory::ParsePciAddress(text)) {
    const auto again = inventory::ParsePciAddress(inventory::FormatPciAddress(*address));
    MustHold(again && *again == *address, "a PCI address is the same when it is written again");
  }
  Input input(text);
  const std::string speed(input.TakeUntil(",")), width(input.TakeUntil(",")), max_speed(input.TakeUntil(","));
  const inventory::PcieLink link = inventory::ParsePcieLink(speed, width, max_speed, std::string(input.Rest()));
  MustHold(link.gbps >= 0 && link.gbps < 1e5 && link.width >= 0 && link.generation >= 0,
           "a PCIe link is one that there is");
}

// Of an HTTP request.
void Target(const std::string& text) {
  const RequestTarget target = ParseRequestTarget(text);
  MustHold(text.starts_with(target.path) && target.path.find_first_of("?#") == std::string::npos,
           "a path is what stands before the question");
  size_t decoded = target.path.size();
  for (const auto& [name, value] : target.values) {
    decoded += name.size() + value.size();
    MustHold(target.Value(name).has_value(), "what was asked is found by its name");
  }
  MustHold(decoded <= text.size(), "nothing is longer than it came");
}

void Host(const std::string& text) {
  constexpr char kOurs[] = "head.example.org";
  MustHold(KnowsHost(text, {"*"}), "who takes every name takes this one");
  if (KnowsHost(text, {kOurs})) return;
  MustHold(!KnowsHost(text, {}), "who takes fewer names takes no more");
  MustHold(!text.empty() && text != kOurs && text != "localhost", "the names of ours are taken");
}

// No depth that passes is more than a reader that recurses can take.
void Depth(const std::string& text) {
  if (IsNestedDeeper(text)) return;
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const nlohmann::json copy = json;  // NOLINT(performance-unnecessary-copy-initialization): it recurses
  (void)copy.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void Run(std::string_view bytes) {
  constexpr std::array kReaders = {Processors, Address, Choices, Words, Pci, Depth, Target, Host};
  Input input(bytes);
  const uint8_t kind = input.Byte();
  kReaders[kind % kReaders.size()](std::string(input.Rest()));
}

const Harness kHarness("one_line", Run);

}  // namespace
}  // namespace netsense::fuzz
