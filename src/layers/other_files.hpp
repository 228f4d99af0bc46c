// Recordings of other tools: ONNX Runtime's profile, logs of a Jetson's tegrastats, kernels of
// Nsight Systems; and which kind a file is, by how it begins. Streamed where the file is long.
// Errors: malformed, full. Pure.
// Source: onnxruntime/core/common/profiler.cc (Chrome's trace events); NVIDIA Jetson Linux, "tegrastats"; Nsight
// Systems' SQLite schema.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "layers/byte_source.hpp"
#include "layers/recording.hpp"

namespace prony::layers {

enum class FileKind : std::uint8_t {
  layer_latencies,
  engine,
  benchmark,
  idle_power,
  power_log,
  mapping,
  stats,
  training,
  trtexec_profile,
  trtexec_times,
  trtexec_metadata,
  onnxruntime_profile,
  tegrastats_log,
  nsys,
  table,  // a CSV with names and times of layers
  unknown,
};
[[nodiscard]] std::string_view to_string(FileKind kind) noexcept;
// By the first 64 KiB, or as much as there is.
[[nodiscard]] FileKind kind_of(std::string_view head);

// Nodes inside If, Loop and Scan have rows of their own there, although their time is in that of the node that holds
// them: they are left out, and said.
[[nodiscard]] Result<Recording> read_onnxruntime_profile(ByteSource& source);

// Rails with their mean power; the log has no times unless it was asked for them.
[[nodiscard]] Result<Recording> read_tegrastats_log(ByteSource& source);

// One kernel of a trace, and the innermost named range in which it was launched.
struct TracedKernel {
  std::string kernel, range;
  std::uint64_t call = 0;  // which range of the trace that is: one for each time it was entered; 0: launched in none
  std::int64_t begin_ns = 0, end_ns = 0;
};
// The kernels of a range that was entered once are one time of it, added up; a kernel in no range is a time of its own.
[[nodiscard]] Result<Recording> recording_of_kernels(std::span<const TracedKernel> kernels);

}  // namespace prony::layers
