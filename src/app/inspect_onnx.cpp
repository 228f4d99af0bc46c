#include "app/inspect_onnx.hpp"
#include "base/stable_sort.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "complexity/onnx.hpp"
#include "reports/figures.hpp"
#include "reports/text_layout.hpp"

namespace prony::app {

namespace {

// Sums of the layers of one kind. Where a layer's figure is not known the sum is a lower bound, and says so.
struct KindSum {
  std::string kind;
  std::size_t layers = 0, without_figures = 0;
  double macs = 0, other_operations = 0, bytes = 0;
};

std::vector<KindSum> kind_sums(const NetworkLayers& network) {
  std::vector<KindSum> sums;
  for (const NetworkLayer& layer : network.layers) {
    const std::string kind(to_string(layer.kind));
    auto sum = std::ranges::find(sums, kind, &KindSum::kind);
    if (sum == sums.end()) sum = sums.insert(sums.end(), KindSum{kind});
    ++sum->layers;
    if (!layer.macs || !layer.bytes_moved()) ++sum->without_figures;
    sum->macs += layer.macs.value_or(0);
    sum->other_operations += layer.other_operations.value_or(0);
    sum->bytes += layer.bytes_moved().value_or(0);
  }
  sort_stably(sums, [](const KindSum& a, const KindSum& b) { return a.macs > b.macs; });
  return sums;
}

std::string shape_text(const LayerShape& shape) {
  std::string text;
  for (const std::int64_t one : shape) text += (text.empty() ? "" : "x") + std::to_string(one);
  return text.empty() ? "scalar" : text;
}

std::string scaled(double value, const char* unit) {
  constexpr const char* prefixes[] = {" ", " k", " M", " G", " T", " P"};
  std::size_t prefix = 0;
  while (value >= 999.5 && prefix + 1 < std::size(prefixes)) value /= 1000, ++prefix;
  return figures::significant(value, 3) + prefixes[prefix] + unit;
}

double network_bytes(const NetworkLayers& network) {
  double bytes = 0;
  for (const NetworkLayer& layer : network.layers) bytes += layer.bytes_moved().value_or(0);
  return bytes;
}

// No layer ends sooner than its FLOP at the peak and than its bytes at the bandwidth; layers run one after another.
std::optional<double> least_seconds(const NetworkLayers& network, const NetworkPeaks& peaks) {
  if (!peaks.flop_per_s || !peaks.bytes_per_s || network.unknown_layers > 0) return std::nullopt;
  double seconds = 0;
  for (const NetworkLayer& layer : network.layers)
    seconds +=
        std::max(layer.flop().value_or(0) / *peaks.flop_per_s, layer.bytes_moved().value_or(0) / *peaks.bytes_per_s);
  return seconds > 0 ? std::optional(seconds) : std::nullopt;
}

nlohmann::ordered_json ports_json(const std::vector<NetworkPort>& ports) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const NetworkPort& port : ports)
    out.push_back({{"name", port.name}, {"dtype", port.dtype}, {"shape", port.shape}});
  return out;
}

std::vector<std::string> port_words(const std::vector<NetworkPort>& ports) {
  std::vector<std::string> words;
  for (const NetworkPort& port : ports)
    words.push_back(printable(port.name, 40) + " " + printable(port.dtype, 20) + " " + shape_text(port.shape));
  return words;
}

}  // namespace

Result<OnnxInspected> read_onnx_network(const std::string& path, const std::vector<std::string>& shapes) {
  auto model = complexity::read_onnx(path);
  if (!model) return Unexpected<Error>(model.error());
  complexity::OnnxShapes given;
  for (const std::string& words : shapes)
    if (auto added = complexity::add_onnx_shape(given, words); !added) return Unexpected<Error>(added.error());
  auto network = complexity::layers_of(*model, given);
  if (!network) return Unexpected<Error>(network.error());
  return OnnxInspected{path, static_cast<double>(model->file_bytes), model->producer, static_cast<double>(model->opset),
                       std::move(*network)};
}

