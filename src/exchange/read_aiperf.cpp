// AIPerf's profile_export.jsonl. Requests are named by their conversation and turn.
#include <algorithm>
#include <map>
#include <set>

#include "base/stable_sort.hpp"
#include "base/text.hpp"
#include "exchange/parsing.hpp"

namespace prony::exchange {

namespace {

struct AiperfLine {
  std::int64_t start_ns = 0;
  ReadRequest request;
};

// Metrics whose unit is none of time: "request_latency in 'min'".
using OddUnits = std::map<std::string, std::size_t>;

// s per unit; nullopt: it is none of time, which is noted.
std::optional<double> seconds_per_unit(const Found& metric, const char* name, OddUnits& odd) {
  const std::string unit = text_at(metric, "unit");
  constexpr std::pair<std::string_view, double> known[] = {{"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9},
                                                           {"s", 1},     {"sec", 1},   {"seconds", 1}};
  for (const auto& [word, factor] : known)
    if (unit == word) return factor;
  if (odd.size() < 16) ++odd[std::string(name) + " in '" + printable(unit, 20) + "'"];
  return std::nullopt;
}

std::optional<double> metric_seconds(const Found& metrics, const char* name, OddUnits& odd) {
  const Found& metric = object_at(metrics, name);
  const auto value = number_at(metric, "value");
  if (!value) return std::nullopt;
  const auto factor = seconds_per_unit(metric, name, odd);
  if (!factor || *value < 0 || *value * *factor > longest_s) return std::nullopt;
  return *value * *factor;
}

std::vector<double> metric_gaps(const Found& metrics, OddUnits& odd) {
  constexpr const char* name = "inter_chunk_latency";
  std::vector<double> gaps;
  const Found& metric = object_at(metrics, name);
  const auto values = metric.find("value");
  if (values == metric.end() || !values->is_array() || values->empty()) return gaps;
  const auto factor = seconds_per_unit(metric, name, odd);
  for (const Found& value : *values) {
    if (!factor || !value.is_number() || !(value.get<double>() >= 0) || value.get<double>() * *factor > longest_s)
      return {};
    gaps.push_back(value.get<double>() * *factor);
  }
  return gaps;
}

std::string error_words(const Found& line) {
  const Found& error = object_at(line, "error");
  if (error.empty()) return {};
  const std::string message = text_at(error, "message"), type = text_at(error, "type");
  return !message.empty() ? message : !type.empty() ? type : "failed";
}

ReadRequest request_from(const Found& line, std::size_t number, std::size_t& without_id, OddUnits& odd) {
  const Found &metadata = object_at(line, "metadata"), &metrics = object_at(line, "metrics");
  ReadRequest out;
  out.name = text_at(metadata, "conversation_id");
  if (out.name.empty()) {
    out.name = "request " + std::to_string(number);
    ++without_id;
  }
  if (const auto turn = whole_at(metadata, "turn_index"); turn && *turn > 0)
    out.name += "." + std::to_string(*turn + 1);
  const auto cancelled = metadata.find("was_cancelled");
  out.cancelled = cancelled != metadata.end() && cancelled->is_boolean() && cancelled->get<bool>();
  out.error = error_words(line);
  out.ttft_s = metric_seconds(metrics, "time_to_first_token", odd);
  if (!out.ttft_s) out.ttft_s = metric_seconds(metrics, "ttft", odd);  // its first releases
  out.e2e_s = metric_seconds(metrics, "request_latency", odd);
  out.gaps_s = metric_gaps(metrics, odd);
  out.prompt_tokens = whole_at(object_at(metrics, "input_sequence_length"), "value");
  out.output_tokens = whole_at(object_at(metrics, "output_sequence_length"), "value");
  if (!out.e2e_s && out.error.empty() && !out.cancelled) out.error = "no latency in the file";
  return out;
}

// Lines that are of one request: by its id; where a line has none, by what it is otherwise known by.
class SeenLines {
 public:
  bool there_already(const Found& line) {
    const Found& metadata = object_at(line, "metadata");
    const std::string id = text_at(metadata, "x_request_id");
    if (id.empty()) ++nameless_;
    const auto number = [&](const char* name) {
      const auto value = whole_at(metadata, name);
      return value ? std::to_string(*value) : std::string("?");
    };
    std::string known = text_at(metadata, "conversation_id") + '\n' + number("turn_index") + '\n' +
                        number("request_start_ns") + '\n' + number("request_end_ns");
    if (!whole_at(metadata, "request_end_ns")) known += object_at(line, "metrics").dump(-1, ' ', false, replaced);
    if (id.empty()) return with_id_.contains(known) || !without_id_.insert(known).second;
    const bool doubled = !ids_.insert(id).second || without_id_.contains(known);
    with_id_.insert(std::move(known));
    return doubled;
  }
  [[nodiscard]] std::size_t nameless() const { return nameless_; }

 private:
  static constexpr auto replaced = Found::error_handler_t::replace;
  std::set<std::string> ids_, with_id_, without_id_;
  std::size_t nameless_ = 0;
};

}  // namespace

Result<Imported> read_aiperf(std::string_view bytes, const ReadOptions&) {
  Imported out;
  const auto lines = json_lines(bytes, out.notes);
  if (!lines) return Unexpected<Error>(lines.error());
  std::vector<AiperfLine> requests;
  SeenLines seen;
  OddUnits odd;
  std::size_t doubled = 0, warm_up = 0, without_start = 0, without_id = 0, number = 0;
  for (const Found& line : *lines) {
    const Found& metadata = object_at(line, "metadata");
    ++number;
    if (seen.there_already(line)) {
      ++doubled;
    } else if (const std::string phase = text_at(metadata, "benchmark_phase"); phase == "warmup") {
      ++warm_up;
    } else if (const auto start = whole_at(metadata, "request_start_ns"); !start || *start < 0) {
      ++without_start;
    } else {
      requests.push_back({*start, request_from(line, number, without_id, odd)});
    }
  }
  const auto note = [&](std::size_t count, const char* words) {
    if (count > 0) out.notes.push_back(std::to_string(count) + " " + words);
  };
  note(doubled, "lines of a request that was there already: left out");
  note(warm_up, "requests of the warm-up: left out");
  note(without_start, "lines without a request_start_ns: left out");
  note(seen.nameless(), "lines without an x_request_id: known by conversation, turn, begin and end");
  note(without_id, "requests without a conversation: named by their line");
  for (const auto& [what, count] : odd) note(count, (what + ", which is no unit of time: left out").c_str());
  if (requests.empty())
    return fail(ErrorCode::malformed, "no request is in the file", {},
                "AIPerf's profile_export.jsonl has a line for each.");
  sort_stably(requests, [](const AiperfLine& a, const AiperfLine& b) { return a.start_ns < b.start_ns; });
  const std::int64_t first = requests.front().start_ns;
  double end_s = 0;
  std::vector<ReadRequest> all;
  for (AiperfLine& one : requests) {
    one.request.begin_s = static_cast<double>(one.start_ns - first) * 1e-9;
    if (one.request.begin_s > longest_s)
      return fail(ErrorCode::malformed, "requests of one file are more than ten years apart", {},
                  "Is request_start_ns in ns?");
    end_s = std::max(end_s, one.request.begin_s + one.request.e2e_s.value_or(0));
    all.push_back(std::move(one.request));
  }
  out.anchor = {{0}, first, {0}};
  add_spans(out, all, end_s);
  return out;
}

}  // namespace prony::exchange
