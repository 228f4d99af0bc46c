#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <set>

#include "base/text.hpp"
#include "complexity/onnx_call.hpp"
#include "complexity/onnx_wire.hpp"

namespace prony::complexity {

namespace {

constexpr int deepest_graph = 16;
constexpr std::size_t longest_attribute = 65'536;  // numbers; a table as long (of trees, of words) is no shape
constexpr std::uint64_t node_bytes = 1024;         // about what a node takes, with the layer made of it

// Where the numbers of a tensor are, looked at when its shape and type are known.
struct Numbers {
  std::vector<WireField> fields;  // of `int32_data`, `int64_data`, `float_data`, `double_data`
  std::optional<WireField> raw;
};

std::string entry_value(WireBudget& budget, const WireField& field, std::string_view wanted) {
  WireMessage in(budget, field);
  std::string key, value;
  while (const auto one = in.next()) {
    if (one->number == 1) key = wire_text(budget, *one);
    if (one->number == 2) value = wire_text(budget, *one);
  }
  return key == wanted ? value : std::string();
}

double number_at(const std::byte* from, std::int32_t type) {
  std::uint64_t bits = 0;
  const std::size_t bytes = type == onnx_type::boolean                               ? 1
                            : type == onnx_type::float32 || type == onnx_type::int32 ? 4
                                                                                     : 8;
  for (std::size_t i = bytes; i-- > 0;) bits = bits << 8 | std::to_integer<std::uint64_t>(from[i]);
  switch (type) {
    case onnx_type::float32: return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
    case onnx_type::float64: return std::bit_cast<double>(bits);
    case onnx_type::int32: return static_cast<double>(static_cast<std::int32_t>(static_cast<std::uint32_t>(bits)));
    case onnx_type::boolean: return bits != 0 ? 1 : 0;
    default: return static_cast<double>(static_cast<std::int64_t>(bits));
  }
}

void keep_numbers(WireBudget& budget, const Numbers& from, OnnxTensor& out) {
  const auto bytes = onnx_type_bytes(out.type);
  if (from.raw && bytes && out.external_file.empty()) {
    const double needed = std::ceil(out.elements * *bytes);
    if (static_cast<double>(from.raw->size()) != needed)
      return budget.refuse("tensor '" + printable(out.name, 60) + "' has " + std::to_string(from.raw->size()) +
                           " bytes where its shape needs " + format_fixed(needed, 0));
  }
  const bool readable = out.type == onnx_type::float32 || out.type == onnx_type::int32 ||
                        out.type == onnx_type::int64 || out.type == onnx_type::boolean ||
                        out.type == onnx_type::float64;
  if (!readable || !out.external_file.empty() || out.elements > static_cast<double>(longest_onnx_constant)) return;
  const auto count = static_cast<std::size_t>(out.elements);
  std::vector<double> numbers;
  if (from.raw) {
    const auto width = static_cast<std::size_t>(*bytes);
    if (!budget.keep(count * 8)) return;
    for (std::size_t i = 0; i < count; ++i) {
      const std::byte* at = budget.bytes().look(from.raw->begin + i * width, width);
      if (at == nullptr) return budget.refuse("it became shorter while it was read");
      numbers.push_back(number_at(at, out.type));
    }
  }
  std::vector<std::int64_t> whole;
  for (const WireField& field : from.fields) {
    if (out.type == onnx_type::float32)
      wire_floats(budget, field, numbers, longest_onnx_constant);
    else if (out.type != onnx_type::float64)
      wire_integers(budget, field, whole, longest_onnx_constant);
  }
  for (const std::int64_t one : whole)
    numbers.push_back(static_cast<double>(out.type == onnx_type::int32 ? static_cast<std::int32_t>(one) : one));
  if (numbers.size() == count) out.numbers = std::move(numbers);
}

OnnxTensor read_tensor(WireBudget& budget, const WireField& field) {
  OnnxTensor out;
  Numbers numbers;
  bool external = false;
  WireMessage in(budget, field);
  while (const auto one = in.next()) {
    switch (one->number) {
      case 1: wire_integers(budget, *one, out.shape, most_onnx_dimensions); break;
      case 2: out.type = static_cast<std::int32_t>(one->value); break;
      case 4:
      case 5:
      case 7:
      case 10:
        if (numbers.fields.size() < longest_onnx_constant) numbers.fields.push_back(*one);
        break;
      case 8: out.name = wire_text(budget, *one); break;
      case 9:
        if (one->is_bytes()) numbers.raw = *one;
        break;
      case 13:
        if (auto file = entry_value(budget, *one, "location"); !file.empty()) out.external_file = std::move(file);
        break;
      case 14: external = one->value == 1; break;
      default: break;
    }
  }
  if (!external) out.external_file.clear();
  if (external && out.external_file.empty()) out.external_file = "?";
  out.elements = 1;
  for (const std::int64_t one : out.shape) {
    if (one < 0 || one > largest_onnx_dimension)
      budget.refuse("tensor '" + printable(out.name, 60) + "' has a dimension of " + std::to_string(one));
    out.elements *= static_cast<double>(one);
  }
  if (budget.ok()) keep_numbers(budget, numbers, out);
  return out;
}

std::vector<OnnxDimension> read_shape(WireBudget& budget, const WireField& field) {
  std::vector<OnnxDimension> shape;
  WireMessage in(budget, field);
  while (const auto one = in.next()) {
    if (one->number != 1 || !one->is_bytes()) continue;
    OnnxDimension dimension;
    WireMessage inside(budget, *one);
    while (const auto part = inside.next()) {
      if (part->number == 1 && !part->is_bytes()) dimension.value = static_cast<std::int64_t>(part->value);
      if (part->number == 2) dimension.name = wire_text(budget, *part);
    }
    if (dimension.value < 0) dimension.value = -1;
    if (dimension.value > largest_onnx_dimension) budget.refuse("a dimension of " + std::to_string(dimension.value));
    if (shape.size() >= most_onnx_dimensions) budget.refuse("a tensor of more than 16 dimensions");
    if (budget.keep(48)) shape.push_back(std::move(dimension));
  }
  return shape;
}

OnnxPort read_port(WireBudget& budget, const WireField& field) {
  OnnxPort port;
  WireMessage in(budget, field);
  while (const auto one = in.next()) {
    if (one->number == 1) port.name = wire_text(budget, *one);
    if (one->number != 2 || !one->is_bytes()) continue;
    WireMessage type(budget, *one);
    while (const auto kind = type.next()) {
      if (kind->number == 6) continue;  // what it means, in words
      port.tensor = kind->number == 1;
      if (!port.tensor || !kind->is_bytes()) continue;
      WireMessage tensor(budget, *kind);
      while (const auto part = tensor.next()) {
        if (part->number == 1) port.type = static_cast<std::int32_t>(part->value);
        if (part->number == 2 && part->is_bytes()) port.shape = read_shape(budget, *part);
      }
    }
  }
  return port;
}

OnnxGraph read_graph(WireBudget& budget, const WireField& field, int depth);

OnnxAttribute read_attribute(WireBudget& budget, const WireField& field, int depth) {
  OnnxAttribute out;
  WireMessage in(budget, field);
  while (const auto one = in.next()) {
    switch (one->number) {
      case 1: out.name = wire_text(budget, *one); break;
      case 2: out.real = static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(one->value))); break;
      case 3: out.number = static_cast<std::int64_t>(one->value); break;
      case 4:  // a text, or any bytes: a longer one is of no use here
        if (one->size() <= 4096) out.text = wire_text(budget, *one);
        break;
      case 5:
        if (one->is_bytes()) out.tensor = read_tensor(budget, *one);
        break;
      case 6:
      case 11:
        if (one->is_bytes()) out.graphs.push_back(std::make_shared<OnnxGraph>(read_graph(budget, *one, depth + 1)));
        break;
      case 7: wire_floats(budget, *one, out.reals, longest_attribute); break;
      case 8: wire_integers(budget, *one, out.numbers, longest_attribute); break;
      default: break;
    }
  }
  return out;
}

