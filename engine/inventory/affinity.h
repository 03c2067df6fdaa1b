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

// Of two devices of `node`. Where a hypervisor hides the tree, a shared host bridge tells nothing; on a machine of one
// NUMA node, a device whose node is not told is on that one.
Affinity AffinityOf(const Node& node, const PciPlace& a, const PciPlace& b);

std::string Name(Affinity affinity);     // "PIX" ...; "UNKNOWN"
std::string Meaning(Affinity affinity);  // a line of the legend

// Sets node->topology_hidden, and says so in the notes, when every GPU and port that has a place on PCI is on no NUMA
// node and behind no shared PCIe bridge, and nothing proves the machine to be a real one.
void DetectHiddenTopology(Node* node);

// The NUMA node that the place is on, as far as it is known; null = not known.
const NumaNode* NumaNodeOf(const Node& node, const PciPlace& place);

// Says in the notes why cells of the table are not known, each cause once and for which devices.
void NoteUnknowns(Node* node);

}  // namespace netsense::inventory
