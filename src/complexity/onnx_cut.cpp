#include "complexity/onnx_cut.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <set>
#include <span>

#include "base/text.hpp"
#include "complexity/onnx_wire.hpp"

namespace prony::complexity {

namespace {

constexpr std::uint64_t largest_cut = sizeof(std::size_t) == 4 ? 512u << 20 : (1ULL << 31) - 1;

using Names = std::set<std::string, std::less<>>;

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>((value & 0x7f) | 0x80));
  out.push_back(static_cast<char>(value));
}
void append_bytes(std::string& out, std::uint32_t field, std::string_view bytes) {
  append_varint(out, std::uint64_t{field} << 3 | 2);
  append_varint(out, bytes.size());
  out.append(bytes);
}
void append_number(std::string& out, std::uint32_t field, std::uint64_t value) {
  append_varint(out, std::uint64_t{field} << 3);
  append_varint(out, value);
}

std::string typed_port(const std::string& name, const OnnxTensorFacts& facts) {
  std::string dimensions;
  for (const std::int64_t one : facts.shape) {
    std::string dimension;
    append_number(dimension, 1, static_cast<std::uint64_t>(one));
    append_bytes(dimensions, 1, dimension);
  }
  std::string tensor, of_type, out;
  append_number(tensor, 1, static_cast<std::uint64_t>(facts.type));
  append_bytes(tensor, 2, dimensions);
  append_bytes(of_type, 1, tensor);
  append_bytes(out, 1, name);
  append_bytes(out, 2, of_type);
  return out;
}
std::string bare_port(const std::string& name) {
  std::string out;
  append_bytes(out, 1, name);
  return out;
}

// All names that a node reads, those too that its subgraphs take from outside.
void add_read(const OnnxNode& node, Names& read);
void add_read(const OnnxGraph& graph, Names& read) {
  Names inside, here;
  for (const OnnxPort& one : graph.inputs) inside.insert(one.name);
  for (const OnnxTensor& one : graph.initializers) inside.insert(one.name);
  for (const OnnxNode& node : graph.nodes) inside.insert(node.outputs.begin(), node.outputs.end());
  for (const OnnxNode& node : graph.nodes) add_read(node, here);
  for (const OnnxPort& one : graph.outputs) here.insert(one.name);
  for (const std::string& one : here)
    if (!inside.contains(one)) read.insert(one);
}
void add_read(const OnnxNode& node, Names& read) {
  for (const std::string& one : node.inputs)
    if (!one.empty()) read.insert(one);
  for (const OnnxAttribute& attribute : node.attributes)
    for (const auto& graph : attribute.graphs)
      if (graph) add_read(*graph, read);
}

struct CutNames {
  Names made, read, weights;         // by the nodes of the cut; weights: of those that are read
  std::vector<std::string> inputs;   // in the order of their first reader
  std::vector<std::string> outputs;  // in the order of the nodes
};

CutNames names_of(const OnnxGraph& graph, const std::vector<std::size_t>& nodes) {
  CutNames out;
  Names initializers, asked;
  for (const OnnxTensor& one : graph.initializers) initializers.insert(one.name);
  for (const OnnxPort& one : graph.outputs) asked.insert(one.name);
  const std::set<std::size_t> chosen(nodes.begin(), nodes.end());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (!chosen.contains(i)) add_read(graph.nodes[i], asked);
  for (const std::size_t i : nodes) out.made.insert(graph.nodes[i].outputs.begin(), graph.nodes[i].outputs.end());
  out.made.erase("");
  for (const std::size_t i : nodes) {
    Names read;
    add_read(graph.nodes[i], read);
    for (const std::string& one : read) {
      const bool first = out.read.insert(one).second;
      if (initializers.contains(one))
        out.weights.insert(one);
      else if (first && !out.made.contains(one))
        out.inputs.push_back(one);
    }
    for (const std::string& one : graph.nodes[i].outputs)
      if (!one.empty() && asked.contains(one)) out.outputs.push_back(one);
  }
  if (out.outputs.empty() && !nodes.empty())
    for (const std::string& one : graph.nodes[nodes.back()].outputs)
      if (!one.empty()) out.outputs.push_back(one);
  return out;
}

// Goes through the file and writes what is kept of it.
class CutWriter {
 public:
  explicit CutWriter(WireBudget& budget) : budget_(budget) {}

  void take(std::string& out, const WireField& field) {
    switch (field.type) {
      case WireType::varint: return append_number(out, field.number, field.value);
      case WireType::bytes: return append_bytes(out, field.number, bytes_of(field));
      default: break;
    }
    const bool wide = field.type == WireType::fixed64;
    append_varint(out, std::uint64_t{field.number} << 3 | (wide ? 1U : 5U));
    for (unsigned shift = 0; shift < (wide ? 64U : 32U); shift += 8)
      out.push_back(static_cast<char>(field.value >> shift & 0xff));
  }

  std::string bytes_of(const WireField& field) {
    if (field.size() > largest_cut - written_) {
      budget_.refuse("a part of it is larger than the 2 GiB that such a file may have");
      return {};
    }
    written_ += field.size();
    std::string bytes(static_cast<std::size_t>(field.size()), '\0');
    if (!budget_.bytes().copy(field.begin, std::as_writable_bytes(std::span(bytes))))
      budget_.refuse("it became shorter while it was read");
    return bytes;
  }

