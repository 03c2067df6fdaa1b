// Everything there is, and the few things that both kernel and device do with it. Guarded by the fabric's mutex.
#pragma once

#include <list>
#include <vector>

#include "tests/provider/fabric/faults.h"
#include "tests/provider/fabric/objects.h"

namespace netsense::provider {

struct World {
  std::list<Context> contexts;           // connections: also those that have opened nothing yet
  std::map<uint32_t, QueuePair*> pairs;  // of all contexts, by number
  std::vector<std::shared_ptr<Device>> devices;
  Faults faults;
  Misuse misuse;
  double retry_time_scale = 1;  // what a requester waits before it tries again
  uint32_t next_handle = 1;     // of anything: a number is used once

  std::shared_ptr<Device> FindListed(const std::string& name) const;
  Objects CountObjects() const;
};

// Tells the context's owner; what does not fit any more is lost.
void Raise(Context& context, ibv_event_type type, uint32_t element);

// Puts it into the queue and tells the channel when it was asked to. A full queue is in error, with all its pairs.
void Complete(World& world, Context& context, uint32_t queue, const wire::Completion& completion);

// To the error state: whatever is posted, now or later, is flushed.
void Fail(World& world, QueuePair& pair);
void Flush(World& world, QueuePair& pair);

// Completes the first request of the send queue; with anything but success the pair is in error.
void FinishSend(World& world, QueuePair& pair, ibv_wc_status status, uint32_t bytes = 0, bool lost = false);

}  // namespace netsense::provider
