// Sends payload that nobody looks at without copying it: pages that never change go through a pipe into the socket
// (vmsplice, splice). They are never written again, so it does not matter when the kernel lets go of them; it may still
// have some when they are unmapped here.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/unique_fd.h"

namespace netsense::tcp {

class PageSender {
 public:
  // Where there is no pipe to be had it copies, as everybody does. The pages lie where the calling thread's memory
  // does: next to the port, when it is bound there.
  PageSender();

  // The next system call's worth of `bytes`, at most; blocks as the socket does. The number sent, or -1 and errno.
  // The process ignores SIGPIPE. `more`: more of the same stream follows at once.
  ssize_t Send(int fd, size_t bytes, bool more);
  // After an error the pipe may still hold pages: the sender is of no more use.

 private:
  struct Unmap {
    void operator()(void* mapped) const;
  };

  std::unique_ptr<void, Unmap> mapped_;
  const uint8_t* pages_ = nullptr;  // null = there is no memory
  UniqueFd pipe_in_, pipe_out_;
  size_t pipe_bytes_ = 0;  // that the pipe holds at most; 0 = no pipe
  size_t in_pipe_ = 0;
};

}  // namespace netsense::tcp