  // A node with `ending` behind the names of what the cut makes.
  std::string renamed(const WireField& node, const Names& made, const std::string& ending) {
    std::string out;
    WireMessage in(budget_, node);
    while (const auto one = in.next()) {
      if (one->number > 3 || !one->is_bytes()) {
        take(out, *one);
        continue;
      }
      std::string name = wire_text(budget_, *one);
      if (one->number == 3 || made.contains(name)) name += ending;
      append_bytes(out, one->number, name);
    }
    return out;
  }

 private:
  WireBudget& budget_;
  std::uint64_t written_ = 0;
};

std::string name_in(WireBudget& budget, const WireField& message, std::uint32_t number) {
  WireMessage in(budget, message);
  std::string name;
  while (const auto one = in.next())
    if (one->number == number && one->is_bytes()) name = wire_text(budget, *one);
  return name;
}

using WriteGraph = std::function<std::string(WireBudget&, CutWriter&, const WireField& graph)>;

Result<std::string> rewritten(const std::string& path, const OnnxModel& model, const WriteGraph& write_graph) {
  if (!model.external_files().empty())
    return fail(ErrorCode::usage, "its weights are in a file of their own: layers are not cut out of such a model",
                path, "Export it with its weights in one file.");
  auto file = Fd::open(path, O_RDONLY);
  if (!file) return Unexpected<Error>(file.error());
  struct stat status{};
  if (::fstat(file->get(), &status) != 0) return Unexpected<Error>(error_from_errno(errno, path));
  WireBytes bytes(std::move(*file), static_cast<std::uint64_t>(std::max<off_t>(status.st_size, 0)));
  WireBudget budget(bytes, most_onnx_fields, most_onnx_bytes);
  CutWriter writer(budget);
  std::string out;
  WireMessage in(budget);
  while (const auto one = in.next()) {
    if (one->number == 7 && one->is_bytes())
      append_bytes(out, 7, write_graph(budget, writer, *one));
    else
      writer.take(out, *one);
  }
  if (!budget.ok())
    return fail(budget.too_much() ? ErrorCode::full : ErrorCode::malformed, "no part was cut out: " + budget.wrong(),
                path);
  return out;
}

}  // namespace

std::vector<std::string> inputs_of_cut(const OnnxGraph& graph, const std::vector<std::size_t>& nodes) {
  return names_of(graph, nodes).inputs;
}

Result<std::string> cut_onnx(const std::string& path, const OnnxModel& model, const OnnxCut& cut,
                             const OnnxTensors& tensors) {
  if (cut.nodes.empty() || cut.copies < 1 || !std::ranges::is_sorted(cut.nodes) ||
      cut.nodes.back() >= model.graph.nodes.size())
    return fail(ErrorCode::usage, "these are no nodes of the network", path);
  const CutNames names = names_of(model.graph, cut.nodes);
  std::string ports;
  for (const std::string& one : names.inputs) {
    const auto facts = tensors.find(one);
    if (facts == tensors.end())
      return fail(ErrorCode::usage, "nobody told the type and shape of '" + printable(one, 80) + "'", path);
    append_bytes(ports, 11, typed_port(one, facts->second));
  }
  for (const std::string& one : names.outputs) append_bytes(ports, 12, bare_port(one));
  const std::set<std::size_t> chosen(cut.nodes.begin(), cut.nodes.end());
  return rewritten(path, model, [&](WireBudget& budget, CutWriter& writer, const WireField& graph) {
    std::string out;
    std::vector<WireField> nodes;
    WireMessage in(budget, graph);
    std::size_t place = 0;
    while (const auto one = in.next()) {
      if (one->number == 1 && one->is_bytes()) {
        if (chosen.contains(place++)) nodes.push_back(*one);
      } else if (one->number == 5 && one->is_bytes()) {
        if (names.weights.contains(name_in(budget, *one, 8))) writer.take(out, *one);
      } else if (one->number == 2) {
        writer.take(out, *one);
      }
    }
    for (std::size_t copy = 0; copy < cut.copies && budget.ok(); ++copy)
      for (const WireField& node : nodes)
        append_bytes(
            out, 1,
            copy == 0 ? writer.bytes_of(node) : writer.renamed(node, names.made, "/again-" + std::to_string(copy)));
    return out + ports;
  });
}

Result<std::string> onnx_with_all_outputs(const std::string& path, const OnnxModel& model) {
  Names there;
  for (const OnnxPort& one : model.graph.outputs) there.insert(one.name);
  std::string ports;
  for (const OnnxNode& node : model.graph.nodes)
    for (const std::string& one : node.outputs)
      if (!one.empty() && there.insert(one).second) append_bytes(ports, 12, bare_port(one));
  return rewritten(path, model, [&](WireBudget& budget, CutWriter& writer, const WireField& graph) {
    std::string out;
    WireMessage in(budget, graph);
    while (const auto one = in.next()) writer.take(out, *one);
    return out + ports;
  });
}

}  // namespace prony::complexity
