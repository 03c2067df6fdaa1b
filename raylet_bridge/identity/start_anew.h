// A bridge whose wall clock was put back starts anew in its own process: gRPC's timers wait by that clock (absl), so
// that no deadline of a call would end it for as long as the clock was put back, and nothing but another process cures
// that.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/wall_clock_watch.h"

namespace netsense {

// As long as this lives, a wall clock that is put back by more than a second starts the program anew: the same process
// id, arguments and environment, and nothing else of it. A standalone node stays `node_id`; empty = there is none to
// be.
std::unique_ptr<WallClockWatch> StartAnewWhenTheClockIsPutBack(const std::string& node_id);

// The node id that this process had before it started anew; empty = it has not. It is told once.
std::string NodeIdFromBefore();

}  // namespace netsense
