#include "layers/edgeprofiler.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <unordered_map>

#include "layers/json_reader.hpp"
#include "layers/plain_decimal.hpp"

namespace prony::layers {

namespace {

Unexpected<Error> not_this(std::string what, std::string fix = {}) {
  return fail(ErrorCode::malformed, std::move(what), {}, std::move(fix));
}

// What one entry of a layer's list was, for notes.
struct Orders {
  std::size_t bare = 0, ms_first = 0, time_first = 0, no_number = 0, negative = 0, bad_stamp = 0;
};

class LatencyReader {
 public:
  explicit LatencyReader(ByteSource& source) : json_(source) {}

  Result<Recording> read() {
    if (json_.next() != JsonToken::begin_object) return wrong("no list of layers: the document is no object");
    while (true) {
      const JsonToken token = json_.next();
      if (token == JsonToken::end_object) break;
      if (token != JsonToken::key) return wrong("no layer's name where one is due");
      const std::string name(json_.text());
      const auto layer = one_layer(name);
      if (!layer) return Unexpected<Error>(layer.error());
    }
    if (json_.next() != JsonToken::end) return wrong("more behind the list of layers");
    if (recording_.layers.empty()) return not_this("no layer is in the file");
    told();
    return std::move(recording_);
  }

 private:
  Unexpected<Error> wrong(std::string what) {
    if (json_.error().what.empty())
      return not_this(std::move(what), "A file of layers' times is {\"layer\": [[ms, \"time\"], …], …}.");
    return Unexpected<Error>(json_.error());
  }

  Result<void> one_layer(const std::string& name) {
    if (json_.next() != JsonToken::begin_array) return wrong("layer '" + name.substr(0, 80) + "' has no list of times");
    LayerTimes layer;
    layer.name = name;
    if (!recording_.layers.empty()) {  // layers of a network have as many times each, as a rule
      layer.ms.reserve(recording_.layers.back().ms.size());
      layer.told_us.reserve(recording_.layers.back().told_us.size());
    }
    while (true) {
      const JsonToken token = json_.next();
      if (token == JsonToken::end_array) break;
      const auto entry = token == JsonToken::begin_array ? pair(layer) : bare(token, layer);
      if (!entry) return Unexpected<Error>(entry.error());
      if (++times_ > most_layer_times) return fail(ErrorCode::full, "more than 200 million times");
    }
    if (layer.told_us.size() != layer.ms.size()) layer.told_us.clear();
    layer.ms.shrink_to_fit();
    layer.told_us.shrink_to_fit();
    // Python's dictionary keeps the place of the first and the value of the last.
    if (const auto [at, fresh] = places_.try_emplace(name, recording_.layers.size()); fresh) {
      recording_.layers.push_back(std::move(layer));
      if (recording_.layers.size() > most_layers) return fail(ErrorCode::full, "more than 100 000 layers");
    } else {
      recording_.layers[at->second] = std::move(layer);
      ++twice_;
    }
    return {};
  }

  void take(LayerTimes& layer, std::optional<double> ms) {
    if (!ms) ++orders_.no_number;
    if (ms && *ms < 0) ++orders_.negative;
    if (ms && *ms >= 0) layer.ms.push_back(*ms);
  }

  Result<void> bare(JsonToken token, LayerTimes& layer) {
    if (token == JsonToken::word) {  // null, NaN
      ++orders_.no_number;
      return {};
    }
    if (token != JsonToken::number)
      return wrong("a time that is no number, in layer '" + layer.name.substr(0, 80) + "'");
    ++orders_.bare;
    take(layer, json_.number());
    return {};
  }

  Result<void> pair(LayerTimes& layer) {
    std::optional<double> ms;
    std::optional<std::int64_t> stamp;
    bool number_seen = false, text_seen = false, number_first = false;
    for (int i = 0;; ++i) {
      const JsonToken token = json_.next();
      if (token == JsonToken::end_array && i == 2) break;
      if (token == JsonToken::number && !number_seen) {
        number_seen = true;
        number_first = i == 0;
        ms = json_.number();
      } else if (token == JsonToken::text && !text_seen) {
        text_seen = true;
        stamp = stamps_(json_.text());
      } else if (token == JsonToken::word && !number_seen) {
        number_seen = true;
        number_first = i == 0;
      } else {
        return wrong("an entry that is no pair of milliseconds and a time, in layer '" + layer.name.substr(0, 80) +
                     "'");
      }
    }
    ++(number_first ? orders_.ms_first : orders_.time_first);
    const std::size_t before = layer.ms.size();
    take(layer, ms);
    if (!stamp) ++orders_.bad_stamp;
    if (layer.ms.size() > before && stamp) layer.told_us.push_back(*stamp);
    return {};
  }

