#include "tests/fuzz/harness.h"

#include <dlfcn.h>
#include <netdb.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>

// Whatever name a harness comes upon, no name server is asked for it: for the whole program, numeric addresses alone
// resolve.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  using Resolve = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto resolve = reinterpret_cast<Resolve>(dlsym(RTLD_NEXT, "getaddrinfo"));
  addrinfo numeric = hints == nullptr ? addrinfo{} : *hints;
  numeric.ai_flags |= AI_NUMERICHOST | AI_NUMERICSERV;
  return resolve(node, service, &numeric, found);
}

namespace netsense::fuzz {
namespace {

std::vector<Harness>& Registered() {
  static std::vector<Harness> harnesses;
  return harnesses;
}

}  // namespace

Harness::Harness(const char* with_name, void (*what)(std::string_view)) : name(with_name), run(what) {
  Registered().push_back(*this);
}

const std::vector<Harness>& Harnesses() { return Registered(); }

void MustHold(bool holds, std::string_view words) {
  if (holds) return;
  std::cerr << "does not hold: " << words << std::endl;
  std::abort();
}

std::string_view Input::Take(size_t size) {
  const std::string_view taken = left_.substr(0, size);
  left_.remove_prefix(taken.size());
  return taken;
}

std::string_view Input::TakeUntil(std::string_view separator) {
  const size_t end = std::min(left_.find(separator), left_.size());
  const std::string_view taken = Take(end);
  Take(separator.size());
  return taken;
}

}  // namespace netsense::fuzz
