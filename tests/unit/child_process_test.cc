#include "base/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>

#include "base/unique_fd.h"

namespace netsense {
namespace {

struct Outcome {
  std::string written;  // to the descriptor that it was given
  std::string end;
};

Outcome RunProgram(ChildProgram program) {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  UniqueFd from(ends[0]), into(ends[1]);
  program.descriptor = into.get();
  auto pid = Spawn(program);
  into.Reset();
  if (!pid.ok()) return {"", std::string(pid.status().message())};
  Outcome outcome;
  std::array<char, 256> part{};
  for (ssize_t size = 0; (size = read(from.get(), part.data(), part.size())) > 0;)
    outcome.written.append(part.data(), static_cast<size_t>(size));
  int status = 0;
  EXPECT_EQ(waitpid(*pid, &status, 0), *pid);
  outcome.end = DescribeEnd(status);
  return outcome;
}

Outcome RunShell(const std::string& script, std::vector<std::string> environment = {}) {
  return RunProgram({.path = "sh", .arguments = {"-c", script}, .environment = std::move(environment)});
}

TEST(ChildProcess, HowItEndedIsSaid) {
  EXPECT_EQ(RunShell("exit 3").end, "ended with exit code 3");
  EXPECT_EQ(RunShell("kill -TERM $$").end, "was killed by signal 15 (Terminated)");
  EXPECT_EQ(RunShell("kill -PIPE $$").end, "was killed by signal 13 (Broken pipe)") << "as programs expect it";
}

TEST(ChildProcess, OneDescriptorIsPassedAndNoOther) {
  const UniqueFd inherited(fcntl(STDERR_FILENO, F_DUPFD, 2 * ChildProgram::kDescriptor));  // without O_CLOEXEC
  const std::string number = std::to_string(inherited.get());
  EXPECT_EQ(RunShell("test -e /proc/self/fd/" + number + " || echo closed >&3").written, "closed\n");
}

TEST(ChildProcess, OurVariablesGoFirstAndThoseOfAServiceManagerStay) {
  setenv("NETSENSE_TEST_OURS", "ours", 1);
  setenv("NOTIFY_SOCKET", "/nowhere", 1);
  const Outcome outcome = RunShell("echo $NETSENSE_TEST_OURS $NETSENSE_TEST_MORE ${NOTIFY_SOCKET-none} >&3",
                                   {"NETSENSE_TEST_OURS=other", "NETSENSE_TEST_MORE=more"});
  unsetenv("NETSENSE_TEST_OURS");
  unsetenv("NOTIFY_SOCKET");
  EXPECT_EQ(outcome.written, "ours more none\n");
}

TEST(ChildProcess, NoSignalIsBlocked) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  // No shell: they unblock signals by themselves.
  const Outcome outcome =
      RunProgram({.path = "dd", .arguments = {"if=/proc/self/status", "of=/proc/self/fd/3", "status=none"}});
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_NE(outcome.written.find("SigBlk:\t0000000000000000\n"), std::string::npos) << outcome.written;
}

TEST(ChildProcess, StdoutIsStderrWhereThatIsAsked) {
  const UniqueFd before(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)), full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  dup2(full.get(), STDERR_FILENO);  // else both may be the same from the start
  const Outcome outcome =
      RunProgram({.path = "sh",
                  .arguments = {"-c", "both=$(readlink /proc/$$/fd/1 /proc/$$/fd/2); echo \"$both\" >&3"},
                  .stdout_to_stderr = true});
  dup2(before.get(), STDERR_FILENO);
  EXPECT_EQ(outcome.written, "/dev/full\n/dev/full\n");
}

TEST(ChildProcess, ItsProcessGroupIsItsOwn) {
  EXPECT_EQ(RunShell("test $(cut -d' ' -f5 /proc/$$/stat) = $$ && echo own >&3").written, "own\n");
}

TEST(ChildProcess, WhatIsNotThereIsNamed) {
  auto pid = Spawn({.path = "netsense-no-such-program"});
  EXPECT_TRUE(absl::IsUnavailable(pid.status()));
  EXPECT_EQ(pid.status().message(), "netsense-no-such-program cannot be started: No such file or directory");
  EXPECT_EQ(FindBesideUs("netsense-no-such-program"), "");
}

}  // namespace
}  // namespace netsense
