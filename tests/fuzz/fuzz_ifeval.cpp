// parts: quality
// Any bytes as instructions, and any as an answer: an error in words, or verdicts, each either told or with its reason.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "quality/ifeval.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = input.find('\n');
  const std::string_view told = input.substr(0, line);
  const std::string_view answer = line == std::string_view::npos ? std::string_view() : input.substr(line + 1);
  const auto instructions = prony::quality::parse_instructions(told);
  if (!instructions) {
    if (instructions.error().what.empty()) std::abort();
    return 0;
  }
  const auto judged = prony::quality::judge(*instructions, answer);
  if (judged.strict.size() != instructions->size() || judged.loose.size() != instructions->size()) std::abort();
  for (std::size_t i = 0; i < judged.strict.size(); ++i) {
    if (judged.strict[i].followed && !judged.loose[i].followed) std::abort();  // what follows as it is follows loosely
    if (judged.strict[i].followed && !judged.strict[i].unchecked.empty()) std::abort();
  }
  return 0;
}
