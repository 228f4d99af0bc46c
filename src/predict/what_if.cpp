#include "predict/what_if.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <tuple>

#include "base/text.hpp"

namespace prony::predict {

namespace {

using Map = std::array<double, 3>;  // channels, height, width

double size_of(const Map& map) { return map[0] * map[1] * map[2]; }
double area_of(const Map& map) { return map[1] * map[2]; }
bool same_area(const Map& a, const Map& b) { return a[1] == b[1] && a[2] == b[2]; }
bool has_matrix(const Layer& layer) { return layer.kind == "convolution" || layer.kind == "dense"; }
bool on_tokens(const Layer& layer) {
  for (const char* kind : {"matmul", "embedding", "recurrent"})
    if (layer.kind == kind) return true;
  return layer.kind == "dense" && area_of(layer.out) > 1;
}

// What a window makes of so many points, rounding down or up.
double slid(double in, double padding, double dilation, double kernel, double stride, bool up) {
  const double steps = (in + padding - dilation * (kernel - 1) - 1) / stride;
  return (up ? std::ceil(steps) : std::floor(steps)) + 1;
}

// Carries shapes from layer to layer. `Result`s: an error is why it cannot, without the layer's name.
class Carrier {
 public:
  Carrier(const NetworkToPredict& network, const WhatIf& what_if) : width_(what_if.width > 0 ? what_if.width : 1) {
    const Layer& front = network.layers.front();
    const double ratio = what_if.resolution > 0 ? what_if.resolution / front.in[1] : 1;
    sizes_change_ = ratio != 1;
    Map is = front.in;
    is[1] = std::max(1.0, std::round(is[1] * ratio)), is[2] = std::max(1.0, std::round(is[2] * ratio));
    made(front.in, is);
    for (std::size_t i = 0; i < network.layers.size(); ++i)
      if (has_matrix(network.layers[i])) first_ = std::min(first_, i), last_ = i;
  }

  [[nodiscard]] bool one_matrix() const { return first_ >= last_; }
  [[nodiscard]] const std::vector<std::string>& grown() const { return grown_; }

  Result<void> carry(std::size_t number, Layer& layer) {
    const Layer was = layer;
    const auto in = input_of(was, number > first_ && number <= last_);
    if (!in) return Unexpected<Error>(in.error());
    layer.in = *in;
    const double width = number >= first_ && number < last_ ? width_ : 1;
    if (const auto out = output_of(was, width, layer); !out) return out;
    if (was.kind == "convolution" && was.groups > 1) {
      if (was.groups == was.in[0]) layer.groups = layer.in[0];
      if (std::fmod(layer.in[0], layer.groups) != 0 || std::fmod(layer.out[0], layer.groups) != 0)
        return refused("its channels do not fill its " + format_number(was.groups) + " groups at that width");
    }
    if (sizes_change_ && was.kind == "dense" && layer.in[0] != was.in[0] && area_of(was.in) == 1)
      grown_.push_back(was.name);
    made(was.out, layer.out);
    return {};
  }

 private:
  static Unexpected<Error> refused(const std::string& why) {
    return Unexpected<Error>(Error{ErrorCode::usage, why, {}, {}});
  }

  void made(const Map& was, const Map& is) {
    const auto [found, fresh] = now_.emplace(was, is);
    if (!fresh && found->second != is) found->second = {0, 0, 0};  // it is two at once
  }

  // The one that all for whom `is_it` holds agree on.
  template <typename Which, typename Of>
  [[nodiscard]] std::optional<Map> agreed(Which is_it, Of of) const {
    std::optional<Map> found;
    for (const auto& [was, is] : now_) {
      if (!is_it(was)) continue;
      const Map one = of(is);
      if (is[0] == 0 || (found && *found != one)) return std::nullopt;
      found = one;
    }
    return found;
  }

