#include "answer_head.hpp"

#include <string>

#include "header_text.hpp"

namespace prony_proxy {

AnswerHead look_at_head(std::string_view bytes) {
  using Kind = AnswerHead::Kind;
  constexpr std::string_view start = "HTTP/1.", json = "application/json";
  const std::size_t known = bytes.size() < start.size() ? bytes.size() : start.size();
  if (bytes.substr(0, known) != start.substr(0, known)) return {Kind::plain, 0};
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return {bytes.size() > most_answer_head_bytes ? Kind::plain : Kind::incomplete, 0};
  const std::string_view head = bytes.substr(0, end + 2);
  if (head.size() < 15 || head[8] != ' ') return {Kind::plain, 0};
  if (head[9] == '1' && head.substr(9, 3) != "101") return {Kind::interim, end + 4};
  if (head[9] != '2') return {Kind::plain, 0};
  bool is_json = false;
  std::size_t at = head.find("\r\n") + 2;
  while (at < head.size()) {
    const std::size_t stop = head.find("\r\n", at);
    const std::string line = prony_http::lower(head.substr(at, stop - at));
    if (line.find('\n') != std::string::npos || line.find('\r') != std::string::npos || line.starts_with(' ') ||
        line.starts_with('\t'))
      return {Kind::plain, 0};
    if (line.starts_with("content-type:")) {
      const std::size_t value = line.find_first_not_of(" \t", 13);
      is_json = value != std::string::npos && std::string_view(line).substr(value).starts_with(json);
    }
    at = stop + 2;
  }
  return {is_json ? Kind::may_take : Kind::plain, is_json ? end + 4 : 0};
}

}  // namespace prony_proxy
