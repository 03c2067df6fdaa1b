#include "transports/verbs/connection.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <random>

#include "absl/strings/str_cat.h"
#include "base/handshake/broken_protocol.h"
#include "base/handshake/framing.h"
#include "base/socket.h"
#include "base/status_macros.h"
#include "transports/busy_poll.h"
#include "transports/stream_meter.h"

namespace netsense::verbs {
namespace {

constexpr size_t kSlotBytes = kHeaderBytes + kMaxPingPayload;
// More receives are posted than frames come, for writes with immediate data, which take a receive each and use no slot.
// In a session for pings, where there are none, a few slots are enough: frames come one at a time, and a late echo or
// two. Between the order of a stream and its end, though, come any number of them: each receive has a slot of its own,
// or the end would lie in that of an order which nobody has read yet.
constexpr uint64_t kReceives = 128;
constexpr uint64_t kPingSlots = 4;
constexpr uint32_t kWritesUnderWay = 64;
constexpr uint32_t kWishedInline = 256;
constexpr uint8_t kMaxReads = 16;

// Work request ids. Receives have their slot's number.
constexpr uint64_t kFrameSent = 1000, kTransferDone = 1001;

// A lost packet is sent again after 4.096 µs x 2^16 = 0.27 s, seven times: a dead peer is noticed after some 2 s.
constexpr uint8_t kTimeout = 16, kRetries = 7, kReceiverNotReadyRetries = 7;

constexpr std::chrono::milliseconds kLookAtDeviceEvery{250};

ibv_mtu MtuOf(uint32_t bytes) {
  if (bytes >= 4096) return IBV_MTU_4096;
  if (bytes >= 2048) return IBV_MTU_2048;
  if (bytes >= 1024) return IBV_MTU_1024;
  return bytes >= 512 ? IBV_MTU_512 : IBV_MTU_256;
}

uint32_t BytesOf(ibv_mtu mtu) { return 128u << mtu; }

template <typename Handle, auto Destroy>
absl::Status Own(Owned<Handle, Destroy>* owned, const Library* library, Handle* made, const std::string& what) {
  if (made == nullptr) return ErrnoStatus(errno, what);
  *owned = Owned<Handle, Destroy>(made, Destroyer<Handle, Destroy>{library});
  return absl::OkStatus();
}

uint64_t InodeOf(const char* path) {
  struct stat info {};
  return stat(path, &info) == 0 ? info.st_ino : 0;
}

absl::StatusOr<ibv_context*> OpenDevice(const Library& library, const std::string& name) {
  int count = 0;
  ibv_device** devices = library.get_device_list(&count);
  if (devices == nullptr) return ErrnoStatus(errno, "listing RDMA devices");
  ibv_context* context = nullptr;
  bool found = false;
  int error = 0;
  for (int i = 0; i < count && !found; ++i) {
    if (name != devices[i]->name) continue;
    found = true;
    context = library.open_device(devices[i]);
    error = errno;
  }
  library.free_device_list(devices);
  if (!found)
    return absl::UnavailableError(absl::StrCat(
        "libibverbs does not know ", name, ": is its provider (ibverbs-providers) installed, is ib_uverbs loaded?"));
  if (context == nullptr) return ErrnoStatus(error, absl::StrCat("opening ", name));
  return context;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const ConnectionOptions& options, int door, bool prober,
                                                             MonotonicTime deadline, const std::stop_token& stop) {
  ASSIGN_OR_RETURN(auto library, LoadLibrary());
  std::unique_ptr<Connection> connection(new Connection(library, options, door));
  v1::VerbsEndpoint peer;
  RETURN_IF_ERROR(connection->Create());
  // The prober asks; the responder answers when its queue pair is ready to receive.
  if (prober) RETURN_IF_ERROR(WriteFrame(door, connection->OwnEndpoint(), deadline, stop));
  RETURN_IF_ERROR(ReadFrame(door, &peer, deadline, stop));
  RETURN_IF_ERROR(connection->ConnectTo(peer));
  if (!prober) RETURN_IF_ERROR(WriteFrame(door, connection->OwnEndpoint(), deadline, stop));
  return connection;
}

// ---- setting up

absl::StatusOr<Region> Connection::Register(size_t bytes, int access) {
  constexpr size_t kPage = 4096;
  Region region;
  region.bytes = (bytes + kPage - 1) / kPage * kPage;
  region.memory.reset(static_cast<uint8_t*>(std::aligned_alloc(kPage, region.bytes)));
  if (!region.memory) return absl::InternalError("this host has no memory left for a buffer");
  std::memset(region.memory.get(), 0, region.bytes);
  auto status =
      Own(&region.handle, library_, library_->reg_mr(domain_.get(), region.memory.get(), region.bytes, access),
          absl::StrCat("pinning ", region.bytes, " bytes for ", options_.port.device));
  if (!status.ok()) return status;
  return region;
}

absl::Status Connection::Create() {
  slots_ = options_.streams ? kReceives : kPingSlots;
  ASSIGN_OR_RETURN(auto context, OpenDevice(*library_, options_.port.device));
  context_ = ContextHandle(context, {library_});
  device_inode_ = InodeOf(context_->device->dev_path);
  ibv_port_attr port{};
  if (int error = library_->query_port(context_.get(), options_.port.port, &port); error != 0)
    return ErrnoStatus(error, absl::StrCat("asking ", options_.port.device));
  path_mtu_ = options_.path_mtu != 0 ? std::min(options_.path_mtu, BytesOf(port.active_mtu)) : BytesOf(port.active_mtu);
  fcntl(context_->async_fd, F_SETFL, fcntl(context_->async_fd, F_GETFL) | O_NONBLOCK);
  auto status = Own(&domain_, library_, library_->alloc_pd(context_.get()), "a protection domain");
  if (!status.ok()) return status;
  ASSIGN_OR_RETURN(outgoing_, Register(kSlotBytes, IBV_ACCESS_LOCAL_WRITE));
  ASSIGN_OR_RETURN(incoming_, Register(slots_ * kSlotBytes, IBV_ACCESS_LOCAL_WRITE));
  if (options_.streams) {
    ASSIGN_OR_RETURN(auto buffer,
                     Register(kChunkBytes, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ));
    buffer_ = std::move(buffer);
  }
  status = Own(&channel_, library_, library_->create_comp_channel(context_.get()), "a completion channel");
  if (!status.ok()) return status;
  fcntl(channel_->fd, F_SETFL, fcntl(channel_->fd, F_GETFL) | O_NONBLOCK);
  status = Own(&queue_, library_,
               library_->create_cq(context_.get(), kReceives + kWritesUnderWay + 8, nullptr, channel_.get(), 0),
               "a completion queue");
  return status.ok() ? CreatePair() : status;
}

absl::Status Connection::CreatePair() {
  ibv_qp_init_attr wish{};
  for (uint32_t inline_bytes : {kWishedInline, 64u, 0u}) {  // what the device takes
    wish = {};
    wish.send_cq = wish.recv_cq = queue_.get();
    wish.qp_type = IBV_QPT_RC;
    wish.cap.max_send_wr = kWritesUnderWay + 4;
    wish.cap.max_recv_wr = kReceives;
    wish.cap.max_send_sge = wish.cap.max_recv_sge = 1;
    wish.cap.max_inline_data = inline_bytes;
    pair_ = PairHandle(library_->create_qp(domain_.get(), &wish), {library_});
    if (pair_) break;
  }
  if (!pair_) return ErrnoStatus(errno, "a queue pair");
  max_inline_ = wish.cap.max_inline_data;
  packet_sequence_ = std::random_device()() & 0xffffff;

  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_INIT;
  attributes.port_num = options_.port.port;
  attributes.qp_access_flags = options_.streams
                                   ? IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ
                                   : IBV_ACCESS_LOCAL_WRITE;
  int error = library_->modify_qp(pair_.get(), &attributes,
                                  IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
  if (error != 0) return ErrnoStatus(error, "bringing the queue pair to INIT");
  for (uint64_t i = 0; i < kReceives; ++i) RETURN_IF_ERROR(PostReceive(i % slots_));
  return absl::OkStatus();
}

v1::VerbsEndpoint Connection::OwnEndpoint() const {
  v1::VerbsEndpoint own;
  own.set_queue_pair(pair_->qp_num);
  own.set_packet_sequence(packet_sequence_);
  own.set_gid(options_.port.gid.data(), options_.port.gid.size());
  own.set_lid(options_.port.lid);
  own.set_path_mtu(path_mtu_);
  own.set_reads_served(kMaxReads);
  if (buffer_.handle) {
    own.set_buffer_address(reinterpret_cast<uintptr_t>(buffer_.memory.get()));
    own.set_buffer_key(buffer_.handle->rkey);
    own.set_buffer_bytes(kChunkBytes);
  }
  return own;
}

absl::Status Connection::ConnectTo(const v1::VerbsEndpoint& peer) {
  if (peer.gid().size() != 16) return BrokenProtocol("an endpoint without a GID");
  if (options_.streams && peer.buffer_bytes() < kChunkBytes)
    return BrokenProtocol("an endpoint without a buffer for a stream");
  peer_ = peer;
  ibv_device_attr device{};
  if (int error = library_->query_device(context_.get(), &device); error != 0)
    return ErrnoStatus(error, absl::StrCat("asking ", options_.port.device));
  read_depth_ = std::clamp<uint32_t>(
      std::min<uint32_t>(static_cast<uint32_t>(device.max_qp_init_rd_atom), peer.reads_served()), 1, kMaxReads);

  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_RTR;
  attributes.path_mtu = std::min(MtuOf(peer.path_mtu()), MtuOf(path_mtu_));
  attributes.dest_qp_num = peer.queue_pair();
  attributes.rq_psn = peer.packet_sequence();
  attributes.max_dest_rd_atomic = static_cast<uint8_t>(std::clamp(device.max_qp_rd_atom, 1, int{kMaxReads}));
  attributes.min_rnr_timer = 12;  // 0.64 ms
  attributes.ah_attr.dlid = static_cast<uint16_t>(peer.lid());
  attributes.ah_attr.sl = options_.service_level;
  attributes.ah_attr.port_num = options_.port.port;
  attributes.ah_attr.is_global = options_.port.infiniband ? 0 : 1;
  std::memcpy(attributes.ah_attr.grh.dgid.raw, peer.gid().data(), 16);
  attributes.ah_attr.grh.sgid_index = options_.port.gid_index;
  attributes.ah_attr.grh.hop_limit = 64;
  attributes.ah_attr.grh.traffic_class = options_.traffic_class;
  int error = library_->modify_qp(pair_.get(), &attributes,
                                  IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                                      IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
  if (error != 0) return ErrnoStatus(error, "bringing the queue pair to RTR");
  attributes = {};
  attributes.qp_state = IBV_QPS_RTS;
  attributes.timeout = kTimeout;
  attributes.retry_cnt = kRetries;
  attributes.rnr_retry = kReceiverNotReadyRetries;
  attributes.sq_psn = packet_sequence_;
  attributes.max_rd_atomic = static_cast<uint8_t>(read_depth_);
  error = library_->modify_qp(
      pair_.get(), &attributes,
      IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
  return error == 0 ? absl::OkStatus() : ErrnoStatus(error, "bringing the queue pair to RTS");
}

absl::Status Connection::PostReceive(uint64_t slot) {
  ibv_sge part{reinterpret_cast<uintptr_t>(incoming_.memory.get() + slot * kSlotBytes), kSlotBytes,
               incoming_.handle->lkey};
  ibv_recv_wr request{};
  request.wr_id = slot;
  request.sg_list = &part;
  request.num_sge = 1;
  ibv_recv_wr* bad = nullptr;
  int error = ibv_post_recv(pair_.get(), &request, &bad);
  return error == 0 ? absl::OkStatus() : ErrnoStatus(error, "posting a receive");
}

SessionDetails Connection::details() const {
  return {.mode = options_.read ? "read" : "write", .device = options_.port.Name()};
}

// ---- what comes

absl::Status Connection::TakeReceived(const ibv_wc& completion, MonotonicTime now) {
  Incoming incoming;
  incoming.received_at = now;
  if (completion.opcode == IBV_WC_RECV_RDMA_WITH_IMM) {
    incoming.header = {.kind = FrameKind::kChunk, .payload_bytes = completion.byte_len, .nonce = options_.nonce};
  } else {
    const uint8_t* slot = incoming_.memory.get() + completion.wr_id * kSlotBytes;
    if (completion.byte_len < kHeaderBytes) return BrokenProtocol("not a frame of this session");
    incoming.header = DecodeHeader(slot);
    if (incoming.header.payload_bytes != completion.byte_len - kHeaderBytes)
      return BrokenProtocol("not a frame of this session");
    incoming.payload.assign(slot + kHeaderBytes, slot + completion.byte_len);
  }
  received_.push_back(std::move(incoming));
  return PostReceive(completion.wr_id);
}

absl::Status Connection::TakeCompletions() {
  std::array<ibv_wc, 16> completions;
  const int n = ibv_poll_cq(queue_.get(), static_cast<int>(completions.size()), completions.data());
  if (n == 0) return absl::OkStatus();
  const MonotonicTime now = completed_at_ = MonotonicNow();
  if (n < 0) return absl::UnavailableError(absl::StrCat("polling ", options_.port.device, " failed"));
  for (int i = 0; i < n; ++i) {
    const ibv_wc& completion = completions[static_cast<size_t>(i)];
    if (completion.status != IBV_WC_SUCCESS) {
      if (!DeviceStillThere())
        return absl::UnavailableError(absl::StrCat("the device ", options_.port.device, " was removed"));
      return absl::UnavailableError(
          absl::StrCat("the queue pair is over: ", library_->wc_status_str(completion.status)));
    }
    if (completion.wr_id == kFrameSent) {
      frame_under_way_ = false;
    } else if (completion.wr_id == kTransferDone) {
      --transfers_under_way_;
      if (completion.opcode == IBV_WC_RDMA_READ) fetched_.push_back(completion.byte_len);
    } else if (auto status = TakeReceived(completion, now); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status Connection::TakeAsyncEvents() {
  ibv_async_event event;
  while (library_->get_async_event(context_.get(), &event) == 0) {
    const ibv_event_type type = event.event_type;
    library_->ack_async_event(&event);
    switch (type) {
      case IBV_EVENT_DEVICE_FATAL:
      case IBV_EVENT_PORT_ERR:
      case IBV_EVENT_QP_FATAL:
      case IBV_EVENT_QP_ACCESS_ERR:
      case IBV_EVENT_QP_REQ_ERR:
      case IBV_EVENT_CQ_ERR:
      case IBV_EVENT_GID_CHANGE:
      case IBV_EVENT_LID_CHANGE:
        return absl::UnavailableError(absl::StrCat(options_.port.device, " reports: ", library_->event_type_str(type)));
      default:  // informative
        break;
    }
  }
  return absl::OkStatus();
}

// Whoever removes a device waits until its users have let go of it (where the driver cannot take it from them), and no
// event tells us. But its entry among the verbs devices goes at once, and a device that comes anew has another one.
bool Connection::DeviceStillThere() const { return InodeOf(context_->device->dev_path) == device_inode_; }

absl::Status Connection::LookAtDevice() {
  RETURN_IF_ERROR(TakeAsyncEvents());
  looked_at_device_ = MonotonicNow();
  if (!DeviceStillThere())
    return absl::UnavailableError(absl::StrCat("the device ", options_.port.device, " was removed"));
  return absl::OkStatus();
}

// Until a completion, an event or the end of the door's connection may be there.
absl::Status Connection::Sleep(MonotonicTime deadline) {
  if (int error = ibv_req_notify_cq(queue_.get(), 0); error != 0)
    return ErrnoStatus(error, "arming the completion queue");
  const size_t had = received_.size();
  const bool frame_under_way = frame_under_way_;
  const uint32_t transfers_under_way = transfers_under_way_;
  if (auto status = TakeCompletions(); !status.ok()) return status;  // what came before it was armed
  if (received_.size() != had || frame_under_way_ != frame_under_way || transfers_under_way_ != transfers_under_way)
    return absl::OkStatus();
  auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - MonotonicNow());
  std::array<pollfd, 3> waits{
      {{channel_->fd, POLLIN, 0}, {door_, POLLIN | POLLRDHUP, 0}, {context_->async_fd, POLLIN, 0}}};
  poll(waits.data(), waits.size(),
       static_cast<int>(std::clamp(left, std::chrono::milliseconds(0), kLookAtDeviceEvery).count()));
  ibv_cq* queue = nullptr;
  void* ignored = nullptr;
  if (waits[0].revents != 0 && library_->get_cq_event(channel_.get(), &queue, &ignored) == 0)
    library_->ack_cq_events(queue, 1);
  return absl::OkStatus();
}

template <typename Done>
absl::Status Connection::Drive(Done done, MonotonicTime deadline, const std::stop_token& stop) {
  MonotonicTime started{};
  for (int spins = 1;; ++spins) {
    RETURN_IF_ERROR(TakeCompletions());
    if (done()) {  // a stream may never have to wait
      if (completed_at_ - looked_at_device_ < kLookAtDeviceEvery) return absl::OkStatus();
      return stop.stop_requested() ? absl::CancelledError("stopped") : LookAtDevice();
    }
    if (options_.busy_poll && spins % kSpinsPerClockRead != 0) continue;
    const MonotonicTime now = MonotonicNow();
    if (started == MonotonicTime{}) started = now;
    if (stop.stop_requested()) return absl::CancelledError("stopped");
    if (now >= deadline) return absl::DeadlineExceededError("no answer in time");
    const bool spin = options_.busy_poll && now - started < kSpinLimit;
    if (!spin) RETURN_IF_ERROR(Sleep(deadline));
    if (!spin || now - looked_at_device_ >= kLookAtDeviceEvery) {
      auto status = LookAtDevice();
      if (stop.stop_requested()) return absl::CancelledError("stopped");
      if (!status.ok()) return status;
      if (PeerClosed(door_)) {  // its last words may have come before
        if (auto last = TakeCompletions(); last.ok() && done()) return absl::OkStatus();
        return absl::UnavailableError("the peer closed the connection");
      }
    }
  }
}

// ---- frames

absl::Status Connection::Prepare(std::span<const uint8_t> frame, MonotonicTime deadline, const std::stop_token& stop) {
  if (frame_under_way_)
    if (auto status = Drive([this] { return !frame_under_way_; }, deadline, stop); !status.ok()) return status;
  std::copy(frame.begin(), frame.end(), outgoing_.memory.get());
  frame_bytes_ = frame.size();
  return absl::OkStatus();
}

absl::Status Connection::Post() {
  ibv_sge part{reinterpret_cast<uintptr_t>(outgoing_.memory.get()), static_cast<uint32_t>(frame_bytes_),
               outgoing_.handle->lkey};
  ibv_send_wr request{};
  request.wr_id = kFrameSent;
  request.sg_list = &part;
  request.num_sge = 1;
  request.opcode = IBV_WR_SEND;
  request.send_flags = IBV_SEND_SIGNALED | (frame_bytes_ <= max_inline_ ? unsigned{IBV_SEND_INLINE} : 0u);
  ibv_send_wr* bad = nullptr;
  if (int error = ibv_post_send(pair_.get(), &request, &bad); error != 0) return ErrnoStatus(error, "posting a send");
  frame_under_way_ = true;
  return absl::OkStatus();
}

absl::StatusOr<FrameCarrier::Incoming> Connection::Receive(MonotonicTime deadline, const std::stop_token& stop) {
  if (next_ == received_.size()) {
    received_.clear();
    next_ = 0;
    if (auto status = Drive([this] { return !received_.empty(); }, deadline, stop); !status.ok()) return status;
  }
  return std::move(received_[next_++]);
}

absl::Status Connection::SendChunk(const FrameHeader& header, MonotonicTime deadline, const std::stop_token& stop) {
  if (transfers_under_way_ >= kWritesUnderWay) {
    RETURN_IF_ERROR(Drive([this] { return transfers_under_way_ < kWritesUnderWay; }, deadline, stop));
  }
  return PostTransfer(IBV_WR_RDMA_WRITE_WITH_IMM, header.payload_bytes);
}

// A write to, or a read from, the peer's buffer.
absl::Status Connection::PostTransfer(ibv_wr_opcode opcode, uint32_t bytes) {
  ibv_sge part{reinterpret_cast<uintptr_t>(buffer_.memory.get()), bytes, buffer_.handle->lkey};
  ibv_send_wr request{};
  request.wr_id = kTransferDone;
  request.sg_list = &part;
  request.num_sge = 1;
  request.opcode = opcode;
  request.send_flags = IBV_SEND_SIGNALED;
  request.wr.rdma.remote_addr = peer_.buffer_address();
  request.wr.rdma.rkey = peer_.buffer_key();
  ibv_send_wr* bad = nullptr;
  if (int error = ibv_post_send(pair_.get(), &request, &bad); error != 0)
    return ErrnoStatus(error, "posting a transfer");
  ++transfers_under_way_;
  return absl::OkStatus();
}

absl::Status Connection::Flush(MonotonicTime deadline, const std::stop_token& stop) {
  return Drive([this] { return !frame_under_way_ && transfers_under_way_ == 0; }, deadline, stop);
}

absl::StatusOr<StreamSample> Connection::Pull(const StreamSpec& spec, uint64_t max_bytes, MonotonicTime deadline,
                                              const std::stop_token& stop) {
  SendBounds bounds = SendBoundsOf(spec, max_bytes, deadline);
  const uint32_t message_bytes = MessageBytesOf(spec, kChunkBytes);
  StreamMeter meter(spec.window, spec.bytes, spec.moved);
  fetched_.clear();
  while (true) {
    while (transfers_under_way_ < read_depth_ && bounds.GoesOn()) {
      const uint32_t bytes = bounds.Next(message_bytes);
      RETURN_IF_ERROR(PostTransfer(IBV_WR_RDMA_READ, bytes));
      bounds.left -= bytes;
    }
    if (transfers_under_way_ == 0) break;
    const MonotonicTime until = std::min(deadline, meter.look_at());
    auto status = Drive([this] { return !fetched_.empty(); }, until, stop);
    if (!status.ok() && !(absl::IsDeadlineExceeded(status) && until < deadline)) return status;
    const MonotonicTime now = MonotonicNow();
    for (uint32_t bytes : fetched_) meter.Add(bytes, now);
    fetched_.clear();
    RETURN_IF_ERROR(meter.Look(now));
  }
  if (MonotonicNow() >= deadline && bounds.left > 0)
    return absl::DeadlineExceededError("the stream did not end in time");
  return meter.Finish();
}

}  // namespace netsense::verbs
