#include "transports/door/door.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <list>
#include <mutex>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "base/handshake/framing.h"
#include "base/handshake/hello.h"
#include "base/host_port.h"
#include "base/logging.h"
#include "base/socket.h"
#include "base/status_macros.h"

namespace netsense {
namespace {

constexpr std::chrono::seconds kPauseWithoutDescriptors{1};

// One connection on its way through hello, proof and request. Bytes are collected in `buffer` until the current part is
// complete.
struct Handshake {
  enum class Part { kHello, kProof, kFrameLength, kFrame };
  UniqueFd fd;
  std::string peer;
  MonotonicTime expires{};
  Part part = Part::kHello;
  size_t wanted = sizeof(ClientHelloBytes);
  std::string buffer;
  ClientHelloBytes client_hello{};
  ServerHelloBytes server_hello{};
  uint16_t version = 0;
};

template <size_t N>
std::array<uint8_t, N> TakeBytes(std::string* buffer) {
  std::array<uint8_t, N> bytes;
  std::memcpy(bytes.data(), buffer->data(), N);
  buffer->clear();
  return bytes;
}

// The few bytes of a handshake always fit into an empty socket buffer: a peer for which they do not is dropped.
bool SendAtOnce(int fd, const void* data, size_t size) {
  return send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) == static_cast<ssize_t>(size);
}

}  // namespace

class Door::Loop {
 public:
  Loop(const DoorOptions& options, std::vector<UniqueFd> listeners, OnRequest on_request)
      : options_(options),
        on_request_(std::move(on_request)),
        listeners_(std::move(listeners)),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        quit_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        reserve_(open("/dev/null", O_RDONLY | O_CLOEXEC)) {
    WatchListeners(EPOLL_CTL_ADD, EPOLLIN);
    Watch(quit_.get(), EPOLL_CTL_ADD, EPOLLIN);
  }

  void Quit() { eventfd_write(quit_.get(), 1); }

  DoorCounters counters() const {
    std::lock_guard lock(mutex_);
    return counters_;
  }

