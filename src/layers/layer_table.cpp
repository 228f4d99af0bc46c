#include "layers/layer_table.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "layers/csv_line.hpp"
#include "layers/layers_by_name.hpp"

namespace prony::layers {

namespace {

using Words = std::vector<std::string>;
constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

std::size_t column_of(const Words& head, std::initializer_list<std::string_view> names) {
  for (std::size_t i = 0; i < head.size(); ++i)
    if (std::ranges::find(names, std::string_view(trim(head[i]))) != names.end()) return i;
  return nowhere;
}

std::string_view field(const Words& fields, std::size_t at) {
  return at < fields.size() ? trim(fields[at]) : std::string_view();
}

// What a column that names a unit holds: how long something took, an instant or a bound that is never that, or a word
// that says neither.
enum class Holds : std::uint8_t { mean, median, duration, unknown, no_duration };

struct TimeColumn {
  std::size_t at = 0;
  double to_ms = 1;
  Holds holds = Holds::unknown;
  std::string name;
};

Holds holds_of(std::string_view stem) {
  constexpr std::array<std::string_view, 24> never{"start", "started", "begin",     "began", "end",    "ended",
                                                   "stop",  "ts",      "timestamp", "stamp", "at",     "offset",
                                                   "sd",    "std",     "stdev",     "dev",   "stddev", "deviation",
                                                   "var",   "min",     "max",       "least", "most",   "per"};
  constexpr std::array<std::string_view, 5> durations{"time", "duration", "dur", "latency", "runtime"};
  Holds found = stem.empty() ? Holds::duration : Holds::unknown;
  for (const std::string_view word : split(stem, '_')) {
    if (std::ranges::find(never, word) != never.end()) return Holds::no_duration;
    if (word.size() > 1 && word.front() == 'p' && parse_u64(word.substr(1))) return Holds::no_duration;  // p90
    if (word == "median")
      found = Holds::median;
    else if (word == "mean" || word == "average" || word == "avg")
      found = Holds::mean;
    else if (found == Holds::unknown && std::ranges::find(durations, word) != durations.end())
      found = Holds::duration;
  }
  return found;
}

std::vector<TimeColumn> time_columns(const Words& head) {
  constexpr std::array<std::pair<std::string_view, double>, 4> units{
      {{"ms", 1.0}, {"us", 1e-3}, {"ns", 1e-6}, {"s", 1e3}}};
  std::vector<TimeColumn> found;
  for (std::size_t i = 0; i < head.size(); ++i) {
    const std::string_view word = trim(head[i]);
    for (const auto& [unit, to_ms] : units) {
      if (word != unit && !word.ends_with("_" + std::string(unit))) continue;
      const std::string_view stem = word == unit ? std::string_view() : word.substr(0, word.size() - unit.size() - 1);
      found.push_back({i, to_ms, holds_of(stem), std::string(word.substr(0, 40))});
      break;
    }
  }
  return found;
}

std::string names_of(const std::vector<TimeColumn>& columns) {
  std::string out;
  for (std::size_t i = 0; i < columns.size() && i < 6; ++i) out += (i == 0 ? "" : ", ") + columns[i].name;
  return out + (columns.size() > 6 ? " …" : "");
}

// One column, or why none can be taken. A mean beside a median of the same is no doubt: layers add up by their means.
Expected<TimeColumn, std::string> time_of(const std::vector<TimeColumn>& columns) {
  const auto those = [&](auto... wanted) {
    std::vector<TimeColumn> some;
    for (const TimeColumn& one : columns)
      if (((one.holds == wanted) || ...)) some.push_back(one);
    return some;
  };
  const auto told = those(Holds::mean, Holds::median, Holds::duration), means = those(Holds::mean);
  if (told.size() == 2 && means.size() == 1 && those(Holds::median).size() == 1) return means.front();
  const auto& which = told.empty() ? those(Holds::unknown) : told;
  if (which.size() == 1) return which.front();
  if (which.empty()) return Unexpected<std::string>(names_of(columns) + ": no column there is how long a layer took");
  return Unexpected<std::string>("several columns may be a layer's time: " + names_of(which));
}

struct TableColumns {
  std::size_t name = nowhere, type = nowhere, watts = nowhere, network = nowhere, config = nowhere;
  TimeColumn time;
  std::vector<TimeColumn> times;
};

// What Prony writes: a summary of each layer, and rows of what is no layer.
struct OwnColumns {
  std::size_t part = nowhere, layer = nowhere, type = nowhere, mean = nowhere, median = nowhere, runs = nowhere,
              watts = nowhere;
  double to_ms = 1;
};

std::optional<OwnColumns> own_columns(const Words& head) {
  const auto begins = [&](std::initializer_list<std::string_view> words) {
    return head.size() >= words.size() && std::equal(words.begin(), words.end(), head.begin());
  };
  OwnColumns columns;
  const bool measured = begins({"part", "layer", "op", "kind", "graph_nodes"});
  if (!measured && !begins({"layer", "type", "runs", "mean_ms", "median_ms"})) return std::nullopt;
  columns.part = column_of(head, {"part"}), columns.layer = column_of(head, {"layer"});
  columns.type = column_of(head, {"op", "type"}), columns.runs = column_of(head, {"runs"});
  columns.mean = column_of(head, {"mean_s", "mean_ms"}), columns.median = column_of(head, {"median_s", "median_ms"});
  columns.watts = column_of(head, {"told_w"});
  columns.to_ms = measured ? 1e3 : 1;
  if (columns.mean == nowhere) return std::nullopt;
  return columns;
}

class TableReader {
 public:
  explicit TableReader(ByteSource& source) : lines_(source) {}

