#include "base/supervisor.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/process.h"

namespace netsense {

Supervisor::Supervisor(Pauses pauses, RunOnce run_once, OnEnd on_end)
    : thread_([=, run_once = std::move(run_once), on_end = std::move(on_end)](const std::stop_token& stop) {
        auto pause = pauses.first;
        while (!stop.stop_requested()) {
          const MonotonicTime start = MonotonicNow();
          const std::string how = run_once(stop);
          if (stop.stop_requested()) return;
          if (MonotonicNow() - start >= pauses.healthy_after) pause = pauses.first;
          on_end(how, pause);
          if (SleepUnlessStopped(stop, pause)) return;
          pause = std::min(2 * pause, pauses.longest);
        }
      }) {}

}  // namespace netsense
