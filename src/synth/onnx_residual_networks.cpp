// Networks with ways past their blocks: ResNet, ResNeXt, DenseNet, MobileNet, EfficientNet.
#include <array>
#include <vector>

#include "synth/onnx_architectures.hpp"

namespace prony::architectures {

namespace {

SynthValue normed(OnnxBuilder& net, const SynthValue& x, const std::string& conv, const std::string& bn,
                  SynthConvolution what) {
  what.bias = false;
  return net.batch_norm(net.convolution(x, conv, what), bn);
}

SynthValue activated(OnnxBuilder& net, const SynthValue& x, const std::string& name, std::string_view which) {
  if (which == "Relu6") return net.clip6(x, name);
  if (which == "SiLU") return net.binary(x, net.unary(x, name + ".sigmoid", "Sigmoid"), name, "Mul");
  return net.unary(x, name, std::string(which));
}

SynthValue skip(OnnxBuilder& net, const SynthValue& x, const SynthValue& body, const std::string& name,
                std::int64_t out, std::int64_t stride) {
  const bool changed = stride != 1 || x.shape[1] != out;
  const SynthValue past =
      changed ? normed(net, x, name + ".downsample.0", name + ".downsample.1", {out, 1, stride}) : x;
  return net.unary(net.binary(body, past, name + ".add", "Add"), name + ".relu", "Relu");
}

SynthValue basic_block(OnnxBuilder& net, const SynthValue& x, const std::string& name, std::int64_t channels,
                       std::int64_t stride) {
  SynthValue y = normed(net, x, name + ".conv1", name + ".bn1", {channels, 3, stride, 1});
  y = net.unary(y, name + ".relu1", "Relu");
  y = normed(net, y, name + ".conv2", name + ".bn2", {channels, 3, 1, 1});
  return skip(net, x, y, name, channels, stride);
}

SynthValue bottleneck(OnnxBuilder& net, const SynthValue& x, const std::string& name, std::int64_t inner,
                      std::int64_t out, std::int64_t stride, std::int64_t groups) {
  SynthValue y = net.unary(normed(net, x, name + ".conv1", name + ".bn1", {inner}), name + ".relu1", "Relu");
  y = normed(net, y, name + ".conv2", name + ".bn2", {inner, 3, stride, 1, groups});
  y = net.unary(y, name + ".relu2", "Relu");
  return skip(net, x, normed(net, y, name + ".conv3", name + ".bn3", {out}), name, out, stride);
}

void residual(OnnxBuilder& net, const ArchitectureScale& scale, const std::array<int, 4>& blocks, bool deep,
              std::int64_t groups) {
  SynthValue x = net.image(3, scale.resolution);
  x = net.unary(normed(net, x, "conv1", "bn1", {scale.channels(64), 7, 2, 3}), "relu", "Relu");
  x = net.max_pool(x, "maxpool", {3, 2, 1});
  for (std::size_t i = 0; i < blocks.size(); ++i)
    for (int j = 0; j < blocks[i]; ++j) {
      const std::string name = "layer" + std::to_string(i + 1) + "." + std::to_string(j);
      const std::int64_t stride = i > 0 && j == 0 ? 2 : 1, planes = std::int64_t{64} << i;
      const std::int64_t inner = scale.channels(groups > 1 ? planes * 2 : planes, groups > 1 ? groups : 8);
      x = deep ? bottleneck(net, x, name, inner, scale.channels(planes * 4), stride, groups)
               : basic_block(net, x, name, inner, stride);
    }
  x = net.flatten(net.global_pool(x, "avgpool"), "flatten");
  net.output(net.renamed(net.dense(x, "fc", scale.classes), "output"));
}

// Squeeze and excitation: the mean of each channel makes how much of it goes on.
SynthValue excited(OnnxBuilder& net, const SynthValue& x, const std::string& name, std::int64_t squeezed,
                   std::string_view inner, const std::string& gate) {
  SynthValue y = net.convolution(net.global_pool(x, name + ".avgpool"), name + ".fc1", {squeezed});
  y = activated(net, y, name + ".activation", inner);
  y = net.unary(net.convolution(y, name + ".fc2", {x.shape[1]}), name + ".scale", gate);
  return net.binary(x, y, name + ".mul", "Mul");
}

struct Inverted {
  std::int64_t kernel, expanded, out, stride;
  std::int64_t squeezed = 0;  // 0: no squeeze and excitation
  std::string_view activation = "Relu6";
  std::string_view squeeze_activation = "Relu";
  const char* gate = "HardSigmoid";
};

// Expand, convolve each channel by itself, project.
SynthValue inverted(OnnxBuilder& net, const SynthValue& x, const std::string& name, const Inverted& what) {
  SynthValue y = x;
  if (what.expanded != x.shape[1])
    y = activated(net, normed(net, y, name + ".expand.0", name + ".expand.1", {what.expanded}), name + ".expand.2",
                  what.activation);
  y = normed(net, y, name + ".depthwise.0", name + ".depthwise.1",
             {what.expanded, what.kernel, what.stride, what.kernel / 2, what.expanded});
  y = activated(net, y, name + ".depthwise.2", what.activation);
  if (what.squeezed > 0) y = excited(net, y, name + ".se", what.squeezed, what.squeeze_activation, what.gate);
  y = normed(net, y, name + ".project.0", name + ".project.1", {what.out});
  return what.stride == 1 && x.shape[1] == what.out ? net.binary(x, y, name + ".add", "Add") : y;
}

std::int64_t in_steps_of_8(std::int64_t number) {  // as MobileNets round: never below nine tenths
  const std::int64_t nearest = std::max<std::int64_t>(8, (number + 4) / 8 * 8);
  return nearest * 10 < number * 9 ? nearest + 8 : nearest;
}

}  // namespace

void resnet(OnnxBuilder& net, const ArchitectureScale& scale, int depth) {
  if (depth == 18) return residual(net, scale, {2, 2, 2, 2}, false, 1);
  if (depth == 34) return residual(net, scale, {3, 4, 6, 3}, false, 1);
  residual(net, scale, depth == 50 ? std::array{3, 4, 6, 3} : std::array{3, 4, 23, 3}, true, 1);
}

void resnext50(OnnxBuilder& net, const ArchitectureScale& scale) { residual(net, scale, {3, 4, 6, 3}, true, 32); }

void densenet(OnnxBuilder& net, const ArchitectureScale& scale, int depth) {
  const std::int64_t growth = scale.channels(32);
  SynthValue x = net.image(3, scale.resolution);
  x = normed(net, x, "features.conv0", "features.norm0", {scale.channels(64), 7, 2, 3});
  x = net.max_pool(net.unary(x, "features.relu0", "Relu"), "features.pool0", {3, 2, 1});
  const std::array blocks = depth == 121 ? std::array{6, 12, 24, 16} : std::array{6, 12, 32, 32};
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    for (int j = 1; j <= blocks[i]; ++j) {
      const std::string name = "denseblock" + std::to_string(i + 1) + ".denselayer" + std::to_string(j);
      SynthValue y = net.unary(net.batch_norm(x, name + ".norm1"), name + ".relu1", "Relu");
      y = net.unary(normed(net, y, name + ".conv1", name + ".norm2", {4 * growth}), name + ".relu2", "Relu");
      y = net.convolution(y, name + ".conv2", {growth, 3, 1, 1, 1, false});
      x = net.concat({x, y}, name + ".concat");
    }
    if (i + 1 == blocks.size()) break;
    const std::string name = "transition" + std::to_string(i + 1);
    x = net.unary(net.batch_norm(x, name + ".norm"), name + ".relu", "Relu");
    x = net.average_pool(net.convolution(x, name + ".conv", {x.shape[1] / 2, 1, 1, 0, 1, false}), name + ".pool",
                         {2, 2});
  }
  x = net.unary(net.batch_norm(x, "features.norm5"), "relu", "Relu");
  x = net.flatten(net.global_pool(x, "avgpool"), "flatten");
  net.output(net.renamed(net.dense(x, "classifier", scale.classes), "output"));
}

