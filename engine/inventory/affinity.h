// How near two devices of one machine are, in the words of `nvidia-smi topo -m`.
#pragma once

#include <string>

#include "engine/inventory/node.h"

namespace netsense::inventory {

// From near to far.
enum class Affinity {
  kPix,      // at most one PCIe bridge between
  kPxb,      // several bridges, no host bridge
  kPhb,      // through a host bridge
  kNode,     // between host bridges of one NUMA node
  kSys,      // between NUMA nodes
  kUnknown,  // cannot be told: never taken for one of the others
};

// `hidden`: a hypervisor shows another tree than the real one, so that a shared host bridge tells nothing.
Affinity AffinityOf(const PciPlace& a, const PciPlace& b, bool hidden);

std::string Name(Affinity affinity);     // "PIX" ...; "UNKNOWN"
std::string Meaning(Affinity affinity);  // a line of the legend

// Sets node->topology_hidden, and says so in the notes, when every GPU and port that has a place on PCI is on no NUMA
// node and behind no shared PCIe bridge, and nothing proves the machine to be a real one.
void DetectHiddenTopology(Node* node);

}  // namespace netsense::inventory
