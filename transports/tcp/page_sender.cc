#include "transports/tcp/page_sender.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstring>

namespace netsense::tcp {
namespace {

constexpr size_t kPages = 1 << 20;  // bytes; also what an unprivileged pipe may hold
constexpr size_t kSmallestPipe = 64 * 1024;
constexpr size_t kWorthwhile = 8192;  // below, a copy costs less than two more system calls

const uint8_t* Pages() {
  static const uint8_t* const pages = [] {
    // One huge page where there are such: the kernel then sends long runs of it as one piece.
    constexpr size_t kHuge = 2 << 20;
    void* memory = mmap(nullptr, 2 * kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return static_cast<uint8_t*>(nullptr);
    memory = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(memory) + kHuge - 1) / kHuge * kHuge);
    madvise(memory, kHuge, MADV_HUGEPAGE);
    std::memset(memory, 0x5a, kPages);
    return static_cast<uint8_t*>(memory);
  }();
  return pages;
}

}  // namespace

PageSender::PageSender() {
  int ends[2];
  if (Pages() == nullptr || pipe2(ends, O_CLOEXEC) != 0) return;
  pipe_out_ = UniqueFd(ends[0]);
  pipe_in_ = UniqueFd(ends[1]);
  fcntl(pipe_in_.get(), F_SETPIPE_SZ, kPages);
  pipe_bytes_ = std::min(static_cast<size_t>(std::max(fcntl(pipe_in_.get(), F_GETPIPE_SZ), 0)), kPages);
  if (pipe_bytes_ < kSmallestPipe) pipe_bytes_ = 0;  // what is left to a user with many pipes: copying costs less
}

ssize_t PageSender::Send(int fd, size_t bytes, bool more) {
  static const uint8_t kByte[kWorthwhile] = {};
  if (in_pipe_ == 0 && (pipe_bytes_ == 0 || bytes < kWorthwhile)) {
    const uint8_t* from = Pages() != nullptr ? Pages() : kByte;
    return send(fd, from, std::min(bytes, Pages() != nullptr ? kPages : kWorthwhile),
                MSG_NOSIGNAL | (more ? MSG_MORE : 0));
  }
  if (in_pipe_ == 0) {
    iovec part{const_cast<uint8_t*>(Pages()), std::min(bytes, pipe_bytes_)};
    ssize_t n = vmsplice(pipe_in_.get(), &part, 1, 0);
    if (n < 0) return n;
    in_pipe_ = static_cast<size_t>(n);
  }
  const size_t wanted = std::min(bytes, in_pipe_);
  ssize_t n = splice(pipe_out_.get(), nullptr, fd, nullptr, wanted, SPLICE_F_MOVE | (more ? SPLICE_F_MORE : 0));
  if (n > 0) in_pipe_ -= static_cast<size_t>(n);
  return n;
}

}  // namespace netsense::tcp
