#include "base/handshake/frame_seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <utility>

#include "base/handshake/broken_protocol.h"
#include "base/socket.h"
#include "base/status_macros.h"

namespace netsense {

FrameSeal::FrameSeal(uint16_t version, std::string token, const ClientHelloBytes& client,
                     const ServerHelloBytes& server)
    : seals_(version >= 2), token_(std::move(token)), client_(client), server_(server) {}

bool FrameSeal::Same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string FrameSeal::Next(SealedBy side, std::string_view frame) {
  if (!seals_) return "";
  std::string message(side == SealedBy::kProber ? "netsense prober's frame v2" : "netsense responder's frame v2");
  message.append(client_.begin(), client_.end());
  message.append(server_.begin(), server_.end());
  const uint64_t number = sealed_[side == SealedBy::kProber ? 0 : 1]++;
  for (int shift = 56; shift >= 0; shift -= 8) message += static_cast<char>(number >> shift);
  message += frame;
  std::string mac(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  HMAC(EVP_sha256(), token_.data(), static_cast<int>(token_.size()),
       reinterpret_cast<const unsigned char*>(message.data()), message.size(),
       reinterpret_cast<unsigned char*>(mac.data()), &size);
  mac.resize(size);
  return mac;
}

absl::Status WriteSealed(int fd, const google::protobuf::MessageLite& message, SealedBy side, FrameSeal* seal,
                         MonotonicTime deadline, std::stop_token stop) {
  ASSIGN_OR_RETURN(auto frame, EncodeFrame(message));
  frame += seal->Next(side, frame);
  return WriteAll(fd, {reinterpret_cast<const uint8_t*>(frame.data()), frame.size()}, deadline, stop);
}

absl::Status ReadSealed(int fd, google::protobuf::MessageLite* message, SealedBy side, FrameSeal* seal,
                        MonotonicTime deadline, std::stop_token stop) {
  ASSIGN_OR_RETURN(auto bytes, ReadFrameBytes(fd, deadline, stop));
  std::string shown(seal->size(), '\0');
  RETURN_IF_ERROR(ReadExactly(fd, {reinterpret_cast<uint8_t*>(shown.data()), shown.size()}, deadline, stop));
  if (!FrameSeal::Same(shown, seal->Next(side, FramePrefix(bytes.size()) + bytes)))
    return absl::UnauthenticatedError("what the peer said was changed on its way: it is not trusted");
  if (!message->ParseFromString(bytes)) return BrokenProtocol("bytes that are no message");
  return absl::OkStatus();
}

}  // namespace netsense
