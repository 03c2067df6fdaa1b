#include "transports/missing.h"

namespace netsense {
namespace {

class MissingTransport final : public Transport {
 public:
  MissingTransport(std::string name, std::string reason) : name_(std::move(name)), reason_(std::move(reason)) {}

  std::string_view name() const override { return name_; }
  Capabilities capabilities() const override { return {}; }
  absl::Status availability() const override { return absl::UnavailableError(reason_); }
  absl::StatusOr<std::unique_ptr<Session>> Connect(DoorConnection, MonotonicTime, std::stop_token) override {
    return availability();
  }
  absl::Status Serve(DoorConnection, const ServeLimits&, std::stop_token) override { return availability(); }

 private:
  const std::string name_;
  const std::string reason_;
};

}  // namespace

std::unique_ptr<Transport> MakeMissingTransport(std::string name, std::string reason) {
  return std::make_unique<MissingTransport>(std::move(name), std::move(reason));
}

}  // namespace netsense
