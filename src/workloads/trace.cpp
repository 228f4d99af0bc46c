#include "workloads/trace.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "workloads/arrivals.hpp"

namespace prony {

namespace {

using nlohmann::json;

constexpr std::size_t trace_file_limit = std::size_t{512} << 20;
constexpr std::size_t most_blocks = 100'000;  // of one request: 51 million tokens
constexpr double most_ms = 1e17;              // a wall clock in ms is 2e12, in µs 2e15: what is above is no time

// One record, before times are made relative. `at_ms` is as the file has it.
struct Record {
  std::optional<double> at_ms, delay_ms;
  TraceEntry entry;
};

class Reader {
 public:
  Reader(std::string_view name, double time_scale) : name_(name), time_scale_(time_scale) {}

  Result<Trace> read(std::string_view content) {
    if (content.starts_with("\xef\xbb\xbf")) content.remove_prefix(3);
    const std::size_t first = content.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return fail(ErrorCode::malformed, "the trace is empty", std::string(name_));
    if (content[first] == '{')
      for_each_line(content, [this](std::string_view line) { take_json(line); });
    else
      read_csv(content);
    if (error_) return Unexpected<Error>(*error_);
    return finish();
  }

 private:
  void refuse(std::string what, std::string fix = {}) {
    if (!error_)
      error_ = Error{ErrorCode::malformed, std::move(what), std::string(name_) + ":" + std::to_string(line_),
                     std::move(fix)};
  }

  // A count of tokens from a text or a number; nothing and an error if it is none.
  std::optional<std::int64_t> tokens(const char* field, std::optional<double> value) {
    if (value && *value >= 0 && *value <= double{most_trace_tokens} && std::floor(*value) == *value)
      return static_cast<std::int64_t>(*value);
    refuse("\"" + std::string(field) + "\" is not a whole number of tokens from 0 to " +
           std::to_string(most_trace_tokens));
    return std::nullopt;
  }
  std::optional<double> time(const char* field, std::optional<double> value, double in_ms) {
    if (value && *value >= 0 && *value * in_ms <= most_ms) return *value * in_ms;
    refuse("\"" + std::string(field) + "\" is not a time from 0 on");
    return std::nullopt;
  }

  static std::optional<double> number(const json& object, const char* field) {
    const auto found = object.find(field);
    return found != object.end() && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
  }
  // The first of the names that is there.
  static const char* one_of(const json& object, std::initializer_list<const char*> names) {
    for (const char* name : names)
      if (const auto found = object.find(name); found != object.end() && !found->is_null()) return name;
    return nullptr;
  }

  void take_json(std::string_view line) {
    ++line_;
    if (error_ || trim(line).empty()) return;
    const json object = json::parse(line, nullptr, false);
    if (!object.is_object())
      return refuse("the line is not a JSON object",
                    R"(such as {"timestamp": 1200, "input_length": 512, "output_length": 64})");
    Record record;
    if (object.contains("timestamp"))
      record.at_ms = time("timestamp", number(object, "timestamp"), 1);
    else if (object.contains("delay"))
      record.delay_ms = time("delay", number(object, "delay"), 1);
    else
      return refuse("neither \"timestamp\" nor \"delay\" is there", "both are in milliseconds");
    take_json_text(object, record.entry);
    if (const char* field = one_of(object, {"output_length", "output_tokens", "max_tokens"}))
      record.entry.output_tokens = tokens(field, number(object, field));
    take_blocks(object, record.entry);
    keep(std::move(record));
  }

