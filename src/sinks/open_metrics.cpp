#include "sinks/open_metrics.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string_view>

#include "base/text.hpp"
#include "sinks/utf8.hpp"

namespace prony {

namespace {

struct Names {
  std::string_view name, help;
};

Names counter_names(Measure measure) {
  switch (measure) {
    case Measure::cpu_time: return {"prony_cpu_seconds", "CPU time used"};
    case Measure::data: return {"prony_data_bytes", "Bytes moved"};
    case Measure::memory: return {"prony_memory_moved_bytes", "Bytes of memory moved"};
    case Measure::time: return {"prony_time_seconds", "Wall time in a state, or lost"};
    case Measure::energy: return {"prony_other_energy_joules", "Energy"};
    case Measure::count: return {"prony_events", "Things that happened"};
    default: return {"prony_other", "What the channel counts, in the unit of its name"};
  }
}

Names gauge_names(Measure measure) {
  switch (measure) {
    case Measure::voltage: return {"prony_voltage_volts", "Voltage"};
    case Measure::current: return {"prony_current_amperes", "Current"};
    case Measure::temperature: return {"prony_temperature_celsius", "Temperature"};
    case Measure::frequency: return {"prony_frequency_hertz", "Clock"};
    case Measure::fan_speed: return {"prony_fan_rpm", "Turns a minute of a fan"};
    case Measure::memory: return {"prony_memory_bytes", "Bytes held now"};
    case Measure::data: return {"prony_data_now_bytes", "Bytes now"};
    case Measure::time: return {"prony_duration_seconds", "Wall time"};
    case Measure::cpu_time: return {"prony_cpu_now_seconds", "CPU time now"};
    case Measure::stored_energy: return {"prony_stored_energy_joules", "Energy that a battery holds now: what is left"};
    case Measure::fraction: return {"prony_state_ratio", "A share, 0 to 1"};
    default: return {"prony_state", "A state or a number of things now"};
  }
}

Names names_of(const Series& series) {
  switch (series.kind) {
    case SeriesKind::gross:
      return {"prony_energy_joules",
              "All energy that a domain drew since the monitor began (gross). Domains may lie in one another"};
    case SeriesKind::charged:
      return {"prony_charged_energy_joules",
              "Energy that a target, all others, Prony, or nobody (unattributed) is charged of a domain's gross"};
    case SeriesKind::power: return {"prony_power_watts", "Mean power of a domain since its reading before"};
    case SeriesKind::token_rate:
      return {"prony_output_tokens_per_second",
              "Output tokens a second as the servers count them, over a minute at most"};
    case SeriesKind::token_energy:
      return {
          "prony_gross_joules_per_output_token",
          "All energy that a domain drew (gross) per output token that the servers counted meanwhile, over a minute at "
          "most"};
    case SeriesKind::reading: break;
  }
  return series.counter() ? counter_names(series.channel.measure) : gauge_names(series.channel.measure);
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : valid_text(text)) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

std::string labels_of(const StreamHead& head, const Series& series) {
  std::string text = "host=\"" + escaped(head.host) + "\"";
  const auto add = [&](const char* name, std::string_view value) {
    if (!value.empty()) text += std::string(",") + name + "=\"" + escaped(value) + "\"";
  };
  const Channel& c = series.channel;
  add("sensor", c.sensor);
  add("channel", c.name);
  add("device", c.device);
  add("domain", c.domain);
  add("origin", to_string(c.origin));
  add("target", series.target);
  if (!head.simulated.empty()) add("simulated", head.simulated);
  return text;
}

class Writer {
 public:
  explicit Writer(bool open_metrics) : open_metrics_(open_metrics) {}

  void family(std::string_view name, std::string_view help, bool counter) {
    name_ = name;
    // OpenMetrics names the family without _total, the older format with it.
    const std::string shown = std::string(name) + (counter && !open_metrics_ ? "_total" : "");
    text_ += "# HELP " + shown + " " + std::string(help) + ".\n# TYPE " + shown + (counter ? " counter\n" : " gauge\n");
    for (const std::string_view unit : {"joules", "watts", "seconds", "bytes", "celsius", "hertz", "volts", "amperes"})
      if (open_metrics_ && name.ends_with("_" + std::string(unit)))
        text_ += "# UNIT " + shown + " " + std::string(unit) + "\n";
    ending_ = counter ? "_total{" : "{";
  }
  void sample(std::string_view labels, double value) {
    text_.append(name_).append(ending_).append(labels).append("} ").append(format_number(value)).append("\n");
  }
  std::string end() {
    if (open_metrics_) text_ += "# EOF\n";
    return std::move(text_);
  }

