// What changes the places of numbers, and what makes shapes.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "complexity/onnx_call.hpp"

namespace prony::complexity {

namespace {

void hand_on(OnnxCall& call) {  // the numbers stay as they are
  if (const auto* from = call.numbers(0, false); from != nullptr && !call.out.empty()) call.out[0].numbers = *from;
  call.out[0].stored = call.given(0) && call.in[0]->stored;
  call.view = true;
}

double moved_bytes(const OnnxCall& call, double elements) {
  return elements * (call.given(0) ? onnx_type_bytes(call.in[0]->type).value_or(0) : 0);
}

}  // namespace

namespace rules {

void identity(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x == nullptr) return;
  hand_on(call);
  if (call.out.size() > 1) call.out[1].type = 9;  // Dropout's mask
  call.set(1, *x);
  call.set(0, *x);
}

void reshape(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  std::vector<double> wanted;
  if (const OnnxAttribute* old = call.node.attribute("shape"); old != nullptr && call.in.size() < 2)
    wanted.assign(old->numbers.begin(), old->numbers.end());
  else if (const auto* found = call.numbers(1, true))
    wanted = *found;
  if (x == nullptr || !call.why.empty()) return;
  LayerShape out;
  std::optional<std::size_t> rest;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const std::int64_t one = whole_number(wanted[i]);
    if (one == -1 && rest) return call.refuse("its shape leaves two dimensions open");
    if (one == -1) rest = i;
    if (one == 0 && call.node.number("allowzero", 0) == 0 && i >= x->size())
      return call.refuse("its shape takes a dimension over that is not there");
    out.push_back(one == -1 ? 1 : one == 0 && call.node.number("allowzero", 0) == 0 ? (*x)[i] : one);
  }
  const double have = elements_of(*x), made = elements_of(out);
  if (rest && made > 0) {
    const double left = have / made;
    if (left != std::floor(left)) return call.refuse(shape_words(*x) + " does not fit its shape");
    out[*rest] = whole_number(left);
  } else if (have != made) {
    return call.refuse(shape_words(*x) + " has not as many numbers as " + shape_words(out));
  }
  hand_on(call);
  call.set(0, std::move(out));
}

void flatten(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x == nullptr) return;
  const std::int64_t number = call.node.number("axis", 1), rank = static_cast<std::int64_t>(x->size());
  if (number < -rank || number > rank) return call.refuse("axis " + std::to_string(number) + " of " + shape_words(*x));
  const auto axis = static_cast<std::ptrdiff_t>(number < 0 ? number + rank : number);
  hand_on(call);
  call.set(0, {whole_number(elements_of({x->begin(), x->begin() + axis})),
               whole_number(elements_of({x->begin() + axis, x->end()}))});
}

void squeeze(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x == nullptr) return;
  const auto axes = call.axes("axes", 1);
  if (!call.why.empty()) return;
  std::vector<bool> gone(x->size(), false);
  if (axes)
    for (const std::int64_t one : *axes) {
      const auto place = call.axis(one, x->size());
      if (!place) return;
      if ((*x)[*place] != 1) return call.refuse("the dimension it takes away is not 1");
      gone[*place] = true;
    }
  LayerShape out;
  for (std::size_t i = 0; i < x->size(); ++i)
    if (axes ? !gone[i] : (*x)[i] != 1) out.push_back((*x)[i]);
  hand_on(call);
  call.set(0, std::move(out));
}

void unsqueeze(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x == nullptr) return;
  const auto axes = call.axes("axes", 1);
  if (!axes) return call.refuse("its axes are not told");
  if (axes->size() + x->size() > most_onnx_dimensions) return call.refuse("more than 16 dimensions");
  std::vector<bool> added(x->size() + axes->size(), false);
  for (const std::int64_t one : *axes) {
    const auto place = call.axis(one, added.size());
    if (!place) return;
    if (added[*place]) return call.refuse("it adds a dimension twice");
    added[*place] = true;
  }
  LayerShape out;
  auto next = x->begin();
  for (const bool fresh : added) out.push_back(fresh ? 1 : *next++);
  hand_on(call);
  call.set(0, std::move(out));
}

