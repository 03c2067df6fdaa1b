// The one harness that this program has, as libFuzzer calls it.
#include "base/logging.h"
#include "tests/fuzz/harness.h"

extern "C" int LLVMFuzzerInitialize(int*, char***) { return netsense::InitLogging("fuzz", "off").ok() ? 0 : 1; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  netsense::fuzz::Harnesses().front().run({reinterpret_cast<const char*>(data), size});
  return 0;
}
