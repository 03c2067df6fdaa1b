// What must hold of a machine that was read from somebody's file, and of all that is shown of it.
#pragma once

#include "engine/inventory/node.h"

namespace netsense::fuzz {

// Every list is bounded and refers to what is there; JSON is JSON, the picture is XML, the table steers no terminal,
// and the message for the bridge can be written.
void CheckMachine(const inventory::Node& node);

}  // namespace netsense::fuzz
