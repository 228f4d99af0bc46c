#include "predict/dataset.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/sha256.hpp"
#include "base/text.hpp"
#include "predict/csv.hpp"

namespace prony::predict {

namespace {

using Json = nlohmann::json;

constexpr std::array<const char*, 26> number_names = {
    "batch",      "in_0",          "in_1",          "in_2",     "out_0",    "out_1",
    "out_2",      "kernel_0",      "kernel_1",      "stride_0", "stride_1", "pad_0",
    "pad_1",      "dilation_0",    "dilation_1",    "groups",   "macs",     "other_operations",
    "bytes_read", "bytes_weights", "bytes_written", "clock_hz", "threads",  "runtime_s",
    "energy_j",   "power_w"};

// In the order of their names.
std::array<double*, number_names.size()> numbers_of(DatasetRow& row) {
  Layer& l = row.layer;
  return {&l.batch,      &l.in[0],         &l.in[1],         &l.in[2],     &l.out[0],    &l.out[1],
          &l.out[2],     &l.kernel[0],     &l.kernel[1],     &l.stride[0], &l.stride[1], &l.padding[0],
          &l.padding[1], &l.dilation[0],   &l.dilation[1],   &l.groups,    &l.macs,      &l.other_operations,
          &l.bytes_read, &l.bytes_weights, &l.bytes_written, &l.clock_hz,  &l.threads,   &row.runtime_s,
          &row.energy_j, &row.power_w};
}

constexpr std::array<const char*, 6> word_names = {"network", "config", "layer", "kind", "dtype", "activation"};
std::array<std::string*, word_names.size()> words_of(DatasetRow& row) {
  return {&row.network, &row.config, &row.layer.name, &row.layer.kind, &row.layer.dtype, &row.layer.activation};
}

std::string cell(double value) { return std::isfinite(value) ? format_number(value) : std::string(); }

// A number that Python or a person wrote for one that is not there.
bool is_no_number(std::string_view text) {
  for (const std::string_view word : {"nan", "NaN", "NAN", "inf", "-inf", "Infinity", "-Infinity", "None", "null"})
    if (text == word) return true;
  return false;
}

std::string at_line(const std::string& where, std::size_t line) { return where + ":" + std::to_string(line); }

// A cell into `into`, which keeps what it has where the cell is empty. A word for no number gives a flag.
Result<void> read_number(std::string_view text, const std::string& name, const std::string& where, double& into,
                         std::string& flag) {
  text = trim(text);
  if (text.empty()) return {};
  if (is_no_number(text)) {
    if (flag.empty()) flag = name + " is " + std::string(text);
    return {};
  }
  const auto number = parse_finite(text);
  if (!number) return fail(ErrorCode::malformed, name + " is no number: '" + printable(text, 40) + "'", where);
  into = *number;
  return {};
}

void flag_times(DatasetRow& row, bool measured) {
  if (!row.flag.empty()) return;
  if (row.flag = why_unusable(row.layer); !row.flag.empty()) return;
  if (!measured) return;
  if (!std::isfinite(row.runtime_s))
    row.flag = "no runtime";
  else if (row.runtime_s == 0)
    row.flag = "took no time: removed by the engine, or below its clock's step";
  else if (row.runtime_s < 0)
    row.flag = "a runtime below 0";
  else if (!(row.runtime_s >= 1e-12 && row.runtime_s <= 1e7))
    row.flag = "a runtime that no layer takes (below 1e-12 s, or above 1e7 s)";
  else if (row.energy_j <= 0 || row.power_w < 0)
    row.flag = "an energy or power that is not above 0";
}

constexpr std::size_t most_rows = 5'000'000;

// What other formats call it, and slips of the finger. "": nothing like a column.
std::string meant_by(const std::string& name) {
  static const std::map<std::string, std::string> others = {{"input_shape", "in_0"},
                                                            {"output_shape", "out_0"},
                                                            {"kernel_size", "kernel_0"},
                                                            {"name", "layer"},
                                                            {"multiply_adds", "macs"},
                                                            {"batch_size", "batch"},
                                                            {"type", "kind"},
                                                            {"energy", "energy_j"},
                                                            {"runtime", "runtime_s"},
                                                            {"name", ""},
                                                            {"type", ""},
                                                            {"power", "power_w"}};
  if (const auto other = others.find(name); other != others.end()) return other->second;
  std::vector<std::string> known(number_names.begin(), number_names.end());
  known.insert(known.end(), word_names.begin(), word_names.end());
  for (const std::string& one : known)
    if (one == name + "_0") return one;
  if (name == "padding") return "pad_0";
  return nearest_name(name, known).value_or(std::string());
}

// Of a list by hand a column that is not known is refused where a known one may be meant: its sizes would all be 1. A
// data set may have columns of its own.
Result<void> check_columns(const CsvTable& table, const std::string& where, bool measured, Dataset& into) {
  for (const std::string& name : table.header) {
    if (std::ranges::find(number_names, name) != number_names.end()) continue;
    if (std::ranges::find(word_names, name) != word_names.end()) continue;
    const std::string meant = meant_by(name);
    if (!meant.empty() && (!measured || !table.column(meant)))
      return fail(ErrorCode::malformed, "no column is called '" + printable(name, 40) + "'", where,
                  "Is '" + meant + "' meant? docs/predict.md lists the columns.");
    into.remarks.push_back("the column '" + printable(name, 40) + "' is not known here, and is not read");
  }
  return {};
}

}  // namespace

std::vector<std::string> Dataset::network_names() const {
  std::set<std::string> names;
  for (const DatasetRow& row : rows) names.insert(row.network);
  return {names.begin(), names.end()};
}

std::size_t Dataset::flagged() const {
  return static_cast<std::size_t>(
      std::count_if(rows.begin(), rows.end(), [](const DatasetRow& r) { return !r.flag.empty(); }));
}

std::string rows_csv(const Dataset& dataset) {
  std::string text;
  for (const char* name : word_names) text += std::string(name) + ",";
  for (const char* name : number_names) text += std::string(name) + (name == number_names.back() ? "\n" : ",");
  for (DatasetRow row : dataset.rows) {
    for (const std::string* word : words_of(row)) text += csv_field(*word) + ",";
    const auto numbers = numbers_of(row);
    for (std::size_t i = 0; i < numbers.size(); ++i) text += cell(*numbers[i]) + (i + 1 == numbers.size() ? "\n" : ",");
  }
  return text;
}

std::string networks_csv(const Dataset& dataset) {
  std::string text = "network,config,latency_s,spread,energy_j\n";
  for (const MeasuredNetwork& n : dataset.networks)
    text += csv_field(n.network) + "," + csv_field(n.config) + "," + cell(n.latency_s) + "," + cell(n.spread) + "," +
            cell(n.energy_j) + "\n";
  return text;
}

std::string dataset_manifest(const Dataset& dataset, const std::map<std::string, DatasetFile>& files) {
  Json manifest = {{"format", dataset_format}, {"version", dataset_version}, {"facts", dataset.facts}};
  for (const auto& [name, file] : files) manifest["files"][name] = {{"sha256", file.sha256}, {"bytes", file.bytes}};
  return manifest.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string dataset_manifest(const Dataset& dataset, const std::map<std::string, std::string>& files) {
  std::map<std::string, DatasetFile> sums;
  for (const auto& [name, text] : files) sums[name] = {sha256_hex(text), static_cast<std::uint64_t>(text.size())};
  return dataset_manifest(dataset, sums);
}

Result<std::map<std::string, std::string>> files_of_manifest(std::string_view text, Dataset& into) {
  const Json manifest = Json::parse(text, nullptr, false);
  const auto refuse = [](const std::string& what) {
    return fail(ErrorCode::malformed, what, "dataset.json", "docs/predict.md shows what it holds.");
  };
  if (!manifest.is_object() || manifest.value("format", Json()) != dataset_format)
    return refuse("not the manifest of a data set");
  const Json version = manifest.value("version", Json());
  if (!version.is_number_integer() || version.get<std::int64_t>() != dataset_version)
    return refuse("a version that this Prony does not know: " + version.dump());
  std::map<std::string, std::string> sums;
  const Json files = manifest.value("files", Json());
  if (!files.is_object()) return refuse("it names no files");
  for (const auto& [name, file] : files.items()) {
    if (!file.is_object() || !file.value("sha256", Json()).is_string())
      return refuse("no sha256 of " + printable(name, 40));
    sums[name] = file["sha256"].get<std::string>();
  }
  if (!sums.contains("rows.csv")) return refuse("it names no rows.csv");
  if (const Json facts = manifest.value("facts", Json()); facts.is_object())
    for (const auto& [name, fact] : facts.items())
      into.facts[name] = fact.is_string() ? fact.get<std::string>() : fact.dump();
  return sums;
}

Result<void> read_rows(std::string_view csv, const std::string& where, bool measured, Dataset& into) {
  const auto table = parse_csv(csv, where);
  if (!table) return Unexpected<Error>(table.error());
  for (const char* needed : {"network", "layer", "kind", "runtime_s"}) {
    const std::string name = needed;
    if (!measured && (name == "network" || name == "runtime_s" || name == "layer")) continue;
    if (!table->column(name))
      return fail(ErrorCode::malformed, "no column '" + name + "'", where, "docs/predict.md lists the columns.");
  }
  if (const auto good = check_columns(*table, where, measured, into); !good) return good;
  if (table->rows.size() > most_rows) return fail(ErrorCode::full, "more than 5 million rows", where);
  DatasetRow proto;
  std::array<std::optional<std::size_t>, number_names.size()> number_at;
  std::array<std::optional<std::size_t>, word_names.size()> word_at;
  for (std::size_t i = 0; i < number_names.size(); ++i) number_at[i] = table->column(number_names[i]);
  for (std::size_t i = 0; i < word_names.size(); ++i) word_at[i] = table->column(word_names[i]);
  for (std::size_t r = 0; r < table->rows.size(); ++r) {
    DatasetRow row = proto;
    const auto& fields = table->rows[r];
    const std::string here = at_line(where, table->lines[r]);
    const auto words = words_of(row);
    for (std::size_t i = 0; i < words.size(); ++i)
      if (word_at[i] && !trim(fields[*word_at[i]]).empty()) *words[i] = trim(fields[*word_at[i]]);
    if (row.layer.kind.empty() || (measured && row.network.empty()))
      return fail(ErrorCode::malformed, "a row without its network or kind", here);
    if (row.layer.name.empty()) row.layer.name = "layer " + std::to_string(r + 1);
    const auto numbers = numbers_of(row);
    for (std::size_t i = 0; i < numbers.size(); ++i)
      if (number_at[i])
        if (const auto good = read_number(fields[*number_at[i]], number_names[i], here, *numbers[i], row.flag); !good)
          return Unexpected<Error>(good.error());
    const bool work_told = std::isfinite(row.layer.macs) || work_follows_from_sizes(row.layer.kind);
    if (row.flag.empty()) complete(row.layer);
    if (std::isfinite(row.runtime_s) && std::isfinite(row.power_w) && !std::isfinite(row.energy_j))
      row.energy_j = row.runtime_s * row.power_w;
    if (row.flag.empty() && !measured) row.flag = odd_groups(row.layer);
    flag_times(row, measured);
    if (!measured && !work_told)
      row.layer.unknown =
          "what a layer of kind " + row.layer.kind + " computes does not follow from its sizes: tell macs";
    if (!std::isfinite(row.power_w) && std::isfinite(row.energy_j) && row.flag.empty() && row.runtime_s > 0)
      row.power_w = row.energy_j / row.runtime_s;
    into.rows.push_back(std::move(row));
  }
  return {};
}

Result<void> read_networks(std::string_view csv, const std::string& where, Dataset& into) {
  const auto table = parse_csv(csv, where);
  if (!table) return Unexpected<Error>(table.error());
  const auto network = table->column("network"), config = table->column("config"), latency = table->column("latency_s");
  if (!network || !latency) return fail(ErrorCode::malformed, "no column 'network' or 'latency_s'", where);
  const auto spread = table->column("spread"), energy = table->column("energy_j");
  for (std::size_t r = 0; r < table->rows.size(); ++r) {
    const auto& fields = table->rows[r];
    MeasuredNetwork row;
    row.network = trim(fields[*network]);
    if (config) row.config = trim(fields[*config]);
    std::string flag;
    const std::string here = at_line(where, table->lines[r]);
    if (const auto good = read_number(fields[*latency], "latency_s", here, row.latency_s, flag); !good) return good;
    if (spread)
      if (const auto good = read_number(fields[*spread], "spread", here, row.spread, flag); !good) return good;
    if (energy)
      if (const auto good = read_number(fields[*energy], "energy_j", here, row.energy_j, flag); !good) return good;
    if (!flag.empty() || !(row.latency_s > 0)) {
      into.remarks.push_back(here + ": left out: " + (flag.empty() ? "a latency that is not above 0" : flag));
      continue;
    }
    into.networks.push_back(std::move(row));
  }
  return {};
}

Result<void> read_edgeprofiler(std::string_view csv, const std::string& kind, const std::string& network,
                               const std::string& where, Dataset& into) {
  const auto table = parse_csv(csv, where);
  if (!table) return Unexpected<Error>(table.error());
  const bool dense = kind == "dense";
  const std::vector<std::pair<const char*, std::size_t>> columns =
      dense ? std::vector<std::pair<const char*, std::size_t>>{{"batch_size", 0},
                                                               {"input_size", 1},
                                                               {"output_size", 4},
                                                               {"power", 25},
                                                               {"runtime", 23}}
            : std::vector<std::pair<const char*, std::size_t>>{
                  {"batch_size", 0},    {"input_size_0", 1},  {"input_size_1", 2},  {"input_size_2", 3},
                  {"output_size_0", 4}, {"output_size_1", 5}, {"output_size_2", 6}, {"kernel_0", 7},
                  {"kernel_1", 8},      {"stride_0", 9},      {"stride_1", 10},     {"padding_0", 11},
                  {"padding_1", 12},    {"power", 25},        {"runtime", 23}};
  std::size_t odd_windows = 0;
  for (const auto& [name, index] : columns)
    if (!table->column(name) && !(kind == "pooling" && (index == 11 || index == 12)))
      return fail(ErrorCode::malformed, "no column '" + std::string(name) + "' of EdgeProfiler's " + kind + " files",
                  where);
  for (std::size_t r = 0; r < table->rows.size(); ++r) {
    DatasetRow row;
    row.network = network, row.config = "edgeprofiler";
    row.layer.kind = kind == "convolutional" ? "convolution" : kind;
    row.layer.dtype = "float16";
    const std::string here = at_line(where, table->lines[r]);
    const auto numbers = numbers_of(row);
    for (const auto& [name, index] : columns)
      if (const auto at = table->column(name))
        if (const auto good = read_number(table->rows[r][*at], name, here, *numbers[index], row.flag); !good)
          return good;
    if (const auto at = table->column("layer_name")) row.layer.name = table->rows[r][*at];
    row.runtime_s *= 1e-3, row.power_w *= 1e-6;
    row.energy_j = row.runtime_s * row.power_w;
    Layer& layer = row.layer;
    // Sizes of dense layers are products of all dimensions, the batch too.
    if (dense && layer.batch > 0) layer.in[0] /= layer.batch, layer.out[0] /= layer.batch;
    if (kind == "pooling" && layer.kernel[0] == layer.in[1] && layer.kernel[1] == layer.in[2] &&
        layer.out[1] * layer.out[2] > 1)
      ++odd_windows;
    if (row.flag.empty()) complete(layer);
    flag_times(row, true);
    into.rows.push_back(std::move(row));
  }
  if (!table->rows.empty())
    into.remarks.push_back(
        where + ": groups, dilation and number type are not in EdgeProfiler's files: 1, 1 and float16 are taken");
  if (odd_windows > 0)
    into.remarks.push_back(
        where + ": " + std::to_string(odd_windows) +
        " pooling windows are the whole input though the output has many points: EdgeProfiler wrote them wrong; "
        "convert the engine's file again");
  return {};
}

Result<void> check_dataset(Dataset& dataset) {
  const std::size_t flagged = dataset.flagged();
  if (dataset.rows.size() == flagged)
    return fail(ErrorCode::malformed,
                dataset.rows.empty()
                    ? "the data set has no rows"
                    : "all " + std::to_string(flagged) + " rows are flagged; the first: " + dataset.rows.front().flag,
                {}, "Measure layers with `prony layers`, or look at the rows that docs/predict.md describes.");
  std::set<std::string> usable;
  for (const DatasetRow& row : dataset.rows)
    if (row.flag.empty()) usable.insert(row.network);
  if (usable.size() < 2)
    return fail(
        ErrorCode::malformed,
        "the data set has one network only (" + *usable.begin() + "): how well it predicts others cannot be known", {},
        "Measure two networks or more; five or more give intervals worth having.");
  if (flagged > 0) {
    std::map<std::string, std::size_t> why;
    for (const DatasetRow& row : dataset.rows)
      if (!row.flag.empty()) ++why[row.flag];
    for (const auto& [flag, count] : why)
      dataset.remarks.push_back(std::to_string(count) + " rows are not learned from: " + flag);
  }
  return {};
}

}  // namespace prony::predict
