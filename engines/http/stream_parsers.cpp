#include "stream_parsers.hpp"

#include <algorithm>

namespace prony_http {

namespace {

// Appends what fits; true if something did not.
bool append_within(std::string& text, std::string_view more, std::size_t limit) {
  const std::size_t room = limit - std::min(limit, text.size());
  text.append(more.substr(0, room));
  return more.size() > room;
}

}  // namespace

void NdjsonParser::end_line(const EventSink& sink) {
  if (!line_.too_long && !line_.data.empty() && line_.data.back() == '\r') line_.data.pop_back();
  if (line_.data.find_first_not_of(" \t\r") != std::string::npos) sink(std::move(line_));
  line_ = {};
}

void NdjsonParser::feed(std::string_view bytes, const EventSink& sink) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    if (append_within(line_.data, bytes.substr(0, end), limit_)) line_.too_long = true;
    if (end == std::string_view::npos) return;
    end_line(sink);
    bytes.remove_prefix(end + 1);
  }
}

void NdjsonParser::finish(const EventSink& sink) { end_line(sink); }

void SseParser::feed(std::string_view bytes, const EventSink& sink) {
  while (!bytes.empty()) {
    if (after_return_) {
      after_return_ = false;
      if (bytes.front() == '\n') bytes.remove_prefix(1);
      continue;
    }
    const std::size_t end = bytes.find_first_of("\r\n");
    if (append_within(line_, bytes.substr(0, end), limit_)) line_too_long_ = true;
    if (end == std::string_view::npos) return;
    after_return_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    end_line(sink);
  }
}

void SseParser::end_line(const EventSink& sink) {
  std::string_view line = line_;
  if (first_line_ && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  first_line_ = false;
  if (line.empty() && !line_too_long_) {
    line_.clear();  // it may hold the byte order mark
    return dispatch(sink);
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    if (has_data_ && append_within(event_.data, "\n", limit_)) event_.too_long = true;
    if (append_within(event_.data, value, limit_) || line_too_long_) event_.too_long = true;
    has_data_ = true;
  } else if (field == "event") {
    event_.name = value;
  } else if (field == "error") {
    sink({"error", std::string(value), line_too_long_});
  }
  line_.clear();
  line_too_long_ = false;
}

void SseParser::dispatch(const EventSink& sink) {
  if (has_data_) sink(std::move(event_));
  event_ = {};
  has_data_ = false;
}

void SseParser::finish(const EventSink& sink) {
  if (!line_.empty() || line_too_long_) end_line(sink);
  dispatch(sink);
  after_return_ = false;
}

}  // namespace prony_http
