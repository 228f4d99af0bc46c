// Networks of convolutions one after another, or side by side: LeNet, AlexNet, VGG, SqueezeNet, GoogLeNet.
#include <array>

#include "synth/onnx_architectures.hpp"

namespace prony::architectures {

namespace {

SynthValue conv_relu(OnnxBuilder& net, const SynthValue& x, const std::string& name, const std::string& after,
                     const SynthConvolution& what) {
  return net.unary(net.convolution(x, name, what), after, "Relu");
}

SynthValue dense_relu(OnnxBuilder& net, const SynthValue& x, const std::string& name, std::int64_t out) {
  return net.unary(net.dense(x, name, out), name + ".relu", "Relu");
}

void finish(OnnxBuilder& net, const SynthValue& x) { net.output(net.renamed(x, "output")); }

}  // namespace

void lenet(OnnxBuilder& net, const ArchitectureScale& scale) {
  SynthValue x = net.image(1, scale.resolution);
  x = net.max_pool(conv_relu(net, x, "conv1", "relu1", {scale.channels(6), 5}), "pool1", {2, 2});
  x = net.max_pool(conv_relu(net, x, "conv2", "relu2", {scale.channels(16), 5}), "pool2", {2, 2});
  x = dense_relu(net, net.flatten(x, "flatten"), "fc1", scale.channels(120));
  x = dense_relu(net, x, "fc2", scale.channels(84));
  finish(net, net.dense(x, "fc3", scale.classes));
}

void alexnet(OnnxBuilder& net, const ArchitectureScale& scale) {
  SynthValue x = net.image(3, scale.resolution);
  x = conv_relu(net, x, "features.0", "features.1", {scale.channels(64), 11, 4, 2});
  x = net.max_pool(x, "features.2", {3, 2});
  x = conv_relu(net, x, "features.3", "features.4", {scale.channels(192), 5, 1, 2});
  x = net.max_pool(x, "features.5", {3, 2});
  x = conv_relu(net, x, "features.6", "features.7", {scale.channels(384), 3, 1, 1});
  x = conv_relu(net, x, "features.8", "features.9", {scale.channels(256), 3, 1, 1});
  x = conv_relu(net, x, "features.10", "features.11", {scale.channels(256), 3, 1, 1});
  x = net.adaptive_pool(net.max_pool(x, "features.12", {3, 2}), "avgpool", 6);
  x = dense_relu(net, net.flatten(x, "flatten"), "classifier.1", scale.channels(4096));
  x = dense_relu(net, x, "classifier.4", scale.channels(4096));
  finish(net, net.dense(x, "classifier.6", scale.classes));
}

void vgg(OnnxBuilder& net, const ArchitectureScale& scale, int depth) {
  std::array<int, 5> blocks{1, 1, 2, 2, 2};  // of 11
  if (depth == 13) blocks = {2, 2, 2, 2, 2};
  if (depth == 16) blocks = {2, 2, 3, 3, 3};
  if (depth == 19) blocks = {2, 2, 4, 4, 4};
  constexpr std::array<std::int64_t, 5> channels{64, 128, 256, 512, 512};
  SynthValue x = net.image(3, scale.resolution);
  int place = 0;
  const auto name = [&] { return "features." + std::to_string(place++); };
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    for (int j = 0; j < blocks[i]; ++j) {
      const std::string convolution = name();
      x = conv_relu(net, x, convolution, name(), {scale.channels(channels[i]), 3, 1, 1});
    }
    x = net.max_pool(x, name(), {2, 2});
  }
  x = net.flatten(net.adaptive_pool(x, "avgpool", 7), "flatten");
  x = dense_relu(net, x, "classifier.0", scale.channels(4096));
  x = dense_relu(net, x, "classifier.3", scale.channels(4096));
  finish(net, net.dense(x, "classifier.6", scale.classes));
}