  void told() {
    auto& notes = recording_.notes;
    const auto note = [&](std::size_t count, const std::string& text) {
      if (count > 0) notes.push_back(std::to_string(count) + " " + text);
    };
    const bool stamps = orders_.ms_first + orders_.time_first > 0;
    recording_.kind = stamps ? "EdgeProfiler layer latencies with times" : "layer latencies";
    if (json_.was_double_encoded()) notes.push_back("the document is double-encoded: a JSON text that holds JSON");
    if (orders_.time_first > 0 && orders_.ms_first > 0)
      notes.push_back(std::to_string(orders_.time_first) + " pairs are [time, ms], the order of EdgeProfiler's " +
                      "documentation, and " + std::to_string(orders_.ms_first) + " are [ms, time], that of its code");
    else if (orders_.time_first > 0)
      notes.push_back("pairs are [time, ms], the order of EdgeProfiler's documentation; its code writes [ms, time]");
    if (stamps)
      notes.push_back(
          "times are when TensorRT told a layer's duration, on a local clock of unknown zone; they are not when the "
          "layer ended");
    note(orders_.bad_stamp, "times that are no time: layers with such entries have no times at all");
    note(orders_.no_number, "entries without a number (null, NaN or beyond all bounds) were left out");
    note(orders_.negative, "durations below zero were left out");
    note(twice_, "names stand there twice: the last counts, as in Python");
    std::size_t least = static_cast<std::size_t>(-1), most = 0, zero = 0, empty = 0;
    for (const LayerTimes& layer : recording_.layers) {
      least = std::min(least, layer.ms.size());
      most = std::max(most, layer.ms.size());
      empty += layer.ms.empty();
      zero += !layer.ms.empty() && std::ranges::all_of(layer.ms, [](double ms) { return ms == 0; });
    }
    if (least != most)
      notes.push_back("layers have between " + std::to_string(least) + " and " + std::to_string(most) + " times");
    note(zero, "layers took no time at all by this clock (kept, at 0 ms)");
    note(empty, "layers have no times");
  }

  JsonReader json_;
  Recording recording_;
  Orders orders_;
  StampReader stamps_;
  std::size_t times_ = 0, twice_ = 0;
  std::unordered_map<std::string, std::size_t> places_;
};

// The members of an object that are a number, a text or a list of numbers; others are passed over, objects looked into.
class BenchmarkReader {
 public:
  explicit BenchmarkReader(ByteSource& source) : json_(source) {}

  Result<Benchmark> read() {
    if (json_.next() != JsonToken::begin_object) return wrong("the document is no object");
    const auto members = object(0);
    if (!members) return Unexpected<Error>(members.error());
    if (json_.next() != JsonToken::end) return wrong("more behind the end of the document");
    if (!latencies_seen_) return wrong("the document has no \"latencies\"");
    result_.double_encoded = json_.was_double_encoded();
    if (result_.double_encoded) result_.notes.push_back("the document is double-encoded: a JSON text that holds JSON");
    if (bad_ > 0) result_.notes.push_back(std::to_string(bad_) + " latencies are no numbers above zero: left out");
    if (result_.total_s)
      result_.notes.push_back("total_time includes loading the model and building its engine: it is not used");
    return std::move(result_);
  }

 private:
  Unexpected<Error> wrong(std::string what) {
    if (json_.error().what.empty())
      return not_this(std::move(what), "A benchmark's file is {\"config\": {…}, \"latencies\": [seconds, …], …}.");
    return Unexpected<Error>(json_.error());
  }

  Result<void> object(int depth) {
    while (true) {
      JsonToken token = json_.next();
      if (token == JsonToken::end_object) return {};
      if (token != JsonToken::key) return wrong("no key where one is due");
      const std::string key(json_.text());
      token = json_.next();
      if (token == JsonToken::begin_object && key == "config" && depth == 0) {
        if (const auto inside = object(1); !inside) return inside;
      } else if (token == JsonToken::begin_array && (key == "latencies" || key == "input_shape")) {
        if (const auto list = numbers(key); !list) return list;
      } else if (token == JsonToken::text) {
        if (key == "model") result_.model = json_.text();
        if (key == "dtype") result_.dtype = json_.text();
        if (key == "timestamp") result_.stamp = json_.text();
      } else if (token == JsonToken::number) {
        single(key);
      } else if (!json_.skip(token)) {
        return wrong("no value behind \"" + key.substr(0, 80) + "\"");
      }
    }
  }

