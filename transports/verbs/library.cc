#include "transports/verbs/library.h"

#include <dlfcn.h>

#include <cerrno>
#include <cstring>
#include <mutex>

#include "absl/strings/str_cat.h"

namespace netsense::verbs {
namespace {

constexpr char kName[] = "libibverbs.so.1";

template <typename Function>
void Find(void* handle, const char* symbol, Function* function, std::string* missing) {
  *function = reinterpret_cast<Function>(dlsym(handle, symbol));
  if (*function == nullptr) *missing = symbol;
}

}  // namespace

absl::StatusOr<const Library*> LoadLibrary() {
  static std::mutex mutex;
  static Library library;
  static bool loaded = false;
  std::lock_guard lock(mutex);
  if (loaded) return &library;
  void* handle = dlopen(kName, RTLD_NOW | RTLD_LOCAL);  // for good: providers that it loads cannot be unloaded
  if (handle == nullptr)
    return absl::UnavailableError(
        absl::StrCat("library missing: ", dlerror(), "; install libibverbs1 and ibverbs-providers"));
  std::string missing;
  Find(handle, "ibv_get_device_list", &library.get_device_list, &missing);
  Find(handle, "ibv_free_device_list", &library.free_device_list, &missing);
  Find(handle, "ibv_open_device", &library.open_device, &missing);
  Find(handle, "ibv_close_device", &library.close_device, &missing);
  Find(handle, "ibv_query_device", &library.query_device, &missing);
  Find(handle, "ibv_query_port", &library.query_port, &missing);
  Find(handle, "ibv_alloc_pd", &library.alloc_pd, &missing);
  Find(handle, "ibv_dealloc_pd", &library.dealloc_pd, &missing);
  Find(handle, "ibv_reg_mr", &library.reg_mr, &missing);
  Find(handle, "ibv_dereg_mr", &library.dereg_mr, &missing);
  Find(handle, "ibv_create_comp_channel", &library.create_comp_channel, &missing);
  Find(handle, "ibv_destroy_comp_channel", &library.destroy_comp_channel, &missing);
  Find(handle, "ibv_create_cq", &library.create_cq, &missing);
  Find(handle, "ibv_destroy_cq", &library.destroy_cq, &missing);
  Find(handle, "ibv_get_cq_event", &library.get_cq_event, &missing);
  Find(handle, "ibv_ack_cq_events", &library.ack_cq_events, &missing);
  Find(handle, "ibv_create_qp", &library.create_qp, &missing);
  Find(handle, "ibv_modify_qp", &library.modify_qp, &missing);
  Find(handle, "ibv_destroy_qp", &library.destroy_qp, &missing);
  Find(handle, "ibv_get_async_event", &library.get_async_event, &missing);
  Find(handle, "ibv_ack_async_event", &library.ack_async_event, &missing);
  Find(handle, "ibv_wc_status_str", &library.wc_status_str, &missing);
  Find(handle, "ibv_event_type_str", &library.event_type_str, &missing);
  if (!missing.empty()) return absl::UnavailableError(absl::StrCat(kName, " has no ", missing, ": it is too old"));
  loaded = true;
  return &library;
}

absl::Status ErrnoStatus(int error, const std::string& what) {
  std::string text = absl::StrCat(what, ": ", strerror(error));
  switch (error) {
    case ENOMEM:
      return absl::InternalError(absl::StrCat(
          text,
          ": this host gives no more. Raise the limit of locked memory (`ulimit -l unlimited`, "
          "LimitMEMLOCK=infinity of the service), or end what holds the device's contexts (`rdma resource`)"));
    case EINVAL:
      return absl::InvalidArgumentError(text);
    case ENODEV:
    case EIO:
    case ENXIO:
      return absl::UnavailableError(text);
    case ETIMEDOUT:
      return absl::UnavailableError(text);
    default:
      return absl::InternalError(text);
  }
}

}  // namespace netsense::verbs
