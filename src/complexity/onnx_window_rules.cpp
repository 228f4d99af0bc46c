// What slides a window over its input: convolutions and poolings.
#include <algorithm>
#include <numeric>

#include "complexity/onnx_call.hpp"

namespace prony::complexity {

namespace {

struct Window {
  std::vector<std::int64_t> kernel, stride, dilation, begin, end;
  [[nodiscard]] std::int64_t reach(std::size_t i) const { return dilation[i] * (kernel[i] - 1) + 1; }
};

std::string auto_pad_of(const OnnxNode& node) {
  const OnnxAttribute* found = node.attribute("auto_pad");
  return found != nullptr && found->text ? *found->text : "NOTSET";
}

// Strides, dilations and what is padded, over the dimensions of space that `kernel` has.
std::optional<Window> window_of(OnnxCall& call, std::vector<std::int64_t> kernel) {
  const std::size_t space = kernel.size();
  const auto stride = call.several("strides", space, 1), dilation = call.several("dilations", space, 1),
             pads = call.several("pads", 2 * space, 0);
  if (!stride || !dilation || !pads) return std::nullopt;
  Window window{std::move(kernel), *stride, *dilation, {}, {}};
  for (std::size_t i = 0; i < space; ++i) {
    if (window.kernel[i] < 1 || window.kernel[i] > 1'000'000 || window.stride[i] < 1 || window.dilation[i] < 1 ||
        window.dilation[i] > 1'000'000) {
      call.refuse("a window, stride or dilation that cannot be");
      return std::nullopt;
    }
    window.begin.push_back((*pads)[i]);
    window.end.push_back((*pads)[space + i]);
  }
  return window;
}

// Output dimension `i` of an input of `size`; where padding is automatic it is set.
std::optional<std::int64_t> slide(Window& window, std::size_t i, std::int64_t size, const std::string& auto_pad,
                                  bool ceiling) {
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    const std::int64_t out = (size + window.stride[i] - 1) / window.stride[i];
    const std::int64_t pad = std::max<std::int64_t>(0, (out - 1) * window.stride[i] + window.reach(i) - size);
    window.begin[i] = auto_pad == "SAME_UPPER" ? pad / 2 : pad - pad / 2;
    window.end[i] = pad - window.begin[i];
    return out;
  }
  if (auto_pad == "VALID") window.begin[i] = window.end[i] = 0;
  const std::int64_t room = size + window.begin[i] + window.end[i] - window.reach(i);
  if (room < 0) return std::nullopt;
  std::int64_t out = room / window.stride[i] + 1;
  if (ceiling && room % window.stride[i] != 0) {
    ++out;
    if ((out - 1) * window.stride[i] >= size + window.begin[i]) --out;  // it would begin in the padding behind
  }
  return out;
}

void tell(NetworkLayer& layer, const Window& window) {
  layer.kernel = window.kernel, layer.stride = window.stride, layer.dilation = window.dilation;
  layer.pad_begin = window.begin, layer.pad_end = window.end;
}

// The output's dimensions of space behind `lead`; false: `why` says what is off.
bool slide_all(OnnxCall& call, Window& window, const LayerShape& x, LayerShape& out, bool ceiling) {
  const std::string automatic = auto_pad_of(call.node);
  for (std::size_t i = 0; i < window.kernel.size(); ++i) {
    const auto one = slide(window, i, x[i + 2], automatic, ceiling);
    if (!one) {
      call.refuse("its window is larger than what it slides over");
      return false;
    }
    out.push_back(*one);
  }
  return true;
}

void convolve(OnnxCall& call, std::size_t weights) {
  const LayerShape *x = call.shape_of_rank(0, 3), *w = call.shape_of_rank(weights, 3);
  if (x == nullptr || w == nullptr) return;
  const std::int64_t groups = call.node.number("group", 1);
  if (x->size() != w->size() || groups < 1 || (*w)[0] % groups != 0 ||
      static_cast<double>((*x)[1]) != static_cast<double>((*w)[1]) * static_cast<double>(groups))
    return call.refuse("its weights " + shape_words(*w) + " in " + std::to_string(groups) + " groups do not fit " +
                       shape_words(*x));
  auto window = window_of(call, {w->begin() + 2, w->end()});
  if (!window) return;
  LayerShape out{(*x)[0], (*w)[0]};
  if (!slide_all(call, *window, *x, out, false)) return;
  tell(call.layer, *window);
  call.layer.groups = groups;
  call.layer.weight_shape = *w;
  // N·Cout·Hout·Wout·(Cin/groups)·Kh·Kw: the weights' second dimension is Cin/groups already.
  call.layer.macs = elements_of(out) * elements_of({w->begin() + 1, w->end()});
  call.set(0, std::move(out));
}

}  // namespace

