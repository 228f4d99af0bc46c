#include "http_request.hpp"

#include <algorithm>

#include "header_text.hpp"

namespace prony_proxy {

using prony_http::lower, prony_http::trimmed, prony_http::whole_number;

namespace {

bool is_token(std::string_view text) {
  constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           others.find(c) != std::string_view::npos;
  });
}

}  // namespace

void HttpRequest::fail(std::string words) {
  state_ = State::failed;
  error_ = std::move(words);
}

std::optional<std::string> HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers_)
    if (key == name) return value;
  return std::nullopt;
}

std::optional<std::string_view> HttpRequest::body() const noexcept {
  return kept_whole_ ? std::optional<std::string_view>(kept_) : std::nullopt;
}

void HttpRequest::take_request_line(std::string_view line) {
  if (line.empty()) return;  // servers pass over empty lines before it (RFC 9112 §2.2)
  const std::size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || !is_token(line.substr(0, first)))
    return fail("what the client says is no HTTP request");
  const std::string_view version = line.substr(last + 1);
  if (!version.starts_with("HTTP/1.") || version.size() != 8) return fail("the request is of another HTTP than 1.x");
  method_ = line.substr(0, first);
  target_ = line.substr(first + 1, last - first - 1);
  if (target_.find(' ') != std::string::npos) return fail("the address of the request holds a blank");
  state_ = State::headers;
}

void HttpRequest::take_header(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (line.front() == ' ' || line.front() == '\t') return fail("a header of the request is folded");
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
    return fail("a header line of the request has no name");
  headers_.emplace_back(lower(line.substr(0, colon)), std::string(trimmed(line.substr(colon + 1))));
}

void HttpRequest::end_of_head() {
  head_bytes_ = 0;  // trailers have a limit of their own
  const auto coding = header("transfer-encoding");
  std::optional<std::string> length;
  for (const auto& [key, value] : headers_) {
    if (key != "content-length") continue;
    if (length && *length != value) return fail("the request tells two lengths");
    length = value;
  }
  if (coding && length) return fail("the request tells a length and is chunked: where it ends is not certain");
  if (coding) {
    const auto same = [](const auto& header) { return header.first == "transfer-encoding"; };
    if (lower(*coding) != "chunked" || std::count_if(headers_.begin(), headers_.end(), same) != 1)
      return fail("the request is coded in a way that is not read here");
    state_ = State::chunk_size;
  } else if (length) {
    const auto bytes = whole_number(*length, 10);
    if (!bytes) return fail("the request has a length that is no number");
    left_ = *bytes;
    state_ = left_ == 0 ? State::complete : State::length;
  } else {
    state_ = State::complete;
  }
}

void HttpRequest::take_chunk_size(std::string_view line) {
  const auto size = whole_number(trimmed(line.substr(0, line.find(';'))), 16);
  if (!size) return fail("a chunk of the request has no length");
  left_ = *size;
  state_ = left_ == 0 ? State::trailers : State::chunk_data;
}

void HttpRequest::take_line(std::string_view line) {
  switch (state_) {
    case State::request_line: return take_request_line(line);
    case State::headers: return line.empty() ? end_of_head() : take_header(line);
    case State::chunk_size: return take_chunk_size(line);
    case State::chunk_end:
      if (!line.empty()) return fail("a chunk of the request is longer than it says");
      state_ = State::chunk_size;
      return;
    default:
      if (line.empty()) state_ = State::complete;  // trailers
  }
}

std::string_view HttpRequest::take_content(std::string_view bytes) {
  const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
  left_ -= part;
  body_bytes_ += part;
  if (kept_.size() + part <= most_kept_bytes && kept_whole_) {
    kept_.append(bytes.substr(0, part));
  } else {
    kept_whole_ = false;
    kept_.clear();
  }
  if (left_ == 0) state_ = state_ == State::length ? State::complete : State::chunk_end;
  return bytes.substr(part);
}

std::string_view HttpRequest::feed(std::string_view bytes) {
  while (!bytes.empty() && state_ != State::failed && state_ != State::complete) {
    if (state_ == State::length || state_ == State::chunk_data) {
      bytes = take_content(bytes);
      continue;
    }
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    const bool framing = state_ == State::chunk_size || state_ == State::chunk_end;
    head_bytes_ = framing ? line_.size() + part.size() : head_bytes_ + part.size();
    if (end != std::string_view::npos) ++head_bytes_;
    if (head_bytes_ > most_head_bytes) {
      line_.clear();
      fail("the head of the request is longer than 64 KiB");
      return bytes;
    }
    line_.append(part);
    started_ = started_ || line_.find_first_not_of('\r') != std::string::npos;
    if (end == std::string_view::npos) return {};
    bytes.remove_prefix(end + 1);
    if (!line_.empty() && line_.back() == '\r') line_.pop_back();
    const std::string line = std::exchange(line_, {});
    take_line(line);
  }
  return bytes;
}

}  // namespace prony_proxy
