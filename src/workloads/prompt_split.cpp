// Files of prompts cut into records: elements of a JSON array, lines, rows of CSV.
#include <algorithm>

#include "base/text.hpp"
#include "workloads/prompt_records.hpp"

namespace prony {

namespace {

// Walks through text and counts lines.
class Walk {
 public:
  explicit Walk(std::string_view text) : text_(text) {}
  [[nodiscard]] bool ended() const noexcept { return at_ >= text_.size(); }
  [[nodiscard]] char now() const noexcept { return text_[at_]; }
  [[nodiscard]] std::size_t at() const noexcept { return at_; }
  [[nodiscard]] std::size_t line() const noexcept { return line_; }
  void step() noexcept {
    if (text_[at_] == '\n') ++line_;
    ++at_;
  }
  void skip_blank() noexcept {
    while (!ended() && std::string_view(" \t\r\n").find(now()) != std::string_view::npos) step();
  }
  [[nodiscard]] std::string_view since(std::size_t begin) const noexcept { return text_.substr(begin, at_ - begin); }

 private:
  std::string_view text_;
  std::size_t at_ = 0, line_ = 1;
};

// From its bracket to the one that closes it; strings may hold any. False: the text ends within.
bool skip_value(Walk& walk) {
  std::size_t depth = 0;
  bool in_text = false;
  for (; !walk.ended(); walk.step()) {
    const char c = walk.now();
    if (in_text) {
      if (c == '\\') {
        walk.step();
        if (walk.ended()) return false;
      } else if (c == '"') {
        in_text = false;
      }
      continue;
    }
    if (c == '"') in_text = true;
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && --depth == 0) {
      walk.step();
      return true;
    }
  }
  return false;
}

}  // namespace

void for_each_json_record(std::string_view content, const std::function<void(std::string_view, std::size_t)>& take,
                          const std::function<void(std::size_t, std::string)>& refuse) {
  Walk walk(content);
  walk.skip_blank();
  if (walk.ended() || walk.now() != '[') {
    std::size_t line = 0;
    for_each_line(content, [&](std::string_view text) { take(text, ++line); });
    return;
  }
  walk.step();
  for (std::size_t number = 1;; ++number) {
    walk.skip_blank();
    if (!walk.ended() && walk.now() == ']' && number == 1) break;
    if (walk.ended() || walk.now() != '{')
      return refuse(walk.line(), "element " + std::to_string(number) + " of the array is not an object");
    const std::size_t line = walk.line(), begin = walk.at();
    if (!skip_value(walk))
      return refuse(line, "the file ends within element " + std::to_string(number) + " of the array");
    take(walk.since(begin), line);
    walk.skip_blank();
    if (walk.ended()) return refuse(walk.line(), "the array has no end");
    if (walk.now() == ']') break;
    if (walk.now() != ',')
      return refuse(walk.line(), "no comma after element " + std::to_string(number) + " of the array");
    walk.step();
  }
  walk.step();
  walk.skip_blank();
  if (!walk.ended()) refuse(walk.line(), "something stands after the end of the array");
}

void for_each_csv_record(std::string_view content,
                         const std::function<bool(std::vector<std::string>&&, std::size_t)>& take,
                         const std::function<void(std::size_t, std::string)>& refuse) {
  Walk walk(content);
  while (!walk.ended()) {
    const std::size_t line = walk.line();
    std::vector<std::string> fields(1);
    bool ended = false;
    while (!ended) {
      std::string& field = fields.back();
      if (!walk.ended() && walk.now() == '"' && field.empty()) {
        for (walk.step();; walk.step()) {
          if (walk.ended()) return refuse(line, "a quoted field has no end");
          if (walk.now() != '"') {
            field.push_back(walk.now());
            continue;
          }
          walk.step();
          if (walk.ended() || walk.now() != '"') break;
          field.push_back('"');
        }
        if (!walk.ended() && std::string_view(",\r\n").find(walk.now()) == std::string_view::npos)
          return refuse(line, "something stands after the end of a quoted field");
      }
      for (; !walk.ended() && walk.now() != ',' && walk.now() != '\n'; walk.step()) field.push_back(walk.now());
      ended = walk.ended() || walk.now() == '\n';
      if (ended && field.ends_with('\r')) field.pop_back();
      if (!walk.ended()) walk.step();
      if (!ended) fields.emplace_back();
    }
    if (!take(std::move(fields), line)) return;
  }
}

}  // namespace prony
