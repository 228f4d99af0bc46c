// The files that trtexec writes of a measurement: the layers' profile, and the times of inferences.
#include <cmath>

#include "layers/edgeprofiler.hpp"
#include "layers/flat_objects.hpp"
#include "layers/tensorrt.hpp"

namespace prony::layers {

Result<Recording> read_trtexec_profile(ByteSource& source) {
  FlatObjects entries(source);
  Recording recording;
  recording.kind = "trtexec profile";
  std::optional<std::uint64_t> runs;
  double share = 0;
  std::size_t without_median = 0;
  while (true) {
    const auto more = entries.next();
    if (!more) return Unexpected<Error>(more.error());
    if (!*more) break;
    if (const auto count = entries.number("count"); count && *count >= 0 && *count < 1e15)
      runs = static_cast<std::uint64_t>(*count);
    const std::string_view name = entries.text("name");
    if (name.empty()) continue;
    LayerTimes layer;
    layer.name = name;
    layer.total_ms = entries.number("timeMs");
    layer.mean_ms = entries.number("averageMs");
    layer.median_ms = entries.number("medianMs");
    layer.runs = runs;
    without_median += !layer.median_ms;
    share += entries.number("percentage").value_or(0);
    recording.layers.push_back(std::move(layer));
    if (recording.layers.size() > most_layers) return fail(ErrorCode::full, "more than 100 000 layers");
  }
  if (recording.layers.empty()) return fail(ErrorCode::malformed, "no layer with a name is in the profile");
  recording.notes.push_back("only means over " + (runs ? std::to_string(*runs) : std::string("an unknown number of")) +
                            " runs are there: single inferences are not told");
  if (without_median > 0) recording.notes.push_back("no medians: TensorRT 8 does not write them");
  if (std::fabs(share - 100) > 1) recording.notes.push_back("the percentages do not add up to 100");
  return recording;
}

Result<TrtexecTimes> read_trtexec_times(ByteSource& source) {
  FlatObjects entries(source);
  TrtexecTimes times;
  std::optional<double> end_before;
  std::size_t incomplete = 0;
  while (true) {
    const auto more = entries.next();
    if (!more) return Unexpected<Error>(more.error());
    if (!*more) break;
    const auto latency = entries.number("latencyMs"), compute = entries.number("computeMs");
    if (!latency && !compute) {
      ++incomplete;
      continue;
    }
    if (latency && *latency >= 0) times.latency_ms.push_back(*latency);
    if (compute && *compute >= 0) times.compute_ms.push_back(*compute);
    const auto begin = entries.number("startComputeMs"), end = entries.number("endComputeMs");
    times.overlapping += begin && end_before && *begin < *end_before;
    end_before = end;
    if (times.latency_ms.size() > most_layer_times) return fail(ErrorCode::full, "more than 200 million times");
  }
  if (times.latency_ms.empty() && times.compute_ms.empty())
    return fail(ErrorCode::malformed, "no entry has latencyMs or computeMs", {},
                "It is what trtexec --exportTimes writes.");
  times.notes.push_back(
      "instants have six digits in the file, so after 1000 s they are told to 10 ms only: durations are used");
  if (incomplete > 0)
    times.notes.push_back(std::to_string(incomplete) + " entries have neither latencyMs nor computeMs: left out");
  if (times.overlapping > 0)
    times.notes.push_back(std::to_string(times.overlapping) +
                          " inferences began before the one before had ended: throughput is not 1 ÷ latency");
  return times;
}

}  // namespace prony::layers
