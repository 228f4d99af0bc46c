#include "collect/batch.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace prony::collect {

namespace {

using nlohmann::json;

constexpr std::size_t deepest = 6, stream_letters = 32, most_text_bytes = 200;
constexpr double largest_sequence = 9007199254740992.0;  // 2^53

Error bad(std::size_t line, const std::string& what) {
  return {ErrorCode::malformed, "line " + std::to_string(line) + ": " + what, {}, "docs/collect.md has the form."};
}

// Fields of one object; the first that is wrong is remembered, the rest read as nothing.
class Fields {
 public:
  Fields(const json& object, std::size_t line) : object_(object), line_(line) {}
  [[nodiscard]] std::string text(const char* key, std::size_t most, bool needed) {
    const auto found = object_.find(key);
    if (found == object_.end()) return needed ? missing(key) : std::string();
    if (!found->is_string()) return wrong(key);
    auto value = found->get<std::string>();
    if (value.size() > most || value.find('\0') != std::string::npos || (needed && value.empty())) return wrong(key);
    return value;
  }
  [[nodiscard]] std::int64_t integer(const char* key, bool needed) {
    const auto found = object_.find(key);
    if (found == object_.end()) return needed ? (void)missing(key), 0 : 0;
    if (!found->is_number_integer()) return (void)wrong(key), 0;
    if (found->is_number_unsigned() && found->get<std::uint64_t>() > INT64_MAX) return (void)wrong(key), 0;
    return found->get<std::int64_t>();
  }
  [[nodiscard]] std::uint64_t count(const char* key, bool needed) {
    const std::int64_t value = integer(key, needed);
    if (value < 0 || static_cast<double>(value) > largest_sequence) return (void)wrong(key), 0;
    return static_cast<std::uint64_t>(value);
  }
  std::string wrong(const std::string& key) { return remember("'" + key + "' is not what it should be"); }
  std::string missing(const std::string& key) { return remember("'" + key + "' is missing"); }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  std::string remember(const std::string& what) {
    if (!error_) error_ = bad(line_, what);
    return {};
  }
  const json& object_;
  std::size_t line_;
  std::optional<Error> error_;
};

Result<json> object_of(std::string_view text, std::size_t line) {
  if (text.size() > most_line_bytes) return fail(ErrorCode::full, bad(line, "it is too long").what);
  if (nesting_of(text) > deepest) return Unexpected<Error>(bad(line, "it is nested too deeply"));
  json value = json::parse(text, nullptr, false);
  if (value.is_discarded() || !value.is_object()) return Unexpected<Error>(bad(line, "no JSON object"));
  return value;
}

Result<StreamFacts> facts_of(const json& head) {
  Fields fields(head, 1);
  StreamFacts facts;
  facts.version = fields.text("version", most_text_bytes, false);
  facts.host = fields.text("host", most_text_bytes, true);
  facts.boot = fields.text("boot", most_text_bytes, false);
  facts.simulated = fields.text("simulated", most_text_bytes, false);
  facts.begun_wall_ns = fields.integer("begun_wall_ns", true);
  facts.interval_ns = fields.integer("interval_ns", true);
  const auto list = head.find("series");
  if (list == head.end() || !list->is_array() || list->size() > most_series)
    (void)fields.wrong("series");
  else
    for (const json& one : *list) {
      if (!one.is_object()) return Unexpected<Error>(bad(1, "a series is no object"));
      Fields of(one, 1);
      SeriesHead series;
      series.name = of.text("name", most_name_bytes, true);
      series.unit = of.text("unit", most_text_bytes, false);
      series.origin = of.text("origin", most_text_bytes, false);
      series.device = of.text("device", most_name_bytes, false);
      series.domain = of.text("domain", most_name_bytes, false);
      series.target = of.text("target", most_name_bytes, false);
      series.counter = of.text("kind", most_text_bytes, true) == "counter";
      if (of.error()) return Unexpected<Error>(*of.error());
      facts.series.push_back(std::move(series));
    }
  if (fields.error()) return Unexpected<Error>(*fields.error());
  return facts;
}

Unexpected<BatchError> wrong(const Error& error, BatchPart part) {
  return Unexpected<BatchError>(BatchError{error, part});
}

// Who sends it, and what it measures, where that is said.
std::optional<Error> take_stream(const json& object, Batch& batch) {
  Fields fields(object, 1);
  batch.client = fields.text("client", most_text_bytes, true);
  batch.stream = fields.text("stream", stream_letters, true);
  if (batch.stream.size() != stream_letters ||
      !std::ranges::all_of(batch.stream, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }))
    (void)fields.wrong("stream");
  if (fields.error()) return fields.error();
  const auto head = object.find("head");
  if (head == object.end()) return std::nullopt;
  if (!head->is_object()) return bad(1, "'head' is no object");
  auto facts = facts_of(*head);
  if (!facts) return facts.error();
  batch.facts = std::move(*facts);
  return std::nullopt;
}

