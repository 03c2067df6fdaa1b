// Devices: listed from the made-up /sys, as libibverbs lists them from the machine's, and opened.
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "tests/provider/library/context.h"

namespace fs = std::filesystem;
using netsense::UniqueFd;
using netsense::provider::Context;
using netsense::provider::FabricFolder;
using netsense::provider::MadeOr;
namespace wire = netsense::provider::wire;

namespace {

std::string ReadLine(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

void Copy(const std::string& text, char* to, size_t size) { std::snprintf(to, size, "%s", text.c_str()); }

ibv_device* Describe(const fs::path& sysfs, const std::string& entry) {
  const fs::path folder = sysfs / "class/infiniband_verbs" / entry;
  const std::string name = ReadLine(folder / "ibdev");
  const fs::path device_folder = sysfs / "class/infiniband" / name;
  if (name.empty() || !fs::exists(device_folder)) return nullptr;  // just removed
  auto* device = new ibv_device{};
  device->node_type = IBV_NODE_CA;
  device->transport_type = IBV_TRANSPORT_IB;
  Copy(name, device->name, sizeof(device->name));
  Copy(entry, device->dev_name, sizeof(device->dev_name));
  Copy(folder.string(), device->dev_path, sizeof(device->dev_path));
  Copy(device_folder.string(), device->ibdev_path, sizeof(device->ibdev_path));
  return device;
}

UniqueFd ConnectToFabric() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = FabricFolder() + "/" + wire::kSocketName;
  Copy(path, address.sun_path, sizeof(address.sun_path));
  UniqueFd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (fd && connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) fd.Reset();
  return fd;
}

}  // namespace

extern "C" {

ibv_device** ibv_get_device_list(int* count) {
  std::vector<ibv_device*> devices;
  const fs::path sysfs = fs::path(FabricFolder()) / wire::kSysfsName;
  std::error_code error;
  if (!FabricFolder().empty())
    for (const auto& entry : fs::directory_iterator(sysfs / "class/infiniband_verbs", error))
      if (ibv_device* device = Describe(sysfs, entry.path().filename().string())) devices.push_back(device);
  auto** list = new ibv_device*[devices.size() + 1]();
  std::copy(devices.begin(), devices.end(), list);
  if (count != nullptr) *count = static_cast<int>(devices.size());
  return list;
}

void ibv_free_device_list(ibv_device** list) {
  for (ibv_device** device = list; *device != nullptr; ++device) delete *device;
  delete[] list;
}

ibv_context* ibv_open_device(ibv_device* device) {
  // The fabric reads and writes this process's memory, as a device would.
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
  UniqueFd fabric = ConnectToFabric();
  if (!fabric) return MadeOr<ibv_context>(ENODEV, nullptr);
  auto* context = new Context(std::move(fabric));
  wire::OpenDevice call{};
  Copy(device->name, call.name, sizeof(call.name));
  call.probe = reinterpret_cast<uintptr_t>(&call);
  if (int error = context->Ask(call, &context->async).error; error != 0) {
    delete context;
    return MadeOr<ibv_context>(error, nullptr);
  }
  context->async_fd = context->async.get();
  context->device = new ibv_device(*device);  // the list may be freed before
  return context;
}

int ibv_close_device(ibv_context* opened) {
  auto* context = static_cast<Context*>(opened);
  context->Ask(wire::CloseDevice{});
  pthread_mutex_destroy(&context->mutex);
  delete context->device;
  delete context;
  return 0;
}

int ibv_query_device(ibv_context* context, ibv_device_attr* attributes) {
  wire::Reply reply = static_cast<Context*>(context)->Ask(wire::QueryDevice{});
  if (reply.error == 0) *attributes = reply.device;
  return reply.error;
}

// The old call: verbs.h's macro of this name asks for the newest fields, which came behind `link_layer`, by another.
#undef ibv_query_port
int ibv_query_port(ibv_context* context, uint8_t port, _compat_ibv_port_attr* attributes) {
  wire::Reply reply = static_cast<Context*>(context)->Ask(wire::QueryPort{port});
  if (reply.error == 0) std::memcpy(attributes, &reply.port, offsetof(ibv_port_attr, flags));
  return reply.error;
}

}  // extern "C"