  void Run() {
    std::array<epoll_event, 64> events;
    while (true) {
      int n = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), NextTimeoutMs());
      for (int i = 0; i < n; ++i) {
        int fd = events[static_cast<size_t>(i)].data.fd;
        if (fd == quit_.get()) return;
        if (IsListener(fd)) {
          AcceptAll(fd);
        } else if (auto found = by_fd_.find(fd); found != by_fd_.end()) {
          Advance(found->second);
        }
      }
      MonotonicTime now = MonotonicNow();
      while (!handshakes_.empty() && handshakes_.front().expires <= now)
        Reject(handshakes_.begin(), "the handshake was not finished in time");
      if (paused_until_ && now >= *paused_until_) {
        paused_until_.reset();
        WatchListeners(EPOLL_CTL_MOD, EPOLLIN);
      }
    }
  }

 private:
  using Handshakes = std::list<Handshake>;  // oldest first

  void Watch(int fd, int operation, uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    epoll_ctl(epoll_.get(), operation, fd, &event);
  }

  void WatchListeners(int operation, uint32_t events) {
    for (const UniqueFd& listener : listeners_) Watch(listener.get(), operation, events);
  }

  bool IsListener(int fd) const {
    return std::any_of(listeners_.begin(), listeners_.end(), [fd](const UniqueFd& one) { return one.get() == fd; });
  }

  int NextTimeoutMs() const {
    std::optional<MonotonicTime> next = paused_until_;
    if (!handshakes_.empty()) next = next ? std::min(*next, handshakes_.front().expires) : handshakes_.front().expires;
    if (!next) return -1;
    auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - MonotonicNow()).count();
    return static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
  }

  void AcceptAll(int listener) {
    for (int i = 0; i < 64; ++i) {
      UniqueFd fd(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) DropOneAndPause(listener);
        return;
      }
      Admit(std::move(fd));
    }
  }

  // No descriptor left: use the reserve to take one connection off the queue and close it, then leave the listeners
  // alone for a second.
  void DropOneAndPause(int listener) {
    reserve_.Reset();
    { UniqueFd dropped(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)); }
    reserve_ = UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    paused_until_ = MonotonicNow() + kPauseWithoutDescriptors;
    WatchListeners(EPOLL_CTL_MOD, 0);
    spdlog::warn("door: no descriptor left for a new connection; accepting again in 1 s");
  }

  void Admit(UniqueFd fd) {
    TuneSessionSocket(fd.get());
    std::string peer = PeerAddress(fd.get());
    {
      std::lock_guard lock(mutex_);
      ++counters_.accepted;
    }
    if (size_t& of_peer = per_peer_[peer]; of_peer >= options_.max_handshakes_per_peer) {
      auto oldest =
          std::find_if(handshakes_.begin(), handshakes_.end(), [&](const Handshake& h) { return h.peer == peer; });
      Reject(oldest, "too many unfinished handshakes from this address");
    } else if (handshakes_.size() >= options_.max_handshakes) {
      Reject(handshakes_.begin(), "too many unfinished handshakes");
    }
    ++per_peer_[peer];
    int raw = fd.get();
    Handshake& handshake = handshakes_.emplace_back();
    handshake.fd = std::move(fd);
    handshake.peer = std::move(peer);
    handshake.expires = MonotonicNow() + options_.handshake_limit;
    by_fd_[raw] = std::prev(handshakes_.end());
    Watch(raw, EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP);
    Advance(by_fd_[raw]);
  }

  // Reads what has come and takes every step that it completes.
  void Advance(Handshakes::iterator handshake) {
    while (true) {
      size_t have = handshake->buffer.size();
      size_t missing = handshake->wanted - have;
      if (missing > 0) {
        std::array<char, 4096> chunk;
        ssize_t n = recv(handshake->fd.get(), chunk.data(), std::min(missing, chunk.size()), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) return Reject(handshake, "the connection was closed in the middle of the handshake");
        handshake->buffer.append(chunk.data(), static_cast<size_t>(n));
        if (static_cast<size_t>(n) < missing) continue;
      }
      switch (handshake->part) {
        case Handshake::Part::kHello:
          if (!TakeHello(handshake)) return;
          break;
        case Handshake::Part::kProof:
          if (!TakeProof(handshake)) return;
          break;
        case Handshake::Part::kFrameLength: {
          auto length = DecodeFrameLength(TakeBytes<kFramePrefixBytes>(&handshake->buffer));
          if (!length.ok()) return Reject(handshake, length.status().message());
          handshake->part = Handshake::Part::kFrame;
          handshake->wanted = *length;
          break;
        }
        case Handshake::Part::kFrame:
          return TakeRequest(handshake);
      }
    }
  }

  bool TakeHello(Handshakes::iterator handshake) {
    handshake->client_hello = TakeBytes<sizeof(ClientHelloBytes)>(&handshake->buffer);
    auto client = DecodeClientHello(handshake->client_hello);
    if (!client.ok()) {
      Reject(handshake, "not a netsense hello");
      return false;
    }
    HelloOffer own{.has_token = !options_.token.empty()};
    Agreement agreement = Agree(*client, own);
    Nonce nonce;
    if (!FillRandom(nonce)) {
      Reject(handshake, "no randomness for a nonce");
      return false;
    }
    handshake->server_hello = EncodeServerHello(own, agreement, nonce);
    handshake->version = agreement.version;
    if (!SendAtOnce(handshake->fd.get(), handshake->server_hello.data(), handshake->server_hello.size())) {
      Reject(handshake, "the peer does not read");
      return false;
    }
    if (agreement.answer != DoorAnswer::kAccepted) {
      bool token = agreement.answer != DoorAnswer::kVersion;
      Reject(handshake, token ? "one side has a token and the other has none" : "no common protocol version", token);
      return false;
    }
    handshake->part = Handshake::Part::kProof;
    handshake->wanted = sizeof(ClientProofBytes);
    return true;
  }

  bool TakeProof(Handshakes::iterator handshake) {
    auto proof = TakeBytes<sizeof(ClientProofBytes)>(&handshake->buffer);
    bool right = CheckClientProof(options_.token, handshake->client_hello, handshake->server_hello, proof);
    VerdictBytes verdict = MakeVerdict(right ? DoorAnswer::kAccepted : DoorAnswer::kTokenWrong, options_.token,
                                       handshake->client_hello, handshake->server_hello);
    if (!SendAtOnce(handshake->fd.get(), verdict.data(), verdict.size())) {
      Reject(handshake, "the peer does not read");
      return false;
    }
    if (!right) {
      Reject(handshake, "wrong token", true);
      return false;
    }
    {
      std::lock_guard lock(mutex_);
      ++counters_.authenticated;
    }
    handshake->part = Handshake::Part::kFrameLength;
    handshake->wanted = kFramePrefixBytes;
    return true;
  }

  void TakeRequest(Handshakes::iterator handshake) {
    DoorConnection connection;
    if (!connection.request.ParseFromString(handshake->buffer))
      return Reject(handshake, "a session request that cannot be read");
    connection.peer_address = handshake->peer;
    connection.protocol_version = handshake->version;
    connection.fd = Forget(handshake);
    on_request_(std::move(connection));
  }

  UniqueFd Forget(Handshakes::iterator handshake) {
    UniqueFd fd = std::move(handshake->fd);
    Watch(fd.get(), EPOLL_CTL_DEL, 0);
    if (auto of_peer = per_peer_.find(handshake->peer); --of_peer->second == 0) per_peer_.erase(of_peer);
    by_fd_.erase(fd.get());
    handshakes_.erase(handshake);
    return fd;
  }

  void Reject(Handshakes::iterator handshake, absl::string_view reason, bool token = false) {
    std::string text = absl::StrCat(handshake->peer, ": ", reason);
    spdlog::debug("door: rejected {}", text);
    {
      std::lock_guard lock(mutex_);
      ++counters_.rejected;
      if (token) ++counters_.token_refused;
      counters_.last_rejection = std::move(text);
      counters_.last_rejection_at = MonotonicNow();
    }
    Forget(handshake);
  }

  const DoorOptions& options_;
  const OnRequest on_request_;
  const std::vector<UniqueFd> listeners_;
  const UniqueFd epoll_;
  const UniqueFd quit_;
  UniqueFd reserve_;
  std::optional<MonotonicTime> paused_until_;
  Handshakes handshakes_;
  std::unordered_map<int, Handshakes::iterator> by_fd_;
  std::unordered_map<std::string, size_t> per_peer_;
  mutable std::mutex mutex_;
  DoorCounters counters_;
};

