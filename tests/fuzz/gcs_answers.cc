// Untrusted: what whoever listens at the GCS's address answers to our calls: any bytes as the message. The input's
// first byte chooses the call and the status. What must hold: every node that is listed has an id and is alive where
// only the alive were asked for; an error steers no terminal. gRPC itself is not what is tested.
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>

#include "absl/strings/str_cat.h"
#include "raylet_bridge/gcs/gcs_client.h"
#include "raylet_bridge/records/kv_keys.h"
#include "tests/fuzz/harness.h"

namespace netsense::fuzz {
namespace {

// Answers every call with the same bytes.
class Server : public grpc::CallbackGenericService {
 public:
  Server() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterCallbackGenericService(this);
    server_ = builder.BuildAndStart();
    auto client = GcsClient::Create({.address = absl::StrCat("127.0.0.1:", port_), .token_file = ""});
    MustHold(client.ok(), "there is a client");
    client_ = *std::move(client);
  }

  GcsClient& ClientFor(std::string answer, grpc::Status status) {
    std::lock_guard lock(mutex_);
    answer_ = std::move(answer);
    status_ = std::move(status);
    return *client_;
  }

 private:
  class Reactor : public grpc::ServerGenericBidiReactor {
   public:
    Reactor(const std::string& answer, grpc::Status status) : status_(std::move(status)) {
      grpc::Slice slice(answer);
      answer_ = grpc::ByteBuffer(&slice, 1);
      StartRead(&request_);
    }
    void OnReadDone(bool) override { StartWriteAndFinish(&answer_, {}, status_); }
    void OnDone() override { delete this; }

   private:
    grpc::ByteBuffer request_, answer_;
    grpc::Status status_;
  };
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    std::lock_guard lock(mutex_);
    return new Reactor(answer_, status_);
  }

  std::mutex mutex_;
  std::string answer_;
  grpc::Status status_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<GcsClient> client_;
};

void CheckStatus(const absl::Status& status) {
  for (const unsigned char c : status.message()) MustHold(c >= 0x20 && c < 0x7f, "an error steers no terminal");
}

template <typename Nodes>
void CheckNodes(const Nodes& nodes, bool alive) {
  if (!nodes.ok()) return CheckStatus(nodes.status());
  for (const ClusterNode& node : *nodes)
    MustHold(IsNodeId(node.node_id) && (node.alive || !alive), "a node has an id, and is as was asked for");
  MustHold(
      std::is_sorted(nodes->begin(), nodes->end(), [](const auto& a, const auto& b) { return a.node_id < b.node_id; }),
      "nodes are sorted by id");
}

void Run(std::string_view bytes) {
  static auto* const server = new Server();  // for as long as the program runs
  Input input(bytes);
  const uint8_t call = input.Byte();
  const bool good = call < 0xf0;
  GcsClient& gcs =
      server->ClientFor(std::string(input.Rest()),
                        good ? grpc::Status::OK : grpc::Status(static_cast<grpc::StatusCode>(call & 0xf), "\x1b[2J"));
  switch (call % 6) {
    case 0:
      return CheckNodes(gcs.AliveNodes(), true);
    case 1:
      return CheckNodes(gcs.AllNodes(), false);
    case 2:
      return CheckStatus(gcs.Get("key").status());
    case 3:
      return CheckStatus(gcs.MultiGet({"key", "key", "other"}).status());
    case 4:
      return CheckStatus(gcs.KeysWithPrefix("k").status());
    default:
      return CheckStatus(gcs.Put("key", "value"));
  }
}

const Harness kHarness("gcs_answers", Run);

}  // namespace
}  // namespace netsense::fuzz
