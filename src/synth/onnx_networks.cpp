#include "synth/onnx_networks.hpp"

#include <array>
#include <string>
#include <vector>

#include "base/text.hpp"
#include "synth/onnx_architectures.hpp"

namespace prony {

namespace {

constexpr std::array catalogue{
    OnnxNetwork{"alexnet", "61.1 M parameters", 224},
    OnnxNetwork{"vgg11", "132.9 M parameters", 224},
    OnnxNetwork{"vgg13", "133.0 M parameters", 224},
    OnnxNetwork{"vgg16", "138.4 M parameters", 224},
    OnnxNetwork{"vgg19", "143.7 M parameters", 224},
    OnnxNetwork{"resnet18", "11.7 M parameters", 224},
    OnnxNetwork{"resnet34", "21.8 M parameters", 224},
    OnnxNetwork{"resnet50", "25.6 M parameters", 224},
    OnnxNetwork{"resnet101", "44.5 M parameters", 224},
    OnnxNetwork{"resnext50_32x4d", "25.0 M parameters, convolutions in 32 groups", 224},
    OnnxNetwork{"densenet121", "8.0 M parameters", 224},
    OnnxNetwork{"densenet169", "14.1 M parameters", 224},
    OnnxNetwork{"googlenet", "6.6 M parameters, without the auxiliary classifiers", 224},
    OnnxNetwork{"squeezenet1_0", "1.2 M parameters; also called squeezenet", 224},
    OnnxNetwork{"squeezenet1_1", "1.2 M parameters", 224},
    OnnxNetwork{"mobilenet_v2", "3.5 M parameters, depthwise convolutions", 224},
    OnnxNetwork{"mobilenet_v3_small", "2.5 M parameters, squeeze and excitation", 224},
    OnnxNetwork{"mobilenet_v3_large", "5.5 M parameters, squeeze and excitation", 224},
    OnnxNetwork{"efficientnet_b0", "5.3 M parameters, squeeze and excitation", 224},
    OnnxNetwork{"efficientnet_b1", "7.8 M parameters, squeeze and excitation", 240},
    OnnxNetwork{"lenet", "62 k parameters, 1 × 32 × 32, 10 classes", 32},
    OnnxNetwork{"bert-tiny", "4.4 M parameters, 2 layers of 128", 128},
    OnnxNetwork{"bert-mini", "11.2 M parameters, 4 layers of 256", 128},
    OnnxNetwork{"bert-small", "28.8 M parameters, 4 layers of 512", 128},
};

const OnnxNetwork* find_network(std::string_view name) {
  if (name == "squeezenet") name = "squeezenet1_0";
  for (const OnnxNetwork& one : catalogue)
    if (one.name == name) return &one;
  return nullptr;
}

void put_together(OnnxBuilder& net, std::string_view name, const ArchitectureScale& scale) {
  using namespace architectures;
  if (name == "alexnet") return alexnet(net, scale);
  if (name.starts_with("vgg")) return vgg(net, scale, static_cast<int>(*parse_i64(name.substr(3))));
  if (name.starts_with("resnet")) return resnet(net, scale, static_cast<int>(*parse_i64(name.substr(6))));
  if (name == "resnext50_32x4d") return resnext50(net, scale);
  if (name.starts_with("densenet")) return densenet(net, scale, static_cast<int>(*parse_i64(name.substr(8))));
  if (name == "googlenet") return googlenet(net, scale);
  if (name.starts_with("squeezenet")) return squeezenet(net, scale, name == "squeezenet1_1");
  if (name == "mobilenet_v2") return mobilenet_v2(net, scale);
  if (name.starts_with("mobilenet_v3")) return mobilenet_v3(net, scale, name == "mobilenet_v3_large");
  if (name.starts_with("efficientnet")) return efficientnet(net, scale, name == "efficientnet_b1");
  if (name == "bert-tiny") return bert(net, scale, 2, 128);
  if (name == "bert-mini") return bert(net, scale, 4, 256);
  if (name == "bert-small") return bert(net, scale, 4, 512);
  lenet(net, scale);
}

Result<void> check(const OnnxNetworkOptions& options) {
  const auto off = [](std::string what, std::string where, std::string fix) {
    return fail(ErrorCode::usage, std::move(what), std::move(where), std::move(fix));
  };
  if (options.batch < 1 || options.batch > 65'536)
    return off("a batch of " + std::to_string(options.batch), "--batch", "Use 1 to 65536.");
  if (options.resolution < 0 || options.resolution > 16'384)
    return off("a resolution of " + std::to_string(options.resolution), "--resolution", "Use 1 to 16384.");
  if (options.classes < 0 || options.classes > 1'000'000)
    return off(std::to_string(options.classes) + " classes", "--classes", "Use 1 to 1000000.");
  if (!(options.width >= 0.05 && options.width <= 8))
    return off("a width of " + format_number(options.width), "--width", "Use 0.05 to 8; 1 is the published network.");
  return {};
}

}  // namespace

std::span<const OnnxNetwork> onnx_networks() noexcept { return catalogue; }

Result<OnnxNetworkReport> write_onnx_network(const OnnxNetworkOptions& options, const std::string& path) {
  const OnnxNetwork* network = find_network(options.architecture);
  if (network == nullptr) {
    std::vector<std::string> names;
    std::string all;
    for (const OnnxNetwork& one : catalogue) {
      names.emplace_back(one.name);
      all += (all.empty() ? "" : ", ") + std::string(one.name);
    }
    const auto nearest = nearest_name(options.architecture, names);
    return fail(ErrorCode::usage, "no architecture is called '" + printable(options.architecture, 60) + "'", "--arch",
                (nearest ? "Did you mean " + *nearest + "? " : std::string()) + "There are " + all + ".");
  }
  if (auto fine = check(options); !fine) return Unexpected<Error>(fine.error());
  const bool words = network->name.starts_with("bert");
  ArchitectureScale scale;
  scale.resolution = options.resolution == 0 ? network->resolution : options.resolution;
  scale.classes = options.classes > 0 ? options.classes : network->name == "lenet" ? 10 : 1000;
  scale.width = options.width;
  if (words && scale.resolution > 512)
    return fail(ErrorCode::usage, "BERT reads at most 512 tokens", "--resolution", "Use 1 to 512.");
  OnnxBuilder net(std::string(network->name), options.batch, options.dynamic_batch);
  put_together(net, network->name, scale);
  if (!net.problem().empty())
    return fail(ErrorCode::usage, std::string(network->name) + ": " + net.problem(), "--resolution",
                "The published one is " + std::to_string(network->resolution) + ".");
  const auto bytes = net.write(path, options.seed, options.replace);
  if (!bytes) return Unexpected<Error>(bytes.error());
  return OnnxNetworkReport{net.parameters(), *bytes, net.nodes(), scale.resolution};
}

}  // namespace prony