 private:
  bool open_metrics_;
  std::string text_, name_, ending_;
};

// One family of what a proxy counted, a sample for each that `value` tells.
void request_family(Writer& writer, const Frame& frame, const std::string& host, std::string_view name,
                    std::string_view help, const std::function<void(const RequestCount&, const std::string&)>& tell) {
  writer.family(name, help, true);
  for (const RequestCount& row : frame.requests)
    tell(row, host + ",model=\"" + escaped(row.model) + "\",outcome=\"" + escaped(row.outcome) + "\",where=\"" +
                  escaped(row.where) + "\"");
}

void requests(Writer& writer, const Frame& frame, const std::string& host) {
  if (frame.requests.empty()) return;
  request_family(writer, frame, host, "prony_requests", "Requests to models that have ended",
                 [&](const RequestCount& row, const std::string& labels) {
                   writer.sample(labels, static_cast<double>(row.requests));
                 });
  request_family(writer, frame, host, "prony_request_tokens", "Tokens of those requests, as the server counts them",
                 [&](const RequestCount& row, const std::string& labels) {
                   writer.sample(labels + ",direction=\"prompt\"", row.prompt_tokens);
                   writer.sample(labels + ",direction=\"output\"", row.output_tokens);
                 });
  request_family(writer, frame, host, "prony_request_charged_joules", "Energy that those requests are charged",
                 [&](const RequestCount& row, const std::string& labels) {
                   if (!row.origin.empty()) writer.sample(labels + ",origin=\"" + row.origin + "\"", row.charged_j);
                 });
  request_family(writer, frame, host, "prony_requests_without_joules",
                 "Of those requests the ones of which no energy can be told",
                 [&](const RequestCount& row, const std::string& labels) {
                   writer.sample(labels, static_cast<double>(row.without_joules));
                 });
}

}  // namespace

std::vector<MetricFamily> metric_families(const StreamHead& head) {
  std::vector<MetricFamily> families;
  for (std::size_t i = 0; i < head.series.size(); ++i) {
    const Series& series = head.series[i];
    const Names names = names_of(series);
    auto family = std::ranges::find(families, names.name, &MetricFamily::name);
    if (family == families.end()) {
      families.push_back({std::string(names.name), std::string(names.help), series.counter(), {}, {}});
      family = families.end() - 1;
    }
    family->labels.push_back(labels_of(head, series));
    family->places.push_back(i);
  }
  std::ranges::sort(families, {}, &MetricFamily::name);
  return families;
}

std::string exposition(const Exposition& what) {
  Writer writer(what.open_metrics);
  const std::string host = "host=\"" + escaped(what.head.host) + "\"";
  writer.family("prony_build_info", "The version of Prony that tells this", false);
  writer.sample(host + ",version=\"" + escaped(what.head.version) + "\"", 1);
  if (what.frame == nullptr) return writer.end();
  const Frame& frame = *what.frame;
  writer.family("prony_frame_timestamp_seconds", "When all of this was read, since 1970 UTC", false);
  writer.sample(host, static_cast<double>(frame.wall_ns / 1'000'000) * 1e-3);
  writer.family("prony_frames_dropped", "Frames that did not come so far", true);
  writer.sample(host, static_cast<double>(frame.dropped));
  requests(writer, frame, host);
  for (const MetricFamily& family : what.families) {
    bool named = false;
    for (std::size_t i = 0; i < family.places.size(); ++i) {
      const std::size_t place = family.places[i];
      if (place >= frame.values.size() || !frame.values[place] || !std::isfinite(*frame.values[place])) continue;
      if (!named) writer.family(family.name, family.help, family.counter);
      named = true;
      writer.sample(family.labels[i], *frame.values[place]);
    }
  }
  return writer.end();
}

}  // namespace prony
