// What computes numbers one by one, or along an axis; arithmetic on small constants, of which shapes are made.
#include <algorithm>
#include <cmath>

#include "complexity/onnx_call.hpp"

namespace prony::complexity {

namespace {

bool whole_type(const OnnxCall& call) { return call.given(0) && call.in[0]->type != 1 && call.in[0]->type != 11; }

std::optional<double> compute(const std::string& op, double a, double b, bool whole) {
  if (op == "Add" || op == "Sum") return a + b;
  if (op == "Sub") return a - b;
  if (op == "Mul") return a * b;
  if (op == "Div") {
    if (b == 0) return std::nullopt;
    return whole ? std::trunc(a / b) : a / b;
  }
  if (op == "Mod") {
    if (b == 0) return std::nullopt;
    return a - b * std::floor(a / b);
  }
  if (op == "Max") return std::max(a, b);
  if (op == "Min") return std::min(a, b);
  if (op == "Pow") return std::pow(a, b);
  if (op == "And") return a != 0 && b != 0 ? 1 : 0;
  if (op == "Or") return a != 0 || b != 0 ? 1 : 0;
  if (op == "Equal") return a == b ? 1 : 0;
  if (op == "Greater") return a > b ? 1 : 0;
  if (op == "Less") return a < b ? 1 : 0;
  if (op == "GreaterOrEqual") return a >= b ? 1 : 0;
  if (op == "LessOrEqual") return a <= b ? 1 : 0;
  return std::nullopt;
}

// Of vectors of one length, or one of them a single number.
void fold(OnnxCall& call) {
  if (call.in.size() != 2 || call.out.empty()) return;
  const auto *a = call.numbers(0, false), *b = call.numbers(1, false);
  if (a == nullptr || b == nullptr) return;
  const std::size_t count = std::max(a->size(), b->size());
  if ((a->size() != count && a->size() != 1) || (b->size() != count && b->size() != 1)) return;
  if (std::min(a->size(), b->size()) == 0 || count > longest_onnx_constant) return;
  std::vector<double> result;
  for (std::size_t i = 0; i < count; ++i) {
    const auto one =
        compute(call.node.op, (*a)[a->size() == 1 ? 0 : i], (*b)[b->size() == 1 ? 0 : i], whole_type(call));
    if (!one || !std::isfinite(*one)) return;
    result.push_back(*one);
  }
  call.out[0].numbers = std::move(result);
}

double alone(const std::string& op, double x) {
  if (op == "Neg") return -x;
  if (op == "Abs") return std::abs(x);
  if (op == "Floor") return std::floor(x);
  if (op == "Ceil") return std::ceil(x);
  if (op == "Sqrt") return x >= 0 ? std::sqrt(x) : std::nan("");
  if (op == "Round") return std::nearbyint(x);
  return std::nan("");
}

}  // namespace

namespace rules {

void same(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x == nullptr) return;
  if (const auto* from = call.numbers(0, false)) {
    std::vector<double> result;
    for (const double one : *from) result.push_back(alone(call.node.op, one));
    if (std::all_of(result.begin(), result.end(), [](double one) { return std::isfinite(one); }))
      call.out[0].numbers = std::move(result);
  }
  call.set(0, *x);
}

void broadcasting(OnnxCall& call) {
  const LayerShape* first = call.shape(0);
  if (first == nullptr) return;
  LayerShape out = *first;
  for (std::size_t i = 1; i < call.in.size(); ++i) {
    const LayerShape* other = call.shape(i);
    if (other == nullptr) return;
    auto both = broadcast(out, *other);
    if (!both) return call.refuse("its inputs " + shape_words(out) + " and " + shape_words(*other) + " do not fit");
    out = std::move(*both);
  }
  fold(call);
  call.layer.other_operations = elements_of(out) * static_cast<double>(std::max<std::size_t>(1, call.in.size() - 1));
  call.set(0, std::move(out));
}

void comparison(OnnxCall& call) {
  if (!call.out.empty()) call.out[0].type = onnx_type::boolean;
  broadcasting(call);
}

void where(OnnxCall& call) {
  const LayerShape *condition = call.shape(0), *yes = call.shape(1), *no = call.shape(2);
  if (condition == nullptr || yes == nullptr || no == nullptr) return;
  auto out = broadcast(*yes, *no);
  if (out) out = broadcast(*out, *condition);
  if (!out) return call.refuse("its inputs do not fit one another");
  const auto *c = call.numbers(0, false), *a = call.numbers(1, false), *b = call.numbers(2, false);
  if (c != nullptr && a != nullptr && b != nullptr && out->size() <= 1) {
    const std::size_t count = static_cast<std::size_t>(elements_of(*out));
    std::vector<double> result;
    const auto at = [](const std::vector<double>& from, std::size_t i) { return from[from.size() == 1 ? 0 : i]; };
    const bool fits = (c->size() == count || c->size() == 1) && (a->size() == count || a->size() == 1) &&
                      (b->size() == count || b->size() == 1) && count <= longest_onnx_constant;
    for (std::size_t i = 0; fits && i < count; ++i) result.push_back(at(*c, i) != 0 ? at(*a, i) : at(*b, i));
    if (fits) call.out[0].numbers = std::move(result);
  }
  if (call.given(1)) call.out[0].type = call.in[1]->type;
  call.set(0, std::move(*out));
}

void cast(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x == nullptr) return;
  const auto to = call.node.number("to", 0);
  call.out[0].type = to > 0 && to < 64 ? static_cast<std::int32_t>(to) : 0;
  call.out[0].stored = call.in[0]->stored;
  if (const auto* from = call.numbers(0, false)) {
    std::vector<double> result = *from;
    if (to == 6 || to == onnx_type::int64)
      for (double& one : result) one = std::trunc(one);
    if (to == onnx_type::boolean)
      for (double& one : result) one = one != 0 ? 1 : 0;
    call.out[0].numbers = std::move(result);
  }
  call.set(0, *x);
}

