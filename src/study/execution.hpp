// How a study file says what is not a setting: [study], [gate] and [schedule]. Pure; of this part alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "study/plan.hpp"

namespace prony::study {

struct StudyHead {
  std::string& name;
  Kind& kind;
  bool& one_factor;
  Execution& execution;
};
[[nodiscard]] Result<void> read_head(const Value& table, const std::string& file, StudyHead head);
[[nodiscard]] Result<void> read_gate(const Value& table, const std::string& file, Execution& execution);
[[nodiscard]] Result<void> read_schedule(const Value& table, const std::string& file, Hours& hours);
// "4GiB", "512MiB", "2GB" → bytes; at least 1 MiB.
[[nodiscard]] std::optional<std::uint64_t> size_of_text(std::string_view text) noexcept;

}  // namespace prony::study
