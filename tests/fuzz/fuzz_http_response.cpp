// parts: http_engine
// Any bytes as an HTTP answer, in one piece and cut in two: the same status, body and verdict, and never both complete
// and in error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "http_response.hpp"

namespace {

std::string verdict(std::string_view first, std::string_view second) {
  prony_http::HttpResponse response;
  std::string body;
  const auto take = [&](std::string_view part) { body += part; };
  response.feed(first, take);
  response.feed(second, take);
  const bool whole = response.close();
  if (whole != response.complete() || whole != response.error().empty()) std::abort();
  return std::to_string(response.status()) + (whole ? "+" : "-") + response.error() + "\1" + body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t at = text.empty() ? 0 : data[0] % (text.size() + 1);
  if (verdict(text, {}) != verdict(text.substr(0, at), text.substr(at))) std::abort();
  return 0;
}
