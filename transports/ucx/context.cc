#include "transports/ucx/context.h"

#include <cstdlib>
#include <map>
#include <mutex>

#include "absl/strings/str_cat.h"

namespace netsense::ucx {
namespace {

// UCX 1.13 to 1.15 keep the buffers of a worker that is gone, registered, 2 MB each, in a context's cache of
// registrations for as long as the context lives (ucp_mpool_free only puts them back). There the devices still have
// caches of their own.
bool KeepsWhatWorkersHad() {
  unsigned major = 0, minor = 0, release = 0;
  ucp_get_version(&major, &minor, &release);
  return major == 1 && minor >= 13 && minor <= 15;
}

}  // namespace

absl::Status StatusOf(ucs_status_t status, const std::string& what) {
  std::string text = absl::StrCat(what, ": ", ucs_status_string(status));
  switch (status) {
    case UCS_OK:
      return absl::OkStatus();
    case UCS_ERR_NO_MEMORY:
    case UCS_ERR_NO_RESOURCE:
    case UCS_ERR_EXCEEDS_LIMIT:
      return absl::InternalError(absl::StrCat(
          text, ": this host gives no more. Is the limit of locked memory (`ulimit -l`, LimitMEMLOCK) too low?"));
    case UCS_ERR_INVALID_PARAM:
      return absl::InvalidArgumentError(text);
    case UCS_ERR_TIMED_OUT:
      return absl::DeadlineExceededError(text);
    case UCS_ERR_CANCELED:
      return absl::CancelledError(text);
    case UCS_ERR_IO_ERROR:
    case UCS_ERR_BUSY:
      return absl::InternalError(text);
    default:
      return absl::UnavailableError(text);
  }
}

absl::StatusOr<std::shared_ptr<Context>> Context::Get(const ContextChoice& choice) {
  static std::mutex mutex;
  static std::map<ContextChoice, std::weak_ptr<Context>> contexts;
  std::lock_guard lock(mutex);
  std::erase_if(contexts, [](const auto& entry) { return entry.second.expired(); });
  if (auto found = contexts.find(choice); found != contexts.end())
    if (auto context = found->second.lock()) return context;
  auto made = Make(choice);
  if (made.ok()) contexts[choice] = *made;
  return made;
}

absl::StatusOr<std::shared_ptr<Context>> Context::Make(const ContextChoice& choice) {
  ucp_config_t* config = nullptr;
  if (auto status = ucp_config_read(nullptr, nullptr, &config); status != UCS_OK)
    return StatusOf(status, "UCX's configuration");
  auto set = [config](const char* name, const std::string& value) -> absl::Status {
    if (value.empty()) return absl::OkStatus();
    auto status = ucp_config_modify(config, name, value.c_str());
    return status == UCS_OK ? absl::OkStatus()
                            : absl::InvalidArgumentError(absl::StrCat("UCX does not take ", name, "=", value, ": ",
                                                                      ucs_status_string(status)));
  };
  absl::Status wish = set("NET_DEVICES", choice.net_devices);
  wish.Update(set("TLS", choice.tls));
  wish.Update(set("MAX_RNDV_RAILS", absl::StrCat(choice.max_rndv_rails)));
  if (KeepsWhatWorkersHad() && getenv("UCX_RCACHE_ENABLE") == nullptr) wish.Update(set("RCACHE_ENABLE", "n"));
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_MT_WORKERS_SHARED | UCP_PARAM_FIELD_NAME;
  params.features = UCP_FEATURE_AM | (choice.wakeup ? uint64_t{UCP_FEATURE_WAKEUP} : 0);
  params.mt_workers_shared = 1;
  params.name = "netsense";
  ucp_context_h context = nullptr;
  if (wish.ok())
    wish = StatusOf(ucp_init(&params, config, &context),
                    absl::StrCat("UCX with devices '", choice.net_devices, "' and transports '", choice.tls, "'"));
  ucp_config_release(config);
  if (!wish.ok()) return wish;
  return std::shared_ptr<Context>(new Context(context, choice));
}

Context::~Context() { ucp_cleanup(context_); }

}  // namespace netsense::ucx
