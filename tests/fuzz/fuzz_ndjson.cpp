// parts: http_engine
// Any bytes as lines of NDJSON, in one piece and cut in two at a place that the first byte names: the same events,
// and as what a server tells of a fetch the same bytes, never below 0 nor more than there are.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "fetch_progress.hpp"
#include "stream_parsers.hpp"

namespace {

template <class Parser>
std::vector<std::string> events(std::string_view first, std::string_view second) {
  std::vector<std::string> found;
  const prony_http::EventSink sink = [&](prony_http::StreamEvent&& event) {
    found.push_back(event.name + "\1" + event.data + (event.too_long ? "\2" : ""));
  };
  Parser parser(64);
  parser.feed(first, sink);
  parser.feed(second, sink);
  parser.finish(sink);
  return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t at = text.empty() ? 0 : data[0] % (text.size() + 1);
  if (events<prony_http::NdjsonParser>(text, {}) !=
      events<prony_http::NdjsonParser>(text.substr(0, at), text.substr(at)))
    std::abort();
  prony_http::FetchProgress whole, cut;
  whole.feed(text);
  cut.feed(text.substr(0, at));
  cut.feed(text.substr(at));
  whole.finish();
  cut.finish();
  if (whole.done_bytes() < 0 || whole.done_bytes() > whole.total_bytes() || whole.total_bytes() != cut.total_bytes() ||
      whole.failure().has_value() != cut.failure().has_value())
    std::abort();
  return 0;
}
