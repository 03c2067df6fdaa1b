// A transport in a process of its own, behind a real door: what that process does wrong is its own matter.
#include "transports/isolated/isolated.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "engine/responder.h"
#include "scratch_folder.h"
#include "tests/lab/pace.h"
#include "transports/door/dial.h"
#include "transports/tcp/factory.h"

namespace netsense {
namespace {

std::vector<std::unique_ptr<Transport>> TcpAndScripted(std::vector<std::string> environment) {
  std::vector<std::unique_ptr<Transport>> transports;
  transports.push_back(MakeTcpTransport());
  transports.push_back(MakeIsolatedTransport({.name = "scripted",
                                              .program = "scripted_child",
                                              .capabilities = MakeTcpTransport()->capabilities(),
                                              .environment = std::move(environment),
                                              .ends_unused_after = std::chrono::milliseconds(500)}));
  return transports;
}

// Our own children.
std::vector<pid_t> Children() {
  std::vector<pid_t> children;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream list(thread.path() / "children");
    for (pid_t child; list >> child;) children.push_back(child);
  }
  std::sort(children.begin(), children.end());
  return children;
}

// A node whose peers are others by their address: loopback has many.
struct Node {
  explicit Node(std::vector<std::string> environment = {}) : transports(TcpAndScripted(std::move(environment))) {
    ResponderOptions options;
    options.max_sessions_per_peer = 2000;
    auto started = Responder::Start(std::move(options), &transports, &gate);
    if (!started.ok()) throw std::runtime_error(started.status().ToString());
    responder = *std::move(started);
  }

  // As the peer with this address; `wish`: what its session does to the process in the end.
  absl::StatusOr<std::unique_ptr<Session>> Open(const std::string& transport, const std::string& peer = "127.0.0.1",
                                                const std::string& wish = "") const {
    v1::OpenSession request;
    request.set_transport(transport);
    request.set_purpose(v1::SESSION_PURPOSE_PING);
    request.set_source_node_id(wish);
    auto connection = DialDoor({"127.0.0.1", responder->port(), {peer}, ""}, request, pace::Soon(), {});
    if (!connection.ok()) return connection.status();
    return tcp->Connect(*std::move(connection), pace::Soon(), {});
  }

  absl::Status Ping(const std::string& transport, const std::string& peer = "127.0.0.1",
                    const std::string& wish = "") const {
    auto session = Open(transport, peer, wish);
    return session.ok() ? (*session)->Ping({}, pace::Soon(), {}).status() : session.status();
  }

  // A session with this peer ends the process that carries it.
  absl::Status Crash(const std::string& peer) const {
    absl::StatusOr<std::unique_ptr<Session>> session;
    if (!pace::Eventually([&] {
          session = Open("scripted", peer, "abort");
          return session.ok() && (*session)->Ping({}, pace::Soon(), {}).ok();
        }))
      return session.status();
    const auto before = Children();
    session->reset();
    if (!pace::Eventually([&] {
          const auto now = Children();
          return !std::includes(now.begin(), now.end(), before.begin(), before.end());
        }))
      return absl::InternalError("no process has ended");
    return absl::OkStatus();
  }

