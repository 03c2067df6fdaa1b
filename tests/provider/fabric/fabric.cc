#include "tests/provider/fabric/fabric.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "tests/provider/fabric/kernel.h"
#include "tests/provider/fabric/reliable_connection.h"

namespace netsense::provider {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Throw(const std::string& what) {
  throw std::runtime_error("scripted verbs: " + what + ": " + strerror(errno));
}

void Watch(int poller, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) Throw("epoll");
}

fs::path NewFolder() {
  std::string name = (fs::temp_directory_path() / "netsense_fabric_XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) Throw("no folder " + name);
  return name;
}

}  // namespace

Fabric::Fabric(const std::vector<DeviceSpec>& devices) : folder_(NewFolder()) {
  sysfs_ = std::make_unique<SysfsWriter>(folder_ / wire::kSysfsName);
  for (const DeviceSpec& device : devices) Add(device);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = (folder_ / wire::kSocketName).string();
  if (path.size() >= sizeof(address.sun_path))
    throw std::runtime_error("scripted verbs: too long for a socket: " + path);
  std::copy(path.begin(), path.end(), address.sun_path);
  listener_ = UniqueFd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener_.get(), SOMAXCONN) != 0)
    Throw("listening");
  poller_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  woken_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Watch(poller_.get(), listener_.get());
  Watch(poller_.get(), woken_.get());
  setenv(wire::kFabricVariable, folder_.c_str(), 1);
  thread_ = std::jthread([this] { Run(); });
}

Fabric::~Fabric() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  Wake();
  thread_.join();
  unsetenv(wire::kFabricVariable);
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

std::string Fabric::Sysfs() {
  const char* folder = std::getenv(wire::kFabricVariable);
  if (folder == nullptr) throw std::logic_error("scripted verbs: there is no fabric");
  return (fs::path(folder) / wire::kSysfsName).string();
}

// ---- the script

void Fabric::Add(const DeviceSpec& device) {
  std::lock_guard lock(mutex_);
  if (world_.FindListed(device.name)) throw std::logic_error("scripted verbs: there is a device " + device.name);
  world_.devices.push_back(std::make_shared<Device>(Device{.spec = device}));
  sysfs_->Add(device);
}

void Fabric::Remove(const std::string& name, Removal removal) {
  std::lock_guard lock(mutex_);
  Device& device = Listed(name);
  device.listed = false;
  sysfs_->Remove(name);
  if (removal == Removal::kOnceUnused) return;
  device.failed = true;
  ForEachContext(device, [&](Context& context) {
    for (auto& [number, pair] : context.pairs) Fail(world_, pair);
    provider::Raise(context, IBV_EVENT_DEVICE_FATAL, 0);
  });
}

bool Fabric::AwaitUnused(const std::string& name, std::chrono::nanoseconds limit) {
  auto unused = [&] {
    return std::none_of(world_.contexts.begin(), world_.contexts.end(), [&](const Context& context) {
      return context.device && !context.device->listed && context.device->spec.name == name;
    });
  };
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, unused);
}

void Fabric::SetPortState(const std::string& name, size_t port, ibv_port_state state) {
  std::lock_guard lock(mutex_);
  Device& device = Listed(name);
  device.spec.ports.at(port - 1).state = state;
  sysfs_->WritePort(device.spec, port);
  const ibv_event_type event = state == IBV_PORT_ACTIVE ? IBV_EVENT_PORT_ACTIVE : IBV_EVENT_PORT_ERR;
  ForEachContext(device, [&](Context& context) { provider::Raise(context, event, static_cast<uint32_t>(port)); });
}

void Fabric::SetGid(const std::string& name, size_t port, size_t index, const Gid& gid) {
  std::lock_guard lock(mutex_);
  Device& device = Listed(name);
  auto& gids = device.spec.ports.at(port - 1).gids;
  if (index >= gids.size()) gids.resize(index + 1);
  gids[index] = gid;
  sysfs_->WritePort(device.spec, port);
  ForEachContext(
      device, [&](Context& context) { provider::Raise(context, IBV_EVENT_GID_CHANGE, static_cast<uint32_t>(port)); });
}

void Fabric::SetLimits(const std::string& name, const Limits& limits) {
  std::lock_guard lock(mutex_);
  Listed(name).spec.limits = limits;
}

void Fabric::Raise(const std::string& name, ibv_event_type event, size_t port) {
  std::lock_guard lock(mutex_);
  ForEachContext(Listed(name), [&](Context& context) { provider::Raise(context, event, static_cast<uint32_t>(port)); });
}