  [[nodiscard]] Result<Map> input_of(const Layer& layer, bool within) const {
    const Map& was = layer.in;
    const double channels = within ? scaled(was[0], width_) : was[0];
    if (const auto found = now_.find(was); found != now_.end()) {
      if (found->second[0] == 0) return refused("maps of its size become two different ones");
      return found->second;
    }
    if (area_of(was) == 1) {
      const bool may_be_flat = layer.kind == "dense" || layer.kind == "movement";
      const auto flat = agreed([&](const Map& m) { return may_be_flat && area_of(m) > 1 && size_of(m) == was[0]; },
                               [](const Map& m) { return Map{size_of(m), 1, 1}; });
      return flat.value_or(Map{channels, 1, 1});
    }
    const auto alike = agreed([&](const Map& m) { return same_area(m, was); },
                              [&](const Map& m) { return Map{channels, m[1], m[2]}; });
    if (alike) return *alike;
    if (!sizes_change_) return Map{channels, was[1], was[2]};
    return refused("no layer before it makes a map of " + format_number(was[1]) + " × " + format_number(was[2]) +
                   ", so that its size cannot be carried on");
  }

  static double scaled(double channels, double factor) { return std::max(1.0, std::round(channels * factor)); }

  Result<void> window(const Layer& was, std::size_t axis, Layer& layer) const {
    const double in = was.in[axis], out = was.out[axis], k = was.kernel[axis - 1], s = was.stride[axis - 1];
    const double pad = was.padding[axis - 1], dilation = was.dilation[axis - 1], is = layer.in[axis];
    const auto slides = [&](double points, bool up) { return slid(points, pad, dilation, k, s, up); };
    if (is == in) return layer.out[axis] = out, Result<void>{};
    const bool pooling = was.kind == "pooling", over_all = k >= in && pad == 0 && out == 1;
    if (pooling && over_all) return layer.kernel[axis - 1] = is, layer.out[axis] = 1, Result<void>{};
    if (over_all && k > 1) return refused("it reads its whole map at once, as a dense layer");
    if (pooling && k == 1 && s == 1)
      return refused("a pooling of one point: one that adapts to its image, at another resolution not known how");
    const double whole = dilation * (k - 1) + 1;
    const bool down = slides(in, false) == out, up = pooling && slides(in, true) == out;
    if (down || up) {
      if (is + pad < whole) return refused("its window is larger than its map would be");
      if (down && up && slides(is, false) != slides(is, true))
        return refused("it is not told whether it rounds up: of " + format_number(is) + " points it makes " +
                       format_number(slides(is, false)) + " or " + format_number(slides(is, true)));
      return layer.out[axis] = slides(is, !down), Result<void>{};
    }
    const double turned = out - ((in - 1) * s - pad + whole);  // of a transposed one: what is added at its end
    if (!pooling && turned >= 0 && turned < s && s > 1 && (is - 1) * s - pad + whole + turned >= 1)
      return layer.out[axis] = (is - 1) * s - pad + whole + turned, Result<void>{};
    return refused("its output does not follow from its window");
  }

  Result<void> output_of(const Layer& was, double factor, Layer& layer) const {
    const bool kept = was.out[0] == was.in[0], depthwise = was.groups > 1 && was.groups == was.in[0];
    const bool follows = !has_matrix(was) && kept;
    layer.out[0] = depthwise ? layer.in[0] * (was.out[0] / was.in[0])
                   : follows ? layer.in[0]
                             : scaled(was.out[0], factor);
    if (was.kind == "convolution" || was.kind == "pooling") {
      for (const std::size_t axis : {std::size_t{1}, std::size_t{2}})
        if (auto good = window(was, axis, layer); !good) return good;
      return {};
    }
    if (sizes_change_ && on_tokens(was)) return refused("it works on tokens, not on an image");
    if (was.kind == "movement" && area_of(was.out) == 1 && size_of(was.in) == was.out[0])
      return layer.out = {size_of(layer.in), 1, 1}, Result<void>{};
    if (area_of(was.out) == 1) return layer.out[1] = layer.out[2] = 1, Result<void>{};
    if (same_area(was.in, was.out)) return layer.out[1] = layer.in[1], layer.out[2] = layer.in[2], Result<void>{};
    if (!sizes_change_) return {};
    if (was.kind == "resize") {
      for (const std::size_t axis : {std::size_t{1}, std::size_t{2}})
        layer.out[axis] = std::max(1.0, std::floor(layer.in[axis] * was.out[axis] / was.in[axis]));
      return {};
    }
    const auto wider = agreed([&](const Map& m) { return same_area(m, was.out); },
                              [&](const Map& m) { return Map{layer.out[0], m[1], m[2]}; });
    if (!wider) return refused("what it makes of its map's size is not known");
    return layer.out = *wider, Result<void>{};
  }

