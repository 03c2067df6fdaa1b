// A page in Prometheus's text format, as prometheus-cpp writes it. Every name gets the prefix ray_network_sense_.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "netsense/engine.pb.h"
#include "netsense/measurement.pb.h"

namespace netsense {

class MetricPage {
 public:
  using Labels = std::vector<prometheus::ClientMetric::Label>;

  // The first call for a name decides its help. Values are in base units: seconds, bytes, ratios.
  void Gauge(const std::string& name, const char* help, const Labels& labels, double value);
  void Counter(const std::string& name, const char* help, const Labels& labels, uint64_t value);
  // `engine` says where its buckets end. A histogram that does not fit them, an engine's that was replaced just now, is
  // left out.
  void Histogram(const std::string& name, const char* help, const Labels& labels,
                 const v1::CumulativeHistogram& histogram, const v1::EngineInfo& engine);

  std::string Text() const;

 private:
  prometheus::ClientMetric& Add(const std::string& name, const char* help, prometheus::MetricType type,
                                const Labels& labels);

  std::vector<prometheus::MetricFamily> families_;
  std::map<std::string, size_t> place_;  // of a name in families_
};

}  // namespace netsense