nlohmann::ordered_json onnx_json(const OnnxInspected& inspected, const NetworkPeaks& peaks) {
  using Json = nlohmann::ordered_json;
  const NetworkLayers& network = inspected.network;
  Json json{{"source", inspected.source},
            {"model",
             {{"format", "ONNX"},
              {"name", network.name},
              {"producer", inspected.producer},
              {"opset", inspected.opset},
              {"file_bytes", inspected.file_bytes},
              {"parameters", network.parameters},
              {"weights_bytes", network.weight_bytes},
              {"inputs", ports_json(network.inputs)},
              {"outputs", ports_json(network.outputs)},
              {"nodes", network.layers.size()}}},
            {"run",
             {{"macs", network.macs},
              {"flop", 2 * network.macs},
              {"other_operations", network.other_operations},
              {"bytes_moved", network_bytes(network)},
              {"complete", network.unknown_layers == 0}}}};
  json["kinds"] = Json::array();
  for (const KindSum& sum : kind_sums(network)) {
    Json row{{"kind", sum.kind},
             {"nodes", sum.layers},
             {"macs", sum.macs},
             {"other_operations", sum.other_operations},
             {"bytes_moved", sum.bytes}};
    if (sum.without_figures > 0) row["nodes_not_counted"] = sum.without_figures;
    json["kinds"].push_back(std::move(row));
  }
  if (!network.unknown.empty()) json["unknown"] = network.unknown;
  for (const NetworkLayer& layer : network.layers)
    if (!layer.absent.empty())
      json["not_counted"].push_back({{"name", layer.name}, {"op", layer.op}, {"reason", layer.absent}});
  if (const auto seconds = least_seconds(network, peaks))
    json["roofline"] = {{"peak_flop_per_s", *peaks.flop_per_s},
                        {"peak_bytes_per_s", *peaks.bytes_per_s},
                        {"peak_source", peaks.source.empty() ? "flag" : peaks.source},
                        {"least_s", *seconds}};
  return json;
}

std::string onnx_text(const OnnxInspected& inspected, const NetworkPeaks& peaks, std::size_t width, bool colour) {
  const NetworkLayers& network = inspected.network;
  std::string out =
      "prony inspect · " + printable(network.name.empty() ? inspected.source : network.name, 80) + " · ONNX\n\n";
  const auto line = [&](const char* label, const std::vector<std::string>& items) {
    out += layout::labelled(label, items, width, layout::Tone::plain, colour);
  };
  line("parameters", {figures::count(network.parameters)});
  line("weights", {scaled(network.weight_bytes, "B")});
  line("inputs", port_words(network.inputs));
  line("outputs", port_words(network.outputs));
  const std::string least = network.unknown_layers > 0 ? "at least " : "";
  line("one run",
       {least + scaled(network.macs, "MAC") + " = " + scaled(2 * network.macs, "FLOP"),
        scaled(network.other_operations, "other operations"), scaled(network_bytes(network), "B") + " moved"});
  if (const auto seconds = least_seconds(network, peaks))
    line("roofline",
         {"not below " + figures::seconds(*seconds) + " at " + scaled(*peaks.flop_per_s, "FLOP/s") + " and " +
              scaled(*peaks.bytes_per_s, "B/s") + (peaks.source.empty() ? "" : " (" + peaks.source + ")"),
          "layers one after another, none fused"});
  layout::TextTable table;
  table.columns = {
      {"kind", false, 0, 0}, {"nodes", true, 0, 0}, {"MAC", true, 0, 0}, {"other", true, 1, 0}, {"bytes", true, 0, 0}};
  for (const KindSum& sum : kind_sums(network))
    table.rows.push_back(
        {sum.kind + (sum.without_figures > 0 ? " (" + std::to_string(sum.without_figures) + " not counted)" : ""),
         std::to_string(sum.layers), scaled(sum.macs, ""), scaled(sum.other_operations, ""), scaled(sum.bytes, "B")});
  std::vector<std::string> left_out;
  out += "\n" + table.render(width, colour, left_out);
  constexpr std::size_t most_named = 5;
  std::size_t told = 0;
  for (const NetworkLayer& layer : network.layers)
    if (!layer.absent.empty() && told++ < most_named)
      line(told == 1 ? "not counted" : "", {printable(layer.name, 40) + ": " + printable(layer.absent, 160)});
  if (!network.unknown.empty()) {
    std::vector<std::string> names;
    for (const std::string& name : network.unknown) names.push_back(printable(name, 60));
    out += "\n";
    line("not known", names);
  }
  return out;
}

}  // namespace prony::app
