// FNV-1a: the same in every process and version, so that nodes agree without asking each other.
#pragma once

#include <cstdint>
#include <string_view>

namespace netsense {

inline uint64_t StableHash(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
  return hash;
}

}  // namespace netsense
