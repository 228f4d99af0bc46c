// parts: exchange
// Any bytes as each of the files that `prony import` reads: an error that says what, or the parts of a Run that hold
// together: spans that do not end before they begin, parents that are there, as many readings as channels.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string_view>

#include "exchange/readers.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  for (const auto& row : prony::exchange::reader_rows()) {
    const auto out = row.read(input, {.as_written = size % 2 == 1});
    if (!out) {
      if (out.error().what.empty()) std::abort();
      continue;
    }
    if (out->spans.empty()) std::abort();
    std::set<std::uint64_t> ids;
    for (const auto& span : out->spans) {
      if (span.interval.end < span.interval.begin || !ids.insert(span.id.value).second) std::abort();
      if (span.parent.value != 0 && !ids.contains(span.parent.value)) std::abort();
    }
    if (out->group.channels.size() != out->channels.size()) std::abort();
    for (const auto& channel : out->channels)
      if (channel.part_of && channel.part_of->value >= out->channels.size()) std::abort();
  }
  return 0;
}