  void take_json_text(const json& object, TraceEntry& entry) {
    if (const char* field = one_of(object, {"prompt", "text"})) {
      if (!object[field].is_string()) return refuse("\"" + std::string(field) + "\" is not a text");
      entry.text = object[field].get<std::string>();
      if (trim(entry.text).empty()) return refuse("\"" + std::string(field) + "\" is empty");
      if (entry.text.find('\0') != std::string::npos) refuse("\"" + std::string(field) + "\" holds a zero byte");
    } else if (const char* length = one_of(object, {"input_length", "input_tokens", "prompt_tokens"})) {
      entry.prompt_tokens = tokens(length, number(object, length)).value_or(0);
    } else {
      refuse("neither a prompt nor its length is there", R"("prompt": a text, or "input_length": tokens)");
    }
  }

  void take_blocks(const json& object, TraceEntry& entry) {
    const auto found = object.find("hash_ids");
    if (found == object.end()) return;
    form_ = "mooncake";
    if (!found->is_array() || found->size() > most_blocks)
      return refuse("\"hash_ids\" is not a list of at most " + std::to_string(most_blocks) + " numbers");
    for (const json& id : *found) {
      if (!id.is_number_unsigned()) return refuse("\"hash_ids\" holds what is no whole number from 0 on");
      entry.blocks.push_back(id.get<std::uint64_t>());
    }
  }

  // Fields of one record of RFC 4180; moves `rest` past it. A quoted field may hold commas, quotes and line ends.
  std::vector<std::string> csv_record(std::string_view& rest) {
    std::vector<std::string> fields(1);
    bool quoted = false;
    ++line_;
    std::size_t i = 0;
    for (; i < rest.size(); ++i) {
      const char c = rest[i];
      if (quoted && c == '"' && i + 1 < rest.size() && rest[i + 1] == '"') {
        fields.back().push_back(rest[++i]);
      } else if (c == '"' && (quoted || fields.back().empty())) {
        quoted = !quoted;
      } else if (!quoted && c == ',') {
        fields.emplace_back();
      } else if (!quoted && c == '\n') {
        break;
      } else {
        inner_lines_ += c == '\n';
        fields.back().push_back(c);
      }
    }
    if (quoted) refuse("a quotation mark is never closed");
    rest.remove_prefix(std::min(i + 1, rest.size()));
    if (!fields.back().empty() && fields.back().back() == '\r') fields.back().pop_back();
    return fields;
  }

  struct Columns {
    std::optional<std::size_t> time, text, input, output;
    double time_in_ms = 1;
    std::size_t count = 0;
  };

  std::optional<Columns> csv_columns(const std::vector<std::string>& header) {
    Columns columns;
    columns.count = header.size();
    const auto is = [](std::string_view word, std::initializer_list<std::string_view> names) {
      return std::find(names.begin(), names.end(), word) != names.end();
    };
    for (std::size_t i = 0; i < header.size(); ++i) {
      const std::string word(trim(header[i]));
      if (is(word, {"Timestamp", "timestamp", "timestamp_s", "timestamp_ms"})) {
        columns.time = i;
        columns.time_in_ms = word == "timestamp_ms" ? 1 : 1000;
      }
      if (is(word, {"prompt", "text"})) columns.text = i;
      if (is(word, {"Request tokens", "input_length", "input_tokens", "prompt_tokens"})) columns.input = i;
      if (is(word, {"Response tokens", "output_length", "output_tokens", "max_tokens"})) columns.output = i;
    }
    if (columns.time && (columns.text || columns.input)) return columns;
    refuse(columns.time ? "no column holds prompts or their length" : "no column holds times",
           "the first line names the columns, such as Timestamp,Request tokens,Response tokens");
    return std::nullopt;
  }

  void read_csv(std::string_view rest) {
    form_ = "csv";
    const auto columns = csv_columns(csv_record(rest));
    while (columns && !rest.empty() && !error_) {
      const std::size_t inside = inner_lines_;
      const auto fields = csv_record(rest);
      if (!(fields.size() == 1 && trim(fields[0]).empty())) take_csv(*columns, fields);
      line_ += inner_lines_ - inside;
    }
  }

