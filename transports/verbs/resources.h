// One owner for each kind of libibverbs' handles. What depends on another is destroyed before it: declare in this
// order.
#pragma once

#include <infiniband/verbs.h>

#include <cstdlib>
#include <memory>
#include <span>

#include "transports/verbs/library.h"

namespace netsense::verbs {

template <typename Handle, auto Destroy>
struct Destroyer {
  const Library* library = nullptr;
  void operator()(Handle* handle) const { (library->*Destroy)(handle); }
};
template <typename Handle, auto Destroy>
using Owned = std::unique_ptr<Handle, Destroyer<Handle, Destroy>>;

using ContextHandle = Owned<ibv_context, &Library::close_device>;
using DomainHandle = Owned<ibv_pd, &Library::dealloc_pd>;
using RegionHandle = Owned<ibv_mr, &Library::dereg_mr>;
using ChannelHandle = Owned<ibv_comp_channel, &Library::destroy_comp_channel>;
using QueueHandle = Owned<ibv_cq, &Library::destroy_cq>;
using PairHandle = Owned<ibv_qp, &Library::destroy_qp>;

struct Free {
  void operator()(uint8_t* memory) const { std::free(memory); }
};

// Memory that the device may use, of whole pages.
struct Region {
  std::unique_ptr<uint8_t, Free> memory;
  size_t bytes = 0;
  RegionHandle handle;
};

}  // namespace netsense::verbs
