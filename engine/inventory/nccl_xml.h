// A node as NCCL's topology XML shows it (NCCL_TOPO_FILE, NCCL_TOPO_DUMP_FILE): what providers hand out for their
// virtual machines.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "engine/inventory/node.h"
#include "engine/inventory/xml_file.h"

namespace netsense::inventory {

// InvalidArgument, in words, for what is no machine. Of several machines in one file (NCCL dumps all that NVLink
// joins), the first, and the notes say so.
absl::StatusOr<Node> ReadNcclXml(const XmlFile& file);

// How many machines are in it.
size_t NcclHosts(const XmlFile& file);

// Puts the devices of `node` where `file` has those of the same PCI address. What the file does not have keeps no place
// at all; the notes say how many matched. FailedPrecondition when none did: it is another machine's
// file.
absl::Status ApplyPlaces(const Node& file, Node* node);

}  // namespace netsense::inventory
