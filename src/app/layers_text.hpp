// Recordings of layers as text for a terminal, as JSON and as CSV. Units in every name; absent is empty or null.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "app/layers_files.hpp"
#include "layers/recording.hpp"

namespace prony::app {

[[nodiscard]] std::string layers_text(const std::vector<LayerFile>& files, const layers::Recording& all,
                                      std::size_t width, bool colour);
[[nodiscard]] std::string layers_json(const std::vector<LayerFile>& files, const layers::Recording& all);
[[nodiscard]] std::string layers_csv(const layers::Recording& all);
// Sentences, wrapped, each with "note:".
[[nodiscard]] std::string notes_text(const std::vector<std::string>& notes, std::size_t width);

}  // namespace prony::app
