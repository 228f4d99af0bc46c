// parts: collect
// Any bytes as requests that strangers make of the collector, one after the other: each has an answer with a known
// status, what is told as JSON is JSON, and the same request again stores nothing twice. A request is a letter for
// where it goes, and the rest of its line; "~" in it stands for a line's end.
#include <stdlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "collect/receiver.hpp"

namespace prony::collect {
namespace {

constexpr std::int64_t second = 1'000'000'000, noon = 1'795'262'400'000'000'000;

// In memory where there is some: it is written to at each try.
struct Place {
  Place() {
    const bool memory = std::filesystem::is_directory("/dev/shm");
    std::string pattern = std::string(memory ? "/dev/shm" : "/tmp") + "/prony-fuzz-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path = pattern;
  }
  ~Place() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

HttpAnswer asked(Answers& answers, char where, const std::string& body, std::int64_t now) {
  static constexpr std::string_view paths[] = {"/v1/frames", "/log", "/simple_log", "/v1/clients", "/v1/totals", "/"};
  const auto place = static_cast<std::size_t>(static_cast<unsigned char>(where));
  const bool post = place % 8 < 3;
  const std::string path = place % 8 < 6 ? std::string(paths[place % 8]) : "/v1/clients/" + body.substr(0, 300);
  const HttpAnswer answer =
      answers.answer({path, "", post ? "POST" : "GET", post ? body : std::string(), noon + now}, now, noon + now);
  const unsigned known[] = {200, 400, 404, 405, 409, 422, 429};
  if (std::ranges::find(known, answer.status) == std::end(known)) std::abort();
  if (answer.content_type.starts_with("application/json") && !nlohmann::json::accept(answer.body)) std::abort();
  return answer;
}

}  // namespace
}  // namespace prony::collect

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace prony::collect;
  using prony::HttpAnswer;
  static const Place place;
  const std::string file = place.path + "/c.sqlite";
  for (const char* ending : {"", "-wal", "-shm"}) std::filesystem::remove(file + ending);
  auto archive = Archive::open(file);
  if (!archive) std::abort();
  Answers answers(std::move(*archive));
  std::string_view left(reinterpret_cast<const char*>(data), size);
  for (std::int64_t now = second; !left.empty() && now < 40 * second; now += second) {
    const std::size_t end = std::min(left.find('\n'), left.size());
    const char where = left.front();
    std::string body(left.substr(std::min<std::size_t>(1, end), end > 0 ? end - 1 : 0));
    std::ranges::replace(body, '~', '\n');
    left.remove_prefix(std::min(end + 1, left.size()));
    const HttpAnswer first = asked(answers, where, body, now);
    if (first.status != 200 || static_cast<unsigned char>(where) % 8 != 0) continue;
    const auto again = nlohmann::json::parse(asked(answers, where, body, now).body, nullptr, false);
    if (again.value("stored", 0) != 0) std::abort();
    if (now % (3 * second) == 0 && !answers.forget_before(noon + now)) std::abort();
  }
  return 0;
}
