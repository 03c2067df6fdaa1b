// gRPC as one writes it first, and as Ray's prototype did: unary calls, synchronous on both sides, the payload in a
// `bytes` field. The witness for what streaming is worth.
//
//   grpc_sync serve HOST:PORT
//   grpc_sync ping HOST:PORT COUNT         -> p50 and p99 of the full round trip in microseconds
//   grpc_sync bw HOST:PORT SECONDS         -> Gb/s of payload
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

#include "netsense/probe.grpc.pb.h"

namespace {

using Clock = std::chrono::steady_clock;
using namespace netsense::v1;

constexpr size_t kPingBytes = 64, kChunk = 1 << 20;

class Service final : public NetworkProbe::Service {
  grpc::Status NetPing(grpc::ServerContext*, const NetPingRequest* request, NetPingReply* reply) override {
    reply->set_payload(request->payload());
    return grpc::Status::OK;
  }
  grpc::Status NetBandwidthProbe(grpc::ServerContext*, const NetBandwidthProbeRequest*,
                                 NetBandwidthProbeReply*) override {
    return grpc::Status::OK;
  }
};

int Serve(const std::string& address) {
  Service service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.SetMaxReceiveMessageSize(2 * kChunk);
  builder.RegisterService(&service);
  auto server = builder.BuildAndStart();
  if (!server) return 1;
  std::cout << "ready" << std::endl;
  server->Wait();
  return 0;
}

int Ping(NetworkProbe::Stub& stub, int count) {
  NetPingRequest request;
  request.set_payload(std::string(kPingBytes, 'x'));
  std::vector<double> rtts;
  for (int i = 0; i < count; ++i) {
    NetPingReply reply;
    grpc::ClientContext context;
    const auto start = Clock::now();
    if (!stub.NetPing(&context, request, &reply).ok()) return 1;
    rtts.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  std::sort(rtts.begin(), rtts.end());
  std::cout << rtts[rtts.size() / 2] << " " << rtts[rtts.size() * 99 / 100] << std::endl;
  return 0;
}

int Bandwidth(NetworkProbe::Stub& stub, double seconds) {
  NetBandwidthProbeRequest request;
  request.set_payload(std::string(kChunk, '\0'));
  const auto start = Clock::now();
  double bytes = 0;
  for (; Clock::now() < start + std::chrono::duration<double>(seconds); bytes += kChunk) {
    NetBandwidthProbeReply reply;
    grpc::ClientContext context;
    if (!stub.NetBandwidthProbe(&context, request, &reply).ok()) return 1;
  }
  std::cout << bytes * 8 / std::chrono::duration<double>(Clock::now() - start).count() / 1e9 << std::endl;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 2 && arguments[0] == "serve") return Serve(arguments[1]);
  if (arguments.size() != 3) return 2;
  auto channel = grpc::CreateChannel(arguments[1], grpc::InsecureChannelCredentials());
  channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(5));
  auto stub = NetworkProbe::NewStub(channel);
  return arguments[0] == "ping" ? Ping(*stub, std::stoi(arguments[2])) : Bandwidth(*stub, std::stod(arguments[2]));
}
