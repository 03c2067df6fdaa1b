// Why a child ended, in its own words. A pipe is the child's standard error until its main begins, so that what the
// loader says is heard, too; then main has the parent's standard error, which outlives the parent, and says into the
// pipe why it cannot go on.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/child_process.h"
#include "base/unique_fd.h"

namespace netsense {

// The parent's side, of one child.
class LastWords {
 public:
  // Has `program` give the child both. Where there is no descriptor left, the child has standard error alone, and its
  // words are empty.
  explicit LastWords(ChildProgram* program);
  // Once the child has been started.
  void CloseChildsEnd() { childs_end_.Reset(); }
  // Once it has ended: the last line that it said; empty = nothing. What it said is not waited for.
  std::string Hear();

 private:
  UniqueFd own_end_, childs_end_;
};

// The child's side: first in main, before anything is started or opened.
void BeginWithLastWords();
// In one line. No more than the first is heard. Without a parent that listens, nothing happens.
void SayLastWords(const std::string& why);

}  // namespace netsense
