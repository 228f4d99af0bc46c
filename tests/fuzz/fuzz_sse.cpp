// parts: http_engine
// Any bytes as server-sent events, in one piece and cut in two at a place that the first byte names: the same events.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

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
  if (events<prony_http::SseParser>(text, {}) != events<prony_http::SseParser>(text.substr(0, at), text.substr(at)))
    std::abort();
  return 0;
}
