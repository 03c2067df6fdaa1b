#include "transports/isolated/thread_binding.h"

#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <climits>

namespace netsense::isolated {
namespace {

constexpr size_t kMostNodes = 1024;
using NodeMask = std::array<unsigned long, kMostNodes / (CHAR_BIT * sizeof(unsigned long))>;

}  // namespace

v1::ThreadBinding BindingOfThisThread() {
  v1::ThreadBinding binding;
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &cpus)) binding.add_cpus(cpu);
  int policy = MPOL_DEFAULT;
  NodeMask mask{};
  if (syscall(SYS_get_mempolicy, &policy, mask.data(), kMostNodes, nullptr, 0) == 0) {
    binding.set_memory_policy(policy);
    for (unsigned long word : mask) binding.add_memory_nodes(word);
  }
  return binding;
}

void BindThisThread(const v1::ThreadBinding& binding) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  for (uint32_t cpu : binding.cpus())
    if (cpu < CPU_SETSIZE) CPU_SET(cpu, &cpus);
  if (binding.cpus_size() > 0) sched_setaffinity(0, sizeof(cpus), &cpus);
  NodeMask mask{};
  for (int i = 0; i < binding.memory_nodes_size() && i < static_cast<int>(mask.size()); ++i)
    mask[static_cast<size_t>(i)] = binding.memory_nodes(i);
  if (binding.memory_policy() != MPOL_DEFAULT)
    syscall(SYS_set_mempolicy, binding.memory_policy(), mask.data(), kMostNodes);
}

}  // namespace netsense::isolated
