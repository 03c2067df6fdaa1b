// A node as hwloc's XML shows it (`lstopo machine.xml`).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "engine/inventory/node.h"
#include "engine/inventory/xml_file.h"

namespace netsense::inventory {

// InvalidArgument, in words, when the hwloc of this program cannot load it: a newer format, or not a machine at all.
absl::StatusOr<Node> ReadHwlocXml(const XmlFile& file);

}  // namespace netsense::inventory