absl::StatusOr<std::unique_ptr<Door>> Door::Open(DoorOptions options, OnRequest on_request) {
  std::vector<std::string> hosts = options.more_hosts;
  hosts.insert(hosts.begin(), options.host);
  const auto outside = std::find_if_not(hosts.begin(), hosts.end(), IsLoopback);
  if (options.token.empty() && !options.insecure && outside != hosts.end())
    return absl::InvalidArgumentError(absl::StrCat(
        "no token, so the door may listen on loopback only, not on '", *outside,
        "': give --token-file (the same token on every node), or --insecure to serve anyone who can reach it"));
  std::vector<UniqueFd> listeners;
  ASSIGN_OR_RETURN(auto listener, ListenTcp({options.host, options.netdev}, options.port));
  listeners.push_back(std::move(listener));
  const uint16_t port = LocalPort(listeners.front().get());
  std::vector<std::string> opened;
  for (const std::string& host : options.more_hosts) {
    auto more = ListenTcp({host, NetdevOfAddress(host)}, port);
    if (!more.ok()) {
      spdlog::warn("the door is not open on {}: {}", host, std::string(more.status().message()));
      continue;
    }
    listeners.push_back(*std::move(more));
    opened.push_back(host);
  }
  options.more_hosts = std::move(opened);
  if (options.token.empty() && outside != hosts.end())
    spdlog::warn(
        "INSECURE: the door on {}:{} has no token; anyone who can reach it can make this host send and receive probe "
        "traffic",
        *outside, port);
  return std::unique_ptr<Door>(new Door(std::move(options), std::move(listeners), std::move(on_request)));
}

Door::Door(DoorOptions options, std::vector<UniqueFd> listeners, OnRequest on_request)
    : options_(std::move(options)),
      port_(LocalPort(listeners.front().get())),
      loop_(std::make_unique<Loop>(options_, std::move(listeners), std::move(on_request))),
      thread_([this] { loop_->Run(); }) {}

Door::~Door() {
  loop_->Quit();
  thread_.join();
}

DoorCounters Door::counters() const { return loop_->counters(); }

}  // namespace netsense
