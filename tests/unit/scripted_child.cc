// A transport in a process of its own that does what its peers tell it: tcp, but for that. For isolated_test.cc.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "base/logging.h"
#include "base/unique_fd.h"
#include "transports/isolated/host.h"
#include "transports/tcp/factory.h"

namespace netsense {
namespace {

// A pipe: the test knows by its other end that we are here, and lets us go on by closing it.
void WaitAt(const char* gate) {
  const char* path = std::getenv(gate);
  if (path == nullptr) return;
  const UniqueFd opened(open(path, O_RDONLY | O_CLOEXEC));
  char nothing = 0;
  (void)!read(opened.get(), &nothing, 1);
}

class LingeringSession final : public Session {
 public:
  explicit LingeringSession(std::unique_ptr<Session> session) : session_(std::move(session)) {}
  ~LingeringSession() override { WaitAt("NETSENSE_TEST_END_GATE"); }
  absl::StatusOr<RttSample> Ping(const PingSpec& spec, MonotonicTime deadline, std::stop_token stop) override {
    return session_->Ping(spec, deadline, std::move(stop));
  }
  absl::StatusOr<StreamSample> Stream(const StreamSpec& spec, MonotonicTime deadline, std::stop_token stop) override {
    return session_->Stream(spec, deadline, std::move(stop));
  }
  const v1::SessionReply::Grant& peer() const override { return session_->peer(); }
  SessionDetails details() const override { return session_->details(); }

 private:
  const std::unique_ptr<Session> session_;
};

class ScriptedChild final : public Transport {
 public:
  std::string_view name() const override { return "scripted"; }
  Capabilities capabilities() const override { return tcp_->capabilities(); }

  absl::Status availability() const override {
    WaitAt("NETSENSE_TEST_START_GATE");
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Session>> Connect(DoorConnection connection, MonotonicTime deadline,
                                                   std::stop_token stop) override {
    const bool lingers = connection.request.source_node_id() == "linger";
    auto session = tcp_->Connect(std::move(connection), deadline, std::move(stop));
    if (!session.ok() || !lingers) return session;
    return std::make_unique<LingeringSession>(*std::move(session));
  }

  // As a peer does it that leaves in the middle of what the library cannot bear.
  absl::Status Serve(DoorConnection connection, const ServeLimits& limits, std::stop_token stop) override {
    const std::string wish = connection.request.source_node_id();
    auto status = tcp_->Serve(std::move(connection), limits, std::move(stop));
    if (wish == "abort") std::abort();
    if (wish == "abort elsewhere") std::thread([] { std::abort(); }).join();
    return status;
  }

 private:
  const std::unique_ptr<Transport> tcp_ = MakeTcpTransport();
};

}  // namespace
}  // namespace netsense

int main() {
  (void)netsense::InitLogging("scripted_child", "");
  netsense::ScriptedChild transport;
  return netsense::isolated::HostTransport(transport);
}