  Result<Recording> read() {
    bool headed = false;
    while (true) {
      std::string_view line;
      const auto more = lines_.next(line);
      if (!more) return Unexpected<Error>(more.error());
      if (!*more) break;
      if (trim(line).empty() || trim(line).starts_with('#')) continue;
      if (!split_csv(line, fields_)) return bad("a quote is left open");
      const auto taken = !headed ? header() : own_ ? own_row() : row();
      if (!taken) return Unexpected<Error>(taken.error());
      headed = true;
    }
    if (rows_ == 0) return fail(ErrorCode::malformed, "no layer with a time is in the table");
    recording_.layers = std::move(names_.layers);
    if (own_)
      finish_own();
    else
      finish();
    if (empty_ > 0) recording_.notes.push_back(std::to_string(empty_) + " rows without a time were left out");
    return std::move(recording_);
  }

 private:
  Unexpected<Error> bad(const std::string& what) {
    return fail(ErrorCode::malformed, "line " + std::to_string(lines_.number()) + ": " + what);
  }

  Result<void> header() {
    own_ = own_columns(fields_);
    if (own_) return {};
    columns_.name = column_of(fields_, {"layer_name", "layer", "name"});
    columns_.type = column_of(fields_, {"type", "layer_type", "op", "op_type"});
    columns_.network = column_of(fields_, {"network"}), columns_.config = column_of(fields_, {"config"});
    if (columns_.name == nowhere) return no_time("the first line does not name a layer's name and its time");
    const std::size_t runtime = column_of(fields_, {"runtime_prediction"});
    const std::size_t power = column_of(fields_, {"power_prediction"});
    if (runtime != nowhere && power != nowhere) {
      columns_.time = {runtime, 1.0, Holds::duration, "runtime_prediction"};
      columns_.watts = power;
      return {};
    }
    columns_.times = time_columns(fields_);
    if (columns_.times.empty()) return no_time("the first line does not name a layer's name and its time");
    const auto time = time_of(columns_.times);
    if (!time) return no_time(time.error());
    columns_.time = *time;
    return {};
  }

  Result<void> no_time(const std::string& what) {
    return fail(ErrorCode::malformed, what, {},
                "Columns: layer_name, one time_ms (or …_us, …_ns, …_s), and type where it is known.");
  }

  std::optional<double> time(std::string_view text) {
    const auto value = parse_finite(text);
    return value && *value >= 0 ? value : std::nullopt;
  }

  Result<void> row() {
    if (fields_.size() <= std::max(columns_.name, columns_.time.at)) return bad("too few fields");
    for (const auto& [column, first] :
         {std::pair<std::size_t, std::string*>{columns_.network, &network_}, {columns_.config, &config_}}) {
      const std::string_view told = field(fields_, column);
      if (rows_ + empty_ == 0) *first = told;
      if (told != *first)
        return fail(ErrorCode::malformed,
                    "is a data set of several networks or configurations, not the recording of one: line " +
                        std::to_string(lines_.number()) + " is of '" + printable(told, 40) + "', those before of '" +
                        printable(*first, 40) + "'",
                    {}, "`prony predict train FOLDER` learns from data sets; keep the rows of one for a table.");
    }
    const std::string_view text = field(fields_, columns_.time.at);
    if (text.empty()) {
      ++empty_;
      return {};
    }
    const auto value = time(text);
    if (!value) return bad("'" + std::string(text.substr(0, 40)) + "' is no time");
    const auto layer = names_.at(fields_[columns_.name], field(fields_, columns_.type));
    if (!layer) return Unexpected<Error>(layer.error());
    (*layer)->ms.push_back(*value * columns_.time.to_ms);
    if (columns_.watts != nowhere) (*layer)->told_w = parse_finite(field(fields_, columns_.watts));
    if (++rows_ > most_layer_times) return fail(ErrorCode::full, "more than 200 million times");
    return {};
  }