OnnxNode read_node(WireBudget& budget, const WireField& field, int depth) {
  OnnxNode node;
  WireMessage in(budget, field);
  while (const auto one = in.next()) {
    switch (one->number) {
      case 1: node.inputs.push_back(wire_text(budget, *one)); break;
      case 2: node.outputs.push_back(wire_text(budget, *one)); break;
      case 3: node.name = wire_text(budget, *one); break;
      case 4: node.op = wire_text(budget, *one); break;
      case 5:
        if (one->is_bytes() && budget.keep(256)) node.attributes.push_back(read_attribute(budget, *one, depth));
        break;
      case 7: node.domain = wire_text(budget, *one); break;
      default: break;
    }
  }
  if (node.domain == "ai.onnx") node.domain.clear();
  return node;
}

OnnxGraph read_graph(WireBudget& budget, const WireField& field, int depth) {
  OnnxGraph graph;
  if (depth > deepest_graph) {
    budget.refuse("graphs within graphs more than 16 deep");
    return graph;
  }
  WireMessage in(budget, field);
  while (const auto one = in.next()) {
    if (one->number == 2) graph.name = wire_text(budget, *one);
    if (!one->is_bytes() || !budget.keep(one->number == 1 ? node_bytes : 160)) continue;
    switch (one->number) {
      case 1: graph.nodes.push_back(read_node(budget, *one, depth)); break;
      case 5: graph.initializers.push_back(read_tensor(budget, *one)); break;
      case 11: graph.inputs.push_back(read_port(budget, *one)); break;
      case 12: graph.outputs.push_back(read_port(budget, *one)); break;
      case 13: graph.values.push_back(read_port(budget, *one)); break;
      case 15: budget.refuse("it has sparse weights, which are not known here"); break;
      default: break;
    }
  }
  std::set<std::string_view> weights;  // files of before 2019 name them among the inputs too
  for (const OnnxTensor& one : graph.initializers) weights.insert(one.name);
  std::erase_if(graph.inputs, [&](const OnnxPort& port) { return weights.contains(port.name); });
  return graph;
}

