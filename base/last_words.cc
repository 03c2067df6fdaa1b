#include "base/last_words.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/private_file.h"

namespace netsense {
namespace {

constexpr char kVariable[] = "NETSENSE_LAST_WORDS";
constexpr size_t kMost = 64 << 10;  // what a pipe holds
constexpr size_t kLongestLine = 1024;

int words = -1;  // of this process as a child

// Above the descriptors that a child is given, which it would take the place of.
UniqueFd MoveUp(int fd) {
  UniqueFd low(fd);
  return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, ChildProgram::kDescriptor + 1));
}

}  // namespace

LastWords::LastWords(ChildProgram* program) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return;  // a child that says too much must not stand still
  own_end_ = UniqueFd(ends[0]);
  childs_end_ = MoveUp(ends[1]);
  if (!childs_end_) return;
  program->standard_error = childs_end_.get();
  program->descriptor = STDERR_FILENO;
  program->environment.push_back(absl::StrCat(kVariable, "=1"));
}

std::string LastWords::Hear() {
  if (!own_end_) return "";
  const std::string text = ReadUpTo(kMost, own_end_.get());
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  for (auto line = lines.rbegin(); line != lines.rend(); ++line)
    if (const auto stripped = absl::StripAsciiWhitespace(*line); !stripped.empty())
      return std::string(stripped.substr(0, kLongestLine));
  return "";
}

void BeginWithLastWords() {
  if (std::getenv(kVariable) == nullptr) return;
  unsetenv(kVariable);
  words = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, ChildProgram::kDescriptor + 1);
  if (dup2(ChildProgram::kDescriptor, STDERR_FILENO) == STDERR_FILENO) close(ChildProgram::kDescriptor);
}

void SayLastWords(const std::string& why) {
  if (words < 0) return;
  const std::string line = absl::StrCat(why, "\n");
  (void)!write(words, line.data(), line.size());
  close(std::exchange(words, -1));
}

}  // namespace netsense
