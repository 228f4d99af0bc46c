#include "machine/names.hpp"

#include <charconv>

namespace prony {

namespace {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// The run of digits at the front of `text`, cut off from it.
std::string_view take_digits(std::string_view& text) noexcept {
  std::size_t length = 0;
  while (length < text.size() && is_digit(text[length])) ++length;
  const auto digits = text.substr(0, length);
  text.remove_prefix(length);
  return digits;
}

std::string_view without_leading_zeros(std::string_view digits) noexcept {
  while (digits.size() > 1 && digits.front() == '0') digits.remove_prefix(1);
  return digits;
}

std::optional<unsigned> whole_number(std::string_view text) noexcept {
  unsigned value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

}  // namespace

bool natural_less(std::string_view a, std::string_view b) noexcept {
  const auto whole_a = a, whole_b = b;
  while (!a.empty() && !b.empty()) {
    if (is_digit(a.front()) && is_digit(b.front())) {
      // Compared as text after stripping zeros, not as an integer: no number is too long.
      const auto left = without_leading_zeros(take_digits(a));
      const auto right = without_leading_zeros(take_digits(b));
      if (left.size() != right.size()) return left.size() < right.size();
      if (left != right) return left < right;
      continue;
    }
    if (a.front() != b.front()) return a.front() < b.front();
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  if (a.empty() != b.empty()) return a.empty();
  return whole_a < whole_b;
}

namespace {

// Calls `range(first, last)` for each part of a list; false: it is none, or `range` said so.
template <class F>
bool for_each_range(std::string_view list, F&& range) {
  while (true) {
    const auto comma = list.find(',');
    const auto part = list.substr(0, comma);
    const auto dash = part.find('-');
    const auto first = whole_number(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : whole_number(part.substr(dash + 1));
    if (!first || !last || *last < *first || *last - *first > 1'000'000) return false;
    if (!range(*first, *last)) return false;
    if (comma == std::string_view::npos) return true;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace

std::optional<unsigned> count_cpu_list(std::string_view list) noexcept {
  unsigned count = 0;
  const bool whole = for_each_range(list, [&](unsigned first, unsigned last) {
    count += last - first + 1;
    return true;
  });
  return whole ? std::optional(count) : std::nullopt;
}

std::optional<std::vector<unsigned>> cpus_of_list(std::string_view list) {
  constexpr std::size_t most_cpus = 65536;
  std::vector<unsigned> cpus;
  const bool whole = for_each_range(list, [&](unsigned first, unsigned last) {
    if (cpus.size() + (last - first) >= most_cpus) return false;
    for (unsigned cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
    return true;
  });
  return whole ? std::optional(std::move(cpus)) : std::nullopt;
}

bool cpu_list_holds(std::string_view list, unsigned cpu) noexcept {
  bool held = false;
  (void)for_each_range(list, [&](unsigned first, unsigned last) {
    held = held || (first <= cpu && cpu <= last);
    return true;
  });
  return held;
}

}  // namespace prony
