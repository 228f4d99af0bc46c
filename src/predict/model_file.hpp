// A predictor as text: JSON with a format and a version, every number of every model in it, so that who reads it needs
// neither this program nor the data. What is read is checked as far as using it needs: sizes that match, trees that
// end, numbers that are numbers. Pure. Errors: malformed (what is wrong and where), usage (a version not known).
#pragma once

#include <string>
#include <string_view>

#include "predict/predictor.hpp"

namespace prony::predict {

inline constexpr const char* model_format = "prony-predictor";
inline constexpr int model_version = 1;

[[nodiscard]] std::string to_text(const Predictor& predictor);
[[nodiscard]] Result<Predictor> predictor_from_text(std::string_view text, const std::string& where);

}  // namespace prony::predict
