// Products of matrices, and what is made of them.
#include <algorithm>
#include <array>
#include <map>

#include "complexity/onnx_call.hpp"

namespace prony::complexity {

namespace {

LayerKind kind_of_product(const OnnxCall& call, std::size_t left, std::size_t right) {
  return call.in[left]->stored || call.in[right]->stored ? LayerKind::dense : LayerKind::matmul;
}

// As numpy.matmul does; MACs are those of the output times what is summed over.
void multiply(OnnxCall& call, std::size_t left, std::size_t right, bool turn_a, bool turn_b) {
  const LayerShape *a = call.shape_of_rank(left, 1), *b = call.shape_of_rank(right, 1);
  if (a == nullptr || b == nullptr) return;
  call.layer.kind = kind_of_product(call, left, right);
  if (call.in[right]->stored) call.layer.weight_shape = *b;
  LayerShape first = *a, second = *b;
  const bool row = first.size() == 1, column = second.size() == 1;
  if (row) first.insert(first.begin(), 1);
  if (column) second.push_back(1);
  if (turn_a) std::swap(first[first.size() - 1], first[first.size() - 2]);
  if (turn_b) std::swap(second[second.size() - 1], second[second.size() - 2]);
  const std::int64_t summed = first.back();
  auto out = broadcast({first.begin(), first.end() - 2}, {second.begin(), second.end() - 2});
  if (summed != second[second.size() - 2] || !out)
    return call.refuse("its factors " + shape_words(*a) + " and " + shape_words(*b) + " do not fit");
  out->push_back(first[first.size() - 2]);
  out->push_back(second.back());
  call.layer.macs = elements_of(*out) * static_cast<double>(summed);
  if (row) out->erase(out->end() - 2);
  if (column) out->pop_back();
  call.set(0, std::move(*out));
}

// "bij,bjk->bik": the sizes of its letters. Absent: not so simple.
struct Letters {
  std::map<char, std::int64_t> sizes;
  std::string result;
};
std::optional<Letters> letters_of(OnnxCall& call, std::string equation) {
  std::erase(equation, ' ');
  const auto arrow = equation.find("->");
  if (arrow == std::string::npos || equation.find('.') != std::string::npos) return std::nullopt;
  Letters found{{}, equation.substr(arrow + 2)};
  std::size_t input = 0, place = 0;
  const LayerShape* shape = call.shape(0);
  for (const char one : equation.substr(0, arrow)) {
    if (shape == nullptr) return std::nullopt;
    if (one == ',') {
      if (place != shape->size()) return std::nullopt;
      shape = call.shape(++input), place = 0;
      continue;
    }
    if (place >= shape->size()) return std::nullopt;
    const auto [it, fresh] = found.sizes.emplace(one, (*shape)[place]);
    if (!fresh && it->second != (*shape)[place]) return std::nullopt;
    ++place;
  }
  if (shape == nullptr || place != shape->size()) return std::nullopt;
  return found;
}

}  // namespace

namespace rules {

void gemm(OnnxCall& call) {
  const LayerShape *a = call.shape_of_rank(0, 2), *b = call.shape_of_rank(1, 2);
  if (a == nullptr || b == nullptr) return;
  if (a->size() != 2 || b->size() != 2) return call.refuse("its factors are no matrices");
  multiply(call, 0, 1, call.node.number("transA", 0) != 0, call.node.number("transB", 0) != 0);
}

void matrix_product(OnnxCall& call) {
  if (call.node.op == "MatMulInteger" && !call.out.empty()) call.out[0].type = 6;
  multiply(call, 0, 1, call.node.number("transA", 0) != 0, call.node.number("transB", 0) != 0);
}

void quantised_matrix_product(OnnxCall& call) { multiply(call, 0, 3, false, false); }

void einsum(OnnxCall& call) {
  const OnnxAttribute* equation = call.node.attribute("equation");
  const auto letters = equation != nullptr && equation->text ? letters_of(call, *equation->text) : std::nullopt;
  if (!letters) return call.refuse("its equation is not one that can be counted here");
  LayerShape out;
  for (const char one : letters->result) {
    const auto found = letters->sizes.find(one);
    if (found == letters->sizes.end()) return call.refuse("its equation is not one that can be counted here");
    out.push_back(found->second);
  }
  double all = 1;
  for (const auto& [letter, size] : letters->sizes) all *= static_cast<double>(size);
  if (call.in.size() == 2 && call.given(1)) {
    call.layer.kind = kind_of_product(call, 0, 1);
    call.layer.macs = all;
  } else if (call.in.size() > 2) {
    return call.refuse("its order of multiplication is the engine's choice");
  } else {
    call.layer.kind = LayerKind::movement;
  }
  call.set(0, std::move(out));
}

// X is sequence, batch, input; W is directions, gates × hidden, input; R the same with hidden.
void recurrent(OnnxCall& call) {
  const LayerShape *x = call.shape_of_rank(0, 3), *w = call.shape_of_rank(1, 3), *r = call.shape_of_rank(2, 3);
  if (x == nullptr || w == nullptr || r == nullptr) return;
  if (call.node.number("layout", 0) != 0) return call.refuse("its batch comes first, which is not known here");
  const std::int64_t hidden = r->back();
  if (w->back() != x->back()) return call.refuse("its weights do not fit its input");
  const double steps = static_cast<double>((*x)[0]) * static_cast<double>((*x)[1]);
  call.layer.macs = steps * (elements_of(*w) + elements_of(*r));
  call.layer.weight_shape = *w;
  call.layer.other_operations =
      steps * static_cast<double>((*w)[0]) * static_cast<double>((*w)[1]);  // one for each gate
  call.set(0, {(*x)[0], (*w)[0], (*x)[1], hidden});
  call.set(1, {(*w)[0], (*x)[1], hidden});
  call.set(2, {(*w)[0], (*x)[1], hidden});
}

}  // namespace rules

}  // namespace prony::complexity
