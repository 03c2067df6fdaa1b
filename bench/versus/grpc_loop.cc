// A bare gRPC loop, as somebody would write who wants to know what gRPC gives: callbacks and threads left out, one
// completion queue that spins on either side. Unary calls with gRPC's own defaults, streams with wider ones. The
// witness for our gRPC backend; shares no code with it but the messages.
//
//   grpc_loop serve HOST:PORT unary|stream
//   grpc_loop ping HOST:PORT unary|stream COUNT         -> p50 and p99 of the full round trip in microseconds
//   grpc_loop bw HOST:PORT unary|stream SECONDS         -> Gb/s of payload that left
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
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
using netsense::v1::NetBandwidthProbeReply;
using netsense::v1::NetBandwidthProbeRequest;
using netsense::v1::NetPingReply;
using netsense::v1::NetPingRequest;
using netsense::v1::NetworkProbe;

constexpr size_t kPingBytes = 64, kChunk = 1 << 20;
constexpr char kStreamMethod[] = "/netsense.v1.NetworkProbe/NetStream";

void* Spin(grpc::CompletionQueue& queue, bool* ok) {
  void* tag = nullptr;
  while (queue.AsyncNext(&tag, ok, gpr_time_0(GPR_CLOCK_MONOTONIC)) != grpc::CompletionQueue::GOT_EVENT) {
  }
  return tag;
}

template <typename Request, typename Reply, typename Ask>
struct Unary {
  Ask ask;
  std::unique_ptr<grpc::ServerContext> context;
  std::unique_ptr<grpc::ServerAsyncResponseWriter<Reply>> writer;
  Request request;
  bool answered = true;
  void Next() {
    context = std::make_unique<grpc::ServerContext>();
    writer = std::make_unique<grpc::ServerAsyncResponseWriter<Reply>>(context.get());
    answered = false;
    ask(context.get(), &request, writer.get(), this);
  }
};

// Wider reads and windows, for streams.
template <typename Set>
void Widen(Set set) {
  set("grpc.http2.bdp_probe", 0);
  set("grpc.http2.lookahead_bytes", 8 << 20);
  set("grpc.experimental.tcp_read_chunk_size", 1 << 20);
}

int Serve(const std::string& address, bool unary) {
  NetworkProbe::WithRawMethod_NetStream<
      NetworkProbe::WithAsyncMethod_NetBandwidthProbe<NetworkProbe::WithAsyncMethod_NetPing<NetworkProbe::Service>>>
      service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.SetMaxReceiveMessageSize(2 * kChunk);
  if (!unary) Widen([&](const char* name, int value) { builder.AddChannelArgument(name, value); });
  builder.RegisterService(&service);
  auto queue = builder.AddCompletionQueue();
  auto server = builder.BuildAndStart();
  if (!server) return 1;
  auto ask_ping = [&](auto* context, auto* request, auto* writer, void* tag) {
    service.RequestNetPing(context, request, writer, queue.get(), queue.get(), tag);
  };
  auto ask_probe = [&](auto* context, auto* request, auto* writer, void* tag) {
    service.RequestNetBandwidthProbe(context, request, writer, queue.get(), queue.get(), tag);
  };
  Unary<NetPingRequest, NetPingReply, decltype(ask_ping)> ping{ask_ping, {}, {}, {}};
  Unary<NetBandwidthProbeRequest, NetBandwidthProbeReply, decltype(ask_probe)> probe{ask_probe, {}, {}, {}};
  std::unique_ptr<grpc::ServerContext> context;
  std::unique_ptr<grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> stream;
  grpc::ByteBuffer message;
  enum { kArrived = 1, kRead, kWritten };
  auto accept_stream = [&] {
    context = std::make_unique<grpc::ServerContext>();
    stream = std::make_unique<grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>>(context.get());
    service.RequestNetStream(context.get(), stream.get(), queue.get(), queue.get(), reinterpret_cast<void*>(kArrived));
  };
  ping.Next();
  probe.Next();
  accept_stream();
  std::cout << "ready" << std::endl;
  while (true) {
    bool ok = false;
    void* tag = Spin(*queue, &ok);
    if (tag == &ping) {
      if (ping.answered || !ok) {
        ping.Next();
        continue;
      }
      NetPingReply reply;
      reply.set_payload(ping.request.payload());
      ping.answered = true;
      ping.writer->Finish(reply, grpc::Status::OK, &ping);
    } else if (tag == &probe) {
      if (probe.answered || !ok) {
        probe.Next();
        continue;
      }
      probe.answered = true;
      probe.writer->Finish({}, grpc::Status::OK, &probe);
    } else if (tag == reinterpret_cast<void*>(kWritten)) {
      continue;
    } else if (!ok) {
      accept_stream();
    } else {
      // Small messages are echoed, large ones counted in silence.
      if (tag == reinterpret_cast<void*>(kRead) && message.Length() < kChunk)
        stream->Write(message, reinterpret_cast<void*>(kWritten));
      stream->Read(&message, reinterpret_cast<void*>(kRead));
    }
  }
}