void transpose(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x == nullptr) return;
  std::vector<std::int64_t> order(x->size());
  std::iota(order.rbegin(), order.rend(), 0);
  if (const OnnxAttribute* asked = call.node.attribute("perm")) order = asked->numbers;
  if (order.size() != x->size()) return call.refuse("its perm does not fit " + shape_words(*x));
  LayerShape out;
  for (const std::int64_t one : order) {
    if (one < 0 || one >= static_cast<std::int64_t>(x->size())) return call.refuse("its perm is no order");
    out.push_back((*x)[static_cast<std::size_t>(one)]);
  }
  call.out[0].stored = call.in[0]->stored;
  call.set(0, std::move(out));
}

void concat(OnnxCall& call) {
  const LayerShape* first = call.shape(0);
  if (first == nullptr) return;
  const auto place = call.axis(call.node.number("axis", call.opset < 4 ? 1 : 0), first->size());
  if (!place) return;
  LayerShape out = *first;
  std::vector<double> numbers;
  bool folded = first->size() == 1;
  out[*place] = 0;
  for (std::size_t i = 0; i < call.in.size(); ++i) {
    const LayerShape* one = call.shape(i);
    if (one == nullptr) return;
    bool fits = one->size() == out.size();
    for (std::size_t d = 0; fits && d < out.size(); ++d) fits = d == *place || (*one)[d] == out[d];
    if (!fits) return call.refuse("its inputs " + shape_words(*first) + " and " + shape_words(*one) + " do not fit");
    out[*place] += (*one)[*place];
    if (out[*place] > 1'000'000'000'000) return call.refuse("a dimension that cannot be");
    const auto* more = call.numbers(i, false);
    folded = folded && more != nullptr && numbers.size() + more->size() <= longest_onnx_constant;
    if (folded) numbers.insert(numbers.end(), more->begin(), more->end());
  }
  if (folded) call.out[0].numbers = std::move(numbers);
  call.set(0, std::move(out));
}

void split_up(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x == nullptr || call.out.empty()) return;
  const auto place = call.axis(call.node.number("axis", 0), x->size());
  auto sizes = call.axes("split", 1);
  if (!place || !call.why.empty()) return;
  if (!sizes) {
    const auto count = static_cast<std::int64_t>(call.out.size()), each = ((*x)[*place] + count - 1) / count;
    sizes.emplace();
    for (std::int64_t left = (*x)[*place], i = 0; i < count; ++i, left -= each)
      sizes->push_back(std::clamp<std::int64_t>(left, 0, each));
  }
  if (sizes->size() != call.out.size()) return call.refuse("its split is not as long as its outputs are many");
  for (std::size_t i = 0; i < call.out.size(); ++i) {
    LayerShape out = *x;
    out[*place] = (*sizes)[i];
    call.set(i, std::move(out));
  }
}

