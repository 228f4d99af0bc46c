// parts: workloads
// Any bytes as a prompts file, in every format: an error that names file and line, or prompts with unique ids.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "workloads/prompts.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  (void)prony::prompt_format_of("p", input);
  using enum prony::PromptFormat;
  for (const auto format : {jsonl, text, csv, sharegpt, messages, ifeval, ai_energy_score}) {
    const auto set = prony::parse_prompts(input, "p", prony::PromptReading{.format = format, .turns = size % 3});
    if (!set) {
      if (set.error().what.empty() || set.error().where.empty()) std::abort();
      continue;
    }
    if (set->prompts.empty()) std::abort();
    std::set<std::string> ids;
    for (const auto& prompt : set->prompts)
      if (prompt.text.empty() || !ids.insert(prompt.id).second) std::abort();
  }
  return 0;
}
