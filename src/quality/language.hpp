// In which language a text is: by its script, and where several languages share one, by their commonest words and
// letters. It stands for the package langdetect of IFEval's published scorer; it knows the languages that IFEval asks
// for. Thread promise: pure. Errors: none.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace prony::quality {

// ISO 639-1 ("en", "hi"); absent: the text has no letters, or no word that tells.
[[nodiscard]] std::optional<std::string> language_of(std::string_view text);
[[nodiscard]] bool knows_language(std::string_view code);

}  // namespace prony::quality
