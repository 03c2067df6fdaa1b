#include "raylet_bridge/serve/metric_page.h"

#include <prometheus/text_serializer.h>

namespace netsense {

void MetricPage::Gauge(const std::string& name, const char* help, const Labels& labels, double value) {
  Add(name, help, prometheus::MetricType::Gauge, labels).gauge.value = value;
}

void MetricPage::Counter(const std::string& name, const char* help, const Labels& labels, uint64_t value) {
  Add(name, help, prometheus::MetricType::Counter, labels).counter.value = static_cast<double>(value);
}

void MetricPage::Histogram(const std::string& name, const char* help, const Labels& labels,
                           const v1::CumulativeHistogram& histogram, const v1::EngineInfo& engine) {
  const int bounds = engine.histogram_bounds_ns_size();
  if (bounds == 0 || histogram.buckets_size() > bounds + 1) return;
  auto& shown = Add(name, help, prometheus::MetricType::Histogram, labels).histogram;
  shown.sample_count = histogram.count();
  shown.sample_sum = static_cast<double>(histogram.sum_ns()) / 1e9;
  uint64_t cumulative = 0;
  for (int i = 0; i < bounds; ++i) {
    if (i < histogram.buckets_size()) cumulative += histogram.buckets(i);
    shown.bucket.push_back({cumulative, static_cast<double>(engine.histogram_bounds_ns(i)) / 1e9});
  }
}

std::string MetricPage::Text() const { return prometheus::TextSerializer().Serialize(families_); }

prometheus::ClientMetric& MetricPage::Add(const std::string& name, const char* help, prometheus::MetricType type,
                                          const Labels& labels) {
  auto [place, is_new] = place_.try_emplace(name, families_.size());
  if (is_new) families_.push_back({"ray_network_sense_" + name, help, type, {}});
  prometheus::ClientMetric& metric = families_[place->second].metric.emplace_back();
  metric.label = labels;
  return metric;
}

}  // namespace netsense
