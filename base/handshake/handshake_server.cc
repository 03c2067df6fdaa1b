#include "base/handshake/handshake_server.h"

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
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/handshake/framing.h"
#include "base/handshake/hello.h"
#include "base/logging.h"
#include "base/socket.h"

namespace netsense {
namespace {

constexpr std::chrono::seconds kPauseWithoutDescriptors{1};
constexpr std::chrono::minutes kHintEvery{1};
constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";  // RFC 9113, 3.4

// One connection on its way through hello, proof and request. Bytes are collected in `buffer` until the current part is
// complete.
struct Handshake {
  enum class Part { kHello, kProof, kFrameLength, kFrame };
  UniqueFd fd;
  std::string peer, network;
  MonotonicTime expires{};
  Part part = Part::kHello;
  size_t wanted = sizeof(ClientHelloBytes);
  std::string buffer;
  ClientHelloBytes client_hello{};
  ServerHelloBytes server_hello{};
  uint16_t version = 0;
  FrameSeal seal;
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

class HandshakeServer::Loop {
 public:
  Loop(Options options, std::vector<UniqueFd> listeners, OnAdmitted on_admitted)
      : options_(std::move(options)),
        on_admitted_(std::move(on_admitted)),
        listeners_(std::move(listeners)),
        epoll_(epoll_create1(EPOLL_CLOEXEC)),
        quit_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        reserve_(open("/dev/null", O_RDONLY | O_CLOEXEC)) {
    WatchListeners(EPOLL_CTL_ADD, EPOLLIN);
    Watch(quit_.get(), EPOLL_CTL_ADD, EPOLLIN);
  }

  void Quit() { eventfd_write(quit_.get(), 1); }

  Counters counters() const {
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
    spdlog::warn("{}: no descriptor left for a new connection; accepting again in 1 s", options_.what);
  }

  void Admit(UniqueFd fd) {
    TuneSessionSocket(fd.get());
    std::string peer = PeerAddress(fd.get()), network = PeerNetwork(fd.get());
    {
      std::lock_guard lock(mutex_);
      ++counters_.accepted;
    }
    if (options_.proven_elsewhere)
      return Give({.fd = std::move(fd), .peer = peer, .version = 0, .frame = "", .seal = {}});
    if (auto of_it = per_network_.find(network);
        of_it != per_network_.end() && of_it->second >= options_.max_unfinished_per_network) {
      auto oldest = std::find_if(handshakes_.begin(), handshakes_.end(),
                                 [&](const Handshake& h) { return h.network == network; });
      Reject(oldest, "too many unfinished handshakes from this address");
    } else if (handshakes_.size() >= options_.max_unfinished) {
      Reject(handshakes_.begin(), "too many unfinished handshakes");
    }
    ++per_network_[network];
    int raw = fd.get();
    Handshake& handshake = handshakes_.emplace_back();
    handshake.fd = std::move(fd);
    handshake.peer = std::move(peer);
    handshake.network = std::move(network);
    handshake.expires = MonotonicNow() + options_.limit;
    by_fd_[raw] = std::prev(handshakes_.end());
    Watch(raw, EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP);
    Advance(by_fd_[raw]);
  }

  // Reads what has come and takes every step that it completes.
  void Advance(Handshakes::iterator handshake) {
    if (handshake->part == Handshake::Part::kHello && handshake->buffer.empty() && SpeaksHttp2(handshake->fd.get())) {
      if (options_.takes_http2) return HandOver(handshake);
      return RejectHttp2(handshake);
    }
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
          handshake->wanted = *length + handshake->seal.size();
          break;
        }
        case Handshake::Part::kFrame:
          return TakeFrame(handshake);
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
    HelloOffer own{.has_token = !options_.token.empty(), .wants_token_shown = options_.takes_http2};
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

  static bool SpeaksHttp2(int fd) {
    std::array<char, kHttp2Preface.size()> begin;
    const ssize_t n = recv(fd, begin.data(), begin.size(), MSG_DONTWAIT | MSG_PEEK);
    return n > 0 && kHttp2Preface.starts_with({begin.data(), static_cast<size_t>(n)});
  }

