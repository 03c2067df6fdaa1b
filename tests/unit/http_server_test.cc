// Strangers who hold connections: what they can't keep, and whom they can't keep waiting.
#include "raylet_bridge/serve/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/unique_fd.h"
#include "tests/lab/pace.h"

namespace netsense {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<HttpServer> StartServer(std::chrono::milliseconds request_limit = 1h) {
  HttpServer::Options options;
  options.request_limit = request_limit;
  options.host = "127.0.0.1";
  options.routes = {{"/open", true, [](const HttpRequest&) { return HttpResponse{.body = "here"}; }}};
  return *HttpServer::Start(std::move(options));
}

UniqueFd Connect(const HttpServer& server) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server.port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

void Say(const UniqueFd& fd, const std::string& text) { (void)send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL); }

// Until the other side closes, or the test hangs.
std::string Hear(const UniqueFd& fd, bool* closed = nullptr) {
  std::string heard;
  const MonotonicTime end = pace::Soon();
  char piece[4096];
  while (MonotonicNow() < end) {
    pollfd wait{fd.get(), POLLIN, 0};
    if (poll(&wait, 1, 50) <= 0) continue;
    const ssize_t n = recv(fd.get(), piece, sizeof(piece), 0);
    if (n <= 0) {
      if (closed != nullptr) *closed = true;
      break;
    }
    heard.append(piece, static_cast<size_t>(n));
  }
  return heard;
}

TEST(HttpServer, AnswersInPieces) {
  auto server = StartServer();
  UniqueFd client = Connect(*server);
  for (const char* piece : {"GET /op", "en HTTP/1.1\r\nHo", "st: x\r\n\r", "\n"}) Say(client, piece);
  const std::string answer = Hear(client);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  EXPECT_TRUE(answer.ends_with("here")) << answer;
}

TEST(HttpServer, WhoDripsHeadersHoldsNobodyUp) {
  auto server = StartServer(200ms);
  std::vector<UniqueFd> strangers;
  for (int i = 0; i < 16; ++i) strangers.push_back(Connect(*server));
  for (const UniqueFd& stranger : strangers) Say(stranger, "GET /open HTTP/1.1\r\nA: ");
  UniqueFd client = Connect(*server);
  Say(client, "GET /open HTTP/1.1\r\n\r\n");
  std::jthread drip([&](std::stop_token stop) {
    while (!stop.stop_requested()) {
      for (const UniqueFd& stranger : strangers) Say(stranger, "x");
      std::this_thread::sleep_for(20ms);
    }
  });
  EXPECT_TRUE(Hear(client).ends_with("here")) << "not while they go on";
}

TEST(HttpServer, EndsWhileStrangersAreConnected) {
  auto server = StartServer();
  std::vector<UniqueFd> strangers;
  for (int i = 0; i < 40; ++i) strangers.push_back(Connect(*server));
  for (const UniqueFd& stranger : strangers) Say(stranger, "GET /open HTTP/1.1\r\n");
  const pace::Stopwatch watch;
  server.reset();
  EXPECT_TRUE(watch.Within(1s));
}

// Neither as one endless line nor as many.
TEST(HttpServer, TakesNoMoreThanAHead) {
  auto server = StartServer();
  for (const char* line : {"xxxxxxxxxxxxxxxx", "A: xxxxxxxxxxx\r\n"}) {
    UniqueFd stranger = Connect(*server);
    Say(stranger, "GET /open HTTP/1.1\r\n");
    std::string much;
    while (much.size() < (48 << 10)) much += line;
    Say(stranger, much);
    bool closed = false;
    Hear(stranger, &closed);
    EXPECT_TRUE(closed) << "before its time is up, which is in an hour";
  }
}

}  // namespace
}  // namespace netsense
