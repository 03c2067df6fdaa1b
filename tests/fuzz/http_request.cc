// Untrusted: what a stranger sends to a bridge's HTTP port, on loopback; the input's first byte says whether his head
// has the token, or a cookie and a foreign host. What must hold: whatever he sends, he gets one whole HTTP answer or
// none, and nothing that is not for him.
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/deadlines.h"
#include "base/socket.h"
#include "raylet_bridge/serve/http_server.h"
#include "tests/fuzz/harness.h"

namespace netsense::fuzz {
namespace {

constexpr char kToken[] = "the-token-of-this-cluster", kSecret[] = "for those with the token";

// For as long as the program runs, and gone before what its threads log to.
HttpServer& Server() {
  (void)spdlog::default_logger_raw();
  static const std::unique_ptr<HttpServer> server = [] {
    const auto say = [](const char* words) {
      return [words](const HttpRequest& request) {
        return HttpResponse{.body = words + request.query("x").value_or("") + request.header("x").value_or("")};
      };
    };
    auto started = HttpServer::Start({.host = "127.0.0.1",
                                      .port = 0,
                                      .token = kToken,
                                      .routes = {{"/healthz", true, say("ok")}, {"/metrics", false, say(kSecret)}}});
    MustHold(started.ok(), "there is a server");
    return *std::move(started);
  }();
  return *server;
}

std::string Ask(std::string_view request) {
  const MonotonicTime end = MonotonicNow() + 2 * deadlines::kHttpRequest();
  auto fd = ConnectTcp("127.0.0.1", Server().port(), {}, end, {});
  MustHold(fd.ok(), "the port is open");
  ResetOnClose(fd->get());
  (void)WriteAll(fd->get(), {reinterpret_cast<const uint8_t*>(request.data()), request.size()}, end, {});
  shutdown(fd->get(), SHUT_WR);
  std::string answer;
  for (char bytes[4096];;) {
    MustHold(WaitReady(fd->get(), POLLIN, end, {}).ok(), "a connection that is over ends");
    const ssize_t n = recv(fd->get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n <= 0) return answer;
    answer.append(bytes, static_cast<size_t>(n));
  }
}

void CheckAnswer(const std::string& answer) {
  MustHold(answer.starts_with("HTTP/1.1 "), "an answer is HTTP");
  int code = 0;
  MustHold(absl::SimpleAtoi(answer.substr(9, 3), &code) && code >= 200 && code < 600, "an answer has a code");
  const size_t end = answer.find("\r\n\r\n");
  MustHold(end != std::string::npos, "an answer's head is whole");
  const std::string length = "Content-Length: ";
  const size_t at = answer.find(length);
  if (at == std::string::npos || at > end) return;
  size_t body = 0;
  const size_t begin = at + length.size();
  MustHold(absl::SimpleAtoi(answer.substr(begin, answer.find('\r', begin) - begin), &body), "a length is a number");
  MustHold(answer.size() == end + 4 || answer.size() == end + 4 + body,
           "an answer is as long as it says, or was asked for its head");
}

void Run(std::string_view bytes) {
  Input input(bytes);
  const uint8_t how = input.Byte();
  const bool has_token = (how & 1) != 0;
  std::string request(input.Rest());
  if (has_token) {  // behind the first line
    const size_t line = request.find("\r\n");
    if (line != std::string::npos) request.insert(line + 2, absl::StrCat("Authorization: Bearer ", kToken, "\r\n"));
  }
  const std::string answer = Ask(request);
  if (!answer.empty()) CheckAnswer(answer);
  const bool knows_it = request.find(kToken) != std::string::npos;
  MustHold(knows_it || answer.find(kSecret) == std::string::npos, "who has no token gets nothing that is not for him");
}

const Harness kHarness("http_request", Run);

}  // namespace
}  // namespace netsense::fuzz
