// The loader's libraries (dlopen). Only machine's own files include it. Thread promise: any thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "machine/library.hpp"

namespace prony {

// The first of `names` that is there. Errors: see machine/library.hpp; one that is there and broken ends the search.
[[nodiscard]] Result<std::unique_ptr<Library>> open_live_library(std::span<const std::string_view> names);
// "a, b": for the `where` of an error.
[[nodiscard]] std::string joined_names(std::span<const std::string_view> names);

}  // namespace prony
