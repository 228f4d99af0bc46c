// Whether an answer ends in a loop: the longest tail that repeats one piece at least three times. Pure; any thread.
#pragma once

#include <cstddef>
#include <vector>

namespace prony_engine {

struct Repetition {
  std::size_t length = 0;  // of the tail; 0: it does not repeat
  std::size_t period = 0;  // of the piece
};

// `least`: shorter tails are no loop ("very, very, very"). Pieces are looked for up to `longest` elements. A sequence
// of n elements takes at most n · longest comparisons, and few where nothing repeats.
template <class Sequence>
[[nodiscard]] Repetition repeated_tail(const Sequence& sequence, std::size_t least, std::size_t longest) {
  Repetition best;
  const std::size_t size = sequence.size();
  for (std::size_t period = 1; period <= longest && 3 * period <= size; ++period) {
    std::size_t matches = 0;
    while (matches + period < size && sequence[size - 1 - matches] == sequence[size - 1 - matches - period]) ++matches;
    const std::size_t length = matches + period;
    // A loop of one piece is one of twice that piece too: the shortest is told.
    if (matches >= 2 * period && length >= least && length > best.length) best = {length, period};
  }
  return best;
}

}  // namespace prony_engine
