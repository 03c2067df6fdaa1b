// A library with NVML's interface and three GPUs: in an NVLink domain, without one, and still joining.
#include <cstring>

extern "C" {

struct FakePciInfo {
  char bus_id_legacy[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char bus_id[32];
};
struct FakeFabricInfo {
  unsigned version;
  unsigned char uuid[16];
  int status;
  unsigned clique;
  unsigned char state;
  unsigned health;
};

int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 3;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** handle) {
  *handle = reinterpret_cast<void*>(static_cast<unsigned long>(index + 1));
  return 0;
}
int nvmlDeviceGetPciInfo_v3(void* handle, FakePciInfo* info) {
  info->bus = static_cast<unsigned>(reinterpret_cast<unsigned long>(handle));
  return 0;
}
int nvmlDeviceGetName(void*, char* name, unsigned size) {
  std::strncpy(name, "NVIDIA GB200", size);
  return 0;
}
int nvmlDeviceGetGpuFabricInfoV(void* handle, FakeFabricInfo* info) {
  if (info->version != (sizeof(FakeFabricInfo) | 2u << 24)) return 25;  // argument version mismatch
  unsigned long number = reinterpret_cast<unsigned long>(handle);
  if (number != 2) std::memset(info->uuid, 0xab, sizeof(info->uuid));
  info->clique = 7;
  info->state = number == 3 ? 2 : 3;
  return 0;
}
}
