#include "layers/edgeprofiler_write.hpp"

#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "layers/stamp.hpp"

namespace prony::layers {

namespace {

constexpr std::size_t piece_bytes = 256 * 1024;

std::string json_text(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Result<void> write_layer_latencies(const Recording& recording, const TextSink& sink) {
  std::string piece = "{";
  bool first_layer = true;
  for (const LayerTimes& layer : recording.layers) {
    piece += (first_layer ? "\n  " : ",\n  ") + json_text(layer.name) + ": [";
    first_layer = false;
    for (std::size_t i = 0; i < layer.ms.size(); ++i) {
      if (i > 0) piece += ", ";
      if (layer.told_us.size() == layer.ms.size())
        piece += '[' + python_number(layer.ms[i]) + ", \"" + format_stamp(layer.told_us[i]) + "\"]";
      else
        piece += python_number(layer.ms[i]);
      if (piece.size() < piece_bytes) continue;
      if (const auto written = sink(piece); !written) return written;
      piece.clear();
    }
    piece += ']';
  }
  return sink(piece + "\n}\n");
}

std::string power_line(const PowerReading& reading) {
  return format_stamp(reading.us) + ',' + python_number(reading.millivolt) + ',' + python_number(reading.milliampere) +
         '\n';
}

std::string idle_power_json(const IdlePower& idle) {
  return "{\n    \"timestamp\": " + json_text(idle.stamp) +
         ",\n    \"avg_idle_power\": " + python_number(idle.microwatt) + "\n}\n";
}

std::string benchmark_json(const Benchmark& benchmark) {
  std::string out = "{\n    \"config\": {\n        \"model\": " + json_text(benchmark.model) +
                    ",\n        \"dtype\": " + json_text(benchmark.dtype) + ",\n        \"input_shape\": [";
  for (std::size_t i = 0; i < benchmark.input_shape.size(); ++i)
    out += (i > 0 ? ", " : "") + format_fixed(benchmark.input_shape[i], 0);
  out += "],\n        \"runs\": " + std::to_string(benchmark.latency_ms.size()) + "\n    },\n";
  if (benchmark.total_s) out += "    \"total_time\": " + python_number(*benchmark.total_s) + ",\n";
  out += "    \"timestamp\": " + json_text(benchmark.stamp) + ",\n    \"latencies\": [";
  PythonSum sum;
  for (std::size_t i = 0; i < benchmark.latency_ms.size(); ++i) {
    out += (i > 0 ? ", " : "") + python_number(benchmark.latency_ms[i] / 1e3);
    sum.add(benchmark.latency_ms[i] / 1e3);
  }
  out += "],\n    \"avg_latency\": ";
  const double mean = benchmark.latency_ms.empty() ? 0 : sum.value() / static_cast<double>(benchmark.latency_ms.size());
  out += benchmark.latency_ms.empty() ? "null" : python_number(mean);
  const double batch = benchmark.input_shape.empty() ? 1 : benchmark.input_shape.front();
  out += ",\n    \"avg_throughput\": " + (mean > 0 ? python_number(batch / mean) : std::string("null")) + "\n}\n";
  return out;
}

MappingWriter::MappingWriter(const Recording& recording, const TextSink& sink) : sink_(sink) {
  for (const LayerTimes& layer : recording.layers)
    names_.push_back(',' + csv_field(layer.name) + ',' + csv_field(layer.type.empty() ? "Unknown" : layer.type) + ',');
}

void MappingWriter::add(const LegacyRow& row) {
  if (!state_) return;
  piece_ += std::to_string(row.cycle);
  piece_ += names_[row.layer];
  if (row.with_idle_uw) piece_ += python_number(*row.with_idle_uw);
  piece_ += ',';
  if (row.without_idle_uw) piece_ += python_number(*row.without_idle_uw);
  piece_ += ',';
  piece_ += python_number(row.ms);
  piece_ += '\n';
  if (piece_.size() < piece_bytes) return;
  state_ = sink_(piece_);
  piece_.clear();
}

Result<void> MappingWriter::finish() {
  if (state_) state_ = sink_(piece_);
  piece_.clear();
  return state_;
}

}  // namespace prony::layers
