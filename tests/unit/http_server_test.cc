// Strangers who hold connections: what they can't keep, and whom they can't keep waiting.
#include "raylet_bridge/serve/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/deadlines.h"
#include "base/unique_fd.h"
#include "tests/lab/pace.h"

namespace netsense {
namespace {

using namespace std::chrono_literals;

std::atomic<size_t> documents_made = 0;
constexpr size_t kDocument = 8 << 20;  // more than the sockets' buffers hold

HttpServer::Options Anybody(std::chrono::milliseconds request_limit = 1h) {
  HttpServer::Options options;
  options.request_limit = request_limit;
  options.host = "127.0.0.1";
  auto document = std::make_shared<const std::string>(kDocument, 'd');
  options.routes = {
      {"/open", true, [](const HttpRequest&) { return HttpResponse{.body = "here"}; }},
      {"/said", false,
       [](const HttpRequest& request) { return HttpResponse{.body = request.query("a").value_or("-")}; }},
      {"/document", false,
       [document](const HttpRequest&) {
         ++documents_made;
         return HttpResponse{.shared_body = document};
       }},
      {"/page", true, [document](const HttpRequest&) { return HttpResponse{.shared_body = document}; }},
      {"/throws", false, [](const HttpRequest&) -> HttpResponse { throw std::runtime_error("nothing there"); }}};
  return options;
}

std::unique_ptr<HttpServer> StartServer(std::chrono::milliseconds request_limit = 1h) {
  return *HttpServer::Start(Anybody(request_limit));
}

// From 127.0.HOST / 256.HOST % 256, which is this host, too.
UniqueFd Connect(const HttpServer& server, uint32_t host = 1) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl((127u << 24) + host);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
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

std::string Ask(const HttpServer& server, const std::string& request, uint32_t host = 1) {
  UniqueFd client = Connect(server, host);
  Say(client, request);
  return Hear(client);
}
std::string AskFor(const HttpServer& server, const std::string& target, const std::string& more = "",
                   uint32_t host = 1) {
  return Ask(server, "GET " + target + " HTTP/1.1\r\n" + more + "\r\n", host);
}

TEST(HttpServer, AnswersInPieces) {
  auto server = StartServer();
  UniqueFd client = Connect(*server);
  for (const char* piece : {"GET /op", "en HTTP/1.1\r\nHo", "st: [::1]\r\n\r", "\n"}) Say(client, piece);
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

TEST(HttpServer, TakesNoMoreThanAHead) {
  auto server = StartServer();
  for (const char* line : {"xxxxxxxxxxxxxxxx", "A: xxxxxxxxxxx\r\n"}) {  // as one endless line, or as many
    UniqueFd stranger = Connect(*server);
    Say(stranger, "GET /open HTTP/1.1\r\n");
    std::string much;
    while (much.size() < (48 << 10)) much += line;
    Say(stranger, much);
    bool closed = false;
    const std::string heard = Hear(stranger, &closed);
    EXPECT_TRUE(closed) << "before its time is up, which is in an hour";
    EXPECT_TRUE(heard.empty() || heard.starts_with("HTTP/1.1 431")) << heard;
  }
}

TEST(HttpServer, NeverReadsABody) {
  auto server = StartServer();
  UniqueFd stranger = Connect(*server);
  Say(stranger, "POST /open HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
  size_t taken = 0;
  while (taken < (64 << 20)) {  // until it is closed on us
    const ssize_t n = send(stranger.get(), chunk.data(), chunk.size(), MSG_NOSIGNAL);
    if (n <= 0) break;
    taken += static_cast<size_t>(n);
  }
  EXPECT_LT(taken, 16 << 20) << "what buffers hold, and no more";
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "BREW"}) {
    const std::string answer = Ask(*server, std::string(method) + " /open HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 405 ")) << answer;
    EXPECT_NE(answer.find("Allow: GET, HEAD\r\n"), std::string::npos) << answer;
  }
}

TEST(HttpServer, HeadIsGetWithoutTheBody) {
  auto server = StartServer();
  const std::string get = AskFor(*server, "/open"), head = Ask(*server, "HEAD /open HTTP/1.1\r\n\r\n");
  EXPECT_EQ(get, head + "here");
}

TEST(HttpServer, SaysWhatIsWrong) {
  auto server = StartServer();
  EXPECT_TRUE(Ask(*server, "Hello there\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(AskFor(*server, "/nowhere").starts_with("HTTP/1.1 404 "));
  const std::string answer = AskFor(*server, "/throws");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 500 ") && answer.find("nothing there") != std::string::npos) << answer;
}

TEST(HttpServer, KnowsItsTokenAlone) {
  auto options = Anybody();
  options.token = "secret";
  auto server = *HttpServer::Start(std::move(options));
  EXPECT_TRUE(AskFor(*server, "/open").starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(AskFor(*server, "/said").starts_with("HTTP/1.1 401 "));
  EXPECT_TRUE(AskFor(*server, "/nowhere").starts_with("HTTP/1.1 401 "));
  EXPECT_TRUE(AskFor(*server, "/said", "Authorization: Bearer secre7\r\n").starts_with("HTTP/1.1 403 "));
  EXPECT_TRUE(AskFor(*server, "/said", "Authorization: Bearer secret\r\n").starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(AskFor(*server, "/said", "Host: elsewhere.example\r\nAuthorization: Bearer secret\r\n")
                  .starts_with("HTTP/1.1 200 "))
      << "a page of elsewhere has no token";
}

// A browser that was told that elsewhere.example is we.
TEST(HttpServer, WithoutATokenAnswersToItsOwnNamesAlone) {
  auto options = Anybody();
  options.names = {"Head.cluster.example"};
  auto server = *HttpServer::Start(std::move(options));
  char own[256] = {};
  gethostname(own, sizeof(own) - 1);
  for (const std::string host : {"elsewhere.example", "elsewhere.example:18591", "127.0.0.1.elsewhere.example",
                                 "localhost.elsewhere.example", "1", "[::1].elsewhere.example", "elsewhere.example."}) {
    const std::string answer = AskFor(*server, "/said?a=1", "Host: " + host + "\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 421 ")) << host << ": " << answer;
    EXPECT_NE(answer.find("--http-name"), std::string::npos) << answer;
  }
  for (const std::string& host :
       {std::string("127.0.0.1:18591"), std::string("10.1.2.3"), std::string("[::1]:80"), std::string("LocalHost:1"),
        std::string(own) + ":18591", std::string("head.CLUSTER.example."), std::string("head.cluster.example:18591")})
    EXPECT_TRUE(AskFor(*server, "/said?a=1", "Host: " + host + "\r\n").starts_with("HTTP/1.1 200 ")) << host;
}

TEST(HttpServer, AHostInTheTargetCountsAndNotTheHeader) {
  auto server = StartServer();
  EXPECT_TRUE(AskFor(*server, "http://elsewhere.example/said", "Host: 127.0.0.1\r\n").starts_with("HTTP/1.1 421 "));
  EXPECT_TRUE(AskFor(*server, "http://127.0.0.1/said", "Host: elsewhere.example\r\n").starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(AskFor(*server, "http://127.0.0.1", "Host: 127.0.0.1\r\n").starts_with("HTTP/1.1 404 "));
  for (const std::string odd :
       {"http:///said", "http://127.0.0.1:x@elsewhere.example/said", "http://localhost:80@a/said",
        "http://a@127.0.0.1/said", "http://[::1]x]:80/said", "http://[::1/said"})
    EXPECT_FALSE(AskFor(*server, odd, "Host: elsewhere.example\r\n").starts_with("HTTP/1.1 200 ")) << odd;
}

TEST(HttpServer, AnyNameWillDoWhereThatWasSaid) {
  auto options = Anybody();
  options.names = {"*"};
  auto server = *HttpServer::Start(std::move(options));
  EXPECT_TRUE(AskFor(*server, "/said", "Host: elsewhere.example\r\n").starts_with("HTTP/1.1 200 "));
}

TEST(HttpServer, ReadsWhatIsAskedFor) {
  auto server = StartServer();
  for (const auto& [target, value] : std::vector<std::pair<std::string, std::string>>{
           {"/said?a=1", "1"},
           {"/said?b=2&a=a%20b%2Fc", "a b/c"},
           {"/said?a=x+y&a=z", "x y"},
           {"/said?a=", ""},
           {"/said?a", ""},
           {"/said?a=%", "%"},
           {"/said?a=%2", "%2"},
           {"/said?a=%zz%+1", "%zz% 1"},
           {"/said?&&=&a=b=c", "b=c"},
           {"/said?b=1", "-"},
           {"http://127.0.0.1:1/said?a=1", "1"},
           {"HTTP://[::1]/said?a=http://elsewhere.example/", "http://elsewhere.example/"},
           {"/said", "-"}}) {
    const std::string answer = AskFor(*server, target);
    EXPECT_EQ(answer.substr(answer.find("\r\n\r\n") + 4), value) << target << ": " << answer;
  }
}

// 25 silent connections a tenth of a second, say, and more than there may be of one address.
TEST(HttpServer, SilentStrangersOfOneAddressTakeItsOwnPlacesAlone) {
  auto server = StartServer();
  UniqueFd early = Connect(*server, 2);  // of another address, and in the middle of its head
  Say(early, "GET /open HT");
  std::vector<UniqueFd> strangers;
  for (int i = 0; i < 300; ++i) {
    strangers.push_back(Connect(*server));
    if (i % 50 == 49) {
      EXPECT_TRUE(AskFor(*server, "/said?a=1", "", 2).ends_with("1")) << i;
    }
  }
  EXPECT_TRUE(AskFor(*server, "/open").ends_with("here")) << "of the same address: the oldest makes room";
  Say(early, "TP/1.1\r\n\r\n");
  EXPECT_TRUE(Hear(early).ends_with("here"));
}

TEST(HttpServer, StrangersOfTwoHundredAddressesKeepNobodyOut) {
  auto server = StartServer();
  std::vector<UniqueFd> strangers;
  for (uint32_t i = 0; i < 800; ++i) {
    strangers.push_back(Connect(*server, 256 + i % 200));
    if (i % 2 == 0) Say(strangers.back(), "GET /open HTTP/1.1\r\nA: ");
    if (i % 100 == 99) {
      EXPECT_TRUE(AskFor(*server, "/open").ends_with("here")) << i;
    }
  }
}

// Who asks for much and reads nothing has some of the places for documents; half of them are for others.
TEST(HttpServer, WhoDoesNotReadHoldsNobodyUp) {
  documents_made = 0;
  auto server = StartServer();
  std::vector<UniqueFd> strangers;
  for (size_t i = 0; i < HttpServer::kMaxPerNetwork; ++i) {
    strangers.push_back(Connect(*server));
    Say(strangers.back(), "GET /document HTTP/1.1\r\n\r\n");
  }
  const std::string answer = AskFor(*server, "/document", "", 2);
  EXPECT_EQ(answer.substr(answer.find("\r\n\r\n") + 4).size(), kDocument);
  EXPECT_LE(documents_made, HttpServer::kMaxAnswers / 2 + 1) << "one address has half of the places";
  EXPECT_TRUE(AskFor(*server, "/open", "", 2).ends_with("here"));
  EXPECT_TRUE(AskFor(*server, "/open").ends_with("here")) << "of the same address: one that still waits makes room";
}

TEST(HttpServer, ManyWhoDoNotReadMakeRoomInTime) {
  auto server = StartServer();
  std::vector<UniqueFd> strangers;
  for (uint32_t i = 0; i < HttpServer::kMaxAnswers; ++i) {
    strangers.push_back(Connect(*server, 256 + i));
    Say(strangers.back(), "GET /document HTTP/1.1\r\n\r\n");
  }
  const std::string answer = AskFor(*server, "/document");
  EXPECT_EQ(answer.substr(answer.find("\r\n\r\n") + 4).size(), kDocument);
}

// As the page is, to those without the token: more than their small buffers hold, and they never read.
TEST(HttpServer, UnreadAnswersThatAreOpenKeepNobodyOut) {
  auto server = StartServer();
  std::vector<UniqueFd> strangers;
  for (uint32_t i = 0; i < HttpServer::kMaxConnections + 100; ++i) {
    strangers.push_back(Connect(*server, 256 + i % 16));
    Say(strangers.back(), "GET /page HTTP/1.1\r\n\r\n");
    if (i % 50 == 49) {
      EXPECT_TRUE(AskFor(*server, "/open").ends_with("here")) << i;
    }
  }
}

// Steadily, and less in a stall's time than a third of what the kernel would take ahead.
TEST(HttpServer, WhoReadsSlowlyGetsAllOfIt) {
  auto server = StartServer();
  UniqueFd reader(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int little = 32 << 10;
  setsockopt(reader.get(), SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server->port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(reader.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  Say(reader, "GET /document HTTP/1.1\r\n\r\n");
  const MonotonicTime slow_until = MonotonicNow() + deadlines::kHttpStall() * 3 / 2;
  std::string piece(10 << 10, 0);
  size_t taken = 0;
  while (true) {
    pollfd wait{reader.get(), POLLIN, 0};
    if (poll(&wait, 1, static_cast<int>(pace::Patience() / 1ms)) <= 0) break;
    const ssize_t n = recv(reader.get(), piece.data(), piece.size(), 0);
    if (n <= 0) break;
    taken += static_cast<size_t>(n);
    if (MonotonicNow() < slow_until) std::this_thread::sleep_for(deadlines::kHttpStall() / 50);
  }
  EXPECT_GT(taken, kDocument);
}

TEST(HttpServer, LivesOnAfterItHadNoDescriptors) {
  auto server = StartServer();
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 20; ++i) clients.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit none{static_cast<rlim_t>(clients.back().get()) + 1, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server->port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (const UniqueFd& client : clients)
    EXPECT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  bool closed = false;
  Hear(clients.front(), &closed);
  EXPECT_TRUE(closed) << "what can't be served is dropped";
  setrlimit(RLIMIT_NOFILE, &before);
  clients.clear();
  EXPECT_TRUE(AskFor(*server, "/open").ends_with("here"));
}

}  // namespace
}  // namespace netsense
