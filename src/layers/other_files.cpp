#include "layers/other_files.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <unordered_map>

#include "base/text.hpp"
#include "layers/edgeprofiler.hpp"
#include "layers/features.hpp"
#include "layers/flat_objects.hpp"
#include "layers/layer_table.hpp"
#include "layers/layers_by_name.hpp"

namespace prony::layers {

namespace {

struct NodeEvent {
  double begin_us = 0, us = 0;
  std::uint32_t name = 0;
  std::int32_t thread = 0;
  bool inside = false;  // of another node
};

// A node that lies within another on the same thread is part of it.
std::size_t mark_inside(std::vector<NodeEvent>& events) {
  std::ranges::sort(events, [](const NodeEvent& a, const NodeEvent& b) {
    if (a.thread != b.thread) return a.thread < b.thread;
    if (a.begin_us != b.begin_us) return a.begin_us < b.begin_us;
    if (a.us != b.us) return a.us > b.us;
    return a.name < b.name;
  });
  std::size_t inside = 0;
  const NodeEvent* holder = nullptr;
  for (NodeEvent& event : events) {
    const bool within = holder != nullptr && holder->thread == event.thread && event.us < holder->us &&
                        event.begin_us + event.us <= holder->begin_us + holder->us &&
                        event.begin_us < holder->begin_us + holder->us;
    if (within) {
      event.inside = true;
      ++inside;
    } else {
      holder = &event;
    }
  }
  std::ranges::sort(events, {}, &NodeEvent::begin_us);
  return inside;
}

// What comes after the last key that begins with a quote: enough to see which keys a head has.
bool has_key(std::string_view head, std::string_view key) {
  return head.find("\"" + std::string(key) + "\"") != std::string_view::npos;
}

FileKind kind_of_json(std::string_view head) {
  if (has_key(head, "avg_idle_power")) return FileKind::idle_power;
  if (has_key(head, "performance_summary") || has_key(head, "model_options")) return FileKind::trtexec_metadata;
  if (head.starts_with('[')) {
    if (has_key(head, "ph") && has_key(head, "ts")) return FileKind::onnxruntime_profile;
    if (has_key(head, "latencyMs") || has_key(head, "computeMs")) return FileKind::trtexec_times;
    if (has_key(head, "averageMs") || has_key(head, "timeMs")) return FileKind::trtexec_profile;
    return FileKind::unknown;
  }
  if (!head.starts_with('{')) return FileKind::unknown;
  const std::string_view inside = trim(head.substr(1));
  if (inside.starts_with("\"Layers\"") || inside.starts_with("\"Bindings\"")) return FileKind::engine;
  if (has_key(head, "latencies")) return FileKind::benchmark;
  if (has_key(head, "LayerType")) return FileKind::engine;
  // {"name": [ …
  if (!inside.starts_with('"')) return FileKind::unknown;
  for (std::size_t i = 1; i < inside.size(); ++i) {
    if (inside[i] == '\\')
      ++i;
    else if (inside[i] == '"') {
      std::string_view rest = trim(inside.substr(i + 1));
      if (!rest.starts_with(':')) return FileKind::unknown;
      return trim(rest.substr(1)).starts_with('[') ? FileKind::layer_latencies : FileKind::unknown;
    }
  }
  return FileKind::unknown;
}

}  // namespace

std::string_view to_string(FileKind kind) noexcept {
  constexpr std::array<std::string_view, 16> words{"EdgeProfiler layer latencies",
                                                   "TensorRT engine description",
                                                   "EdgeProfiler benchmark",
                                                   "EdgeProfiler idle power",
                                                   "EdgeProfiler power log",
                                                   "EdgeProfiler mapping",
                                                   "EdgeProfiler statistics",
                                                   "EdgeProfiler training data",
                                                   "trtexec profile",
                                                   "trtexec times",
                                                   "trtexec metadata",
                                                   "ONNX Runtime profile",
                                                   "tegrastats log",
                                                   "Nsight Systems trace",
                                                   "table of layers",
                                                   "unknown"};
  return words[std::min(static_cast<std::size_t>(kind), words.size() - 1)];
}

FileKind kind_of(std::string_view head) {
  if (head.starts_with("SQLite format 3")) return FileKind::nsys;
  std::string unwrapped;
  std::string_view text = trim(head);
  if (text.starts_with('"')) {  // double-encoded
    for (std::size_t i = 1; i < text.size(); ++i) {
      if (text[i] == '\\' && i + 1 < text.size()) {
        ++i;
        unwrapped += text[i] == 'n' || text[i] == 't' || text[i] == 'r' ? ' ' : text[i];
      } else {
        unwrapped += text[i];
      }
    }
    text = trim(unwrapped);
    if (text.starts_with('{') || text.starts_with('[')) return kind_of_json(text);
    text = trim(head);
  }
  if (text.starts_with('{') || text.starts_with('[')) return kind_of_json(text);
  const std::string_view line = trim(text.substr(0, text.find('\n')));
  if (line == mapping_header.substr(0, mapping_header.size() - 1)) return FileKind::mapping;
  if (line.starts_with("layer_name,count,mean,std")) return FileKind::stats;
  if (line.starts_with("batch_size,") && line.ends_with(",layer_name")) return FileKind::training;
  if (StampReader stamps; parse_power_line(line, stamps)) return FileKind::power_log;
  if (line.find("RAM ") != std::string_view::npos && line.find("MB") != std::string_view::npos)
    return FileKind::tegrastats_log;
  if (line.size() < 4096 && begins_layer_table(line)) return FileKind::table;
  return FileKind::unknown;
}

Result<Recording> read_onnxruntime_profile(ByteSource& source) {
  constexpr std::size_t most_events = 20'000'000;
  FlatObjects entries(source);
  LayersByName names;
  std::vector<NodeEvent> events;
  Recording recording;
  recording.kind = "ONNX Runtime profile";
  while (true) {
    const auto more = entries.next();
    if (!more) return Unexpected<Error>(more.error());
    if (!*more) break;
    const auto us = entries.number("dur"), begin = entries.number("ts");
    if (!us || !begin || *us < 0) continue;
    const std::string_view name = entries.text("name");
    if (entries.text("cat") == "Session" && name == "model_run") recording.inference_ms.push_back(*us * 1e-3);
    constexpr std::string_view ending = "_kernel_time";
    if (entries.text("cat") != "Node" || !name.ends_with(ending)) continue;
    const auto layer = names.at(std::string(name.substr(0, name.size() - ending.size())), entries.text("args.op_name"));
    if (!layer) return Unexpected<Error>(layer.error());
    if (events.size() == most_events) return fail(ErrorCode::full, "more than 20 million events");
    const double thread = entries.number("tid").value_or(0);
    events.push_back({*begin, *us, static_cast<std::uint32_t>(*layer - names.layers.data()),
                      static_cast<std::int32_t>(std::fmod(thread, 2e9)), false});
  }
  if (events.empty())
    return fail(ErrorCode::malformed, "no node's time is in the profile", {},
                "It is what SessionOptions.enable_profiling writes.");
  const std::size_t inside = mark_inside(events);
  for (const NodeEvent& event : events)
    if (!event.inside) names.layers[event.name].ms.push_back(event.us * 1e-3);
  std::erase_if(names.layers, [](const LayerTimes& layer) { return layer.ms.empty(); });
  recording.layers = std::move(names.layers);
  if (inside > 0)
    recording.notes.push_back(
        std::to_string(inside) +
        " times of nodes inside If, Loop or Scan are left out: they are in the time of the node that holds them");
  recording.notes.push_back(
      "times are whole microseconds, with the profiler's own cost in them; the first run is among them");
  if (recording.inference_ms.empty()) recording.notes.push_back("no end-to-end times: the profile has no model_run");
  return recording;
}

Result<Recording> read_tegrastats_log(ByteSource& source) {
  LineReader lines(source);
  std::map<std::string, PythonSum, std::less<>> rails;
  std::map<std::string, std::size_t, std::less<>> counts;
  std::size_t read = 0, without = 0;
  const auto milliwatts = [](std::string_view text) -> std::optional<double> {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    std::string_view now = text.substr(0, slash), mean = text.substr(slash + 1);
    for (std::string_view* one : {&now, &mean})
      if (one->ends_with("mW")) one->remove_suffix(2);
    if (!parse_u64(mean)) return std::nullopt;
    const auto value = parse_u64(now);
    if (!value) return std::nullopt;
    return static_cast<double>(*value);
  };
  std::string_view line;
  while (true) {
    const auto more = lines.next(line);
    if (!more) return Unexpected<Error>(more.error());
    if (!*more) break;
    std::string_view rest = line;
    std::string_view name;
    bool any = false;
    for (std::string_view word = next_word(rest); !word.empty(); word = next_word(rest)) {
      const auto value = milliwatts(word);
      const bool rail = !name.empty() && std::ranges::all_of(name, [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
      });
      if (value && rail && (rails.size() < 64 || rails.contains(name))) {
        rails[std::string(name)].add(*value);
        ++counts[std::string(name)];
        any = true;
      }
      name = word;
    }
    (any ? read : without) += 1;
  }
  if (read == 0)
    return fail(ErrorCode::malformed, "no rail with its power is in the log", {},
                "Jetsons without power rails write none: see `tegrastats` there.");
  Recording recording;
  recording.kind = "tegrastats log";
  recording.facts.push_back({"lines with power", static_cast<double>(read), ""});
  for (const auto& [name, sum] : rails)
    recording.facts.push_back({"mean power of " + name, sum.value() / static_cast<double>(counts[name]) * 1e-3, "W"});
  recording.notes.push_back(
      "the first of the two numbers of a rail is taken, the power now; the second is tegrastats' own mean since its "
      "start");
  recording.notes.push_back(
      "rails lie in one another (VDD_IN, VIN_SYS_5V0 or POM_5V_IN hold the others): they do not add up");
  if (without > 0) recording.notes.push_back(std::to_string(without) + " lines without power were passed over");
  return recording;
}

Result<Recording> recording_of_kernels(std::span<const TracedKernel> kernels) {
  if (kernels.empty())
    return fail(ErrorCode::absent, "no kernel is in the trace", {}, "Trace with `nsys profile --trace=cuda,nvtx`.");
  LayersByName names;
  Recording recording;
  recording.kind = "Nsight Systems trace";
  recording.of_calls = true;
  std::unordered_map<std::uint64_t, std::size_t> calls;  // ranges that were met, and which time of its layer each is
  std::size_t without = 0, backwards = 0;
  for (const TracedKernel& kernel : kernels) {
    if (kernel.end_ns < kernel.begin_ns) {
      ++backwards;
      continue;
    }
    const bool loose = kernel.call == 0;
    without += loose;
    const auto layer = names.at(loose ? kernel.kernel : kernel.range, loose ? "kernel" : "range");
    if (!layer) return Unexpected<Error>(layer.error());
    std::vector<double>& times = (*layer)->ms;
    const double ms = static_cast<double>(kernel.end_ns - kernel.begin_ns) * 1e-6;
    const auto [at, fresh] = loose ? std::pair(calls.end(), true) : calls.try_emplace(kernel.call, times.size());
    if (fresh)
      times.push_back(ms);
    else
      times[at->second] += ms;
  }
  recording.layers = std::move(names.layers);
  recording.notes.push_back(
      "a time is that of all kernels launched in a range, added up on the device: gaps between them are not in it, "
      "and those that ran at once count each");
  if (without > 0)
    recording.notes.push_back(std::to_string(without) + " of " + std::to_string(kernels.size()) +
                              " kernels were launched in no named range: they stand by their own names (TensorRT names "
                              "its layers where the engine has detailed verbosity)");
  if (backwards > 0) recording.notes.push_back(std::to_string(backwards) + " kernels end before they begin: left out");
  return recording;
}

}  // namespace prony::layers
