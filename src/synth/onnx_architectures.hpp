// The architectures by themselves: each puts its layers into a builder. Inside of synth; see onnx_networks.hpp.
#pragma once

#include <algorithm>
#include <cmath>

#include "synth/onnx_builder.hpp"

namespace prony {

struct ArchitectureScale {
  std::int64_t resolution = 224, classes = 1000;
  double width = 1;
  // So many channels at this width, in steps; as many as asked for where the width is 1.
  [[nodiscard]] std::int64_t channels(std::int64_t count, std::int64_t step = 8) const {
    if (width == 1) return count;
    const double steps = std::round(static_cast<double>(count) * width / static_cast<double>(step));
    return step * std::max<std::int64_t>(1, static_cast<std::int64_t>(steps));
  }
};

namespace architectures {
void lenet(OnnxBuilder& net, const ArchitectureScale& scale);
void alexnet(OnnxBuilder& net, const ArchitectureScale& scale);
void vgg(OnnxBuilder& net, const ArchitectureScale& scale, int depth);  // 11, 13, 16, 19
void squeezenet(OnnxBuilder& net, const ArchitectureScale& scale, bool newer);
void googlenet(OnnxBuilder& net, const ArchitectureScale& scale);
void resnet(OnnxBuilder& net, const ArchitectureScale& scale, int depth);  // 18, 34, 50, 101
void resnext50(OnnxBuilder& net, const ArchitectureScale& scale);
void densenet(OnnxBuilder& net, const ArchitectureScale& scale, int depth);  // 121, 169
void mobilenet_v2(OnnxBuilder& net, const ArchitectureScale& scale);
void mobilenet_v3(OnnxBuilder& net, const ArchitectureScale& scale, bool large);
void efficientnet(OnnxBuilder& net, const ArchitectureScale& scale, bool deeper);  // b0, b1
void bert(OnnxBuilder& net, const ArchitectureScale& scale, int layers, std::int64_t hidden);
}  // namespace architectures

}  // namespace prony