  Result<void> own_row() {
    const std::string_view part = field(fields_, own_->part), text = field(fields_, own_->mean);
    if (fields_.size() <= std::max(own_->layer, own_->mean)) return bad("too few fields");
    if (rows_ + empty_ == 0) part_ = part;
    if (part != part_)
      return fail(ErrorCode::malformed,
                  "holds two series, '" + printable(part_, 40) + "' and '" + printable(part, 40) +
                      "': they are no parts of one inference",
                  {}, "Keep the rows of one of them.");
    const std::string& name = fields_[own_->layer];
    const bool kindless = field(fields_, own_->type).empty() && field(fields_, own_->runs).empty();
    if (kindless && (name == "unattributed" || name == "(unattributed)" || name == "end-to-end")) {
      const auto value = parse_finite(text);  // what no layer has may be negative
      if (value) (name == "end-to-end" ? whole_ms_ : rest_ms_) = *value * own_->to_ms;
      return {};
    }
    const auto value = time(text);
    if (!value && !text.empty()) return bad("'" + std::string(text.substr(0, 40)) + "' is no time");
    if (!value) {
      ++empty_;
      return {};
    }
    return own_layer(name, *value);
  }

  // Each row is a layer: nodes may have one name, and operators of a language model's layer have.
  Result<void> own_layer(const std::string& told, double mean) {
    const std::string_view type = field(fields_, own_->type);
    std::string name = part_.empty() ? told : told + " " + std::string(type);
    const std::string once = name;
    for (std::size_t& count = counts_[once]; ++count > 1 || names_.has(name);) {
      if (count > 1) name = once + " (" + std::to_string(count) + ")";
      if (!names_.has(name)) break;
    }
    const auto layer = names_.at(name, type);
    if (!layer) return Unexpected<Error>(layer.error());
    (*layer)->mean_ms = mean * own_->to_ms;
    if (const auto median = time(field(fields_, own_->median))) (*layer)->median_ms = *median * own_->to_ms;
    (*layer)->runs = parse_u64(field(fields_, own_->runs));
    (*layer)->told_w = parse_finite(field(fields_, own_->watts));
    ++rows_;
    return {};
  }

  void finish() {
    recording_.kind = columns_.watts != nowhere ? "EdgeProfiler predictions" : "table of layers";
    if (columns_.watts != nowhere)
      recording_.notes.push_back(
          "times and watts are what EdgeProfiler's models predicted: nothing in it was measured, and its watts of "
          "layers are those of networks");
    if (columns_.times.size() > 1)
      recording_.notes.push_back("times are those of the column " + columns_.time.name + ", one of " +
                                 names_of(columns_.times));
  }

  void finish_own() {
    recording_.kind = "Prony's table of layers";
    if (!whole_ms_ && rest_ms_) {
      PythonSum sum;
      for (const LayerTimes& layer : recording_.layers) sum.add(layer.mean_ms.value_or(0));
      whole_ms_ = sum.value() + *rest_ms_;
    }
    if (!whole_ms_ || *whole_ms_ < 0) return;
    recording_.inference_ms.push_back(*whole_ms_);
    recording_.notes.push_back("the time end to end is the mean of the series in the file, not of one inference");
  }

  LineReader lines_;
  Words fields_;
  TableColumns columns_;
  std::optional<OwnColumns> own_;
  LayersByName names_;
  Recording recording_;
  std::size_t rows_ = 0, empty_ = 0;
  std::unordered_map<std::string, std::size_t> counts_;  // of rows with a name
  std::string network_, config_, part_;
  std::optional<double> whole_ms_, rest_ms_;
};

}  // namespace

bool begins_layer_table(std::string_view line) {
  Words fields;
  if (!split_csv(line, fields)) return false;
  if (own_columns(fields)) return true;
  if (column_of(fields, {"layer_name", "layer", "name"}) == nowhere) return false;
  return !time_columns(fields).empty() ||
         (column_of(fields, {"runtime_prediction"}) != nowhere && column_of(fields, {"power_prediction"}) != nowhere);
}

Result<Recording> read_table(ByteSource& source) { return TableReader(source).read(); }

}  // namespace prony::layers
