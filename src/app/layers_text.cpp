#include "app/layers_text.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/text.hpp"
#include "reports/text_layout.hpp"

namespace prony::app {

namespace {

using layers::LayerTimes;
using layers::Recording;
using nlohmann::ordered_json;

std::string number_text(std::optional<double> value, int digits) {
  return value ? format_fixed(*value, digits) : std::string();
}

// Figures of a file range from microseconds to billions of operations.
std::string fact_number(double value) {
  if (value == std::floor(value) && std::fabs(value) < 1e15) return format_fixed(value, 0);
  return format_fixed(value, std::fabs(value) < 10 ? 4 : 2);
}

const NetworkLayer* shape_of(const std::unordered_map<std::string, const NetworkLayer*>& shapes,
                             const std::string& name) {
  const auto found = shapes.find(name);
  return found == shapes.end() ? nullptr : found->second;
}

std::unordered_map<std::string, const NetworkLayer*> shapes_of(const Recording& all) {
  std::unordered_map<std::string, const NetworkLayer*> shapes;
  if (all.network)
    for (const NetworkLayer& layer : all.network->layers) shapes[layer.name] = &layer;
  return shapes;
}

std::string window_text(const NetworkLayer* layer) {
  std::string out;
  if (layer != nullptr)
    for (const std::int64_t one : layer->kernel) out += (out.empty() ? "" : "×") + std::to_string(one);
  return out;
}

void add_rows(layout::TextTable& table, const Recording& all) {
  const auto shapes = shapes_of(all);
  const auto shares = shares_of(all);
  for (std::size_t i = 0; i < all.layers.size(); ++i) {
    const LayerTimes& layer = all.layers[i];
    const auto spread = layers::spread_of(layer.ms);
    const auto mean = mean_ms(layer);
    const NetworkLayer* shape = shape_of(shapes, layer.name);
    const auto median = spread ? std::optional<double>(spread->median) : layer.median_ms;
    table.rows.push_back(
        {printable(layer.name, 200), layer.type, window_text(shape),
         shape != nullptr && shape->macs && *shape->macs > 0 ? format_fixed(*shape->macs * 1e-6, 2) : std::string(),
         spread       ? std::to_string(spread->count)
         : layer.runs ? std::to_string(*layer.runs)
                      : std::string(),
         number_text(mean, 4), number_text(median, 4), spread ? number_text(spread->deviation, 4) : std::string(),
         shares[i] ? format_fixed(100 * *shares[i], 1) : std::string(), number_text(layer.told_w, 3)});
  }
}

}  // namespace

std::string notes_text(const std::vector<std::string>& notes, std::size_t width) {
  std::string out;
  for (const std::string& note : notes) {
    std::string line = "   note:";
    std::string_view rest = note;
    for (std::string_view word = next_word(rest); !word.empty(); word = next_word(rest)) {
      if (display_width(line) + 1 + display_width(word) > width) {
        out += line + '\n';
        line = "        ";
      }
      line += ' ';
      line += word;
    }
    out += line + '\n';
  }
  return out;
}

std::string layers_text(const std::vector<LayerFile>& files, const Recording& all, std::size_t width, bool colour) {
  std::string out;
  if (!all.layers.empty()) {
    layout::TextTable table;
    table.columns = {{"layer", false, 0, 16},  {"type", false, 3, 0},     {"window", true, 4, 0},
                     {"M MAC", true, 5, 0},    {"runs", true, 6, 0},      {"mean ms", true, 0, 0},
                     {"median", true, 2, 0},   {"deviation", true, 7, 0}, {"% of layers", true, 1, 0},
                     {"W as told", true, 0, 0}};
    add_rows(table, all);
    if (const auto rest = unattributed(all)) {
      const auto row = [&](const char* name, double ms) {
        table.rows.push_back({name, "", "", "", "", format_fixed(ms, 4), "", "", "", ""});
      };
      row("(layers together)", rest->layers_ms);
      row("(unattributed)", rest->ms());
      row("(end to end)", rest->whole_ms);
    }
    std::vector<std::string> left_out;
    out += table.render(width, colour, left_out);
    if (!left_out.empty()) {
      std::string names;
      for (const std::string& one : left_out) names += (names.empty() ? "" : ", ") + one;
      out += "   not shown at this width: " + names + "\n";
    }
    out += notes_text(all.notes, width);
  }
  for (const LayerFile& file : files) {
    out += (out.empty() ? "" : "\n") + printable(file.path, 400) + ": " + file.recording.kind + '\n';
    for (const layers::Fact& fact : file.recording.facts)
      out += "   " + printable(fact.name, 120) + ": " + fact_number(fact.value) +
             (fact.unit.empty() ? "" : " " + fact.unit) + '\n';
    if (const auto whole = layers::spread_of(file.recording.inference_ms))
      out += "   end to end: " + std::to_string(whole->count) + " inferences, mean " + format_fixed(whole->mean, 4) +
             ", median " + format_fixed(whole->median, 4) + ", " + format_fixed(whole->least, 4) + "–" +
             format_fixed(whole->most, 4) + " ms\n";
    out += notes_text(file.recording.notes, width);
  }
  return out;
}

std::string layers_json(const std::vector<LayerFile>& files, const Recording& all) {
  const auto maybe = [](std::optional<double> value) { return value ? ordered_json(*value) : ordered_json(); };
  ordered_json document;
  document["schema"] = 1;
  ordered_json rows = ordered_json::array();
  const auto shapes = shapes_of(all);
  const auto shares = shares_of(all);
  for (std::size_t i = 0; i < all.layers.size(); ++i) {
    const LayerTimes& layer = all.layers[i];
    const auto spread = layers::spread_of(layer.ms);
    ordered_json row;
    row["layer"] = layer.name;
    row["type"] = layer.type.empty() ? ordered_json() : ordered_json(layer.type);
    row["runs"] = spread ? ordered_json(spread->count) : layer.runs ? ordered_json(*layer.runs) : ordered_json();
    row["mean_ms"] = maybe(mean_ms(layer));
    row["median_ms"] = spread ? ordered_json(spread->median) : maybe(layer.median_ms);
    row["deviation_ms"] = spread ? maybe(spread->deviation) : ordered_json();
    row["least_ms"] = spread ? ordered_json(spread->least) : ordered_json();
    row["most_ms"] = spread ? ordered_json(spread->most) : ordered_json();
    row["share"] = maybe(shares[i]);
    row["told_w"] = maybe(layer.told_w);
    if (const NetworkLayer* shape = shape_of(shapes, layer.name)) {
      row["kind"] = to_string(shape->kind);
      row["window"] = shape->kernel;
      row["groups"] = shape->groups;
      row["macs"] = maybe(shape->macs);
      row["bytes_moved"] = maybe(shape->bytes_moved());
      if (!shape->absent.empty()) row["absent"] = shape->absent;
    }
    rows.push_back(std::move(row));
  }
  document["layers"] = std::move(rows);
  const auto rest = unattributed(all);
  document["end_to_end_ms"] = rest ? ordered_json(rest->whole_ms) : ordered_json();
  document["layers_together_ms"] = maybe(together_ms(all));
  document["unattributed_ms"] = rest ? ordered_json(rest->ms()) : ordered_json();
  document["notes"] = all.notes;
  ordered_json told = ordered_json::array();
  for (const LayerFile& file : files) {
    ordered_json one{{"path", file.path}, {"kind", file.recording.kind}, {"notes", file.recording.notes}};
    one["facts"] = ordered_json::array();
    for (const layers::Fact& fact : file.recording.facts)
      one["facts"].push_back({{"name", fact.name}, {"value", fact.value}, {"unit", fact.unit}});
    told.push_back(std::move(one));
  }
  document["files"] = std::move(told);
  return document.dump(2, ' ', false, ordered_json::error_handler_t::replace) + '\n';
}

std::string layers_csv(const Recording& all) {
  std::string out = "layer,type,runs,mean_ms,median_ms,deviation_ms,least_ms,most_ms,told_w\n";
  const auto cell = [&](std::optional<double> value) { out += ',' + (value ? format_number(*value) : std::string()); };
  for (const LayerTimes& layer : all.layers) {
    const auto spread = layers::spread_of(layer.ms);
    out += csv_field(layer.name) + ',' + csv_field(layer.type) + ',';
    out += spread ? std::to_string(spread->count) : layer.runs ? std::to_string(*layer.runs) : std::string();
    cell(mean_ms(layer));
    cell(spread ? std::optional<double>(spread->median) : layer.median_ms);
    cell(spread ? spread->deviation : std::nullopt);
    cell(spread ? std::optional<double>(spread->least) : std::nullopt);
    cell(spread ? std::optional<double>(spread->most) : std::nullopt);
    cell(layer.told_w);
    out += '\n';
  }
  if (const auto rest = unattributed(all)) {
    out += "(unattributed),,";
    cell(rest->ms());
    out += ",,,,,\n";
  }
  return out;
}

}  // namespace prony::app
