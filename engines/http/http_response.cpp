#include "http_response.hpp"

#include <algorithm>

#include "header_text.hpp"

namespace prony_http {

namespace {

constexpr std::size_t most_header_bytes = 64 * 1024;

}  // namespace

void HttpResponse::fail(std::string words) {
  state_ = State::failed;
  error_ = std::move(words);
}

std::optional<std::string> HttpResponse::header(std::string_view name) const {
  for (const auto& [key, value] : headers_)
    if (key == name) return value;
  return std::nullopt;
}

std::size_t HttpResponse::wanted() const noexcept {
  constexpr std::size_t least_size_line = 5, line_end = 2;  // the shortest chunk with content has six bytes
  if (state_ == State::chunk_data)
    return static_cast<std::size_t>(std::min<std::uint64_t>(left_, std::uint64_t{1} << 30)) + line_end;
  // The pieces of a stream are much of a size: most are taken by one read of the least that one ever had.
  if (between_chunks() && least_chunk_ > 0) return least_chunk_;
  if (state_ == State::chunk_size) return line_.size() < least_size_line ? least_size_line - line_.size() : 1;
  if (state_ == State::chunk_end) return line_.size() < line_end ? line_end - line_.size() : 1;
  return std::size_t{1} << 30;
}

bool HttpResponse::keeps_alive() const {
  if (state_ != State::complete) return false;
  const std::string said = lower(header("connection").value_or(""));
  return http_1_0_ ? said == "keep-alive" : said.find("close") == std::string::npos;
}

void HttpResponse::take_line(std::string_view line) {
  if (state_ == State::status_line) {
    // "HTTP/1.1 200 OK"
    if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ')
      return fail("the answer is no HTTP: it begins with \"" + std::string(line.substr(0, 40)) + "\"");
    const auto status = whole_number(line.substr(9, 3), 10);
    if (!status || *status < 100 || *status > 599) return fail("the answer has no HTTP status");
    http_1_0_ = line[7] == '0';
    status_ = static_cast<int>(*status);
    state_ = State::headers;
  } else if (state_ == State::headers) {
    if (line.empty()) return end_of_headers();
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos)
      headers_.emplace_back(lower(trimmed(line.substr(0, colon))), std::string(trimmed(line.substr(colon + 1))));
  } else if (state_ == State::chunk_size) {
    take_chunk_size(line);
  } else if (state_ == State::chunk_end) {
    if (!line.empty()) return fail("a chunk of the answer is longer than it says");
    state_ = State::chunk_size;
  } else if (line.empty()) {  // trailers
    state_ = State::complete;
  }
}

void HttpResponse::end_of_headers() {
  header_bytes_ = 0;    // trailers have a limit of their own
  if (status_ < 200) {  // 100 Continue: the answer proper follows
    headers_.clear();
    state_ = State::status_line;
    return;
  }
  const auto coding = header("transfer-encoding");
  const auto length = header("content-length");
  if (status_ == 204 || status_ == 304 || bodiless_) {
    state_ = State::complete;
  } else if (coding) {
    if (lower(*coding) != "chunked")
      return fail("the answer is coded as " + coding->substr(0, 40) + ", which is not read here");
    state_ = State::chunk_size;
  } else if (length) {
    const auto bytes = whole_number(*length, 10);
    if (!bytes) return fail("the answer has a length that is no number");
    left_ = *bytes;
    state_ = left_ == 0 ? State::complete : State::length;
  } else {
    state_ = State::to_close;
  }
}

void HttpResponse::take_chunk_size(std::string_view line) {
  const auto size = whole_number(trimmed(line.substr(0, line.find(';'))), 16);
  if (!size) return fail("a chunk of the answer has no length");
  left_ = *size;
  state_ = left_ == 0 ? State::trailers : State::chunk_data;
  constexpr std::size_t line_ends = 4;
  const auto whole = static_cast<std::size_t>(std::min<std::uint64_t>(*size, 65536)) + line.size() + line_ends;
  if (left_ > 0) least_chunk_ = least_chunk_ == 0 ? whole : std::min(least_chunk_, whole);
}

// Gives what is left of `bytes` for the next state.
std::string_view HttpResponse::take_content(std::string_view bytes, const BodySink& body) {
  if (state_ == State::to_close) {
    body(bytes);
    return {};
  }
  const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
  left_ -= part;
  body(bytes.substr(0, part));
  if (left_ == 0) state_ = state_ == State::length ? State::complete : State::chunk_end;
  return bytes.substr(part);
}

std::string_view HttpResponse::feed(std::string_view bytes, const BodySink& body) {
  started_ = started_ || !bytes.empty();
  while (!bytes.empty() && state_ != State::failed && state_ != State::complete) {
    if (state_ == State::length || state_ == State::chunk_data || state_ == State::to_close) {
      bytes = take_content(bytes, body);
      continue;
    }
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    header_bytes_ = state_ == State::chunk_size || state_ == State::chunk_end ? line_.size() + part.size()
                                                                              : header_bytes_ + part.size();
    if (header_bytes_ > most_header_bytes) return fail("the head of the answer is longer than 64 KiB"), bytes;
    line_.append(part);
    if (end == std::string_view::npos) return {};
    bytes.remove_prefix(end + 1);
    if (!line_.empty() && line_.back() == '\r') line_.pop_back();
    const std::string line = std::exchange(line_, {});
    take_line(line);
  }
  return bytes;
}

bool HttpResponse::close() {
  if (state_ == State::complete) return true;
  if (state_ == State::to_close) {
    state_ = State::complete;
    http_1_0_ = true;  // a connection that was closed carries nothing more
    return true;
  }
  if (state_ != State::failed)
    fail(!started_     ? "the server closed the connection without an answer"
         : !has_head() ? "the server closed the connection in the head of its answer"
                       : "the server closed the connection in mid-answer");
  return false;
}

}  // namespace prony_http