void read_opset(WireBudget& budget, const WireField& field, OnnxModel& out) {
  WireMessage in(budget, field);
  std::string domain;
  std::int64_t version = 0;
  while (const auto one = in.next()) {
    if (one->number == 1) domain = wire_text(budget, *one);
    if (one->number == 2) version = static_cast<std::int64_t>(one->value);
  }
  if (domain.empty() || domain == "ai.onnx")
    out.opset = version;
  else
    out.other_opsets[domain] = version;
}

std::string function_name(WireBudget& budget, const WireField& field) {
  WireMessage in(budget, field);
  std::string name, domain;
  while (const auto one = in.next()) {
    if (one->number == 1) name = wire_text(budget, *one);
    if (one->number == 10) domain = wire_text(budget, *one);
  }
  return domain.empty() ? name : domain + ":" + name;
}

Result<OnnxModel> read_model(WireBytes& bytes) {
  WireBudget budget(bytes, most_onnx_fields, most_onnx_bytes);
  OnnxModel out;
  out.file_bytes = bytes.size();
  bool graph = false;
  WireMessage in(budget);
  while (const auto one = in.next()) {
    switch (one->number) {
      case 1: out.ir_version = static_cast<std::int64_t>(one->value); break;
      case 2: out.producer = wire_text(budget, *one); break;
      case 3: out.producer_version = wire_text(budget, *one); break;
      case 7:
        if (one->is_bytes()) out.graph = read_graph(budget, *one, 0), graph = true;
        break;
      case 8:
        if (one->is_bytes()) read_opset(budget, *one, out);
        break;
      case 25:
        if (one->is_bytes()) out.functions.push_back(function_name(budget, *one));
        break;
      default: break;
    }
  }
  if (budget.too_much()) return fail(ErrorCode::full, "not read as ONNX: " + budget.wrong());
  if (!budget.ok()) return fail(ErrorCode::malformed, "damaged ONNX file, or none: " + budget.wrong());
  if (!graph || out.ir_version < 1 || out.ir_version > 1000)
    return fail(ErrorCode::malformed, "not an ONNX model: it has no graph or no version");
  return out;
}

}  // namespace

Result<OnnxModel> parse_onnx(std::span<const std::byte> whole) {
  WireBytes bytes(whole);
  return read_model(bytes);
}

Result<OnnxModel> read_onnx(const std::string& path) {
  auto file = Fd::open(path, O_RDONLY);
  if (!file) return Unexpected<Error>(file.error());
  struct stat status{};
  if (::fstat(file->get(), &status) != 0) return Unexpected<Error>(error_from_errno(errno, path));
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::malformed, "not a file of bytes", path);
  WireBytes bytes(std::move(*file), static_cast<std::uint64_t>(std::max<off_t>(status.st_size, 0)));
  auto model = read_model(bytes);
  if (!model) {
    model.error().where = path;
    if (model.error().fix.empty()) model.error().fix = "Export the model again, or name another file.";
  }
  return model;
}

}  // namespace prony::complexity
