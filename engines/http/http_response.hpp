// HttpResponse: an HTTP/1.1 answer read incrementally: status, headers, and a body by length, by chunks or up to the
// close of the connection. Written here because each piece of the body must keep the kernel's stamp of the read that
// brought it, which no HTTP library hands on. Thread promise: one thread. Errors: error() in words, after which nothing
// more is taken. Source: RFC 9112 (§4, §6, §7.1). Bounds: 64 KiB of headers and trailers each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace prony_http {

class HttpResponse {
 public:
  using BodySink = std::function<void(std::string_view)>;

  // Takes bytes as they came; `body` gets the content, without what frames it. Gives what it did not take: what follows
  // a complete answer, and what comes after an error.
  std::string_view feed(std::string_view bytes, const BodySink& body);
  // Before the first byte: the answer to HEAD, which has no body whatever its headers say.
  void of_head() noexcept { bodiless_ = true; }
  // The connection was closed by the other side. False: the answer was not whole then, and error() says what lacks.
  bool close();

  [[nodiscard]] bool started() const noexcept { return started_; }  // a first byte came
  [[nodiscard]] bool has_head() const noexcept { return state_ > State::headers; }
  [[nodiscard]] bool complete() const noexcept { return state_ == State::complete; }
  [[nodiscard]] const std::string& error() const noexcept { return error_; }  // empty: none
  [[nodiscard]] int status() const noexcept { return status_; }               // 0 before its line
  // How many bytes may be read without reaching into the next chunk, whose stamp would then be this one's; at least 1.
  [[nodiscard]] std::size_t wanted() const noexcept;
  // Between two chunks, with nothing of the next taken.
  [[nodiscard]] bool between_chunks() const noexcept { return state_ == State::chunk_size && line_.empty(); }
  // The value of a header by its name in lower case; nullopt: it is not there.
  [[nodiscard]] std::optional<std::string> header(std::string_view name) const;
  // Whether the connection may carry another request once this answer is complete.
  [[nodiscard]] bool keeps_alive() const;

 private:
  enum class State {
    status_line,
    headers,
    length,
    chunk_size,
    chunk_data,
    chunk_end,
    trailers,
    to_close,
    complete,
    failed
  };

  void take_line(std::string_view line);
  void end_of_headers();
  void take_chunk_size(std::string_view line);
  std::string_view take_content(std::string_view bytes, const BodySink& body);
  void fail(std::string words);

  State state_ = State::status_line;
  bool started_ = false;
  int status_ = 0;
  bool http_1_0_ = false, bodiless_ = false;
  std::vector<std::pair<std::string, std::string>> headers_;
  std::size_t header_bytes_ = 0;
  std::string line_, error_;
  std::uint64_t left_ = 0;       // of the body, or of the chunk
  std::size_t least_chunk_ = 0;  // the bytes of the shortest chunk so far, with what frames it; 0: none yet
};

}  // namespace prony_http
