// A transport whose two ends misbehave as told: it speaks frames over the door's own connection, plainly. It joins the
// suite as a backend that can do what a real peer cannot be made to do, and it shows that the suite catches a backend
// that breaks the contract.
#pragma once

#include <memory>
#include <string>

#include "transports/transport.h"

namespace netsense::conformance {

// What the responder does wrong in each session: with its first ping, then no more.
//   delay    waits 20 ms before the echo, and does not say so
//   lose     never answers
//   late     answers when the second ping is there, first things first
//   corrupt  turns a bit of the payload
//   reset    resets the connection instead of an answer
inline constexpr std::chrono::milliseconds kSilentDelay{20};

// How the prober breaks the contract when NETSENSE_CONFORMANCE_DEFECT says so: "half_rtt", "hides_hold", "miscounts",
// "believes_any_echo", "deaf" (to its stop token), "overstays" (its deadline), "leaks", "lingers" (does not close),
// "deadlock" (no call returns), "deadlock_at_the_end" (nor does the destructor); and how the responder does:
// "slow_peer" (waits before each echo, and does not say so), "loses_a_ping" (now and then one gets no echo).
std::unique_ptr<Transport> MakeScriptedTransport(const std::string& fault);

}  // namespace netsense::conformance
