// A made-up RDMA fabric: its devices, the kernel above them and the wires between them. The scripted verbs library
// (tests/provider/library) of this process, and of every process that it starts, is connected to it by the environment.
//
// The test is the script: it says here which devices there are, what they have, what fails, what happens now. A thread
// of the fabric's own does what devices do; it stands in the test's process, so a peer that is frozen or killed takes
// nothing of the hardware along. One fabric at a time in a process. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/provider/fabric/faults.h"
#include "tests/provider/fabric/sysfs_writer.h"
#include "tests/provider/fabric/world.h"

namespace netsense::provider {

enum class Removal {
  kUnderItsUsers,  // as of mlx5: the users' contexts are dead at once, and are told so (IBV_EVENT_DEVICE_FATAL)
  kOnceUnused,     // as of Soft-RoCE: it works on, and whoever removes it waits for its users; nobody is told
};

class Fabric {
 public:
  // Throws std::runtime_error when it cannot be set up.
  explicit Fabric(const std::vector<DeviceSpec>& devices);
  ~Fabric();
  Fabric(const Fabric&) = delete;
  Fabric& operator=(const Fabric&) = delete;

  // Where the made-up /sys is: of this process's fabric, or of the one that the environment names.
  static std::string Sysfs();

  // Devices come and go. Names and ports must be there: std::out_of_range.
  void Add(const DeviceSpec& device);
  void Remove(const std::string& device, Removal removal);
  // Until nobody has a device of that name open that was removed.
  bool AwaitUnused(const std::string& device, std::chrono::nanoseconds limit);

  // What changes while they are in use: /sys and the event to all who have the device open.
  void SetPortState(const std::string& device, size_t port, ibv_port_state state);
  void SetGid(const std::string& device, size_t port, size_t index, const Gid& gid);
  void SetLimits(const std::string& device, const Limits& limits);
  // Only the event.
  void Raise(const std::string& device, ibv_event_type event, size_t port = 1);
  // Every queue pair of the device is in error, with this event (IBV_EVENT_QP_FATAL).
  void BreakPairs(const std::string& device, ibv_event_type event);

  void Inject(const CallFault& fault);
  void Inject(const WorkFault& fault);
  // Clears them. How many had not happened.
  size_t ClearFaults();
  // A requester's timeouts and waits, times this: a dead peer takes seconds else.
  void ScaleRetries(double factor);

  Objects objects() const;
  Misuse misuse() const;
  // Waits for a change of the objects that satisfies it. False when there was none in time.
  bool Await(const std::function<bool(const Objects&)>& condition, std::chrono::nanoseconds limit) const;

 private:
  void Run();
  void Accept();
  void Serve(int connection);
  bool Receive(Context& context);
  int UntilNextRetry();
  void Wake();
  Device& Listed(const std::string& name);
  template <typename Act>
  void ForEachContext(const Device& device, Act act);

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  World world_;
  std::filesystem::path folder_;
  std::unique_ptr<SysfsWriter> sysfs_;
  UniqueFd listener_, poller_, woken_;
  bool ending_ = false;
  std::jthread thread_;
};

}  // namespace netsense::provider
