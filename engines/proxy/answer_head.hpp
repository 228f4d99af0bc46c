// AnswerHead: whether the head of an answer that is held back may get one more header, and where. Pure. Only a head
// that nobody can read in two ways is touched: HTTP/1.x, 2xx, lines that end in CR LF, a plain JSON document (a stream
// has begun long before its joules are known). Thread promise: any thread. Source: RFC 9112 (§2, §4), RFC 9110 (§15.2).
#pragma once

#include <cstddef>
#include <string_view>

namespace prony_proxy {

struct AnswerHead {
  enum class Kind {
    incomplete,  // more bytes are needed to tell
    interim,     // 100 Continue and its like: passed on at once, another head follows
    plain,       // nothing is put in
    may_take,    // a header may be put in at `length − 2`
  };
  Kind kind = Kind::incomplete;
  std::size_t length = 0;  // of the head with its empty line; 0 for `incomplete` and `plain`
};

inline constexpr std::size_t most_answer_head_bytes = 64 * 1024;
[[nodiscard]] AnswerHead look_at_head(std::string_view bytes);

}  // namespace prony_proxy