void mobilenet_v2(OnnxBuilder& net, const ArchitectureScale& scale) {
  struct Stage {
    std::int64_t expansion, channels;
    int count;
    std::int64_t stride;
  };
  constexpr std::array stages{Stage{1, 16, 1, 1}, Stage{6, 24, 2, 2},  Stage{6, 32, 3, 2}, Stage{6, 64, 4, 2},
                              Stage{6, 96, 3, 1}, Stage{6, 160, 3, 2}, Stage{6, 320, 1, 1}};
  SynthValue x = net.image(3, scale.resolution);
  x = net.clip6(normed(net, x, "features.0.0", "features.0.1", {scale.channels(32), 3, 2, 1}), "features.0.2");
  int place = 1;
  for (const Stage& stage : stages)
    for (int i = 0; i < stage.count; ++i)
      x = inverted(net, x, "features." + std::to_string(place++),
                   {3, x.shape[1] * stage.expansion, scale.channels(stage.channels), i == 0 ? stage.stride : 1});
  const std::int64_t last = scale.channels(1280);
  x = net.clip6(normed(net, x, "features.18.0", "features.18.1", {last}), "features.18.2");
  x = net.flatten(net.global_pool(x, "avgpool"), "flatten");
  net.output(net.renamed(net.dense(x, "classifier.1", scale.classes), "output"));
}

