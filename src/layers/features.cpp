#include "layers/features.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <unordered_map>

#include "base/text.hpp"
#include "layers/csv_line.hpp"
#include "layers/edgeprofiler.hpp"

namespace prony::layers {

namespace {

constexpr std::array<std::string_view, 6> mapping_columns{"cycle",
                                                          "layer_name",
                                                          "layer_type",
                                                          "layer_power_including_idle_power_micro_watt",
                                                          "layer_power_excluding_idle_power_micro_watt",
                                                          "layer_run_time"};
const std::vector<std::string> convolutional_columns{"batch_size",    "input_size_0",  "input_size_1",  "input_size_2",
                                                     "output_size_0", "output_size_1", "output_size_2", "kernel_0",
                                                     "kernel_1",      "padding_0",     "padding_1",     "stride_0",
                                                     "stride_1",      "power",         "runtime"};
const std::vector<std::string> pooling_columns{
    "batch_size", "input_size_0", "input_size_1", "input_size_2", "output_size_0", "output_size_1", "output_size_2",
    "kernel_0",   "kernel_1",     "stride_0",     "stride_1",     "power",         "runtime"};
const std::vector<std::string> dense_columns{"batch_size", "input_size", "output_size", "power", "runtime"};
const std::vector<std::string> stats_columns{"layer_name", "count", "mean", "std", "min", "25%", "50%", "75%", "max"};

Unexpected<Error> bad_line(std::size_t line, const std::string& what) {
  return fail(ErrorCode::malformed, "line " + std::to_string(line) + ": " + what);
}

// The first line, and every line after it, split.
class Table {
 public:
  explicit Table(ByteSource& source) : lines_(source) {}
  std::vector<std::string> fields;
  Result<bool> next() {
    std::string_view line;
    while (true) {
      const auto more = lines_.next(line);
      if (!more) return Unexpected<Error>(more.error());
      if (!*more) return false;
      if (trim(line).empty()) continue;
      if (!split_csv(line, fields)) return bad_line(lines_.number(), "a quote is left open");
      return true;
    }
  }
  [[nodiscard]] std::size_t line() const { return lines_.number(); }