  const std::unique_ptr<Transport> tcp = MakeTcpTransport();  // what the prober's ends are
  TransportRegistry transports;
  PortGate gate{{.unlimited = true}};
  std::unique_ptr<Responder> responder;
};

TEST(Isolated, AStoppedProcessCostsNobodyElse) {
  Node node;
  ASSERT_TRUE(node.Ping("scripted").ok());
  ASSERT_EQ(Children().size(), 1u);
  const pid_t child = Children().front();
  auto beside = node.Open("tcp");
  ASSERT_TRUE(beside.ok()) << beside.status();
  ASSERT_EQ(kill(child, SIGSTOP), 0);

  std::vector<std::future<absl::Status>> asked;
  for (int i = 0; i < 300; ++i) {
    asked.push_back(std::async(std::launch::async, [&node] { return node.Open("scripted").status(); }));
    if (i % 10 != 0) continue;
    auto sample = (*beside)->Ping({}, pace::Soon(), {});
    ASSERT_TRUE(sample.ok()) << "after " << i << " sessions: " << sample.status();
    auto fresh = node.Ping("tcp");
    ASSERT_TRUE(fresh.ok()) << "after " << i << " sessions: " << fresh;
  }
  for (auto& each : asked) each.wait();
  auto told = std::async(std::launch::async, [&node] { return node.transports.Describe(); });
  EXPECT_EQ(told.wait_for(pace::Patience()), std::future_status::ready) << "who asks for the transports hangs";

  // It is said, and the process is not waited for forever.
  EXPECT_TRUE(pace::Eventually([&] {
    return std::string(node.Open("scripted").status().message()).find("does not read") != std::string::npos;
  }));
  EXPECT_TRUE(pace::Eventually([&] { return Children() != std::vector{child} && node.Ping("scripted").ok(); }));
  EXPECT_NE(kill(child, 0), 0) << "the stopped process is still there";
}

TEST(Isolated, AProcessThatStartsSlowlyCostsNobodyElse) {
  const ScratchFolder folder;
  const std::string gate = folder.At("gate");
  ASSERT_EQ(mkfifo(gate.c_str(), 0600), 0);
  Node node({absl::StrCat("NETSENSE_TEST_START_GATE=", gate)});
  auto first = std::async(std::launch::async, [&node] { return node.Ping("scripted"); });
  ASSERT_TRUE(pace::Eventually([] { return !Children().empty(); }));
  for (int i = 0; i < 10; ++i) {
    auto fresh = node.Ping("tcp");
    ASSERT_TRUE(fresh.ok()) << fresh;
  }
  EXPECT_EQ(first.wait_for(std::chrono::seconds(0)), std::future_status::timeout) << "it had started all the time";
  UniqueFd(open(gate.c_str(), O_WRONLY | O_CLOEXEC));
  const absl::Status pinged = first.get();
  EXPECT_TRUE(pinged.ok()) << pinged;
}

// What a library does to close a session may take long: the process must go on, and not be taken for one that hangs.
TEST(Isolated, ASessionThatClosesSlowlyCostsNobodyElse) {
  const ScratchFolder folder;
  const std::string gate = folder.At("gate");
  ASSERT_EQ(mkfifo(gate.c_str(), 0600), 0);
  Node node({absl::StrCat("NETSENSE_TEST_END_GATE=", gate)});
  auto scripted = node.transports.Await("scripted", pace::Soon());
  ASSERT_TRUE(scripted.ok()) << scripted.status();
  v1::OpenSession request;
  request.set_transport("tcp");
  request.set_purpose(v1::SESSION_PURPOSE_PING);
  request.set_source_node_id("linger");
  auto connection = DialDoor({"127.0.0.1", node.responder->port(), {}, ""}, request, pace::Soon(), {});
  ASSERT_TRUE(connection.ok()) << connection.status();
  auto session = (*scripted)->Connect(*std::move(connection), pace::Soon(), {});
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE((*session)->Ping({}, pace::Soon(), {}).ok());
  session->reset();
  UniqueFd closing;
  ASSERT_TRUE(pace::Eventually([&] {
    closing = UniqueFd(open(gate.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    return static_cast<bool>(closing);
  }));
  for (int i = 0; i < 10; ++i) {
    auto status = node.Ping("scripted");
    ASSERT_TRUE(status.ok()) << status;
  }
}

TEST(Isolated, OnesCrashesEndOthersSessionsOnceAtMost) {
  const std::string rogue = "127.0.0.2", honest = "127.0.0.3";
  Node node;
  // In a process that all share the first crash is everybody's.
  auto session = node.Open("scripted", honest);
  ASSERT_TRUE(session.ok()) << session.status();
  ASSERT_TRUE(node.Crash(rogue).ok());
  EXPECT_FALSE((*session)->Ping({}, pace::Soon(), {}).ok());

  ASSERT_TRUE(pace::Eventually([&] {
    session = node.Open("scripted", honest);
    return session.ok();
  })) << session.status();
  for (int i = 0; i < 3; ++i) {
    auto crashed = node.Crash(rogue);
    ASSERT_TRUE(crashed.ok()) << crashed;
    for (int k = 0; k < 20; ++k) {
      auto sample = (*session)->Ping({}, pace::Soon(), {});
      ASSERT_TRUE(sample.ok()) << "crash " << i + 2 << ": " << sample.status();
    }
  }
  // It is told why, as long as its own process is down.
  std::string told;
  EXPECT_TRUE(pace::Eventually([&] {
    told = std::string(node.Open("scripted", rogue).status().message());
    return told.find("sessions with 127.0.0.2 are kept in a process apart") != std::string::npos;
  })) << told;
  EXPECT_TRUE((*session)->Ping({}, pace::Soon(), {}).ok());
}

TEST(Isolated, ProcessesApartAreFewAndEndWhenNobodyUsesThem) {
  constexpr int kPeers = 4;  // one more than there are processes apart
  const auto peer = [](int i) { return absl::StrCat("127.0.0.", 10 + i); };
  Node node;
  for (int i = 0; i < kPeers; ++i) {
    auto crashed = node.Crash(peer(i));
    ASSERT_TRUE(crashed.ok()) << crashed;
  }
  std::vector<std::unique_ptr<Session>> sessions;
  ASSERT_TRUE(pace::Eventually([&] { return node.Ping("scripted").ok(); }));
  for (int i = 0; i < kPeers; ++i) {
    auto session = node.Open("scripted", peer(i));
    ASSERT_TRUE(session.ok()) << session.status();
    ASSERT_TRUE((*session)->Ping({}, pace::Soon(), {}).ok());
    sessions.push_back(*std::move(session));
  }
  EXPECT_EQ(Children().size(), 1u + 3u);
  sessions.clear();
  EXPECT_TRUE(pace::Eventually([] { return Children().size() == 1; })) << Children().size();
  EXPECT_TRUE(node.Ping("scripted", peer(0)).ok()) << "it is started again when it is needed";
  EXPECT_EQ(Children().size(), 2u);
}

TEST(Isolated, NobodyIsKeptApartForACrashInNoSession) {
  Node node;
  ASSERT_TRUE(node.Ping("scripted", "127.0.0.2", "abort elsewhere").ok());
  std::string told;
  ASSERT_TRUE(pace::Eventually([&] {
    auto status = node.Open("scripted", "127.0.0.2").status();
    if (!status.ok()) told = std::string(status.message());
    return !status.ok();
  })) << "it has not crashed";
  EXPECT_EQ(told.find("apart"), std::string::npos) << told;
  ASSERT_TRUE(pace::Eventually([&] { return node.Ping("scripted", "127.0.0.2").ok(); }));
  EXPECT_TRUE(node.Ping("scripted", "127.0.0.3").ok());
  EXPECT_EQ(Children().size(), 1u);
}

TEST(Isolated, AStoppedProcessDoesNotOutliveUs) {
  pid_t child = -1;
  {
    Node node;
    ASSERT_TRUE(node.Ping("scripted").ok());
    child = Children().front();
    ASSERT_EQ(kill(child, SIGSTOP), 0);
  }
  EXPECT_NE(kill(child, 0), 0);
}

}  // namespace
}  // namespace netsense