void mobilenet_v3(OnnxBuilder& net, const ArchitectureScale& scale, bool large) {
  struct Block {
    std::int64_t kernel, expanded, out;
    bool squeezed, hard;
    std::int64_t stride;
  };
  const std::vector<Block> of_small{
      {3, 16, 16, true, false, 2}, {3, 72, 24, false, false, 2}, {3, 88, 24, false, false, 1},
      {5, 96, 40, true, true, 2},  {5, 240, 40, true, true, 1},  {5, 240, 40, true, true, 1},
      {5, 120, 48, true, true, 1}, {5, 144, 48, true, true, 1},  {5, 288, 96, true, true, 2},
      {5, 576, 96, true, true, 1}, {5, 576, 96, true, true, 1}};
  const std::vector<Block> of_large{
      {3, 16, 16, false, false, 1}, {3, 64, 24, false, false, 2}, {3, 72, 24, false, false, 1},
      {5, 72, 40, true, false, 2},  {5, 120, 40, true, false, 1}, {5, 120, 40, true, false, 1},
      {3, 240, 80, false, true, 2}, {3, 200, 80, false, true, 1}, {3, 184, 80, false, true, 1},
      {3, 184, 80, false, true, 1}, {3, 480, 112, true, true, 1}, {3, 672, 112, true, true, 1},
      {5, 672, 160, true, true, 2}, {5, 960, 160, true, true, 1}, {5, 960, 160, true, true, 1}};
  SynthValue x = net.image(3, scale.resolution);
  x = normed(net, x, "features.0.0", "features.0.1", {scale.channels(16), 3, 2, 1});
  x = net.unary(x, "features.0.2", "HardSwish");
  int place = 1;
  for (const Block& block : large ? of_large : of_small) {
    const std::int64_t expanded = scale.channels(block.expanded);
    x = inverted(net, x, "features." + std::to_string(place++),
                 {block.kernel, expanded, scale.channels(block.out), block.stride,
                  block.squeezed ? in_steps_of_8(expanded / 4) : 0, block.hard ? "HardSwish" : "Relu"});
  }
  const std::string last = "features." + std::to_string(place);
  x = net.unary(normed(net, x, last + ".0", last + ".1", {6 * x.shape[1]}), last + ".2", "HardSwish");
  x = net.flatten(net.global_pool(x, "avgpool"), "flatten");
  x = net.unary(net.dense(x, "classifier.0", scale.channels(large ? 1280 : 1024)), "classifier.1", "HardSwish");
  net.output(net.renamed(net.dense(x, "classifier.3", scale.classes), "output"));
}

void efficientnet(OnnxBuilder& net, const ArchitectureScale& scale, bool deeper) {
  struct Stage {
    std::int64_t expansion, kernel, stride, out;
    int count;
  };
  constexpr std::array stages{Stage{1, 3, 1, 16, 1}, Stage{6, 3, 2, 24, 2},  Stage{6, 5, 2, 40, 2},
                              Stage{6, 3, 2, 80, 3}, Stage{6, 5, 1, 112, 3}, Stage{6, 5, 2, 192, 4},
                              Stage{6, 3, 1, 320, 1}};
  SynthValue x = net.image(3, scale.resolution);
  x = activated(net, normed(net, x, "features.0.0", "features.0.1", {scale.channels(32), 3, 2, 1}), "features.0.2",
                "SiLU");
  for (std::size_t i = 0; i < stages.size(); ++i)
    for (int j = 0; j < stages[i].count + (deeper ? 1 : 0); ++j) {  // b1 has 1.1 times as many, rounded up
      const Stage& one = stages[i];
      x = inverted(net, x, "features." + std::to_string(i + 1) + "." + std::to_string(j),
                   {one.kernel, x.shape[1] * one.expansion, scale.channels(one.out), j == 0 ? one.stride : 1,
                    std::max<std::int64_t>(1, x.shape[1] / 4), "SiLU", "SiLU", "Sigmoid"});
    }
  x = normed(net, x, "features.8.0", "features.8.1", {scale.channels(1280)});
  x = activated(net, x, "features.8.2", "SiLU");
  x = net.flatten(net.global_pool(x, "avgpool"), "flatten");
  net.output(net.renamed(net.dense(x, "classifier.1", scale.classes), "output"));
}

}  // namespace prony::architectures
