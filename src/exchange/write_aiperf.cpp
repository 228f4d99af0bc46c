// AIPerf's profile_export.jsonl: a line for each request, times in ms, instants in ns since 1970.
#include "exchange/fields.hpp"

namespace prony::exchange {

namespace {

void put_metric(Json& metrics, const char* name, const std::optional<double>& value, double factor, const char* unit) {
  if (value && std::isfinite(*value)) metrics[name] = {{"value", *value * factor}, {"unit", unit}};
}
void put_tokens(Json& metrics, const char* name, const std::optional<std::int64_t>& tokens) {
  if (tokens) metrics[name] = {{"value", *tokens}, {"unit", "tokens"}};
}

Json metadata_of(const RequestRow& row, std::size_t number, WallOffset wall, RequestEnd end) {
  const auto stamp = [&](std::int64_t ns) { return wall ? Json(ns + *wall) : Json(nullptr); };
  const Span& span = row.span;
  return {{"session_num", number},
          {"x_request_id", std::to_string(span.id.value)},
          {"x_correlation_id", span.attribute("session").value_or(span.name)},
          {"conversation_id", span.name},
          {"turn_index", span.count("turn").value_or(0)},
          {"request_start_ns", stamp(span.interval.begin.ns)},
          {"request_ack_ns", nullptr},
          {"request_end_ns", stamp(span.interval.end.ns)},
          {"worker_id", "prony"},
          {"record_processor_id", "prony"},
          {"benchmark_phase", "profiling"},
          {"was_cancelled", end == RequestEnd::cancelled},
          {"cancellation_time_ns", end == RequestEnd::cancelled ? stamp(span.interval.end.ns) : Json(nullptr)}};
}

// Its inter_token_latency is a request's mean; the gaps themselves it calls inter_chunk_latency.
Json metrics_of_request(const RequestRow& row) {
  Json metrics = Json::object();
  put_tokens(metrics, "input_sequence_length", row.prompt_tokens);
  put_metric(metrics, "time_to_first_token", row.ttft_s, 1e3, "ms");
  put_metric(metrics, "request_latency", row.e2e_s, 1e3, "ms");
  put_tokens(metrics, "output_token_count", row.output_tokens);
  if (!row.gaps_s.empty()) {
    Json gaps = Json::array();
    for (const double gap : row.gaps_s) gaps.push_back(gap * 1e3);
    metrics["inter_chunk_latency"] = {{"value", std::move(gaps)}, {"unit", "ms"}};
  }
  put_tokens(metrics, "output_sequence_length", row.output_tokens);
  put_metric(metrics, "inter_token_latency", after_first_s(row), 1e3, "ms");
  if (row.tpot_s && *row.tpot_s > 0)
    put_metric(metrics, "output_token_throughput_per_user", 1 / *row.tpot_s, 1, "tokens/sec/user");
  if (row.headline.charged) {
    put_metric(metrics, "prony_charged_energy", row.headline.charged->value, 1, "J");
    put_metric(metrics, "prony_charged_energy_low", row.headline.charged->low, 1, "J");
    put_metric(metrics, "prony_charged_energy_high", row.headline.charged->high, 1, "J");
  }
  return metrics;
}

}  // namespace

Result<std::string> write_aiperf(const Summary& summary, WallOffset wall) {
  if (summary.requests.empty()) return nothing_to_write(summary, "aiperf");
  std::string out;
  std::size_t number = 0;
  for (const RequestRow& row : summary.requests) {
    const RequestEnd end = end_of(row);
    Json line{{"metadata", metadata_of(row, number++, wall, end)}};
    if (end == RequestEnd::ok) {
      line["metrics"] = metrics_of_request(row);
      line["error"] = nullptr;
    } else {
      line["metrics"] = Json::object();
      put_tokens(line["metrics"], "error_isl", row.prompt_tokens);
      const std::string words = row.span.attribute("error").value_or(row.finish);
      line["error"] = {{"code", end == RequestEnd::cancelled ? Json(499) : Json(nullptr)},
                       {"type", end == RequestEnd::cancelled ? "RequestCancellationError" : "RequestError"},
                       {"message", words.empty() ? "the request failed" : words}};
    }
    out += json_text(line, -1);
  }
  return out;
}

}  // namespace prony::exchange
