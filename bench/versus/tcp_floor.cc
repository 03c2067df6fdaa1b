// The floor of a TCP round trip: 64 bytes there and back, both sides spinning on a socket, and nothing else in the
// loop.
//
//   tcp_floor serve ADDRESS PORT
//   tcp_floor ping ADDRESS PORT COUNT      -> p50 and p99 of the full round trip in microseconds
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

namespace {

constexpr size_t kBytes = 64;
std::array<char, kBytes> message;

sockaddr_in Address(const char* host, const char* port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(std::stoi(port)));
  inet_pton(AF_INET, host, &address.sin_addr);
  return address;
}

void NoDelay(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

bool Receive(int fd) {
  for (size_t got = 0; got < kBytes;) {
    ssize_t n = recv(fd, message.data() + got, kBytes - got, MSG_DONTWAIT);
    if (n > 0) got += static_cast<size_t>(n);
    if (n == 0 || (n < 0 && errno != EAGAIN)) return false;
  }
  return true;
}

bool Send(int fd) { return send(fd, message.data(), kBytes, MSG_NOSIGNAL) == static_cast<ssize_t>(kBytes); }

int Serve(const sockaddr_in& address) {
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 || listen(listener, 1) != 0)
    return 1;
  int fd = accept(listener, nullptr, nullptr);
  NoDelay(fd);
  while (Receive(fd) && Send(fd)) {
  }
  return 0;
}

int Ping(const sockaddr_in& address, int count) {
  using Clock = std::chrono::steady_clock;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return 1;
  NoDelay(fd);
  std::vector<double> rtts;
  rtts.reserve(static_cast<size_t>(count));
  for (int i = -100; i < count; ++i) {
    const auto start = Clock::now();
    if (!Send(fd) || !Receive(fd)) return 1;
    if (i >= 0) rtts.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  std::sort(rtts.begin(), rtts.end());
  std::cout << rtts[rtts.size() / 2] << " " << rtts[rtts.size() * 99 / 100] << std::endl;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::strcmp(argv[1], "serve") == 0) return Serve(Address(argv[2], argv[3]));
  if (argc == 5 && std::strcmp(argv[1], "ping") == 0) return Ping(Address(argv[2], argv[3]), std::stoi(argv[4]));
  return 2;
}
