// Untrusted: what the process of a fragile transport says to its engine, and the engine to it: datagrams over a Unix
// socket, with descriptors beside them. What must hold: a refused packet leaves no descriptor open; what is read is
// read the same again; the count of a stream that is believed does not contradict itself.
#include "transports/isolated/packet.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "netsense/isolation.pb.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/messages.h"
#include "transports/stream_meter.h"

namespace netsense::fuzz {
namespace {

using isolated::MakeSocketPair, isolated::ReceivePacket, isolated::SendPacket;

std::unique_ptr<google::protobuf::Message> Make(uint8_t kind) {
  if ((kind & 8) != 0) return std::make_unique<v1::ChildLastWords>();
  switch (kind % 4) {
    case 0:
      return std::make_unique<v1::ChildHello>();
    case 1:
      return std::make_unique<v1::ChildSession>();
    case 2:
      return std::make_unique<v1::ChildCall>();
    default:
      return std::make_unique<v1::ChildOutcome>();
  }
}

// The lowest descriptor that is free: a leak moves it.
int NextFree() { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)).get(); }

// As SendPacket, but any bytes and any number of descriptors.
void Send(int fd, std::string_view bytes, size_t descriptors) {
  constexpr size_t kMost = 8;
  std::array<int, kMost> sent;
  sent.fill(fd);
  const size_t size = sizeof(int) * std::min(descriptors, kMost);
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMost)> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (size > 0) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(size);
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(rights), sent.data(), size);
  }
  (void)sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Read(uint8_t kind, size_t descriptors, std::string_view bytes) {
  auto pair = MakeSocketPair();
  MustHold(pair.ok(), "there is a socket pair");
  Send(pair->first.get(), bytes, descriptors);
  pair->first.Reset();
  const auto message = Make(kind);
  std::vector<UniqueFd> received;
  if (!ReceivePacket(pair->second.get(), message.get(), (kind & 4) != 0 ? &received : nullptr).ok()) return;
  if (const auto* outcome = dynamic_cast<const v1::ChildOutcome*>(message.get()))
    if (const auto sample = SampleOf(outcome->stream().report()); sample.ok())
      MustHold(sample->elapsed.count() >= 0 && sample->bytes_in_elapsed <= sample->bytes,
               "a count that is believed does not contradict itself");
  auto other = MakeSocketPair();
  const auto again = Make(kind);
  if (message->ByteSizeLong() >= isolated::kMaxPacketBytes) return;
  MustHold(SendPacket(other->first.get(), *message).ok() && ReceivePacket(other->second.get(), again.get()).ok(),
           "what was read can be sent");
  MustHold(Canonical(*message) == Canonical(*again), "what was sent is read the same");
}

void Run(std::string_view bytes) {
  Input input(bytes);
  const uint8_t kind = input.Byte(), descriptors = input.Byte() % 9;
  const int free_before = NextFree();
  Read(kind, descriptors, input.Take(isolated::kMaxPacketBytes + 16));
  MustHold(NextFree() == free_before, "no descriptor stays open");
}

const Harness kHarness("packet", Run);

}  // namespace
}  // namespace netsense::fuzz
