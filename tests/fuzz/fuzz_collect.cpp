// parts: collect
// Any bytes as what a stranger posts to the collector, or as a file of tokens: an answer, never a crash; a batch that
// is accepted keeps within its limits; a form's row has no number that is not finite.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "collect/batch.hpp"
#include "collect/form.hpp"
#include "sinks/token_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace prony::collect;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto batch = parse_batch(text)) {
    if (batch->stream.size() != 32 || batch->client.empty() || batch->frames.size() > most_frames) std::abort();
    for (const ReceivedFrame& frame : batch->frames) {
      if (frame.sequence == 0 || frame.values.size() > most_series) std::abort();
      for (const auto& value : frame.values)
        if (value && !std::isfinite(*value)) std::abort();
    }
  }
  if (const auto entry = parse_log_entry(text)) {
    if (entry->identifier.empty() || entry->sequence.has_value() != !entry->stream.empty()) std::abort();
    for (const auto& number : {entry->numbers.cpu_percent, entry->numbers.memory_percent, entry->numbers.vdd_in_mw})
      if (number && !std::isfinite(*number)) std::abort();
  }
  if (const auto tokens = prony::parse_tokens(text, "t"))
    for (const auto& token : *tokens)
      if (token.size() < 16) std::abort();
  return 0;
}
