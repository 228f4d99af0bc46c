#include "input.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

namespace prony_http {

void Input::push(Line line) {
  if (!line.too_long && line.text.size() < 4096 && line.text.find("cancel") != std::string::npos) {
    const auto message = nlohmann::json::parse(line.text, nullptr, false);
    if (message.is_object() && message.contains("type") && message["type"] == "cancel") {
      (message.value("only", nlohmann::json()) == "waiting" ? withdrawn_ : cancelled_) = true;
      for (Line& waiting : lines_) waiting.cancelled = true;
      return;
    }
  }
  lines_.push_back(std::move(line));
}

void Input::read_some() {
  std::array<char, 65536> buffer;
  const ssize_t got = ::read(fd_, buffer.data(), buffer.size());
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got <= 0) {
    if (!line_.text.empty()) push(std::exchange(line_, {}));
    for (Line& waiting : lines_) waiting.cancelled = true;
    ended_ = cancelled_ = true;
    return;
  }
  for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
    const char c = buffer[i];
    if (c == '\n')
      push(std::exchange(line_, {}));
    else if (line_.text.size() < line_limit)
      line_.text.push_back(c);
    else
      line_.too_long = true;
  }
}

Line Input::next() {
  Line line = std::move(lines_.front());
  lines_.pop_front();
  return line;
}

}  // namespace prony_http
