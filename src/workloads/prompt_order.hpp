// Which prompts are asked, and in which order. Sessions stay whole and their turns in order, wherever they go. Pure;
// the same seed gives the same order on every machine. Errors: usage, in words of the option concerned.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "workloads/prompts.hpp"

namespace prony {

enum class PromptOrder {
  as_is,
  sorted,       // the shortest first
  sorted_down,  // the longest first, as batches want it
  grouped,      // those of a group stand together, groups in the order of their first
  shuffled,
};
// "as-is", "sorted", "sorted-down", "grouped", "shuffled".
[[nodiscard]] Result<PromptOrder> prompt_order_from(std::string_view word);

// How long a prompt is, with what stands before it: tokens where they were asked for (synthetic) or told by `tokens`,
// else an estimate of four bytes a token.
struct PromptLength {
  std::int64_t tokens = 0;
  bool estimated = true;
};
[[nodiscard]] PromptLength prompt_length(const Prompt& prompt);

// `lengths`: one a prompt, in their order. A session is as long as its first turn.
[[nodiscard]] std::vector<Prompt> ordered(std::vector<Prompt> prompts, const std::vector<PromptLength>& lengths,
                                          PromptOrder order, std::uint64_t seed);

struct TokenRange {
  std::int64_t least = 0;
  std::optional<std::int64_t> most = std::nullopt;  // absent: no limit
};
// "A..B", "A..", "..B"; both ends belong to it.
[[nodiscard]] Result<TokenRange> token_range_from(std::string_view text);
// A session goes if one of its turns does: a conversation with a hole in it is another one.
[[nodiscard]] std::vector<Prompt> within_range(std::vector<Prompt> prompts, const std::vector<PromptLength>& lengths,
                                               const TokenRange& range);

}  // namespace prony
