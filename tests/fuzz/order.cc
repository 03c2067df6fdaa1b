// Untrusted: the orders of a coordinator that has the token, and the figures with which a node answers one. What must
// hold: what is taken means the same when it is written again; no time that an order names is negative or longer than a
// day; a histogram holds as many values as it says.
#include <array>
#include <chrono>
#include <string>

#include "engine/orders/messages.h"
#include "tests/fuzz/harness.h"
#include "tests/fuzz/messages.h"

namespace netsense::fuzz {
namespace {

using std::chrono::nanoseconds;

bool IsWithinADay(nanoseconds time) { return time.count() >= 0 && time <= std::chrono::hours(24); }

void CheckTarget(const MeasureTarget& target) {
  MustHold(target.port != 0 && target.token.empty(), "an order names a port, and no token");
  MustHold(target.host.find_first_not_of("0123456789abcdefABCDEF.:") == std::string::npos,
           "an order's target is an address");
}

void CheckPing(std::string_view bytes) {
  const auto request = FromOrder(ReadMessage<v1::PingOrder>(bytes));
  if (!request.ok()) return;
  CheckTarget(request->target);
  MustHold(request->bounds.iterations.has_value() != request->bounds.duration.has_value(), "an order has one bound");
  MustHold(IsWithinADay(request->interval) && IsWithinADay(request->bounds.duration.value_or(nanoseconds{})),
           "a time of an order for pings is within a day");
  const v1::PingOrder order = ToOrder(*request);
  const auto again = FromOrder(order);
  MustHold(again.ok() && Canonical(ToOrder(*again)) == Canonical(order),
           "an order for pings is the same when it is written again");
}

void CheckBandwidth(std::string_view bytes) {
  const auto request = FromOrder(ReadMessage<v1::BandwidthOrder>(bytes));
  if (!request.ok()) return;
  CheckTarget(request->target);
  MustHold(request->streams >= 1 && request->streams <= 64 && request->directions.size() <= 2,
           "an order has few streams");
  MustHold(IsWithinADay(request->warmup) && IsWithinADay(request->window) &&
               IsWithinADay(request->bounds.duration.value_or(nanoseconds{})),
           "a time of an order for a stream is within a day");
  const v1::BandwidthOrder order = ToOrder(*request);
  const auto again = FromOrder(order);
  MustHold(again.ok() && Canonical(ToOrder(*again)) == Canonical(order),
           "an order for a stream is the same when it is written again");
}

void CheckPingFigures(std::string_view bytes) {
  const auto result = FromFigures(ReadMessage<v1::PingFigures>(bytes));
  if (!result.ok()) return;
  MustHold(result->elapsed.count() >= 0, "no time is negative");
  for (const Histogram* histogram :
       {&result->rtt, &result->network_rtt, &result->responder_hold, &result->host_delay}) {
    const v1::Distribution summary = histogram->Summarize();
    MustHold(summary.min_ns() <= summary.p50_ns() && summary.p50_ns() <= summary.p99_ns() &&
                 summary.p99_ns() <= summary.max_ns(),
             "quantiles rise");
    const auto interval = histogram->MedianInterval();
    (void)interval;
  }
  MustHold(FromFigures(ToFigures(*result)).ok(), "figures of pings that were taken are taken again");
}

void CheckBandwidthFigures(std::string_view bytes) {
  const auto result = FromFigures(ReadMessage<v1::BandwidthFigures>(bytes));
  if (!result.ok()) return;
  (void)result->sample.bps();
  MustHold(FromFigures(ToFigures(*result)).ok(), "figures of streams that were taken are taken again");
}

void Run(std::string_view bytes) {
  constexpr std::array kChecks = {CheckPing, CheckBandwidth, CheckPingFigures, CheckBandwidthFigures};
  Input input(bytes);
  const uint8_t kind = input.Byte();
  kChecks[kind % kChecks.size()](input.Rest());
}

const Harness kHarness("order", Run);

}  // namespace
}  // namespace netsense::fuzz
