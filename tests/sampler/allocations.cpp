// In a file of its own, so that the compiler does not inline one half of new/delete and warn about the other.
#include "allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
thread_local bool counting = false;
std::atomic<int> allocations{0};
}  // namespace

namespace prony::test {
void count_allocations_of_this_thread() noexcept { counting = true; }
int counted_allocations() noexcept { return allocations.load(); }
}  // namespace prony::test

void* operator new(std::size_t bytes) {
  if (counting) allocations.fetch_add(1);
  if (void* memory = std::malloc(bytes != 0 ? bytes : 1)) return memory;
  std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
