#include "base/utf8.h"

#include <cstddef>
#include <cstdint>

namespace netsense {
namespace {

// How many bytes from `text`'s start are one character; 0 = none is, and `*skip` bytes are to be replaced (The Unicode
// Standard, table 3-7, and "substitution of maximal subparts" in 3.9).
size_t CharacterAt(std::string_view text, size_t* skip) {
  *skip = 1;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  for (size_t i = 1; i < length; ++i) {
    // No longer form than needed, no surrogate, nothing beyond U+10FFFF: all of this the second byte tells.
    uint8_t low = 0x80, high = 0xbf;
    if (i == 1 && first == 0xe0) low = 0xa0;
    if (i == 1 && first == 0xed) high = 0x9f;
    if (i == 1 && first == 0xf0) low = 0x90;
    if (i == 1 && first == 0xf4) high = 0x8f;
    if (i == text.size() || byte(i) < low || byte(i) > high) return 0;
    *skip = i + 1;
  }
  return length;
}

}  // namespace

std::string ToUtf8(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    size_t skip = 0;
    const size_t length = CharacterAt(text, &skip);
    if (length > 0)
      result += text.substr(0, length);
    else
      result += "\xef\xbf\xbd";
    text.remove_prefix(length > 0 ? length : skip);
  }
  return result;
}

}  // namespace netsense
