#include "layers/timeline.hpp"

#include <algorithm>
#include <cmath>

namespace prony::layers {

namespace {

std::int64_t to_ns(double ms) { return std::llround(std::clamp(ms, 0.0, 1e12) * 1e6); }

std::vector<LayerWindow> one_after_the_other(std::span<const double> ms, std::int64_t begin, double scale) {
  std::vector<LayerWindow> windows;
  double done = 0;
  std::int64_t from = begin;
  for (const double one : ms) {
    done += std::clamp(one, 0.0, 1e12) * scale;
    const std::int64_t until = begin + to_ns(done);
    windows.push_back({from, until});
    from = until;
  }
  return windows;
}

double sum_of(std::span<const double> ms) {
  double sum = 0;
  for (const double one : ms) sum += std::clamp(one, 0.0, 1e12);
  return sum;
}

}  // namespace

Expected<Timeline, std::string> lay_out(std::span<const double> ms, std::optional<std::int64_t> begin_ns,
                                        std::optional<std::int64_t> end_ns) {
  if (!begin_ns && !end_ns)
    return Unexpected<std::string>("neither the beginning nor the end of the inference is known");
  if (std::ranges::any_of(ms, [](double one) { return !std::isfinite(one) || one < 0; }))
    return Unexpected<std::string>("a duration is no time");
  Timeline timeline;
  const double together = sum_of(ms);
  if (begin_ns && end_ns) {
    if (*end_ns < *begin_ns) return Unexpected<std::string>("the inference ends before it begins");
    const double length = static_cast<double>(*end_ns - *begin_ns) * 1e-6;
    if (together > length * (1 + most_excess))
      return Unexpected<std::string>(
          "layers together take longer than the inference: they were timed in another run, or with a profiler that "
          "slowed them");
    if (together > length && together > 0) timeline.scaled = length / together;
    timeline.slack_ns = std::max<std::int64_t>(0, *end_ns - *begin_ns - to_ns(together));
  }
  timeline.windows = one_after_the_other(ms, begin_ns ? *begin_ns : *end_ns - to_ns(together), timeline.scaled);
  return timeline;
}

Result<Rebuilt> rebuild(const Recording& recording,
                        const std::function<void(std::size_t inference, std::span<const LayerWindow>)>& each) {
  Rebuilt rebuilt;
  if (recording.layers.empty()) return fail(ErrorCode::unavailable, "no layers");
  std::size_t least = static_cast<std::size_t>(-1), most = 0;
  for (const LayerTimes& layer : recording.layers) {
    if (layer.ms.empty() || layer.told_us.size() != layer.ms.size())
      return fail(ErrorCode::unavailable,
                  "layer '" + layer.name.substr(0, 80) + "' has no times of telling: nothing anchors its inferences");
    least = std::min(least, layer.ms.size());
    most = std::max(most, layer.ms.size());
  }
  rebuilt.incomplete = most - least;
  std::vector<double> ms(recording.layers.size());
  std::optional<std::int64_t> before;
  std::size_t sooner = 0, pairs = 0;
  for (std::size_t i = 0; i < least; ++i) {
    std::int64_t first_told = recording.layers.front().told_us[i];
    for (std::size_t k = 0; k < ms.size(); ++k) {
      ms[k] = recording.layers[k].ms[i];
      first_told = std::min(first_told, recording.layers[k].told_us[i]);
      if (k == 0) continue;
      ++pairs;
      const double between =
          static_cast<double>(recording.layers[k].told_us[i] - recording.layers[k - 1].told_us[i]) * 1e-3;
      sooner += between < ms[k] / 2;
    }
    const std::int64_t end = first_told * 1000;
    auto laid = lay_out(ms, std::nullopt, end);
    if (!laid) return fail(ErrorCode::malformed, laid.error());
    if (before && laid->windows.front().begin_ns < *before) {
      // No more room than there is: what was told late says nothing of how long it took.
      const double room = static_cast<double>(std::max<std::int64_t>(0, end - *before)) * 1e-6;
      const double together = sum_of(ms);
      laid->windows = one_after_the_other(ms, std::min(*before, end), together > 0 ? room / together : 1);
      if (end < *before)
        for (LayerWindow& window : laid->windows) window = {*before, *before};
      ++rebuilt.squeezed;
    }
    before = laid->windows.back().end_ns;
    ++rebuilt.inferences;
    each(i, laid->windows);
  }
  rebuilt.told_afterwards = pairs > 0 && sooner * 2 > pairs;
  return rebuilt;
}

}  // namespace prony::layers