 private:
  LineReader lines_;
};

std::vector<const MappedLayer*> kept_and_sorted(const Mapping& mapping) {
  std::vector<const MappedLayer*> kept;
  for (const MappedLayer& layer : mapping.layers)
    if (!table_of(layer.type).empty()) kept.push_back(&layer);
  std::ranges::sort(kept, {}, &MappedLayer::name);
  return kept;
}

std::string stats_csv(const Mapping& mapping, std::vector<double> MappedLayer::* values) {
  std::string out = "layer_name,count,mean,std,min,25%,50%,75%,max\n";
  for (const MappedLayer* layer : kept_and_sorted(mapping)) {
    out += csv_field(layer->name);
    const auto spread = spread_of(layer->*values);
    if (!spread) {
      out += ",0.0,,,,,,,\n";
      continue;
    }
    out += ',' + python_number(static_cast<double>(spread->count)) + ',' + python_number(spread->mean) + ',';
    if (spread->deviation) out += python_number(*spread->deviation);
    for (const double value : {spread->least, spread->quarter, spread->median, spread->three_quarters, spread->most})
      out += ',' + python_number(value);
    out += '\n';
  }
  return out;
}

double all_of(const LayerShape& shape) {
  return std::accumulate(shape.begin(), shape.end(), 1.0,
                         [](double all, std::int64_t one) { return all * static_cast<double>(one); });
}

const std::vector<std::string>& columns_of(std::string_view table) {
  return table == "convolutional" ? convolutional_columns : table == "pooling" ? pooling_columns : dense_columns;
}

}  // namespace

std::string_view table_of(std::string_view type) noexcept {
  if (type == "CaskConvolution") return "convolutional";
  if (type == "CaskPooling") return "pooling";
  if (type == "CaskGemmConvolution") return "dense";
  return "";
}

Result<Mapping> read_mapping(ByteSource& source) {
  Table table(source);
  const auto head = table.next();
  if (!head) return Unexpected<Error>(head.error());
  if (!*head || !std::ranges::equal(table.fields, mapping_columns))
    return fail(ErrorCode::malformed, "the first line is not that of a mapping", {},
                "It reads " + std::string(mapping_header.substr(0, mapping_header.size() - 1)));
  Mapping mapping;
  std::unordered_map<std::string, std::size_t> places;
  std::size_t without = 0, no_time = 0;
  while (true) {
    const auto more = table.next();
    if (!more) return Unexpected<Error>(more.error());
    if (!*more) break;
    const auto& fields = table.fields;
    if (fields.size() != mapping_columns.size()) return bad_line(table.line(), "not six fields (is the file cut off?)");
    const auto [at, fresh] = places.try_emplace(fields[1], mapping.layers.size());
    if (fresh) mapping.layers.push_back({fields[1], fields[2], {}, {}, {}});
    if (mapping.layers.size() > most_layers) return fail(ErrorCode::full, "more than 100 000 layers");
    MappedLayer& layer = mapping.layers[at->second];
    for (const std::size_t i : {std::size_t{3}, std::size_t{4}, std::size_t{5}}) {
      if (fields[i].empty()) {
        without += i == 3;
        no_time += i == 5;
        continue;
      }
      const auto value = parse_finite(fields[i]);
      if (!value) return bad_line(table.line(), "'" + fields[i].substr(0, 40) + "' is no number");
      (i == 3 ? layer.with_idle_uw : i == 4 ? layer.without_idle_uw : layer.ms).push_back(*value);
    }
    ++mapping.rows;
  }
  if (mapping.rows == 0) return fail(ErrorCode::malformed, "the mapping has no rows");
  mapping.notes.push_back(
      "watts of a layer are means of readings that each average whole inferences: the network's, not the layer's");
  if (without > 0)
    mapping.notes.push_back(std::to_string(without) + " of " + std::to_string(mapping.rows) +
                            " rows have no power: no reading fell into the layer's window");
  if (no_time > 0) mapping.notes.push_back(std::to_string(no_time) + " rows have no time");
  return mapping;
}

std::string power_stats_csv(const Mapping& mapping) { return stats_csv(mapping, &MappedLayer::without_idle_uw); }
std::string time_stats_csv(const Mapping& mapping) { return stats_csv(mapping, &MappedLayer::ms); }

Result<std::vector<StatsRow>> read_stats(ByteSource& source) {
  Table table(source);
  const auto head = table.next();
  if (!head) return Unexpected<Error>(head.error());
  if (!*head || table.fields != stats_columns)
    return fail(ErrorCode::malformed, "the first line is not that of statistics by layer");
  std::vector<StatsRow> rows;
  while (true) {
    const auto more = table.next();
    if (!more) return Unexpected<Error>(more.error());
    if (!*more) return rows;
    if (table.fields.size() != stats_columns.size()) return bad_line(table.line(), "not nine fields");
    StatsRow row;
    row.name = table.fields[0];
    const auto count = parse_finite(table.fields[1]);
    if (!count || *count < 0 || *count > 1e15) return bad_line(table.line(), "count is no number");
    row.spread.count = static_cast<std::size_t>(*count);
    std::array<double*, 7> into{
        &row.spread.mean,           nullptr,         &row.spread.least, &row.spread.quarter, &row.spread.median,
        &row.spread.three_quarters, &row.spread.most};
    for (std::size_t i = 0; i < into.size(); ++i) {
      const std::string& field = table.fields[i + 2];
      if (field.empty() && (i == 1 || row.spread.count == 0)) continue;
      const auto value = parse_finite(field);
      if (!value) return bad_line(table.line(), "'" + field.substr(0, 40) + "' is no number");
      if (i == 1)
        row.spread.deviation = *value;
      else
        *into[i] = *value;
    }
    rows.push_back(std::move(row));
    if (rows.size() > most_layers) return fail(ErrorCode::full, "more than 100 000 layers");
  }
}

std::optional<std::map<std::string, double>> features_of(const Engine& engine, std::size_t at, Windows windows) {
  if (at >= engine.types.size()) return std::nullopt;
  const NetworkLayer& layer = engine.network.layers[at];
  const std::string_view table = table_of(engine.types[at]);
  if (table.empty() || layer.input_shapes.empty() || layer.output_shapes.empty()) return std::nullopt;
  const LayerShape& in = layer.input_shapes.front();
  const LayerShape& out = layer.output_shapes.front();
  const auto number = [](std::int64_t value) { return static_cast<double>(value); };
  std::map<std::string, double> features;
  if (in.empty() || out.empty()) return std::nullopt;
  features["batch_size"] = number(in[0]);
  if (table == "dense") {
    features["input_size"] = all_of(in);
    features["output_size"] = all_of(out);
    return features;
  }
  if (in.size() != 4 || out.size() != 4 || layer.stride.size() != 2) return std::nullopt;
  std::vector<std::int64_t> kernel = layer.kernel;
  if (windows == Windows::as_edgeprofiler) kernel = engine.kernel_key[at];
  if (table == "pooling" && windows == Windows::as_edgeprofiler && kernel.empty()) kernel = {in[2], in[3]};
  if (kernel.size() != 2) return std::nullopt;
  for (std::size_t i = 0; i < 3; ++i) {
    features["input_size_" + std::to_string(i)] = number(in[i + 1]);
    features["output_size_" + std::to_string(i)] = number(out[i + 1]);
  }
  if (table == "convolutional" && (layer.pad_begin.size() != 2 || layer.pad_end.size() != 2)) return std::nullopt;
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string place = std::to_string(i);
    features["kernel_" + place] = number(kernel[i]);
    features["stride_" + place] = number(layer.stride[i]);
    if (table == "convolutional") features["padding_" + place] = number(layer.pad_begin[i] + layer.pad_end[i]);
  }
  return features;
}

