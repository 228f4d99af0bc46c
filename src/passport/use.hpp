// What is done with passports: fill what a sensor does not document, join new knowledge to old, see what has changed.
// Pure. Units as in model/passport.hpp.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "model/channel.hpp"
#include "model/passport.hpp"

namespace prony::passport {

// Fills update_period, resolution and averaging_window where the sensor documents none (0). A learned period longer
// than the documented one takes its place: a bound must reckon with what was seen. It never shortens one. Answers what
// was filled, a line each.
[[nodiscard]] std::vector<std::string> fill_channels(std::span<Channel> channels, const MachinePassport& passport);

struct Drift {
  std::string channel;
  std::string text;  // "update period was 1.00 ms ± 0.01, is now 10.0 ms"
};
// Where `now` differs from `before` by more than both doubts together explain.
[[nodiscard]] std::vector<Drift> find_drift(const MachinePassport& before, std::span<const ChannelPassport> now);

// `learned` joins `kept`: a probe replaces what was there; a Run fills what is absent, and replaces what another Run
// taught if it saw more changes. True if that taught something worth keeping (a new phase alone is not).
bool join(MachinePassport& kept, std::span<const ChannelPassport> learned);

}  // namespace prony::passport
