// Counts operator new in the threads that ask for it.
#pragma once

namespace prony::test {
void count_allocations_of_this_thread() noexcept;
[[nodiscard]] int counted_allocations() noexcept;
}  // namespace prony::test