struct Client {
  Client(const std::string& address, bool unary) {
    grpc::ChannelArguments arguments;
    if (!unary) Widen([&](const char* name, int value) { arguments.SetInt(name, value); });
    channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(5));
    stub = NetworkProbe::NewStub(channel);
  }
  void Open() {
    stream = grpc::GenericStub(channel).PrepareCall(&context, kStreamMethod, &queue);
    stream->StartCall(nullptr);
    bool ok = false;
    Spin(queue, &ok);
  }
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<NetworkProbe::Stub> stub;
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream;
};

int Ping(Client& client, bool unary, int count) {
  std::vector<double> rtts;
  const std::string payload(kPingBytes, 'x');
  if (!unary) client.Open();
  for (int i = 0; i < count; ++i) {
    bool ok = false;
    Clock::time_point start;
    if (unary) {
      NetPingRequest request;
      request.set_payload(payload);
      NetPingReply reply;
      grpc::ClientContext context;
      grpc::Status status;
      auto call = client.stub->PrepareAsyncNetPing(&context, request, &client.queue);
      start = Clock::now();
      call->StartCall();
      call->Finish(&reply, &status, nullptr);
      Spin(client.queue, &ok);
      if (!status.ok()) return 1;
    } else {
      grpc::Slice slice(payload);
      grpc::ByteBuffer out(&slice, 1), in;
      start = Clock::now();
      client.stream->Write(out, nullptr);
      client.stream->Read(&in, nullptr);
      for (int events = 0; events < 2; ++events) {
        Spin(client.queue, &ok);
        if (!ok) return 1;
      }
    }
    rtts.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  std::sort(rtts.begin(), rtts.end());
  std::cout << rtts[rtts.size() / 2] << " " << rtts[rtts.size() * 99 / 100] << std::endl;
  std::_Exit(0);
}

int Bandwidth(Client& client, bool unary, double seconds) {
  static const std::vector<char> kZeros(kChunk);
  const auto start = Clock::now();
  const auto end = start + std::chrono::duration<double>(seconds);
  double bytes = 0;
  bool ok = false;
  if (!unary) client.Open();
  NetBandwidthProbeRequest request;
  request.set_payload(std::string(kChunk, '\0'));
  for (; Clock::now() < end; bytes += kChunk) {
    if (unary) {
      NetBandwidthProbeReply reply;
      grpc::ClientContext context;
      grpc::Status status;
      auto call = client.stub->AsyncNetBandwidthProbe(&context, request, &client.queue);
      call->Finish(&reply, &status, nullptr);
      Spin(client.queue, &ok);
      if (!status.ok()) return 1;
    } else {
      grpc::Slice slice(kZeros.data(), kZeros.size(), grpc::Slice::STATIC_SLICE);
      client.stream->Write(grpc::ByteBuffer(&slice, 1), nullptr);
      Spin(client.queue, &ok);
      if (!ok) return 1;
    }
  }
  std::cout << bytes * 8 / std::chrono::duration<double>(Clock::now() - start).count() / 1e9 << std::endl;
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 3) return 2;
  const bool unary = arguments[2] == "unary";
  if (arguments.size() == 3 && arguments[0] == "serve") return Serve(arguments[1], unary);
  if (arguments.size() != 4) return 2;
  Client client(arguments[1], unary);
  return arguments[0] == "ping" ? Ping(client, unary, std::stoi(arguments[3]))
                                : Bandwidth(client, unary, std::stod(arguments[3]));
}
