// The reliable connection (RC): what a device does with the work requests of a send queue. It moves the bytes straight
// between the two processes' memory, so that neither has to run: a frozen program's device goes on.
#pragma once

#include "tests/provider/fabric/world.h"

namespace netsense::provider {

// Carries out what can be carried out by now, in order. What must wait (the receiver has posted nothing, or does not
// answer) has its time in `again_at`.
void Progress(World& world, QueuePair& pair);

}  // namespace netsense::provider
