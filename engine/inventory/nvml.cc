#include "engine/inventory/nvml.h"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/inventory/pci.h"

namespace netsense::inventory {
namespace {

// NVML's own declarations, as far as they are used here; its ABI is stable.
struct NvmlPciInfo {
  char bus_id_legacy[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char bus_id[32];
};
struct NvmlFabricInfo {  // nvmlGpuFabricInfo_v2_t
  unsigned version;
  unsigned char cluster_uuid[16];
  int status;
  unsigned clique;
  unsigned char state;
  unsigned health;
};
constexpr unsigned kFabricInfoVersion = static_cast<unsigned>(sizeof(NvmlFabricInfo)) | 2u << 24;
constexpr unsigned char kFabricCompleted = 3;
constexpr int kSuccess = 0;
using NvmlDevice = struct NvmlDeviceHandle*;

struct CloseLibrary {
  void operator()(void* library) const { dlclose(library); }
};

class Nvml {
 public:
  // Says why not, when not.
  static std::string Load(const std::string& name, std::unique_ptr<Nvml>* nvml) {
    std::unique_ptr<void, CloseLibrary> library(dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL));
    if (!library) return absl::StrCat(name, " cannot be loaded");
    auto loaded = std::unique_ptr<Nvml>(new Nvml(std::move(library)));
    if (!loaded->init_ || !loaded->shutdown_ || !loaded->count_ || !loaded->handle_ || !loaded->pci_)
      return absl::StrCat(name, " lacks functions that every driver's has");
    if (int error = loaded->init_(); error != kSuccess) return absl::StrCat(name, " does not start: error ", error);
    loaded->started_ = true;
    *nvml = std::move(loaded);
    return "";
  }
  ~Nvml() {
    if (started_) shutdown_();
  }

  std::map<std::string, NvmlFacts::OfGpu> Read() const {
    std::map<std::string, NvmlFacts::OfGpu> gpus;
    unsigned count = 0;
    if (count_(&count) != kSuccess) return gpus;
    for (unsigned i = 0; i < count; ++i) {
      NvmlDevice device = nullptr;
      NvmlPciInfo pci{};
      if (handle_(i, &device) != kSuccess || pci_(device, &pci) != kSuccess) continue;
      NvmlFacts::OfGpu& gpu = gpus[FormatPciAddress({.domain = pci.domain, .bus = pci.bus, .device = pci.device})];
      std::array<char, 96> name{};
      if (name_ && name_(device, name.data(), name.size()) == kSuccess) gpu.model = name.data();
      NvmlFabricInfo fabric{};
      fabric.version = kFabricInfoVersion;
      if (fabric_ && fabric_(device, &fabric) == kSuccess) gpu.nvlink_domain = DomainOf(fabric);
    }
    return gpus;
  }

 private:
  explicit Nvml(std::unique_ptr<void, CloseLibrary> library) : library_(std::move(library)) {
    Find("nvmlInit_v2", &init_);
    Find("nvmlShutdown", &shutdown_);
    Find("nvmlDeviceGetCount_v2", &count_);
    Find("nvmlDeviceGetHandleByIndex_v2", &handle_);
    Find("nvmlDeviceGetPciInfo_v3", &pci_);
    Find("nvmlDeviceGetName", &name_);
    Find("nvmlDeviceGetGpuFabricInfoV", &fabric_);
  }

  template <typename Function>
  void Find(const char* symbol, Function** function) {
    *function = reinterpret_cast<Function*>(dlsym(library_.get(), symbol));
  }

  // Empty until the GPU has joined its domain, and on machines whose NVLinks end inside them.
  static std::string DomainOf(const NvmlFabricInfo& fabric) {
    const auto& uuid = fabric.cluster_uuid;
    bool zero = std::all_of(std::begin(uuid), std::end(uuid), [](unsigned char byte) { return byte == 0; });
    if (fabric.status != kSuccess || fabric.state != kFabricCompleted || zero) return "";
    std::string text;
    for (size_t i = 0; i < sizeof(uuid); ++i)
      absl::StrAppend(&text, i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", absl::StrFormat("%02x", uuid[i]));
    return absl::StrCat(text, ".", fabric.clique);
  }

  std::unique_ptr<void, CloseLibrary> library_;
  int (*init_)() = nullptr;
  int (*shutdown_)() = nullptr;
  int (*count_)(unsigned*) = nullptr;
  int (*handle_)(unsigned, NvmlDevice*) = nullptr;
  int (*pci_)(NvmlDevice, NvmlPciInfo*) = nullptr;
  int (*name_)(NvmlDevice, char*, unsigned) = nullptr;
  int (*fabric_)(NvmlDevice, NvmlFabricInfo*) = nullptr;
  bool started_ = false;
};

}  // namespace

NvmlFacts ReadNvml(const std::string& library) {
  NvmlFacts facts;
  std::unique_ptr<Nvml> nvml;
  facts.problem = Nvml::Load(library, &nvml);
  if (nvml) facts.gpus = nvml->Read();
  return facts;
}

void AddNvmlFacts(const NvmlFacts& facts, Node* node) {
  if (!facts.problem.empty()) node->notes.push_back("NVLink domains between nodes are not known: " + facts.problem);
  for (Gpu& gpu : node->gpus) {
    auto found = facts.gpus.find(gpu.place.address);
    if (found == facts.gpus.end()) continue;
    if (!found->second.model.empty()) gpu.model = found->second.model;
    gpu.nvlink_domain = found->second.nvlink_domain;
  }
}

}  // namespace netsense::inventory
