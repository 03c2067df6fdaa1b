// What a fuzz harness is made of. A harness takes bytes as they come from elsewhere, hands them to what reads them, and
// says what must hold of the outcome. It is built twice: with libFuzzer, which invents the bytes (`make fuzz`,
// libfuzzer.cc), and as a test that reads its kept corpus (corpus_test.cc).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace netsense::fuzz {

// A variable of this type at namespace scope is a harness. Its corpus is the folder corpus/<name>.
struct Harness {
  // What `run` is given is gone when it returns. Nothing may stay behind that a later input could meet.
  Harness(const char* name, void (*run)(std::string_view input));

  const char* name;
  void (*run)(std::string_view input);
};
const std::vector<Harness>& Harnesses();

// What must hold; else the program ends here, with these words, by SIGABRT.
void MustHold(bool holds, std::string_view words);

// Takes an input apart. What is not there is 0 or empty. The bytes outlive it, and what was taken.
class Input {
 public:
  explicit Input(std::string_view bytes) : left_(bytes) {}
  explicit Input(std::string&&) = delete;

  std::string_view Take(size_t size);
  uint8_t Byte() { return left_.empty() ? uint8_t{0} : static_cast<uint8_t>(Take(1)[0]); }
  bool Coin() { return (Byte() & 1) != 0; }
  // Up to the next `separator`, which is taken too, or all that is left.
  std::string_view TakeUntil(std::string_view separator);
  std::string_view Rest() { return Take(left_.size()); }
  bool empty() const { return left_.empty(); }

 private:
  std::string_view left_;
};

}  // namespace netsense::fuzz
