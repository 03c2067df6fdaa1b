#include "tests/fuzz/memory_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "tests/fuzz/harness.h"

namespace netsense::fuzz {

MemoryFile::MemoryFile(std::string_view content) : fd_(memfd_create("input", MFD_CLOEXEC)) {
  MustHold(fchmod(fd_.get(), 0600) == 0, "the file can be ours alone");
  MustHold(write(fd_.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()),
           "the input can be written to a file");
}

std::string MemoryFile::path() const { return absl::StrCat("/proc/self/fd/", fd_.get()); }

}  // namespace netsense::fuzz
