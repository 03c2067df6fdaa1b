#include "transports/door_session.h"

#include "absl/strings/str_cat.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "transports/stream_meter.h"

namespace netsense {
namespace {
absl::Status Over() { return absl::UnavailableError("the session is over"); }
}  // namespace

absl::StatusOr<RttSample> DoorSession::Ping(const PingSpec& spec, MonotonicTime deadline, std::stop_token stop) {
  if (spec.payload_bytes > most_.ping_payload_bytes)
    return absl::InvalidArgumentError(absl::StrCat("pings carry at most ", most_.ping_payload_bytes, " bytes here"));
  if (broken_) return Over();
  ShutdownOnStop guard(stop, door_);
  auto sample = RunPing(spec, deadline, stop);
  if (!sample.ok() && !absl::IsDeadlineExceeded(sample.status())) Break();
  return sample;
}

absl::StatusOr<StreamSample> DoorSession::Stream(const StreamSpec& spec, MonotonicTime deadline, std::stop_token stop) {
  RETURN_IF_ERROR(CheckStreamSpec(spec, max_stream_bytes_, most_.message_bytes));
  if (broken_) return Over();
  ShutdownOnStop guard(stop, door_);
  auto sample = RunStream(spec, deadline, stop);
  if (!sample.ok()) Break();
  return sample;
}

void DoorSession::Break() {
  broken_ = true;
  ResetOnClose(door_);  // nobody waits for what is still in its buffer
}

}  // namespace netsense