void softmax(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x != nullptr) call.set(0, *x);
}

void reduction(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x == nullptr) return;
  auto axes = call.axes("axes", 1);
  if (!call.why.empty()) return;
  std::vector<bool> gone(x->size(), !axes || (axes->empty() && call.node.number("noop_with_empty_axes", 0) == 0));
  if (axes)
    for (const std::int64_t one : *axes) {
      const auto place = call.axis(one, x->size());
      if (!place) return;
      gone[*place] = true;
    }
  const bool kept = call.node.number("keepdims", 1) != 0;
  LayerShape out;
  for (std::size_t i = 0; i < x->size(); ++i)
    if (!gone[i] || kept) out.push_back(gone[i] ? 1 : (*x)[i]);
  if (const auto* from = call.numbers(0, false); from != nullptr && x->size() == 1 && gone[0] && !from->empty()) {
    double result = call.node.op == "ReduceProd" ? 1 : 0;
    for (const double one : *from) result = call.node.op == "ReduceProd" ? result * one : result + one;
    if (call.node.op == "ReduceMax") result = *std::max_element(from->begin(), from->end());
    if (call.node.op == "ReduceMin") result = *std::min_element(from->begin(), from->end());
    if (call.node.op != "ReduceMean" && std::isfinite(result)) call.out[0].numbers = std::vector<double>{result};
  }
  call.layer.other_operations = elements_of(*x);
  call.set(0, std::move(out));
}

void arg_reduction(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x == nullptr) return;
  const auto place = call.axis(call.node.number("axis", 0), x->size());
  if (!place) return;
  LayerShape out = *x;
  if (call.node.number("keepdims", 1) != 0)
    out[*place] = 1;
  else
    out.erase(out.begin() + static_cast<std::ptrdiff_t>(*place));
  call.out[0].type = onnx_type::int64;
  call.layer.other_operations = elements_of(*x);
  call.set(0, std::move(out));
}

// More than one output: the mean and the like, of sizes that nobody reads here.
void normalisation(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x != nullptr) call.set(0, *x);
}

void quantise(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x == nullptr) return;
  const auto told = call.node.number("output_dtype", 0);
  call.out[0].type = call.given(2) ? call.in[2]->type : told > 0 && told < 64 ? static_cast<std::int32_t>(told) : 2;
  call.set(0, *x);
}

void dequantise(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x == nullptr) return;
  call.out[0].type = call.given(1) ? call.in[1]->type : 1;
  call.out[0].stored = call.in[0]->stored;
  call.set(0, *x);
}

void dynamic_quantise(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x == nullptr) return;
  call.out[0].type = 2;
  if (call.out.size() > 1) call.out[1].type = 1;
  if (call.out.size() > 2) call.out[2].type = 2;
  call.set(0, *x);
  call.set(1, {});
  call.set(2, {});
}

}  // namespace rules

}  // namespace prony::complexity