  void RejectHttp2(Handshakes::iterator handshake) {
    if (!options_.http2_hint.empty() && MonotonicNow() >= next_hint_) {
      spdlog::warn("{}: {} is refused: {}", options_.what, handshake->peer, options_.http2_hint);
      next_hint_ = MonotonicNow() + kHintEvery;
    }
    Reject(handshake, "HTTP/2 without a hello");
  }

  bool TakeProof(Handshakes::iterator handshake) {
    auto proof = TakeBytes<sizeof(ClientProofBytes)>(&handshake->buffer);
    const std::vector<std::string> tokens = options_.token.accepted();
    const auto proven = std::find_if(tokens.begin(), tokens.end(), [&](const std::string& token) {
      return CheckClientProof(token, handshake->client_hello, handshake->server_hello, proof);
    });
    const bool right = proven != tokens.end();
    VerdictBytes verdict = MakeVerdict(right ? DoorAnswer::kAccepted : DoorAnswer::kTokenWrong, right ? *proven : "",
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
    handshake->seal = FrameSeal(handshake->version, *proven, handshake->client_hello, handshake->server_hello);
    if (!options_.framed) {
      HandOver(handshake);
      return false;
    }
    handshake->part = Handshake::Part::kFrameLength;
    handshake->wanted = kFramePrefixBytes;
    return true;
  }

  void TakeFrame(Handshakes::iterator handshake) {
    std::string& frame = handshake->buffer;
    const std::string seal = frame.substr(frame.size() - handshake->seal.size());
    frame.resize(frame.size() - seal.size());
    if (!FrameSeal::Same(seal, handshake->seal.Next(SealedBy::kProber, FramePrefix(frame.size()) + frame)))
      return Reject(handshake, "a request that was changed on its way", true);
    HandOver(handshake);
  }

  void HandOver(Handshakes::iterator handshake) {
    Admitted admitted{.fd = {},
                      .peer = handshake->peer,
                      .version = handshake->version,
                      .frame = std::move(handshake->buffer),
                      .seal = std::move(handshake->seal)};
    admitted.fd = Forget(handshake);
    Give(std::move(admitted));
  }

  void Give(Admitted admitted) {
    const std::string peer = admitted.peer;
    const std::string refusal = on_admitted_(std::move(admitted));
    if (!refusal.empty()) CountRejected(peer, refusal);
  }

  UniqueFd Forget(Handshakes::iterator handshake) {
    UniqueFd fd = std::move(handshake->fd);
    Watch(fd.get(), EPOLL_CTL_DEL, 0);
    if (auto of_it = per_network_.find(handshake->network); --of_it->second == 0) per_network_.erase(of_it);
    by_fd_.erase(fd.get());
    handshakes_.erase(handshake);
    return fd;
  }

  void Reject(Handshakes::iterator handshake, absl::string_view reason, bool token = false) {
    CountRejected(handshake->peer, reason, token);
    Forget(handshake);
  }

  void CountRejected(const std::string& peer, absl::string_view reason, bool token = false) {
    std::string text = absl::StrCat(peer, ": ", reason);
    spdlog::debug("{}: rejected {}", options_.what, text);
    std::lock_guard lock(mutex_);
    ++counters_.rejected;
    if (token) ++counters_.token_refused;
    counters_.last_rejection = std::move(text);
    counters_.last_rejection_at = MonotonicNow();
  }

  const Options options_;
  const OnAdmitted on_admitted_;
  const std::vector<UniqueFd> listeners_;
  const UniqueFd epoll_;
  const UniqueFd quit_;
  UniqueFd reserve_;
  std::optional<MonotonicTime> paused_until_;
  MonotonicTime next_hint_{};
  Handshakes handshakes_;
  std::unordered_map<int, Handshakes::iterator> by_fd_;
  std::unordered_map<std::string, size_t> per_network_;
  mutable std::mutex mutex_;
  Counters counters_;
};

HandshakeServer::HandshakeServer(Options options, std::vector<UniqueFd> listeners, OnAdmitted on_admitted)
    : loop_(std::make_unique<Loop>(std::move(options), std::move(listeners), std::move(on_admitted))),
      thread_([this] { loop_->Run(); }) {}

HandshakeServer::~HandshakeServer() {
  loop_->Quit();
  thread_.join();
}

HandshakeServer::Counters HandshakeServer::counters() const { return loop_->counters(); }

}  // namespace netsense