namespace {

SynthValue fire(OnnxBuilder& net, const ArchitectureScale& scale, const SynthValue& x, const std::string& name,
                std::int64_t squeeze, std::int64_t expand) {
  const SynthValue thin = conv_relu(net, x, name + ".squeeze", name + ".squeeze_activation", {scale.channels(squeeze)});
  const SynthValue one =
      conv_relu(net, thin, name + ".expand1x1", name + ".expand1x1_activation", {scale.channels(expand)});
  const SynthValue three =
      conv_relu(net, thin, name + ".expand3x3", name + ".expand3x3_activation", {scale.channels(expand), 3, 1, 1});
  return net.concat({one, three}, name + ".concat");
}

struct InceptionSize {
  std::int64_t one, three_before, three, five_before, five, pooled;
};

SynthValue basic(OnnxBuilder& net, const SynthValue& x, const std::string& name, SynthConvolution what) {
  what.bias = false;
  return net.unary(net.batch_norm(net.convolution(x, name + ".conv", what), name + ".bn"), name + ".relu", "Relu");
}

SynthValue inception(OnnxBuilder& net, const ArchitectureScale& scale, const SynthValue& x, const std::string& name,
                     const InceptionSize& size) {
  const auto c = [&](std::int64_t count) { return scale.channels(count); };
  const SynthValue one = basic(net, x, name + ".branch1", {c(size.one)});
  SynthValue three = basic(net, x, name + ".branch2.0", {c(size.three_before)});
  three = basic(net, three, name + ".branch2.1", {c(size.three), 3, 1, 1});
  SynthValue five = basic(net, x, name + ".branch3.0", {c(size.five_before)});
  five = basic(net, five, name + ".branch3.1", {c(size.five), 3, 1, 1});  // 3, as torchvision has it
  const SynthValue pooled = net.max_pool(x, name + ".branch4.0", {3, 1, 1, true});
  return net.concat({one, three, five, basic(net, pooled, name + ".branch4.1", {c(size.pooled)})}, name + ".concat");
}

}  // namespace

void squeezenet(OnnxBuilder& net, const ArchitectureScale& scale, bool newer) {
  SynthValue x = net.image(3, scale.resolution);
  x = conv_relu(net, x, "features.0", "features.1", {scale.channels(newer ? 64 : 96), newer ? 3 : 7, 2});
  constexpr std::array<std::int64_t, 8> squeezed{16, 16, 32, 32, 48, 48, 64, 64};
  int place = 2;
  for (std::size_t i = 0; i < squeezed.size(); ++i) {
    const bool pooled = newer ? i == 0 || i == 2 || i == 4 : i == 0 || i == 3 || i == 7;
    if (pooled) x = net.max_pool(x, "features." + std::to_string(place++), {3, 2, 0, true});
    x = fire(net, scale, x, "features." + std::to_string(place++), squeezed[i], squeezed[i] * 4);
  }
  x = conv_relu(net, x, "classifier.1", "classifier.2", {scale.classes});
  finish(net, net.flatten(net.global_pool(x, "classifier.3"), "flatten"));
}

void googlenet(OnnxBuilder& net, const ArchitectureScale& scale) {
  const SynthPooling halve{3, 2, 0, true};
  SynthValue x = net.image(3, scale.resolution);
  x = net.max_pool(basic(net, x, "conv1", {scale.channels(64), 7, 2, 3}), "maxpool1", halve);
  x = basic(net, x, "conv2", {scale.channels(64)});
  x = net.max_pool(basic(net, x, "conv3", {scale.channels(192), 3, 1, 1}), "maxpool2", halve);
  x = inception(net, scale, x, "inception3a", {64, 96, 128, 16, 32, 32});
  x = inception(net, scale, x, "inception3b", {128, 128, 192, 32, 96, 64});
  x = net.max_pool(x, "maxpool3", halve);
  x = inception(net, scale, x, "inception4a", {192, 96, 208, 16, 48, 64});
  x = inception(net, scale, x, "inception4b", {160, 112, 224, 24, 64, 64});
  x = inception(net, scale, x, "inception4c", {128, 128, 256, 24, 64, 64});
  x = inception(net, scale, x, "inception4d", {112, 144, 288, 32, 64, 64});
  x = inception(net, scale, x, "inception4e", {256, 160, 320, 32, 128, 128});
  x = net.max_pool(x, "maxpool4", {2, 2, 0, true});
  x = inception(net, scale, x, "inception5a", {256, 160, 320, 32, 128, 128});
  x = inception(net, scale, x, "inception5b", {384, 192, 384, 48, 128, 128});
  x = net.flatten(net.global_pool(x, "avgpool"), "flatten");
  finish(net, net.dense(x, "fc", scale.classes));
}

}  // namespace prony::architectures
