// Real architectures as ONNX files with random weights: what they compute and move is that of the published ones, what
// they answer is noise. So nothing has to be downloaded. Thread promise: any thread, no shared state. Errors: usage
// (an architecture nobody knows, a resolution it cannot take), and those of writing; never a half-written file.
// Source: torchvision's definitions (BatchNorm kept as nodes), Sandler et al. 2018, Howard et al. 2019, Huang et al.
// 2017, Szegedy et al. 2014, Devlin et al. 2018 and Turc et al. 2019 for BERT's sizes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace prony {

struct OnnxNetworkOptions {
  std::string architecture;
  std::int64_t batch = 1;
  bool dynamic_batch = false;   // the batch is left open: whoever runs it says how large it is
  std::int64_t resolution = 0;  // pixels a side; of BERT the length in tokens. 0: the architecture's own
  std::int64_t classes = 0;     // of those that tell classes; 0: as published
  double width = 1;             // times as many channels, in steps of 8
  std::uint64_t seed = 1;
  bool replace = false;
};

struct OnnxNetwork {
  std::string_view name;
  std::string_view help;
  std::int64_t resolution = 224;
};
[[nodiscard]] std::span<const OnnxNetwork> onnx_networks() noexcept;

struct OnnxNetworkReport {
  std::uint64_t parameters = 0, bytes = 0;
  std::size_t nodes = 0;
  std::int64_t resolution = 0;
};
[[nodiscard]] Result<OnnxNetworkReport> write_onnx_network(const OnnxNetworkOptions& options, const std::string& path);

}  // namespace prony
