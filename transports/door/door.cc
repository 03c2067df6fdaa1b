#include "transports/door/door.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/handshake/framing.h"
#include "base/host_port.h"
#include "base/logging.h"
#include "base/socket.h"
#include "base/status_macros.h"

namespace netsense {

absl::StatusOr<std::unique_ptr<Door>> Door::Open(DoorOptions options, OnRequest on_request) {
  std::vector<std::string> hosts = options.more_hosts;
  hosts.insert(hosts.begin(), options.host);
  const auto outside = std::find_if_not(hosts.begin(), hosts.end(), IsLoopback);
  if (options.token.empty() && !options.insecure && outside != hosts.end())
    return absl::InvalidArgumentError(absl::StrCat(
        "no token, so the door may listen on loopback only, not on '", *outside,
        "': give --token-file (the same token on every node), or --insecure to serve anyone who can reach it"));
  std::vector<UniqueFd> listeners;
  ASSIGN_OR_RETURN(auto listener, ListenTcp({options.host, options.netdev}, options.port));
  listeners.push_back(std::move(listener));
  const uint16_t port = LocalPort(listeners.front().get());
  std::vector<std::string> opened;
  for (const std::string& host : options.more_hosts) {
    auto more = ListenTcp({host, NetdevOfAddress(host)}, port);
    if (!more.ok()) {
      spdlog::warn("the door is not open on {}: {}", host, std::string(more.status().message()));
      continue;
    }
    listeners.push_back(*std::move(more));
    opened.push_back(host);
  }
  options.more_hosts = std::move(opened);
  if (options.token.empty() && outside != hosts.end())
    spdlog::warn(
        "INSECURE: the door on {}:{} has no token; anyone who can reach it can make this host send and receive probe "
        "traffic",
        *outside, port);
  return std::unique_ptr<Door>(new Door(std::move(options), std::move(listeners), std::move(on_request)));
}

Door::Door(DoorOptions options, std::vector<UniqueFd> listeners, OnRequest on_request)
    : options_(std::move(options)),
      port_(LocalPort(listeners.front().get())),
      server_({.what = "door",
               .token = options_.token,
               .framed = true,
               .limit = options_.handshake_limit,
               .max_unfinished = options_.max_handshakes,
               .max_unfinished_per_network = options_.max_handshakes_per_network},
              std::move(listeners), [on_request = std::move(on_request)](HandshakeServer::Admitted admitted) {
                DoorConnection connection;
                if (!connection.request.ParseFromString(admitted.frame)) return "a session request that cannot be read";
                connection.peer_address = std::move(admitted.peer);
                connection.protocol_version = admitted.version;
                connection.seal = std::move(admitted.seal);
                connection.fd = std::move(admitted.fd);
                on_request(std::move(connection));
                return "";
              }) {}

bool AnswerAtDoor(DoorConnection& connection, const v1::SessionReply& reply) {
  auto frame = EncodeFrame(reply);
  if (!frame.ok()) return false;
  *frame += connection.seal.Next(SealedBy::kResponder, *frame);
  return send(connection.fd.get(), frame->data(), frame->size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
         static_cast<ssize_t>(frame->size());
}

DoorCounters Door::counters() const { return server_.counters(); }

}  // namespace netsense