void Fabric::BreakPairs(const std::string& name, ibv_event_type event) {
  std::lock_guard lock(mutex_);
  ForEachContext(Listed(name), [&](Context& context) {
    for (auto& [number, pair] : context.pairs) {
      Fail(world_, pair);
      provider::Raise(context, event, number);
    }
  });
}

void Fabric::Inject(const CallFault& fault) {
  std::lock_guard lock(mutex_);
  world_.faults.Add(fault);
}

void Fabric::Inject(const WorkFault& fault) {
  std::lock_guard lock(mutex_);
  world_.faults.Add(fault);
}

size_t Fabric::ClearFaults() {
  std::lock_guard lock(mutex_);
  const size_t pending = world_.faults.pending();
  world_.faults.Clear();
  return pending;
}

void Fabric::ScaleRetries(double factor) {
  std::lock_guard lock(mutex_);
  world_.retry_time_scale = factor;
}

Objects Fabric::objects() const {
  std::lock_guard lock(mutex_);
  return world_.CountObjects();
}

Misuse Fabric::misuse() const {
  std::lock_guard lock(mutex_);
  return world_.misuse;
}

bool Fabric::Await(const std::function<bool(const Objects&)>& condition, std::chrono::nanoseconds limit) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [&] { return condition(world_.CountObjects()); });
}

Device& Fabric::Listed(const std::string& name) {
  auto device = world_.FindListed(name);
  if (!device) throw std::out_of_range("scripted verbs: there is no device " + name);
  return *device;
}

template <typename Act>
void Fabric::ForEachContext(const Device& device, Act act) {
  for (Context& context : world_.contexts)
    if (context.device.get() == &device) act(context);
}

// ---- the thread

void Fabric::Wake() {
  const uint64_t one = 1;
  if (write(woken_.get(), &one, sizeof(one)) < 0) Throw("waking");
}

void Fabric::Run() {
  constexpr int kEvents = 32;
  epoll_event events[kEvents];
  while (true) {
    const int ready = epoll_wait(poller_.get(), events, kEvents, UntilNextRetry());
    std::lock_guard lock(mutex_);
    if (ending_) return;
    for (int i = 0; i < ready; ++i) {
      if (events[i].data.fd == listener_.get()) {
        Accept();
      } else if (events[i].data.fd != woken_.get()) {
        Serve(events[i].data.fd);
      }
    }
    for (auto& [number, pair] : world_.pairs)
      if (pair->again_at) Progress(world_, *pair);
  }
}

// Milliseconds, rounded up; -1 = nobody waits.
int Fabric::UntilNextRetry() {
  std::lock_guard lock(mutex_);
  std::optional<MonotonicTime> next;
  for (const auto& [number, pair] : world_.pairs)
    if (pair->again_at && (!next || *pair->again_at < *next)) next = pair->again_at;
  if (!next) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - MonotonicNow()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
}

void Fabric::Accept() {
  UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  ucred owner{};
  socklen_t size = sizeof(owner);
  if (!fd || getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &owner, &size) != 0) return;
  Watch(poller_.get(), fd.get());
  Context& context = world_.contexts.emplace_back();
  context.connection = std::move(fd);
  context.process = owner.pid;
}

void Fabric::Serve(int connection) {
  auto context = std::find_if(world_.contexts.begin(), world_.contexts.end(),
                              [&](const Context& it) { return it.connection.get() == connection; });
  if (context == world_.contexts.end()) return;
  constexpr int kAtOnce = 64;  // then it is the others' turn
  for (int i = 0; i < kAtOnce; ++i)
    if (!Receive(*context)) {
      Release(world_, *context);
      world_.contexts.erase(context);
      break;
    } else if (errno == EAGAIN) {
      break;
    }
  changed_.notify_all();
}

// One call. False when its process is gone; errno is EAGAIN when there is none.
bool Fabric::Receive(Context& context) {
  wire::Call call;
  errno = 0;
  const ssize_t got = recv(context.connection.get(), &call, sizeof(call), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (got != sizeof(call)) return false;
  UniqueFd along;
  const auto reply = HandleCall(world_, context, call, &along);
  errno = 0;
  if (!reply) return true;
  iovec part{const_cast<wire::Reply*>(&*reply), sizeof(*reply)};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (along && reply->error == 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = along.get();
    std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  }
  const bool sent = sendmsg(context.connection.get(), &message, MSG_NOSIGNAL) == sizeof(*reply);
  errno = 0;
  return sent;
}

}  // namespace netsense::provider
