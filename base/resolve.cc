#include "base/resolve.h"

#include <netinet/in.h>

#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace netsense {
namespace {

constexpr int kMost = 64;

// Never destroyed: a thread that was left behind comes back to it, perhaps while the process ends.
struct Lookups {
  std::mutex mutex;
  std::condition_variable_any news;
  int running = 0;
};
Lookups& AllLookups() {
  static auto* all = new Lookups;
  return *all;
}

// Belongs to who asked and to the thread, whichever is there longer.
struct Lookup {
  const std::string host;
  const uint16_t port;
  bool done = false;  // by the lock of all of them, and what follows
  int error = 0;
  AddrInfo found;
};

int Ask(const std::string& host, uint16_t port, int flags, AddrInfo* found) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(host.empty() ? nullptr : host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error == 0) found->reset(list);
  return error;
}

void Work(const std::shared_ptr<Lookup>& lookup) {
  AddrInfo found;
  const int error = Ask(lookup->host, lookup->port, 0, &found);
  std::lock_guard lock(AllLookups().mutex);
  lookup->error = error;
  lookup->found = std::move(found);
  lookup->done = true;
  --AllLookups().running;
  AllLookups().news.notify_all();
}

// False: no thread is left for it.
bool Begin(const std::shared_ptr<Lookup>& lookup) {
  try {
    std::thread([lookup] { Work(lookup); }).detach();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

absl::Status CannotResolve(const std::string& host, const std::string& why) {
  return absl::UnavailableError(absl::StrCat("cannot resolve ", host, ": ", why));
}

absl::Status NoAnswer(const std::string& host, const std::stop_token& stop) {
  if (stop.stop_requested()) return absl::CancelledError("stopped");
  return absl::DeadlineExceededError(absl::StrCat("cannot resolve ", host,
                                                  ": no answer within the deadline; give its address, or look at this "
                                                  "host's name servers (/etc/resolv.conf)"));
}

}  // namespace

absl::StatusOr<AddrInfo> ResolveHost(const std::string& host, uint16_t port, MonotonicTime deadline,
                                     std::stop_token stop) {
  AddrInfo found;
  if (Ask(host, port, AI_NUMERICHOST, &found) == 0) return found;
  auto lookup = std::make_shared<Lookup>(Lookup{.host = host, .port = port, .found = {}});
  Lookups& all = AllLookups();
  std::unique_lock lock(all.mutex);
  if (!all.news.wait_until(lock, stop, deadline, [&] { return all.running < kMost; })) return NoAnswer(host, stop);
  if (!Begin(lookup)) return absl::InternalError("no thread is left to resolve a name");
  ++all.running;
  if (!all.news.wait_until(lock, stop, deadline, [&] { return lookup->done; })) return NoAnswer(host, stop);
  if (lookup->error != 0) return CannotResolve(host, gai_strerror(lookup->error));
  return std::move(lookup->found);
}

absl::StatusOr<AddrInfo> NumericAddress(const std::string& host, uint16_t port) {
  AddrInfo found;
  const int error = Ask(host, port, AI_NUMERICHOST | AI_PASSIVE, &found);
  if (error == 0) return found;
  return absl::InvalidArgumentError(absl::StrCat("'", host, "' is no numeric address: ", gai_strerror(error)));
}

std::string AddressText(const addrinfo& info) {
  char host[NI_MAXHOST] = "";
  getnameinfo(info.ai_addr, info.ai_addrlen, host, sizeof(host), nullptr, 0, NI_NUMERICHOST);
  return host;
}

}  // namespace netsense