void slice(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  const auto begins = call.axes("starts", 1), ends = call.axes("ends", 2);
  if (x == nullptr || !call.why.empty()) return;
  if (!begins || !ends || begins->size() != ends->size() || begins->size() > x->size())
    return call.refuse("its starts and ends do not fit " + shape_words(*x));
  const auto axes = call.axes("axes", 3), steps = call.axes("steps", 4);
  if (!call.why.empty()) return;
  if ((axes && axes->size() != begins->size()) || (steps && steps->size() != begins->size()))
    return call.refuse("its axes or steps do not fit its starts");
  LayerShape out = *x;
  std::int64_t begin = 0, step = 1;
  for (std::size_t i = 0; i < begins->size(); ++i) {
    const auto place = call.axis(axes ? (*axes)[i] : static_cast<std::int64_t>(i), x->size());
    if (!place) return;
    const std::int64_t size = (*x)[*place];
    step = steps ? std::clamp<std::int64_t>((*steps)[i], -1'000'000'000'000, 1'000'000'000'000) : 1;
    if (step == 0) return call.refuse("a step of 0");
    const auto clamp = [&](std::int64_t at) {
      if (at < 0) at = at < -size ? -1 : at + size;  // −1 stays before the first
      return step > 0 ? std::clamp<std::int64_t>(at, 0, size) : std::clamp<std::int64_t>(at, -1, size - 1);
    };
    begin = clamp((*begins)[i]);
    const std::int64_t end = clamp((*ends)[i]), reach = step > 0 ? end - begin : begin - end;
    const std::int64_t stride = step > 0 ? step : -step;
    out[*place] = reach <= 0 ? 0 : (reach + stride - 1) / stride;
  }
  if (const auto* from = call.numbers(0, false); from != nullptr && x->size() == 1 && begins->size() == 1) {
    std::vector<double> result;
    for (std::int64_t i = 0; i < out[0]; ++i) {
      const std::int64_t at = begin + i * step;
      if (at >= 0 && at < static_cast<std::int64_t>(from->size()))
        result.push_back((*from)[static_cast<std::size_t>(at)]);
    }
    call.out[0].numbers = std::move(result);
  }
  call.moved_in = moved_bytes(call, elements_of(out));
  call.set(0, std::move(out));
}

void pad(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  const auto pads = call.node.attribute("paddings") != nullptr ? call.axes("paddings", 99) : call.axes("pads", 1);
  if (x == nullptr || !call.why.empty()) return;
  auto axes = call.axes("axes", 3);
  if (!call.why.empty()) return;
  if (!axes) {
    axes.emplace(x->size());
    std::iota(axes->begin(), axes->end(), 0);
  }
  if (!pads || pads->size() != 2 * axes->size()) return call.refuse("its pads do not fit " + shape_words(*x));
  LayerShape out = *x;
  for (std::size_t i = 0; i < axes->size(); ++i) {
    const auto place = call.axis((*axes)[i], x->size());
    if (!place) return;
    out[*place] += std::clamp<std::int64_t>((*pads)[i], -1'000'000'000'000, 1'000'000'000'000) +
                   std::clamp<std::int64_t>((*pads)[axes->size() + i], -1'000'000'000'000, 1'000'000'000'000);
  }
  call.set(0, std::move(out));
}

void expand(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  const auto* wanted = call.numbers(1, true);
  if (x == nullptr || wanted == nullptr) return;
  LayerShape target;
  for (const double one : *wanted) target.push_back(whole_number(one));
  auto out = broadcast(*x, target);
  if (!out) return call.refuse(shape_words(*x) + " does not fit " + shape_words(target));
  if (const auto* from = call.numbers(0, false);
      from != nullptr && from->size() == 1 && elements_of(*out) <= static_cast<double>(longest_onnx_constant))
    call.out[0].numbers = std::vector<double>(static_cast<std::size_t>(elements_of(*out)), from->front());
  call.set(0, std::move(*out));
}

void tile(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  const auto* times = call.numbers(1, true);
  if (x == nullptr || times == nullptr) return;
  if (times->size() != x->size()) return call.refuse("its repeats do not fit " + shape_words(*x));
  LayerShape out;
  for (std::size_t i = 0; i < x->size(); ++i) out.push_back(whole_number(static_cast<double>((*x)[i]) * (*times)[i]));
  call.set(0, std::move(out));
}

