// Hands a failure on to the caller: each is a line of its own in a function that returns a Status or a StatusOr.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns the Status that the expression has, unless it is ok.
#define RETURN_IF_ERROR(...)                                                    \
  do {                                                                          \
    if (absl::Status returned = (__VA_ARGS__); !returned.ok()) return returned; \
  } while (false)

// ASSIGN_OR_RETURN(auto value, Make()): moves out what the StatusOr holds, or returns its Status. Declares: no body of
// an `if` or a loop without braces.
#define ASSIGN_OR_RETURN(target, ...) \
  NETSENSE_ASSIGN_OR_RETURN(NETSENSE_CONCATENATE(status_or_, __LINE__), target, __VA_ARGS__)

#define NETSENSE_ASSIGN_OR_RETURN(result, target, ...) \
  auto result = (__VA_ARGS__);                         \
  if (!result.ok()) return std::move(result).status(); \
  target = *std::move(result)
#define NETSENSE_CONCATENATE(a, b) NETSENSE_CONCATENATE_EXPANDED(a, b)
#define NETSENSE_CONCATENATE_EXPANDED(a, b) a##b