namespace rules {

void convolution(OnnxCall& call) { convolve(call, 1); }

void quantised_convolution(OnnxCall& call) {
  const bool linear = call.node.op == "QLinearConv";
  if (!call.out.empty() && !linear) call.out[0].type = 6;  // ConvInteger makes int32
  convolve(call, linear ? 3 : 1);
}

void transposed_convolution(OnnxCall& call) {
  const LayerShape *x = call.shape_of_rank(0, 3), *w = call.shape_of_rank(1, 3);
  if (x == nullptr || w == nullptr) return;
  const std::int64_t groups = call.node.number("group", 1);
  if (x->size() != w->size() || groups < 1 || groups > 1'000'000 || (*x)[1] != (*w)[0])
    return call.refuse("its weights " + shape_words(*w) + " do not fit " + shape_words(*x));
  auto window = window_of(call, {w->begin() + 2, w->end()});
  const auto extra = call.several("output_padding", x->size() - 2, 0);
  if (!window || !extra) return;
  const OnnxAttribute* asked = call.node.attribute("output_shape");
  if (asked != nullptr && asked->numbers.size() != x->size() - 2) return call.refuse("its output_shape does not fit");
  const std::string automatic = auto_pad_of(call.node);
  LayerShape out{(*x)[0], (*w)[1] * groups};
  for (std::size_t i = 0; i + 2 < x->size(); ++i) {
    const std::int64_t size = (*x)[i + 2], stride = window->stride[i];
    if (size < 1 || size > 1'000'000'000) return call.refuse("a dimension that cannot be");
    if (asked != nullptr)
      out.push_back(asked->numbers[i]);
    else if (automatic.starts_with("SAME"))
      out.push_back(size * stride);
    else
      out.push_back(stride * (size - 1) + (*extra)[i] + window->reach(i) - window->begin[i] - window->end[i]);
  }
  tell(call.layer, *window);
  call.layer.groups = groups;
  call.layer.weight_shape = *w;
  // Each number of the input meets the whole kernel of its group.
  call.layer.macs = elements_of(*x) * elements_of({w->begin() + 1, w->end()});
  call.set(0, std::move(out));
}

void pooling(OnnxCall& call) {
  const LayerShape* x = call.shape_of_rank(0, 3);
  const OnnxAttribute* kernel = call.node.attribute("kernel_shape");
  if (x == nullptr) return;
  if (kernel == nullptr || kernel->numbers.size() + 2 != x->size())
    return call.refuse("its kernel_shape does not fit " + shape_words(*x));
  auto window = window_of(call, kernel->numbers);
  if (!window) return;
  LayerShape out{(*x)[0], (*x)[1]};
  if (!slide_all(call, *window, *x, out, call.node.number("ceil_mode", 0) != 0)) return;
  tell(call.layer, *window);
  call.layer.groups = (*x)[1];
  call.layer.other_operations = elements_of(out) * elements_of(window->kernel);
  call.set(1, out);
  if (call.out.size() > 1) call.out[1].type = 7;  // places of the largest
  call.set(0, std::move(out));
}

void global_pooling(OnnxCall& call) {
  const LayerShape* x = call.shape_of_rank(0, 3);
  if (x == nullptr) return;
  LayerShape out{(*x)[0], (*x)[1]};
  out.resize(x->size(), 1);
  call.layer.kernel.assign(x->begin() + 2, x->end());
  call.layer.stride = call.layer.dilation = std::vector<std::int64_t>(x->size() - 2, 1);
  call.layer.pad_begin = call.layer.pad_end = std::vector<std::int64_t>(x->size() - 2, 0);
  call.layer.groups = (*x)[1];
  call.layer.other_operations = elements_of(*x);
  call.set(0, std::move(out));
}

}  // namespace rules

}  // namespace prony::complexity
