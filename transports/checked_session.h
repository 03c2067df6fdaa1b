// Around every session: what a peer says of a measurement is believed only as far as it can be true.
#pragma once

#include <memory>
#include <stop_token>

#include "absl/status/statusor.h"
#include "transports/transport.h"

namespace netsense {

// Connects, and judges whatever the session says. `port_bps`: link rate of our own port; 0 = not known. (The peer's is
// in its grant, and may only lower it.)
//
// A ping that was answered after its deadline is a lost one (DeadlineExceeded). DataLoss, and the session is over:
//   the responder held the ping longer than the round trip took;
//   of a stream to the peer, more was received than sent, within a longer time than ours, or within a shorter one than
//   we needed to hand over what no buffers hold (SendMeter), or than a port carries what none hold;
//   nothing at all of a stream arrived.
// Clocks of two hosts are taken to differ by no more than 1 in 1,000.
// A stream that seems faster than a port, by no more than buffers hold, is `buffered`: it has no rate.
absl::StatusOr<std::unique_ptr<Session>> ConnectChecked(Transport& transport, DoorConnection connection,
                                                        uint64_t port_bps, MonotonicTime deadline,
                                                        std::stop_token stop);

}  // namespace netsense
