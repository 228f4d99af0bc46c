// A series as sinks that write JSON describe it once, at the head of what they write. Thread promise: any thread.
#pragma once

#include <nlohmann/json.hpp>

#include "sinks/stream.hpp"

namespace prony {

[[nodiscard]] nlohmann::ordered_json described(const Series& series);

}  // namespace prony
