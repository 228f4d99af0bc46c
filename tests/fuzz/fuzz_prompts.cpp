// parts: workloads
// Any bytes as a prompts file, in both formats: an error that names file and line, or prompts with unique ids.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "workloads/prompts.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)prony::prompt_format_of("p", text);
  for (const auto format : {prony::PromptFormat::jsonl, prony::PromptFormat::text}) {
    const auto set = prony::parse_prompts(text, "p", format);
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
