#include "complexity/onnx_call.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace prony::complexity {

namespace {

constexpr auto largest_dimension = static_cast<double>(largest_onnx_dimension);

}  // namespace

double elements_of(const LayerShape& shape) noexcept {
  double elements = 1;
  for (const std::int64_t one : shape) elements *= static_cast<double>(one);
  return elements;
}

std::string shape_words(const LayerShape& shape) {
  std::string words;
  for (const std::int64_t one : shape) words += (words.empty() ? "" : "x") + std::to_string(one);
  return words.empty() ? "scalar" : words;
}

std::int64_t whole_number(double number) noexcept {
  if (!(number > -largest_dimension)) return -largest_onnx_dimension;
  if (number > largest_dimension) return largest_onnx_dimension;
  return static_cast<std::int64_t>(number);
}

std::optional<LayerShape> broadcast(const LayerShape& a, const LayerShape& b) {
  LayerShape out(std::max(a.size(), b.size()), 1);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t left = i < a.size() ? a[a.size() - 1 - i] : 1, right = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (left != right && left != 1 && right != 1) return std::nullopt;
    out[out.size() - 1 - i] = left == 1 ? right : left;
  }
  return out;
}

const LayerShape* OnnxCall::shape(std::size_t place) {
  if (!given(place)) {
    refuse("its input " + std::to_string(place + 1) + " is not given");
    return nullptr;
  }
  if (in[place]->shape) return &*in[place]->shape;
  refuse("the shape of '" + printable(node.inputs[place], 60) + "' is not known");
  return nullptr;
}

const LayerShape* OnnxCall::shape_of_rank(std::size_t place, std::size_t least) {
  const LayerShape* found = shape(place);
  if (found == nullptr || found->size() >= least) return found;
  refuse("'" + printable(node.inputs[place], 60) + "' has " + std::to_string(found->size()) + " dimensions where " +
         std::to_string(least) + " are needed");
  return nullptr;
}

const std::vector<double>* OnnxCall::numbers(std::size_t place, bool needed) {
  if (given(place) && in[place]->numbers) return &*in[place]->numbers;
  if (needed)
    refuse(given(place) ? "the numbers in '" + printable(node.inputs[place], 60) + "' are known only when it runs"
                        : "its input " + std::to_string(place + 1) + " is not given");
  return nullptr;
}

std::optional<std::vector<std::int64_t>> OnnxCall::axes(std::string_view attribute, std::size_t place) {
  if (const OnnxAttribute* found = node.attribute(attribute)) return found->numbers;
  if (!given(place)) return std::nullopt;
  const std::vector<double>* from = numbers(place, true);
  if (from == nullptr) return std::nullopt;
  std::vector<std::int64_t> result;
  for (const double one : *from) result.push_back(whole_number(one));
  return result;
}

std::optional<std::vector<std::int64_t>> OnnxCall::several(std::string_view attribute, std::size_t count,
                                                           std::int64_t otherwise) {
  const OnnxAttribute* found = node.attribute(attribute);
  if (found == nullptr || found->numbers.empty()) return std::vector<std::int64_t>(count, otherwise);
  const bool sane = std::all_of(found->numbers.begin(), found->numbers.end(),
                                [](std::int64_t one) { return one >= 0 && one <= 1'000'000'000; });
  if (found->numbers.size() == count && sane) return found->numbers;
  refuse("its " + std::string(attribute) + " are " + (sane ? "not as many as its dimensions" : "no sizes"));
  return std::nullopt;
}

std::optional<std::size_t> OnnxCall::axis(std::int64_t number, std::size_t rank) {
  const auto dimensions = static_cast<std::int64_t>(rank);
  if (number < -dimensions || number >= dimensions) {
    refuse("axis " + std::to_string(number) + " of a tensor of " + std::to_string(rank) + " dimensions");
    return std::nullopt;
  }
  return static_cast<std::size_t>(number < 0 ? number + dimensions : number);
}

void OnnxCall::set(std::size_t place, LayerShape shape) {
  if (place >= out.size()) return;
  for (const std::int64_t one : shape)
    if (one < 0 || one > largest_onnx_dimension) return refuse("a dimension of " + std::to_string(one));
  if (shape.size() > most_onnx_dimensions) return refuse("more than 16 dimensions");
  out[place].shape = std::move(shape);
  if (out[place].type == 0 && given(0)) out[place].type = in[0]->type;
}

double OnnxCall::out_elements() const noexcept { return out.empty() || !out[0].shape ? 0 : elements_of(*out[0].shape); }

}  // namespace prony::complexity