  void single(const std::string& key) {
    const auto value = json_.number();
    if (!value) return;
    if (key == "total_time") result_.total_s = *value;
    if (key == "avg_latency") result_.mean_ms = *value * 1e3;
    if (key == "avg_throughput") result_.per_second = *value;
  }

  Result<void> numbers(const std::string& key) {
    while (true) {
      const JsonToken token = json_.next();
      if (token == JsonToken::end_array) break;
      if (token == JsonToken::error || token == JsonToken::end) return wrong("the list has no end");
      // None of these is 0 or less.
      const double value = token == JsonToken::number ? json_.number().value_or(0) : 0;
      if (!json_.skip(token)) return wrong("the list has no end");
      if (key == "input_shape") {
        if (value > 0 && result_.input_shape.size() < 16) result_.input_shape.push_back(value);
      } else if (value > 0) {
        if (result_.latency_ms.size() == most_layer_times) return fail(ErrorCode::full, "more than 200 million times");
        result_.latency_ms.push_back(value * 1e3);
      } else {
        ++bad_;
      }
    }
    if (key == "latencies") latencies_seen_ = true;
    return {};
  }

  JsonReader json_;
  Benchmark result_;
  std::size_t bad_ = 0;
  bool latencies_seen_ = false;
};

}  // namespace

Result<Recording> read_layer_latencies(ByteSource& source) { return LatencyReader(source).read(); }

Result<Benchmark> read_benchmark(ByteSource& source) { return BenchmarkReader(source).read(); }

Result<IdlePower> read_idle_power(ByteSource& source) {
  JsonReader json(source);
  const auto wrong = [&](std::string what) {
    return json.error().what.empty() ? not_this(std::move(what)) : Unexpected<Error>(json.error());
  };
  if (json.next() != JsonToken::begin_object) return wrong("the document is no object");
  IdlePower idle;
  bool seen = false;
  while (true) {
    JsonToken token = json.next();
    if (token == JsonToken::end_object) break;
    if (token != JsonToken::key) return wrong("no key where one is due");
    const std::string key(json.text());
    token = json.next();
    if (key == "timestamp" && token == JsonToken::text) idle.stamp = json.text();
    if (key == "avg_idle_power" && token == JsonToken::number) {
      const auto value = json.number();
      if (!value || *value < 0) return wrong("avg_idle_power is no power");
      idle.microwatt = *value;
      seen = true;
    }
    if (!json.skip(token)) return wrong("no value behind \"" + key.substr(0, 80) + "\"");
  }
  if (json.next() != JsonToken::end) return wrong("more behind the end of the document");
  if (!seen) return wrong("avg_idle_power, in microwatts, is not there");
  return idle;
}

namespace {

std::optional<double> decimal(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  const char* const end = text.data() + text.size();
  if (const auto plain = plain_decimal(text.data(), end); plain && plain->end == end) return plain->value;
  double value = 0;
  const auto read = std::from_chars(text.data(), end, value);
  if (read.ec != std::errc() || read.ptr != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

// Stamp, millivolts and milliamperes of a line; the stamp is left as text.
struct PowerFields {
  std::string_view stamp;
  double millivolt = 0, milliampere = 0;
};
std::optional<PowerFields> power_fields(std::string_view line) {
  const std::size_t first = line.find(',');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = line.find(',', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const std::size_t third = std::min(line.find(',', second + 1), line.size());
  const auto volts = decimal(line.substr(first + 1, second - first - 1));
  const auto amperes = decimal(line.substr(second + 1, third - second - 1));
  if (!volts || !amperes) return std::nullopt;
  return PowerFields{line.substr(0, first), *volts, *amperes};
}

}  // namespace

std::optional<PowerReading> parse_power_line(std::string_view line, StampReader& stamps) {
  const auto fields = power_fields(line);
  if (!fields) return std::nullopt;
  const auto us = stamps(fields->stamp);
  if (!us) return std::nullopt;
  return PowerReading{*us, fields->millivolt, fields->milliampere};
}

Result<std::optional<PowerReading>> PowerLog::next() {
  std::string_view line;
  while (true) {
    const auto more = lines_.next(line);
    if (!more) return Unexpected<Error>(more.error());
    if (!*more) return std::optional<PowerReading>();
    if (const auto reading = parse_power_line(line, stamps_)) {
      if (readings_ > 0 && reading->us < last_us_) ++backwards_;
      last_us_ = reading->us;
      ++readings_;
      return reading;
    }
    if (line.empty() && !lines_.ended()) continue;
    if (bad_++ == 0) first_bad_ = lines_.number();
    cut_off_ = !lines_.ended();
  }
}

}  // namespace prony::layers
