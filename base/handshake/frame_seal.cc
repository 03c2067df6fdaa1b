#include "base/handshake/frame_seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <utility>

namespace netsense {

FrameSeal::FrameSeal(uint16_t version, std::string token, const ClientHelloBytes& client,
                     const ServerHelloBytes& server)
    : seals_(version >= 2), token_(std::move(token)), client_(client), server_(server) {}

std::string FrameSeal::OfRequest(std::string_view frame) const { return Of("netsense request v2", frame); }

std::string FrameSeal::OfReply(std::string_view frame) const { return Of("netsense reply v2", frame); }

bool FrameSeal::Same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string FrameSeal::Of(std::string_view label, std::string_view frame) const {
  if (!seals_) return "";
  std::string message(label);
  message.append(client_.begin(), client_.end());
  message.append(server_.begin(), server_.end());
  message += frame;
  std::string mac(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  HMAC(EVP_sha256(), token_.data(), static_cast<int>(token_.size()),
       reinterpret_cast<const unsigned char*>(message.data()), message.size(),
       reinterpret_cast<unsigned char*>(mac.data()), &size);
  mac.resize(size);
  return mac;
}

}  // namespace netsense
