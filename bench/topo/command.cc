// `netsense-bench topo`: the inventory, shown.
#include "bench/command.h"

#include <iostream>
#include <memory>

#include "bench/measure_flags.h"
#include "bench/topo/topo.h"

namespace netsense {

Command AddTopo(CLI::App& program) {
  struct Flags {
    TopoRequest request;
    std::string log_level;
  };
  auto flags = std::make_shared<Flags>();
  TopoRequest* request = &flags->request;
  CLI::App* app = program.add_subcommand("topo", "what is near to what: GPUs, NICs, NUMA nodes, rails of a machine");
  app->add_option("--from", request->from,
                  "instead of this machine: hwloc XML (lstopo machine.xml), NCCL topology XML, or a folder with a copy "
                  "of /sys")
      ->check(CLI::ExistingPath);
  app->add_flag("--json", request->json, "one JSON document on stdout");
  app->add_option("--svg", request->svg, "draw the machine into this file");
  app->add_option("--rails", request->inventory.rails, "ports of rail 0, 1, ... by name or PCI address, with commas")
      ->delimiter(',');
  app->add_option("--topology-override", request->inventory.topology_override,
                  "topology file (NCCL's format) that says where devices are, where a hypervisor hides it")
      ->check(CLI::ExistingFile);
  app->add_option("--log-level", flags->log_level, "trace, debug, info, warn, error, off");
  return {app, [flags](const std::stop_token&) {
            auto status = ShowTopology(flags->request, std::cout);
            return status.ok() ? kGood : Fail(status);
          }};
}

}  // namespace netsense