  double width_;
  bool sizes_change_ = false;
  std::size_t first_ = static_cast<std::size_t>(-1), last_ = 0;
  std::map<Map, Map> now_;
  std::vector<std::string> grown_;
};

// --- costs ---------------------------------------------------------------------------------------------------------

// What was told of a layer beyond the one tensor that its shapes tell of: of others over the same points (a residual
// sum), or one number for each channel (a gate).
// `unit`: what one number of it counts.
double others(double count, double unit, const Layer& was, const Layer& is) {
  const double each = count / was.batch / unit, batch = is.batch / was.batch;
  const auto whole = [&](double area) { return area > 1 && std::abs(std::remainder(each, area)) < 1e-6 * each; };
  const double outs = size_of(is.out) / size_of(was.out), ins = size_of(is.in) / size_of(was.in);
  if (has_matrix(was)) return count * batch * outs;  // what is computed along with it is of its output
  if (was.kind == "elementwise" && each == was.in[0]) return count * batch * (is.in[0] / was.in[0]);
  return count * batch * (whole(area_of(was.out)) ? outs : whole(area_of(was.in)) ? ins : is.in[0] / was.in[0]);
}

double recounted(double told, double was_one, double is_one, double unit, const Layer& was, const Layer& is) {
  if (!(told > 0)) return told;
  const double over = told - was_one;
  return over >= -1e-9 * told ? is_one + others(std::max(0.0, over), unit, was, is) : others(told, unit, was, is);
}

Layer from_shapes(Layer layer) {
  layer.macs = layer.other_operations = layer.bytes_read = layer.bytes_weights = layer.bytes_written = absent;
  complete(layer);
  return layer;
}

void recount(const Layer& was, Layer& is) {
  const Layer plain_was = from_shapes(was), plain_is = from_shapes(is);
  const double channels = is.out[0] / was.out[0];
  if (plain_was.macs > 0)
    is.macs = was.macs * (plain_is.macs / plain_was.macs);
  else  // of two activations: no shape of its own tells how deep it is, and that does not change
    is.macs = was.macs * (is.batch * size_of(is.out)) / (was.batch * size_of(was.out));
  is.other_operations =
      recounted(was.other_operations, plain_was.other_operations, plain_is.other_operations, 1, was, is);
  const double of_type = bytes_of_dtype(is.dtype) / bytes_of_dtype(was.dtype);
  const auto bytes = [&](double told, double plain_old, double plain_new) {
    return of_type * recounted(told, plain_old, plain_new / of_type, bytes_of_dtype(was.dtype), was, is);
  };
  is.bytes_read = bytes(was.bytes_read, plain_was.bytes_read, plain_is.bytes_read);
  is.bytes_written = bytes(was.bytes_written, plain_was.bytes_written, plain_is.bytes_written);
  // Of weights: the matrix, and what there is for each channel beside it.
  const double told = was.bytes_weights, matrix = plain_was.bytes_weights;
  if (!(told > 0)) return;
  is.bytes_weights = matrix > told ? told * of_type * (plain_is.bytes_weights / of_type / matrix)
                                   : plain_is.bytes_weights + (told - matrix) * channels * of_type;
}

Result<void> check_what_if(const NetworkToPredict& network, const WhatIf& what_if) {
  for (const auto& [option, value, least, most] :
       std::initializer_list<std::tuple<const char*, double, double, double>>{
           {"--batch", what_if.batch, 1, 1e6},
           {"--resolution", what_if.resolution, 8, 1e5},
           {"--scale-width", what_if.width, 1e-3, 64},
           {"--threads", what_if.threads, 1, 1e5}})
    if (value != 0 && !(value >= least && value <= most))
      return fail(ErrorCode::usage, "a batch, resolution, width or number of threads out of range", option,
                  "It may be " + format_number(least) + " to " + format_number(most) + ".");
  const Map& image = network.layers.front().in;
  if (what_if.resolution > 0 && (image[1] <= 1 || image[2] <= 1))
    return fail(ErrorCode::usage, "its first layer sees no image: there is no resolution to change", network.name);
  if (what_if.resolution / std::max(1.0, image[1]) > 64)
    return fail(ErrorCode::usage, "a batch, resolution or width out of range", network.name);
  if (what_if.width > 0 && what_if.width != 1)
    if (const auto odd = std::ranges::find_if(network.layers, on_tokens); odd != network.layers.end())
      return fail(ErrorCode::usage,
                  "layer '" + printable(odd->name, 60) +
                      "' works on tokens: which of its sizes are channels cannot be told from its shapes",
                  "--scale-width", "Give the network made at that width.");
  return {};
}

// Of a batch: every layer's, but where a first dimension is another than the network's and is none, therefore.
Result<void> change_batch(Layer& layer, double from, double to, bool by_hand) {
  if (!by_hand && layer.batch != from && layer.flop() + layer.bytes() > 0)
    return fail(ErrorCode::usage,
                "layer '" + printable(layer.name, 60) + "' has " + format_number(layer.batch) +
                    " where the network has its batch of " + format_number(from) + ": how it changes cannot be told",
                "--batch", "Give the network made at that batch, or with an open one.");
  if (!by_hand && layer.kind == "embedding")
    return fail(ErrorCode::usage,
                "layer '" + printable(layer.name, 60) + "' reads rows of a table: how many more of them cannot be told",
                "--batch", "Give the network made at that batch, or with an open one.");
  layer.batch = to;
  return {};
}

}  // namespace

bool WhatIf::any() const noexcept {
  return batch != 0 || resolution != 0 || width != 0 || threads != 0 || !dtype.empty();
}

Result<void> change(NetworkToPredict& network, const WhatIf& what_if) {
  if (network.layers.empty() || !what_if.any()) return {};
  if (const auto good = check_what_if(network, what_if); !good) return good;
  NetworkToPredict changed = network;
  const bool shapes = what_if.resolution > 0 || (what_if.width > 0 && what_if.width != 1);
  Carrier carrier(network, what_if);
  if (what_if.width > 0 && what_if.width != 1 && carrier.one_matrix())
    return fail(ErrorCode::usage, "between its first layer with weights and its last is none", "--scale-width");
  for (std::size_t i = 0; i < changed.layers.size(); ++i) {
    Layer& layer = changed.layers[i];
    const Layer before = layer;
    if (!why_unusable(before).empty()) continue;  // it is told as such
    if (!what_if.dtype.empty()) layer.dtype = what_if.dtype;
    if (what_if.threads > 0) layer.threads = what_if.threads;
    if (what_if.batch > 0 && what_if.batch != network.layers.front().batch)
      if (auto good = change_batch(layer, network.layers.front().batch, what_if.batch, network.source == "list"); !good)
        return good;
    if (shapes)
      if (const auto good = carrier.carry(i, layer); !good)
        return fail(ErrorCode::usage, "layer '" + printable(before.name, 60) + "': " + good.error().what,
                    what_if.resolution > 0 ? "--resolution" : "--scale-width",
                    "Give the network made at that size (prony synth onnx, or exported anew).");
    recount(before, layer);
  }
  for (const std::string& name : carrier.grown())
    changed.remarks.push_back(name +
                              ": a dense layer behind a map: its weights are those of the new size, trained anew");
  network = std::move(changed);
  return {};
}

}  // namespace prony::predict