Training training_of(const Mapping& mapping, const Engine& engine, Windows windows, std::size_t least_samples) {
  Training training;
  least_samples = std::max<std::size_t>(least_samples, 1);  // a mean of nothing is none
  std::array<TrainingTable, 3> tables;
  const std::array<std::string_view, 3> kinds{"convolutional", "pooling", "dense"};
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    tables[i].kind = kinds[i];
    tables[i].columns = columns_of(kinds[i]);
  }
  std::unordered_map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < engine.network.layers.size(); ++i) places.emplace(engine.network.layers[i].name, i);
  for (const MappedLayer* layer : kept_and_sorted(mapping)) {
    const auto leave = [&](const std::string& why) { training.left_out.push_back(layer->name + ": " + why); };
    const auto place = places.find(layer->name);
    if (place == places.end()) {
      leave("the engine has no such layer");
      continue;
    }
    if (layer->without_idle_uw.size() < least_samples || layer->ms.size() < least_samples) {
      leave(std::to_string(layer->without_idle_uw.size()) + " powers and " + std::to_string(layer->ms.size()) +
            " times, fewer than " + std::to_string(least_samples));
      continue;
    }
    const auto features = features_of(engine, place->second, windows);
    if (!features) {
      leave("a shape or window is not told");
      continue;
    }
    TrainingTable& table = *std::ranges::find(tables, table_of(engine.types[place->second]), &TrainingTable::kind);
    std::vector<double> row;
    for (const std::string& column : table.columns) {
      if (column == "power")
        row.push_back(mean_of(layer->without_idle_uw).value_or(0));
      else if (column == "runtime")
        row.push_back(mean_of(layer->ms).value_or(0));
      else
        row.push_back(features->at(column));
    }
    table.rows.push_back(std::move(row));
    table.names.push_back(layer->name);
  }
  for (TrainingTable& table : tables)
    if (!table.rows.empty()) training.tables.push_back(std::move(table));
  return training;
}

std::string training_csv(const TrainingTable& table) {
  std::string out;
  for (const std::string& column : table.columns) out += column + ',';
  out += "layer_name\n";
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    for (std::size_t k = 0; k < table.columns.size(); ++k) {
      const bool measured = table.columns[k] == "power" || table.columns[k] == "runtime";
      // Features are whole numbers and written so.
      out += (measured ? python_number(table.rows[i][k]) : format_fixed(table.rows[i][k], 0)) + ',';
    }
    out += csv_field(table.names[i]) + '\n';
  }
  return out;
}

Result<TrainingTable> read_training(ByteSource& source) {
  Table lines(source);
  const auto head = lines.next();
  if (!head) return Unexpected<Error>(head.error());
  TrainingTable table;
  if (*head && lines.fields.size() > 1 && lines.fields.back() == "layer_name") {
    const std::vector<std::string> columns(lines.fields.begin(), lines.fields.end() - 1);
    for (const std::string_view kind : {"convolutional", "pooling", "dense"})
      if (columns == columns_of(kind)) table.kind = kind, table.columns = columns;
  }
  if (table.kind.empty())
    return fail(ErrorCode::malformed, "the first line is not that of EdgeProfiler's training data");
  while (true) {
    const auto more = lines.next();
    if (!more) return Unexpected<Error>(more.error());
    if (!*more) return table;
    if (lines.fields.size() != table.columns.size() + 1)
      return bad_line(lines.line(), "not " + std::to_string(table.columns.size() + 1) + " fields");
    std::vector<double> row;
    for (std::size_t i = 0; i + 1 < lines.fields.size(); ++i) {
      const auto value = parse_finite(lines.fields[i]);
      if (!value) return bad_line(lines.line(), "'" + lines.fields[i].substr(0, 40) + "' is no number");
      row.push_back(*value);
    }
    table.rows.push_back(std::move(row));
    table.names.push_back(lines.fields.back());
    if (table.rows.size() > 10'000'000) return fail(ErrorCode::full, "more than 10 million rows");
  }
}

}  // namespace prony::layers
