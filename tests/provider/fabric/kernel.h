// The calls of a context: what is made, changed and destroyed, with the kernel's checks and the device's limits.
#pragma once

#include "tests/provider/fabric/world.h"

namespace netsense::provider {

// Nothing for a post. `along` is a descriptor that goes with the reply.
std::optional<wire::Reply> HandleCall(World& world, Context& context, const wire::Call& call, UniqueFd* along);

// Takes everything back that is in it, in the right order. It keeps its connection.
void Release(World& world, Context& context);

}  // namespace netsense::provider
