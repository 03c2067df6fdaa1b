#include "tests/conformance/peer.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/process.h"
#include "engine/responder.h"
#include "tests/conformance/backend.h"
#include "tests/lab/pace.h"

namespace netsense::conformance {
namespace {

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : "127.0.0.1";
}

// The line that the peer prints once its door is open.
uint16_t ReadPort(int fd) {
  std::string line;
  char byte = 0;
  pollfd wait{fd, POLLIN, 0};
  while (poll(&wait, 1, static_cast<int>(pace::Patience().count())) > 0 && read(fd, &byte, 1) == 1 && byte != '\n')
    line.push_back(byte);
  return static_cast<uint16_t>(std::strtoul(line.c_str(), nullptr, 10));
}

// A backend may run in a process of its own, below the responder's.
std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  std::error_code error;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    std::ifstream file(thread.path() / "children");
    for (pid_t child; file >> child;) children.push_back(child);
  }
  return children;
}

// As in /proc/<pid>/stat: 'T' is stopped; 0 when there is no such process.
char StateOf(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  auto name_end = line.rfind(')');
  return name_end == std::string::npos || name_end + 2 >= line.size() ? 0 : line[name_end + 2];
}

}  // namespace

std::string ProberAddress() { return FromEnvironment("NETSENSE_CONFORMANCE_PROBER"); }
std::string ResponderAddress() { return FromEnvironment("NETSENSE_CONFORMANCE_RESPONDER"); }

Peer::Peer(const PeerOptions& options) {
  std::vector<std::string> arguments = {"/proc/self/exe",
                                        kPeerArgument,
                                        std::to_string(getpid()),
                                        std::to_string(options.hold_pings.count()),
                                        options.fault,
                                        std::to_string(options.stream_session_idle.count())};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe for a peer");
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  // posix_spawn copies no page tables: memory that a backend has registered with a device stays where it is.
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  int error = posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error(std::string("cannot start a peer: ") + strerror(error));
  write_end.Reset();
  port_ = ReadPort(read_end.get());
  if (port_ == 0) {
    Kill();
    waitpid(pid_, nullptr, 0);
    throw std::runtime_error("the peer did not come up");
  }
}

Peer::~Peer() {
  if (pid_ < 0) return;
  Kill();
  waitpid(pid_, nullptr, 0);
}

void Peer::Freeze() const {
  kill(pid_, SIGSTOP);
  siginfo_t stopped;
  waitid(P_PID, static_cast<id_t>(pid_), &stopped, WSTOPPED | WEXITED | WNOWAIT);
  for (pid_t child : ChildrenOf(pid_)) {
    kill(child, SIGSTOP);
    while (StateOf(child) == 'R' || StateOf(child) == 'S' || StateOf(child) == 'D') std::this_thread::yield();
  }
}

void Peer::Thaw() const {
  for (pid_t child : ChildrenOf(pid_)) kill(child, SIGCONT);
  kill(pid_, SIGCONT);
}

void Peer::Kill() const { kill(pid_, SIGKILL); }

std::optional<int> Peer::End() {
  UniqueFd process = OpenPidFd(pid_);
  kill(pid_, SIGTERM);
  pollfd wait{process.get(), POLLIN, 0};
  if (poll(&wait, 1, static_cast<int>(pace::Patience().count())) <= 0) return std::nullopt;
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int PeerMain(int argc, char** argv) {
  if (argc != 6) return 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != std::atoi(argv[2])) return 2;  // the parent is gone already
  SignalStop stop;
  auto transports = MakeRegistry(ThisBackend(), argv[4]);
  PortGate gate({.unlimited = true});
  ResponderOptions options;
  options.door = {.host = ResponderAddress(), .token = kToken};
  options.max_stream_bytes = std::numeric_limits<uint64_t>::max();
  options.max_stream_session = std::chrono::hours(1);
  options.stream_session_idle = std::chrono::nanoseconds(std::atoll(argv[5]));
  options.keep_idle_threads = std::chrono::milliseconds(100);  // so that what is left behind shows soon
  options.allow_busy_poll = true;
  options.hold_pings = std::chrono::nanoseconds(std::atoll(argv[3]));
  auto responder = Responder::Start(std::move(options), transports.get(), &gate);
  if (!responder.ok()) {
    std::cerr << "peer: " << responder.status() << std::endl;
    return 1;
  }
  std::cout << (*responder)->port() << std::endl;
  while (!SleepUnlessStopped(stop.token(), std::chrono::hours(1))) {
  }
  return 0;
}

}  // namespace netsense::conformance
