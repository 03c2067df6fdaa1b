// A peer whose UCX says where it is and then stands still. No process of ours does that on purpose: it is played here.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <ucp/api/ucp.h>
#include <unistd.h>

#include <array>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>

#include "base/handshake/framing.h"
#include "loopback_responder.h"
#include "netsense/ucx.pb.h"
#include "tests/lab/pace.h"
#include "transports/ucx/factory.h"

namespace netsense {
namespace {

using std::chrono::seconds;

// Over what the stalled peer is spoken to. Inside the VM (tests/vm) it is RDMA: there UCX 1.13 aborts when an endpoint
// is closed whose peer never answered. Over tcp it does not.
struct Fabric {
  std::string tls = "tcp", device = "lo", peer_device = "lo";
  std::chrono::milliseconds patience{1000};
};

Fabric ThisFabric() {
  if (getenv("NETSENSE_TEST_RDMA") == nullptr) return {};
  return {.tls = "rc_verbs,ud_verbs:aux", .device = "rxeA:1", .peer_device = "rxeB:1", .patience = seconds(3)};
}

// A process with a worker of UCX, stopped: its kernel takes connections, and nobody answers. Begun before any thread
// is.
class StalledWorker {
 public:
  explicit StalledWorker(const Fabric& fabric) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    UniqueFd out(ends[0]), in(ends[1]);
    pid_ = fork();
    if (pid_ < 0) throw std::runtime_error("no process for the stalled worker");
    if (pid_ == 0) Stall(fabric, in.get());
    in.Reset();
    std::array<char, 4096> bytes;
    for (ssize_t n; (n = read(out.get(), bytes.data(), bytes.size())) > 0;)
      address_.mutable_worker()->append(bytes.data(), static_cast<size_t>(n));
    int status = 0;
    if (waitpid(pid_, &status, WUNTRACED) != pid_ || !WIFSTOPPED(status))
      throw std::runtime_error("UCX gives the stalled worker nothing to be spoken to by");
  }
  ~StalledWorker() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  const v1::UcxAddress& address() const { return address_; }

 private:
  [[noreturn]] static void Stall(const Fabric& fabric, int tell) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    ucp_config_t* config = nullptr;
    ucp_config_read(nullptr, nullptr, &config);
    ucp_config_modify(config, "TLS", fabric.tls.c_str());
    ucp_config_modify(config, "NET_DEVICES", fabric.peer_device.c_str());
    ucp_params_t params{};
    params.field_mask = UCP_PARAM_FIELD_FEATURES;
    params.features = UCP_FEATURE_AM;
    ucp_context_h context = nullptr;
    ucp_worker_params_t worker_params{};
    ucp_worker_h worker = nullptr;
    ucp_address_t* address = nullptr;
    size_t bytes = 0;
    if (ucp_init(&params, config, &context) != UCS_OK ||
        ucp_worker_create(context, &worker_params, &worker) != UCS_OK ||
        ucp_worker_get_address(worker, &address, &bytes) != UCS_OK ||
        write(tell, address, bytes) != static_cast<ssize_t>(bytes))
      _exit(1);
    close(tell);
    raise(SIGSTOP);
    _exit(0);
  }

  pid_t pid_ = -1;
  v1::UcxAddress address_;
};

// Two ends of a connection over loopback.
std::pair<UniqueFd, UniqueFd> Connected() {
  UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      here(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(bind(listener.get(), generic, size), 0);
  EXPECT_EQ(listen(listener.get(), 1), 0);
  EXPECT_EQ(getsockname(listener.get(), generic, &size), 0);
  EXPECT_EQ(connect(here.get(), generic, size), 0);
  UniqueFd there(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  fcntl(here.get(), F_SETFL, O_NONBLOCK);
  return {std::move(here), std::move(there)};
}

v1::OpenSession UcxRequest(const Fabric& fabric) {
  v1::OpenSession request = LoopbackResponder::PingRequest();
  request.set_transport("ucx");
  (*request.mutable_options()->mutable_values())[kUcxTls] = fabric.tls;
  request.mutable_options()->set_device(fabric.device);
  return request;
}

TEST(UcxStalledPeer, CostsNoOtherSession) {
  const Fabric fabric = ThisFabric();
  StalledWorker stalled(fabric);
  LoopbackResponder responder;
  Transport* ucx = *responder.transports.Await("ucx");
  auto connection = responder.Dial(UcxRequest({}), "");
  ASSERT_TRUE(connection.ok()) << connection.status();
  auto session = ucx->Connect(*std::move(connection), pace::Soon(), {});
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE((*session)->Ping({}, pace::Soon(), {}).ok());

  for (int i = 0; i < 3; ++i) {
    auto [here, there] = Connected();
    auto peer = std::async(std::launch::async, [&stalled, fd = there.get()] {
      v1::UcxAddress theirs;
      auto status = ReadFrame(fd, &theirs, pace::Soon(), {});
      return status.ok() ? WriteFrame(fd, stalled.address(), pace::Soon(), {}) : status;
    });
    DoorConnection door;
    door.fd = std::move(here);
    door.request = UcxRequest(fabric);
    // Not scaled: UCX 1.13 itself aborts over RDMA where it waits longer for an answer to its own first request.
    auto opened = ucx->Connect(std::move(door), In(fabric.patience), {});
    EXPECT_FALSE(opened.ok());
    EXPECT_TRUE(absl::IsDeadlineExceeded(opened.status())) << opened.status();
    EXPECT_TRUE(peer.get().ok());
  }
  auto sample = (*session)->Ping({}, pace::Soon(), {});
  EXPECT_TRUE(sample.ok()) << "UCX took the others along: " << sample.status();
}

}  // namespace
}  // namespace netsense
