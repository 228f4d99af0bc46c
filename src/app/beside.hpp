// Programs that are built and installed with prony: beside this very program, else where PATH finds them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace prony::app {

[[nodiscard]] std::optional<std::string> find_beside_or_in_path(std::string_view program);

}  // namespace prony::app
