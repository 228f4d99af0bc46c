// parts: proxy
// Any bytes as an HTTP request, in one piece and cut in two: the same verdict, body and rest; never both complete and
// in error. And as both sides of a connection that is watched: it never throws, never says more than began.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "answer_head.hpp"
#include "watch.hpp"

namespace {

std::string verdict(std::string_view first, std::string_view second) {
  prony_proxy::HttpRequest request;
  std::string rest(request.feed(first));
  const bool over = request.complete() || !request.error().empty();
  rest += over ? second : request.feed(second);
  if (request.complete() && !request.error().empty()) std::abort();
  if (request.complete() && request.body() && request.body()->size() != request.body_bytes()) std::abort();
  if (!request.error().empty()) return request.error();  // what is left then is nobody's affair
  return request.method() + "\1" + request.target() + "\1" + std::string(request.body().value_or("\2")) + "\1" + rest +
         (request.complete() ? "+" : "-");
}

class Count final : public prony_proxy::Audience {
 public:
  std::uint64_t began(const prony_proxy::Seen&) override { return ++begun; }
  void ended(prony_proxy::Seen&& seen) override {
    if (seen.number == 0 || seen.number > begun || seen.outcome.empty()) std::abort();
    if (seen.outcome != "ok" && seen.error.empty()) std::abort();
    if (++done > begun) std::abort();
  }
  std::uint64_t begun = 0, done = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t at = text.empty() ? 0 : data[0] % (text.size() + 1);
  if (verdict(text, {}) != verdict(text.substr(0, at), text.substr(at))) std::abort();
  Count count;
  prony_proxy::Watch watch(count);
  const std::size_t turn = text.size() * data[1] / 256;
  watch.from_client(text.substr(0, turn), 1);
  watch.from_server(text.substr(turn), 2);
  watch.ended((data[1] & 1) != 0, 3);
  if (count.done != count.begun || watch.busy()) std::abort();
  const prony_proxy::AnswerHead head = prony_proxy::look_at_head(text);
  if (head.length > text.size() || (head.kind == prony_proxy::AnswerHead::Kind::may_take && head.length < 4))
    std::abort();
  return 0;
}
