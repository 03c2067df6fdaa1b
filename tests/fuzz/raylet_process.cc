// Untrusted: the command line of any process on this host, which may call itself a raylet. What must hold: what is
// found is a node's id and a GCS's address, and what is told of it steers no terminal.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "raylet_bridge/gcs/gcs_client.h"
#include "raylet_bridge/identity/raylet.h"
#include "raylet_bridge/records/kv_keys.h"
#include "tests/fuzz/harness.h"

namespace netsense::fuzz {
namespace {

// One /proc for all inputs, with two processes in it.
const std::filesystem::path& Proc() {
  static const std::filesystem::path proc = [] {
    std::string name = std::filesystem::temp_directory_path() / "netsense_fuzz_proc_XXXXXX";
    std::filesystem::path made = mkdtemp(name.data());
    for (const char* pid : {"7", "8"}) std::filesystem::create_directory(made / pid);
    std::atexit([] { std::filesystem::remove_all(Proc()); });
    return made;
  }();
  return proc;
}

void Run(std::string_view bytes) {
  Input input(bytes);
  std::ofstream(Proc() / "7/cmdline") << input.TakeUntil("\n");
  std::ofstream(Proc() / "8/cmdline") << input.Rest();
  const auto raylets = FindRaylets(Proc());
  for (const RayletProcess& raylet : raylets)
    MustHold(IsNodeId(raylet.node_id) && CheckGcsAddress(raylet.gcs_address).ok(),
             "a raylet has a node's id and a GCS");
  const auto chosen = ChooseRaylet(raylets, {});
  MustHold(chosen.ok() == (raylets.size() == 1), "the only raylet is chosen, and of several none");
  for (const char c : chosen.status().message())
    MustHold(c == '\n' || (c >= 0x20 && c < 0x7f), "what is told of raylets steers no terminal");
}

const Harness kHarness("raylet_process", Run);

}  // namespace
}  // namespace netsense::fuzz
