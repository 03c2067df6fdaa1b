#include "transports/ucx/endpoint.h"

#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/deadlines.h"
#include "base/handshake/broken_protocol.h"
#include "base/handshake/framing.h"
#include "base/logging.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "netsense/ucx.pb.h"
#include "transports/busy_poll.h"

namespace netsense::ucx {
namespace {

constexpr unsigned kMessageId = 1;
constexpr std::chrono::milliseconds kLendFor{1};
constexpr std::chrono::milliseconds kLookAtDoor{1};
// Each holds some megabytes. With more of them the abort is the lesser evil: the process begins anew.
constexpr size_t kMaxUnconnected = 8;

}  // namespace

absl::StatusOr<std::unique_ptr<Endpoint>> Endpoint::Connect(std::shared_ptr<Context> context,
                                                            const DoorConnection& door, bool busy_poll,
                                                            MonotonicTime deadline, const std::stop_token& stop) {
  std::unique_ptr<Endpoint> endpoint(new Endpoint(std::move(context), door.fd.get(), busy_poll));
  RETURN_IF_ERROR(endpoint->Start(deadline, stop));
  RETURN_IF_ERROR(ExchangeReady(*endpoint, door.grant.session_nonce(), deadline, stop));
  endpoint->connected_ = true;
  return endpoint;
}

Endpoint::Endpoint(std::shared_ptr<Context> context, int door, bool busy_poll)
    : context_(std::move(context)), door_(door), busy_poll_(busy_poll) {}

absl::Status Endpoint::Start(MonotonicTime deadline, const std::stop_token& stop) {
  ucp_worker_params_t worker_params{};
  worker_params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  worker_params.thread_mode = UCS_THREAD_MODE_SINGLE;
  if (auto status = ucp_worker_create(context_->get(), &worker_params, &worker_); status != UCS_OK)
    return StatusOf(status, absl::StrCat("UCX gives no worker for '", context_->choice().net_devices, "'"));
  if (context_->choice().wakeup)
    if (auto status = ucp_worker_get_efd(worker_, &event_fd_); status != UCS_OK)
      return StatusOf(status, "UCX's event descriptor");
  ucp_am_handler_param_t handler{};
  handler.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
                       UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG;
  handler.id = kMessageId;
  handler.flags = UCP_AM_FLAG_WHOLE_MSG;
  handler.cb = OnMessage;
  handler.arg = this;
  if (auto status = ucp_worker_set_am_recv_handler(worker_, &handler); status != UCS_OK)
    return StatusOf(status, "UCX's active messages");

  ucp_address_t* address = nullptr;
  size_t address_bytes = 0;
  if (auto status = ucp_worker_get_address(worker_, &address, &address_bytes); status != UCS_OK)
    return StatusOf(status, "UCX's worker address");
  v1::UcxAddress own, peer;
  own.set_worker(address, address_bytes);
  ucp_worker_release_address(worker_, address);
  RETURN_IF_ERROR(WriteFrame(door_, own, deadline, stop));
  RETURN_IF_ERROR(ReadFrame(door_, &peer, deadline, stop));

  ucp_ep_params_t ep_params{};
  ep_params.field_mask =
      UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  ep_params.address = reinterpret_cast<const ucp_address_t*>(peer.worker().data());
  ep_params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  ep_params.err_handler = {.cb = OnError, .arg = this};
  auto status = ucp_ep_create(worker_, &ep_params, &ep_);
  if (status == UCS_ERR_UNREACHABLE) {  // shared memory cannot tell of a dead peer; the door's connection does
    ep_params.err_mode = UCP_ERR_HANDLING_MODE_NONE;
    tells_of_dead_peer_ = false;
    status = ucp_ep_create(worker_, &ep_params, &ep_);
  }
  if (status != UCS_OK)
    return StatusOf(status, absl::StrCat("UCX finds no way to the peer with devices '", context_->choice().net_devices,
                                         "' and transports '", context_->choice().tls, "'"));
  return absl::OkStatus();
}

Endpoint::~Endpoint() {
  if (worker_ == nullptr) return;
  // UCX 1.13 aborts when an endpoint is closed that has messages of its own still to send in order to connect.
  if (ep_ != nullptr && !connected_ && LeaveBehind(kMaxUnconnected)) return;
  const MonotonicTime end = MonotonicNow() + deadlines::kEndpointClose();
  if (ep_ != nullptr && tells_of_dead_peer_) {
    ucp_request_param_t param{};
    param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
    param.flags = UCP_EP_CLOSE_FLAG_FORCE;
    ucs_status_ptr_t closing = ucp_ep_close_nbx(ep_, &param);
    if (UCS_PTR_IS_PTR(closing)) {
      while (ucp_request_check_status(closing) == UCS_INPROGRESS && MonotonicNow() < end) ucp_worker_progress(worker_);
      ucp_request_free(closing);
    }
  }
  bool idle = landings_.empty() || tells_of_dead_peer_;
  for (Outgoing& frame : outgoing_) {
    while (!Completed(frame) && MonotonicNow() < end && (tells_of_dead_peer_ || !PeerClosed(door_)))
      ucp_worker_progress(worker_);
    idle = idle && frame.request == nullptr;
  }
  // UCX 1.13 aborts when a worker goes whose peer died in the middle of a rendezvous over shared memory.
  if (idle || !LeaveBehind(std::numeric_limits<size_t>::max())) ucp_worker_destroy(worker_);
}

// Better a worker that nobody uses any more than an abort that takes every other session along. False when there are
// `most` of them already.
bool Endpoint::LeaveBehind(size_t most) {
  struct Left {  // what the worker may still refer to
    std::shared_ptr<Context> context;
    std::array<Outgoing, 8> outgoing;
    std::deque<std::unique_ptr<Landing>> landings;
    std::unique_ptr<uint8_t[]> landing_buffer, chunk;
  };
  static std::mutex mutex;
  static auto& all = *new std::vector<Left>;
  std::lock_guard lock(mutex);
  if (all.size() >= most) return false;
  all.push_back({context_, std::move(outgoing_), std::move(landings_), std::move(landing_buffer_), std::move(chunk_)});
  spdlog::warn("a UCX worker that cannot be closed without an abort is left behind; it is number {}", all.size());
  return true;
}

// ---- what UCX calls, from within ucp_worker_progress

ucs_status_t Endpoint::OnMessage(void* self, const void* header, size_t header_bytes, void* data, size_t bytes,
                                 const ucp_am_recv_param_t* param) {
  const MonotonicTime now = MonotonicNow();
  auto& endpoint = *static_cast<Endpoint*>(self);
  Incoming message;
  if (header_bytes == kHeaderBytes) message.header = DecodeHeader(static_cast<const uint8_t*>(header));
  const bool is_chunk = message.header.kind == FrameKind::kChunk;
  if (header_bytes != kHeaderBytes || message.header.payload_bytes != bytes ||
      bytes > (is_chunk ? kMaxChunkBytes : kMaxPingPayload)) {
    endpoint.failure_ = BrokenProtocol("not a frame of this session");
    return UCS_OK;
  }
  message.received_at = now;
  if ((param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) == 0) {
    if (!is_chunk) message.payload.assign(static_cast<const uint8_t*>(data), static_cast<const uint8_t*>(data) + bytes);
    // Behind a rendezvous that is still under way it keeps its place.
    if (endpoint.landings_.empty()) {
      endpoint.incoming_.push_back(std::move(message));
    } else {
      endpoint.landings_.push_back(std::make_unique<Landing>(Landing{std::move(message), true}));
    }
    return UCS_OK;
  }
  void* into = nullptr;
  Landing& landing = *endpoint.landings_.emplace_back(std::make_unique<Landing>(Landing{std::move(message), false}));
  if (is_chunk) {  // nobody looks at what is in them: they may all land in one place
    if (!endpoint.landing_buffer_) endpoint.landing_buffer_ = std::make_unique_for_overwrite<uint8_t[]>(kMaxChunkBytes);
    into = endpoint.landing_buffer_.get();
  } else {
    landing.message.payload.resize(bytes);
    into = landing.message.payload.data();
  }
  ucp_request_param_t receive{};
  receive.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FLAG_NO_IMM_CMPL;
  receive.cb.recv_am = OnDataReceived;
  receive.user_data = &landing;
  ucs_status_ptr_t request = ucp_am_recv_data_nbx(endpoint.worker_, data, into, bytes, &receive);
  if (UCS_PTR_IS_ERR(request)) endpoint.failure_ = StatusOf(UCS_PTR_STATUS(request), "receiving from the peer");
  return UCS_INPROGRESS;
}

void Endpoint::OnDataReceived(void* request, ucs_status_t status, size_t, void* landing) {
  auto& landed = *static_cast<Landing*>(landing);
  if (status == UCS_OK) {  // else the endpoint's own error says it
    landed.message.received_at = MonotonicNow();
    landed.done = true;
  }
  ucp_request_free(request);
}

void Endpoint::OnError(void* self, ucp_ep_h, ucs_status_t status) {
  static_cast<Endpoint*>(self)->failure_ =
      absl::UnavailableError(absl::StrCat("the peer is gone: ", ucs_status_string(status)));
}

// ---- waiting

absl::Status Endpoint::LookAtDoor() {
  if (!PeerClosed(door_)) return absl::OkStatus();
  ucp_worker_progress(worker_);  // its last words
  return absl::UnavailableError("the peer closed the connection");
}

// Until something may have happened on the worker or the door.
absl::Status Endpoint::Sleep(MonotonicTime deadline) {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - MonotonicNow()).count();
  if (event_fd_ < 0) left = std::min<int64_t>(left, kLendFor.count());
  if (event_fd_ >= 0) {
    auto status = ucp_worker_arm(worker_);
    if (status == UCS_ERR_BUSY) return absl::OkStatus();  // something came in the meantime
    if (status != UCS_OK) return StatusOf(status, "waiting for UCX");
  }
  pollfd waits[2] = {{door_, POLLIN | POLLRDHUP, 0}, {event_fd_, POLLIN, 0}};
  poll(waits, event_fd_ >= 0 ? 2 : 1, static_cast<int>(std::clamp<int64_t>(left, 0, 60'000)));
  return waits[0].revents != 0 ? LookAtDoor() : absl::OkStatus();
}

template <typename Done>
absl::Status Endpoint::Drive(Done done, MonotonicTime deadline, const std::stop_token& stop) {
  MonotonicTime started{}, looked{};
  for (int spins = 1;; ++spins) {
    const bool progressed = ucp_worker_progress(worker_) != 0;
    while (!landings_.empty() && landings_.front()->done) {
      incoming_.push_back(std::move(landings_.front()->message));
      landings_.pop_front();
    }
    if (done()) return absl::OkStatus();
    if (!failure_.ok()) return failure_;
    const bool spin = progressed || busy_poll_;
    if (spin && spins % kSpinsPerClockRead != 0) continue;
    const MonotonicTime now = MonotonicNow();
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    if (now >= deadline) return absl::DeadlineExceededError("no answer in time");
    if (started == MonotonicTime{}) started = looked = now;
    absl::Status slept;
    if (!spin || (!progressed && now - started >= kSpinLimit)) {
      slept = Sleep(deadline);
    }
    if (slept.ok() && now - looked >= kLookAtDoor) {  // also after a sleep that UCX was too busy for
      looked = now;
      slept = LookAtDoor();
    }
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    if (!slept.ok() && !done()) return slept;
  }
}

// ---- frames

bool Endpoint::Completed(Outgoing& frame) {
  if (!UCS_PTR_IS_PTR(frame.request)) return true;
  auto status = ucp_request_check_status(frame.request);
  if (status == UCS_INPROGRESS) return false;
  if (status != UCS_OK && failure_.ok()) failure_ = StatusOf(status, "sending to the peer");
  ucp_request_free(frame.request);
  frame.request = nullptr;
  return true;
}

absl::StatusOr<Endpoint::Outgoing*> Endpoint::Acquire(MonotonicTime deadline, const std::stop_token& stop) {
  Outgoing* found = nullptr;
  auto find = [&] {
    for (Outgoing& frame : outgoing_)
      if (Completed(frame)) found = &frame;
    return found != nullptr;
  };
  if (!find()) RETURN_IF_ERROR(Drive(find, deadline, stop));
  if (!failure_.ok()) return failure_;
  return found;
}

absl::Status Endpoint::Post(Outgoing& outgoing) {
  ucp_request_param_t param{};
  outgoing.request = ucp_am_send_nbx(ep_, kMessageId, outgoing.frame.data(), kHeaderBytes, outgoing.payload,
                                     outgoing.payload_bytes, &param);
  if (!UCS_PTR_IS_ERR(outgoing.request)) return absl::OkStatus();
  auto status = StatusOf(UCS_PTR_STATUS(outgoing.request), "sending to the peer");
  outgoing.request = nullptr;
  return failure_.ok() ? status : failure_;
}

absl::Status Endpoint::Prepare(std::span<const uint8_t> frame, MonotonicTime deadline, const std::stop_token& stop) {
  ASSIGN_OR_RETURN(auto outgoing, Acquire(deadline, stop));
  prepared_ = outgoing;
  prepared_->frame.assign(frame.begin(), frame.end());
  prepared_->payload = prepared_->frame.data() + kHeaderBytes;
  prepared_->payload_bytes = frame.size() - kHeaderBytes;
  return absl::OkStatus();
}

absl::Status Endpoint::Post() { return Post(*prepared_); }

// What a stream's chunks consist of. Written to once: pages that nobody wrote to are all one page of zeros, which is
// always in the cache.
const uint8_t* Endpoint::Chunk(size_t bytes) {
  if (!chunk_) chunk_ = std::make_unique_for_overwrite<uint8_t[]>(kMaxChunkBytes);
  if (bytes > chunk_touched_) {
    memset(chunk_.get() + chunk_touched_, 0xA5, bytes - chunk_touched_);
    chunk_touched_ = bytes;
  }
  return chunk_.get();
}

absl::Status Endpoint::SendChunk(const FrameHeader& header, MonotonicTime deadline, const std::stop_token& stop) {
  ASSIGN_OR_RETURN(auto outgoing, Acquire(deadline, stop));
  outgoing->frame.resize(kHeaderBytes);
  EncodeHeader(header, outgoing->frame.data());
  outgoing->payload = Chunk(header.payload_bytes);
  outgoing->payload_bytes = header.payload_bytes;
  return Post(*outgoing);
}

absl::Status Endpoint::Flush(MonotonicTime deadline, const std::stop_token& stop) {
  auto status = Drive(
      [this] {
        return std::all_of(outgoing_.begin(), outgoing_.end(), [this](Outgoing& frame) { return Completed(frame); });
      },
      deadline, stop);
  return failure_.ok() ? status : failure_;
}

absl::StatusOr<FrameCarrier::Incoming> Endpoint::Receive(MonotonicTime deadline, const std::stop_token& stop) {
  if (incoming_.empty())
    if (auto status = Drive([this] { return !incoming_.empty(); }, deadline, stop); !status.ok()) return status;
  Incoming message = std::move(incoming_.front());
  incoming_.pop_front();
  return message;
}

// From UCX's own description: "#  lane[0]:  1:tcp/lo.0 md[1] ... am ...".
std::string Endpoint::Lane() const {
  char* text = nullptr;
  size_t size = 0;
  FILE* stream = open_memstream(&text, &size);
  if (stream == nullptr) return "";
  ucp_ep_print_info(ep_, stream);
  fclose(stream);
  std::string info(text, size);
  free(text);
  for (absl::string_view line : absl::StrSplit(info, '\n')) {
    std::vector<std::string> words = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    if (words.size() < 3 || words[1].rfind("lane[", 0) != 0 ||
        std::find(words.begin(), words.end(), "am") == words.end())
      continue;
    std::string lane = words[2].substr(words[2].find(':') + 1);
    return lane.substr(0, lane.rfind('.'));
  }
  return "";
}

}  // namespace netsense::ucx
