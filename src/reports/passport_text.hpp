// The table of `prony probe`: what was learned of each channel, below it what was not and why. Pure.
#pragma once

#include <string>
#include <vector>

#include "model/passport.hpp"

namespace prony {

// Lines of at most `width` columns (at least 60), each ending with "\n".
[[nodiscard]] std::string passports_text(const std::vector<ChannelPassport>& passports, std::size_t width, bool colour);

// Words of `text` in lines of at most `width` columns, after a label or as many spaces; ends with "\n".
[[nodiscard]] std::string labelled_line(const std::string& label, const std::string& text, std::size_t width);

// "0.98 ms", "61 µs", "1.2 s".
[[nodiscard]] std::string short_time(Duration duration);
// "61 µJ", "0.125 °C", "1 kB".
[[nodiscard]] std::string short_value(double value, const std::string& unit);

}  // namespace prony
