#include "engine/control_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <list>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/deadlines.h"
#include "base/logging.h"
#include "base/private_file.h"
#include "base/status_macros.h"

namespace netsense {
namespace {

// RFC 9113, section 3.4: what every HTTP/2 client sends first.
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr size_t kMaxWaiting = 64;
constexpr int kLookAgainMs = 5;

absl::Status Errno(const std::string& what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", strerror(errno)));
}

absl::StatusOr<UniqueFd> TakeLock(const std::string& path) {
  UniqueFd lock(open(path.c_str(), O_CREAT | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!lock) return Errno("cannot open " + path);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    return absl::AlreadyExistsError(
        absl::StrCat("another engine holds ", path, ": stop it, or give another --control-socket"));
  return lock;
}

bool IsTrusted(int fd) {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == geteuid() || peer.uid == 0;
}

enum class Preface { kComplete, kIncomplete, kWrong };

Preface LookAtPreface(int fd) {
  char bytes[kPreface.size()];
  ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EINTR ? Preface::kIncomplete : Preface::kWrong;
  if (n == 0 || std::string_view(bytes, static_cast<size_t>(n)) != kPreface.substr(0, static_cast<size_t>(n)))
    return Preface::kWrong;
  return static_cast<size_t>(n) == kPreface.size() ? Preface::kComplete : Preface::kIncomplete;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControlSocket>> ControlSocket::Listen(const std::string& path,
                                                                     OnConnection on_connection) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path))
    return absl::InvalidArgumentError(
        absl::StrCat("'", path, "' cannot be a Unix socket: 1 to ", sizeof(address.sun_path) - 1, " bytes"));
  std::memcpy(address.sun_path, path.data(), path.size());
  std::string directory = std::filesystem::absolute(path).parent_path();
  ASSIGN_OR_RETURN(auto made, MakePrivateFolder(directory, "give another --control-socket"));
  ASSIGN_OR_RETURN(auto lock, TakeLock(path + ".lock"));

  unlink(path.c_str());  // ours alone: we hold the lock
  UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener) return Errno("socket");
  if (bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener.get(), 64) != 0)
    return Errno("cannot listen on " + path);
  return std::unique_ptr<ControlSocket>(
      new ControlSocket(path, made ? directory : "", std::move(lock), std::move(listener), std::move(on_connection)));
}

ControlSocket::ControlSocket(std::string path, std::string own_directory, UniqueFd lock, UniqueFd listener,
                             OnConnection on_connection)
    : path_(std::move(path)),
      own_directory_(std::move(own_directory)),
      lock_(std::move(lock)),
      listener_(std::move(listener)),
      quit_(eventfd(0, EFD_CLOEXEC)),
      on_connection_(std::move(on_connection)),
      thread_([this] { Run(); }) {}

ControlSocket::~ControlSocket() {
  eventfd_write(quit_.get(), 1);
  thread_.join();
  unlink(path_.c_str());
  unlink((path_ + ".lock").c_str());  // still held: nobody else can have it
  if (!own_directory_.empty()) rmdir(own_directory_.c_str());
}

void ControlSocket::Run() {
  struct Waiting {
    UniqueFd fd;
    MonotonicTime expires;
  };
  std::list<Waiting> waiting;
  MonotonicTime accept_again{};
  while (true) {
    MonotonicTime now = MonotonicNow();
    bool paused = now < accept_again;
    pollfd fds[2] = {{quit_.get(), POLLIN, 0}, {paused ? -1 : listener_.get(), POLLIN, 0}};
    MonotonicTime next = paused ? accept_again : MonotonicTime::max();
    for (const Waiting& each : waiting) next = std::min(next, each.expires);
    int timeout =
        next == MonotonicTime::max()
            ? -1
            : static_cast<int>(std::max<int64_t>(std::chrono::ceil<std::chrono::milliseconds>(next - now).count(), 0));
    // Half a preface keeps a socket readable, so waiting ones are looked at by time: few, and not for long.
    if (!waiting.empty()) timeout = std::min(timeout, kLookAgainMs);
    poll(fds, 2, timeout);
    if (fds[0].revents != 0) return;

    if (fds[1].revents != 0) {
      UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd && (errno == EMFILE || errno == ENFILE)) {
        spdlog::warn("control socket: no descriptor left; accepting again in 1 s");
        accept_again = MonotonicNow() + std::chrono::seconds(1);
      }
      if (fd && IsTrusted(fd.get())) {
        if (waiting.size() >= kMaxWaiting) waiting.pop_front();
        waiting.push_back({std::move(fd), MonotonicNow() + deadlines::kControlPreface()});
      }
    }
    now = MonotonicNow();
    for (auto each = waiting.begin(); each != waiting.end();) {
      Preface preface = LookAtPreface(each->fd.get());
      if (preface == Preface::kComplete) on_connection_(std::move(each->fd));
      bool over = preface != Preface::kIncomplete || now >= each->expires;
      each = over ? waiting.erase(each) : std::next(each);
    }
  }
}

}  // namespace netsense
