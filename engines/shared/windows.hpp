// Which windows of a corpus are computed for its perplexity, and which of their tokens are scored: each at most once,
// with as much of the text before it as its window holds. A begin token, where the model has one, stands before every
// window and is in its length. Pure; any thread. The worker in Python has the same (engines/transformers).
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace prony_engine {

struct Window {
  std::size_t begin = 0, scored = 0, end = 0;  // tokens [begin, end) are computed, [scored, end) are scored
};

// `length` positions at most, `stride` new tokens each. Empty: a window has room for no token that could be scored.
[[nodiscard]] inline std::vector<Window> corpus_windows(std::size_t tokens, std::size_t length, std::size_t stride,
                                                        bool begin_token) {
  const std::size_t around = begin_token ? 1 : 0;
  if (length < 2 || stride == 0) return {};
  const std::size_t room = length - around, step = std::min(stride, room);
  std::vector<Window> made;
  for (std::size_t at = 0; at < tokens;) {
    const std::size_t end = std::min(tokens, at + (at > 0 ? step : room));
    const std::size_t begin = end > room ? end - room : 0;
    // Nothing tells the first token where nothing is before it.
    const std::size_t scored = std::max(at, begin + (begin_token ? 0 : 1));
    if (scored < end) made.push_back({begin, scored, end});
    at = end;
  }
  return made;
}

}  // namespace prony_engine