Expected<Batch, BatchError> header_of(std::string_view text) {
  const auto object = object_of(text, 1);
  if (!object) return wrong(object.error(), BatchPart::request);
  Fields fields(*object, 1);
  if (fields.count("prony_remote", true) != 1) (void)fields.wrong("prony_remote");
  Batch batch;
  batch.sent_wall_ns = fields.integer("sent_wall_ns", true);
  batch.lost_frames = fields.count("lost_frames", false);
  if (const auto clock = object->find("clock"); clock != object->end() && clock->is_object()) {
    Fields of(*clock, 1);
    batch.clock = {of.integer("offset_ns", true), static_cast<std::int64_t>(of.count("doubt_ns", true))};
    if (of.error()) return wrong(*of.error(), BatchPart::request);
  }
  if (fields.error()) return wrong(*fields.error(), BatchPart::request);
  if (const auto error = take_stream(*object, batch)) return wrong(*error, BatchPart::stream);
  return batch;
}

Result<ReceivedFrame> frame_of(std::string_view text, std::size_t line) {
  const auto object = object_of(text, line);
  if (!object) return Unexpected<Error>(object.error());
  Fields fields(*object, line);
  ReceivedFrame frame;
  frame.sequence = fields.count("sequence", true);
  if (frame.sequence == 0) (void)fields.wrong("sequence");
  frame.wall_ns = fields.integer("wall_ns", true);
  frame.monotonic_ns = fields.integer("monotonic_ns", true);
  frame.dropped = fields.count("dropped", false);
  const auto values = object->find("values");
  if (values == object->end() || !values->is_array() || values->size() > most_series)
    (void)fields.wrong("values");
  else
    for (const json& value : *values) {
      if (value.is_null()) {
        frame.values.emplace_back();
      } else if (value.is_number() && std::isfinite(value.get<double>())) {
        frame.values.emplace_back(value.get<double>());
      } else {
        (void)fields.wrong("values");
        break;
      }
    }
  if (fields.error()) return Unexpected<Error>(*fields.error());
  return frame;
}

}  // namespace

std::size_t nesting_of(std::string_view text) noexcept {
  std::size_t depth = 0, most = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      most = std::max(most, ++depth);
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return most;
}

Expected<Batch, BatchError> parse_batch(std::string_view body) {
  const auto line_end = [&] { return std::min(body.find('\n'), body.size()); };
  const std::size_t end = line_end();
  auto header = header_of(body.substr(0, end));
  if (!header) return header;
  body.remove_prefix(std::min(end + 1, body.size()));
  for (std::size_t line = 2; !body.empty(); ++line) {
    const std::string_view text = trim(body.substr(0, line_end()));
    body.remove_prefix(std::min(line_end() + 1, body.size()));
    if (text.empty()) continue;
    if (header->frames.size() >= most_frames)
      return wrong({ErrorCode::full, "too many frames in one request", {}, {}}, BatchPart::request);
    auto frame = frame_of(text, line);
    if (!frame) return wrong(frame.error(), BatchPart::frame);
    header->frames.push_back(std::move(*frame));
  }
  return header;
}

}  // namespace prony::collect