void gather(OnnxCall& call) {
  const LayerShape *x = call.shape(0), *places = call.shape(1);
  if (x == nullptr || places == nullptr) return;
  const auto axis = call.axis(call.node.number("axis", 0), x->size());
  if (!axis) return;
  LayerShape out(x->begin(), x->begin() + static_cast<std::ptrdiff_t>(*axis));
  out.insert(out.end(), places->begin(), places->end());
  out.insert(out.end(), x->begin() + static_cast<std::ptrdiff_t>(*axis) + 1, x->end());
  const auto *from = call.numbers(0, false), *which = call.numbers(1, false);
  if (from != nullptr && which != nullptr && x->size() == 1) {
    std::vector<double> result;
    for (const double one : *which) {
      const double at = one < 0 ? one + static_cast<double>(from->size()) : one;
      if (!(at >= 0) || at >= static_cast<double>(from->size())) return call.refuse("it takes what is not there");
      result.push_back((*from)[static_cast<std::size_t>(at)]);
    }
    call.out[0].numbers = std::move(result);
  }
  call.layer.kind = call.in[0]->stored && x->size() == 2 ? LayerKind::embedding : LayerKind::movement;
  call.moved_in =
      moved_bytes(call, elements_of(out)) + elements_of(*places) * onnx_type_bytes(call.in[1]->type).value_or(0);
  call.set(0, std::move(out));
}

void gather_elements(OnnxCall& call) {
  const LayerShape* places = call.shape(1);
  if (places == nullptr) return;
  call.moved_in = moved_bytes(call, elements_of(*places)) + elements_of(*places) * 8;
  call.set(0, *places);
}

void gather_nd(OnnxCall& call) {
  const LayerShape *x = call.shape(0), *places = call.shape_of_rank(1, 1);
  if (x == nullptr || places == nullptr) return;
  const std::int64_t batch = call.node.number("batch_dims", 0), depth = places->back();
  if (batch < 0 || depth < 0 || depth > 64 || batch > 64 || static_cast<std::size_t>(batch + depth) > x->size())
    return call.refuse("its indices do not fit " + shape_words(*x));
  LayerShape out(places->begin(), places->end() - 1);
  out.insert(out.end(), x->begin() + static_cast<std::ptrdiff_t>(batch + depth), x->end());
  call.moved_in = moved_bytes(call, elements_of(out)) + elements_of(*places) * 8;
  call.set(0, std::move(out));
}

void scatter(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x != nullptr) call.set(0, *x);
}

void resize(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x == nullptr) return;
  const bool old = call.node.op == "Upsample" || (call.node.op == "Resize" && call.opset < 11);
  const auto *sizes = old ? nullptr : call.numbers(3, false), *scales = call.numbers(old ? 1 : 2, false);
  std::vector<double> attribute;
  if (const OnnxAttribute* told = call.node.attribute("scales")) attribute = told->reals, scales = &attribute;
  if (call.node.attribute("axes") != nullptr) return call.refuse("it names axes, which is not known here");
  LayerShape out;
  if (sizes != nullptr && sizes->size() == x->size())
    for (const double one : *sizes) out.push_back(whole_number(one));
  else if (scales != nullptr && scales->size() == x->size())
    for (std::size_t i = 0; i < x->size(); ++i)
      out.push_back(whole_number(std::floor(static_cast<double>((*x)[i]) * (*scales)[i])));
  else
    return call.refuse("how large it makes its input is known only when it runs");
  call.layer.other_operations = elements_of(out);
  call.set(0, std::move(out));
}

void depth_to_space(OnnxCall& call) {
  const LayerShape* x = call.shape_of_rank(0, 4);
  const std::int64_t block = call.node.number("blocksize", 0);
  if (x == nullptr) return;
  if (block < 1 || block > 10'000 || (*x)[1] % (block * block) != 0) return call.refuse("its blocksize does not fit");
  call.set(0, {(*x)[0], (*x)[1] / (block * block), (*x)[2] * block, (*x)[3] * block});
}

void space_to_depth(OnnxCall& call) {
  const LayerShape* x = call.shape_of_rank(0, 4);
  const std::int64_t block = call.node.number("blocksize", 0);
  if (x == nullptr) return;
  if (block < 1 || block > 1000) return call.refuse("its blocksize does not fit");
  call.set(0, {(*x)[0], (*x)[1] * block * block, (*x)[2] / block, (*x)[3] / block});
}

void shape_of(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x == nullptr) return;
  const auto rank = static_cast<std::int64_t>(x->size());
  const auto place = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const std::int64_t begin = place(call.node.number("start", 0)), end = place(call.node.number("end", rank));
  std::vector<double> result;
  for (std::int64_t i = begin; i < end; ++i) result.push_back(static_cast<double>((*x)[static_cast<std::size_t>(i)]));
  call.out[0].type = onnx_type::int64;
  call.set(0, {static_cast<std::int64_t>(result.size())});
  call.out[0].numbers = std::move(result);
  call.moved_in = 0;
}

