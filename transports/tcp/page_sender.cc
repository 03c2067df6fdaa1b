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

// One huge page where there are such: the kernel then sends long runs of it as one piece. Twice as much is mapped as
// may be needed to have a whole one.
constexpr size_t kHuge = 2 << 20;
constexpr size_t kMapped = 2 * kHuge;

}  // namespace

void PageSender::Unmap::operator()(void* mapped) const { munmap(mapped, kMapped); }

PageSender::PageSender() {
  void* mapped = mmap(nullptr, kMapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return;
  mapped_.reset(mapped);
  void* aligned = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(mapped) + kHuge - 1) / kHuge * kHuge);
  madvise(aligned, kHuge, MADV_HUGEPAGE);
  std::memset(aligned, 0x5a, kPages);
  pages_ = static_cast<const uint8_t*>(aligned);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return;
  pipe_out_ = UniqueFd(ends[0]);
  pipe_in_ = UniqueFd(ends[1]);
  fcntl(pipe_in_.get(), F_SETPIPE_SZ, kPages);
  pipe_bytes_ = std::min(static_cast<size_t>(std::max(fcntl(pipe_in_.get(), F_GETPIPE_SZ), 0)), kPages);
  if (pipe_bytes_ < kSmallestPipe) pipe_bytes_ = 0;  // what is left to a user with many pipes: copying costs less
}

ssize_t PageSender::Send(int fd, size_t bytes, bool more) {
  static const uint8_t kByte[kWorthwhile] = {};
  if (in_pipe_ == 0 && (pipe_bytes_ == 0 || bytes < kWorthwhile)) {
    const uint8_t* from = pages_ != nullptr ? pages_ : kByte;
    return send(fd, from, std::min(bytes, pages_ != nullptr ? kPages : kWorthwhile),
                MSG_NOSIGNAL | (more ? MSG_MORE : 0));
  }
  if (in_pipe_ == 0) {
    iovec part{const_cast<uint8_t*>(pages_), std::min(bytes, pipe_bytes_)};
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