  void take_csv(const Columns& columns, const std::vector<std::string>& fields) {
    if (fields.size() != columns.count)
      return refuse("the line has " + std::to_string(fields.size()) + " fields, the header " +
                    std::to_string(columns.count));
    Record record;
    record.at_ms = time("timestamp", parse_finite(fields[*columns.time]), columns.time_in_ms);
    if (columns.text && !trim(fields[*columns.text]).empty())
      record.entry.text = fields[*columns.text];
    else if (columns.input)
      record.entry.prompt_tokens = tokens("prompt tokens", parse_finite(fields[*columns.input])).value_or(0);
    else
      return refuse("the prompt is empty");
    if (record.entry.text.find('\0') != std::string::npos) return refuse("the prompt holds a zero byte");
    if (columns.output) record.entry.output_tokens = tokens("output tokens", parse_finite(fields[*columns.output]));
    keep(std::move(record));
  }

  void keep(Record record) {
    if (error_) return;
    // A request that got no answer (BurstGPT has them as 0 response tokens), or asked nothing, cannot be played.
    if (record.entry.output_tokens == 0 || (record.entry.text.empty() && record.entry.prompt_tokens == 0)) {
      ++without_tokens_;
      if (record.delay_ms) at_ms_ += *record.delay_ms;
      return;
    }
    at_ms_ = record.at_ms ? *record.at_ms : at_ms_ + record.delay_ms.value_or(0);
    if (records_.size() >= most_requests)
      return refuse("the trace has more than " + std::to_string(most_requests) + " requests");
    records_.push_back({at_ms_, records_.size(), std::move(record.entry)});
  }

  Result<Trace> finish() {
    Trace trace;
    trace.form = form_;
    if (records_.empty())
      return fail(ErrorCode::malformed, "the trace holds no request that could be played", std::string(name_));
    const auto earlier = [](const Kept& a, const Kept& b) {
      return a.at_ms != b.at_ms ? a.at_ms < b.at_ms : a.place < b.place;
    };
    if (!std::is_sorted(records_.begin(), records_.end(), earlier)) {
      std::sort(records_.begin(), records_.end(), earlier);
      trace.notes.push_back(std::string(name_) + ": its times were not in order and were sorted");
    }
    const double begin_ms = records_.front().at_ms;
    if ((records_.back().at_ms - begin_ms) * time_scale_ > 30 * 86'400e3)
      return fail(ErrorCode::malformed, "the trace is longer than 30 days", std::string(name_),
                  "--time-scale 0.01 plays it a hundred times as fast");
    for (Kept& kept : records_) {
      kept.entry.at_ns = std::llround((kept.at_ms - begin_ms) * time_scale_ * 1e6);
      trace.entries.push_back(std::move(kept.entry));
    }
    if (without_tokens_ > 0)
      trace.notes.push_back(std::string(name_) + ": " + std::to_string(without_tokens_) +
                            " request(s) without tokens passed over");
    return trace;
  }

  std::string_view name_;
  double time_scale_;
  std::string form_ = "jsonl";
  struct Kept {
    double at_ms = 0;
    std::size_t place = 0;  // in the file
    TraceEntry entry;
  };
  std::vector<Kept> records_;
  double at_ms_ = 0;
  std::size_t line_ = 0, inner_lines_ = 0, without_tokens_ = 0;
  std::optional<Error> error_;
};

}  // namespace

Result<Trace> parse_trace(std::string_view content, std::string_view name, double time_scale) {
  if (!(time_scale >= 1e-6 && time_scale <= 1e6))
    return fail(ErrorCode::usage, "a time scale is a number from 0.000001 to 1000000", "--time-scale");
  return Reader(name, time_scale).read(content);
}

Result<Trace> load_trace(const std::string& path, double time_scale) {
  const auto content = read_whole_file(path, trace_file_limit);
  if (!content) return Unexpected<Error>(content.error());
  return parse_trace(*content, path, time_scale);
}

}  // namespace prony