void size_of(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  if (x == nullptr) return;
  call.out[0].type = onnx_type::int64;
  call.out[0].numbers = std::vector<double>{elements_of(*x)};
  call.set(0, {});
  call.moved_in = 0;
}

void constant_of_shape(OnnxCall& call) {
  const auto* wanted = call.numbers(0, true);
  if (wanted == nullptr) return;
  LayerShape out;
  for (const double one : *wanted) out.push_back(whole_number(one));
  const OnnxAttribute* value = call.node.attribute("value");
  const bool told = value != nullptr && value->tensor.has_value();
  call.out[0].type = told ? value->tensor->type : 1;
  const double filling =
      told && value->tensor->numbers && !value->tensor->numbers->empty() ? value->tensor->numbers->front() : 0;
  if (const double count = elements_of(out); count >= 0 && count <= static_cast<double>(longest_onnx_constant))
    call.out[0].numbers = std::vector<double>(static_cast<std::size_t>(count), filling);
  call.set(0, std::move(out));
}

void range(OnnxCall& call) {
  const auto *begin = call.numbers(0, true), *end = call.numbers(1, true), *step = call.numbers(2, true);
  if (begin == nullptr || end == nullptr || step == nullptr) return;
  if (begin->size() != 1 || end->size() != 1 || step->size() != 1 || step->front() == 0)
    return call.refuse("its limits are no single numbers");
  const double count = std::max(0.0, std::ceil((end->front() - begin->front()) / step->front()));
  if (!std::isfinite(count)) return call.refuse("its limits are no numbers");
  call.set(0, {whole_number(count)});
  if (count > static_cast<double>(longest_onnx_constant)) return;
  std::vector<double> result;
  for (double i = 0; i < count; ++i) result.push_back(begin->front() + i * step->front());
  call.out[0].numbers = std::move(result);
}

void top_k(OnnxCall& call) {
  const LayerShape* x = call.shape_of_rank(0, 1);
  if (x == nullptr) return;
  const auto place = call.axis(call.node.number("axis", -1), x->size());
  const auto* k = call.numbers(1, call.node.attribute("k") == nullptr);
  if (!place || !call.why.empty()) return;
  LayerShape out = *x;
  out[*place] = k != nullptr && !k->empty() ? whole_number(k->front()) : call.node.number("k", 0);
  if (call.out.size() > 1) call.out[1].type = onnx_type::int64;
  call.layer.other_operations = elements_of(*x);
  call.set(1, out);
  call.set(0, std::move(out));
}

void one_hot(OnnxCall& call) {
  const LayerShape* x = call.shape(0);
  const auto* depth = call.numbers(1, true);
  if (x == nullptr || depth == nullptr || depth->empty()) return;
  const std::int64_t at = call.node.number("axis", -1), rank = static_cast<std::int64_t>(x->size());
  if (at < -rank - 1 || at > rank) return call.refuse("its axis does not fit");
  LayerShape out = *x;
  out.insert(out.begin() + static_cast<std::ptrdiff_t>(at < 0 ? at + rank + 1 : at), whole_number(depth->front()));
  if (call.given(2)) call.out[0].type = call.in[2]->type;
  call.set(0, std::move(out));
}

}  // namespace rules

}  // namespace prony::complexity
