// Where layers lay in time, from their durations in execution order, anchored to the beginning or end of the inference.
// Never from when a profiler told a duration: TensorRT tells all of them after the inference is over. Pure. Units:
// seconds in interfaces of readings are elsewhere; here nanoseconds for windows, milliseconds for durations as
// recorded.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "layers/recording.hpp"

namespace prony::layers {

struct LayerWindow {
  std::int64_t begin_ns = 0, end_ns = 0;
};

struct Timeline {
  std::vector<LayerWindow> windows;  // one for each duration, each begins where the one before ends
  std::int64_t slack_ns = 0;         // of the inference that no layer fills: each layer may be later by up to that
  double scaled = 1;  // below 1: layers together were longer than the inference, and were made shorter by that
};

// Layers longer than their inference by more than `most_excess` of it were timed in another run: refused with the
// reason.
inline constexpr double most_excess = 0.02;
[[nodiscard]] Expected<Timeline, std::string> lay_out(std::span<const double> ms, std::optional<std::int64_t> begin_ns,
                                                      std::optional<std::int64_t> end_ns);

// A recording whose layers were told with times: each inference is laid out to end when its first layer was told, for
// the inference was over by then. Where it then reaches into the one before, it is squeezed behind it, and counted.
struct Rebuilt {
  std::size_t inferences = 0, squeezed = 0, incomplete = 0;
  bool told_afterwards = false;  // most layers were told sooner after one another than they take
};
[[nodiscard]] Result<Rebuilt> rebuild(
    const Recording& recording, const std::function<void(std::size_t inference, std::span<const LayerWindow>)>& each);

}  // namespace prony::layers
