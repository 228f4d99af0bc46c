// A kept calibration put into the modelled channel that it was made for: the channel is derived from then on. Its idle
// and full watts are those that the line gives for the model's own, low and high the line's prediction there. Watts.
// Pure; any thread. Errors: unavailable, in words, where this line says nothing about this channel.
#pragma once

#include <optional>

#include "calibrate/calibration.hpp"

namespace prony::calibrate {

// What the line was fitted to, of a channel that is modelled. nullopt: it is not.
[[nodiscard]] std::optional<ModelFigures> figures_of(const Channel& channel, bool clocks);

// False: the calibration is about other channels. `clocks`: are clocks of the processor read beside it? nullopt: nobody
// knows yet.
[[nodiscard]] Result<bool> calibrate_channel(const Calibration& calibration, std::optional<bool> clocks,
                                             Channel& channel);

}  // namespace prony::calibrate
