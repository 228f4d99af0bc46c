#include "sinks/token_file.hpp"

#include <algorithm>
#include <optional>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr std::size_t least_letters = 16, most_letters = 512, largest_token_file = 65536;

}  // namespace

Result<std::vector<std::string>> parse_tokens(std::string_view text, const std::string& where) {
  std::vector<std::string> tokens;
  std::size_t number = 0, wrong = 0;
  for_each_line(text, [&](std::string_view line) {
    ++number;
    const std::string_view token = trim(line);
    if (token.empty() || token.front() == '#') return;
    const bool visible = std::ranges::all_of(token, [](char c) { return c > ' ' && c < '\x7f'; });
    if (wrong == 0 && (!visible || token.size() < least_letters || token.size() > most_letters)) wrong = number;
    tokens.emplace_back(token);
  });
  const std::string fix = "Make one:  openssl rand -hex 32 > FILE; chmod 600 FILE";
  if (wrong != 0)
    return fail(ErrorCode::usage, "line " + std::to_string(wrong) + " is no token of 16 to 512 visible characters",
                where, fix);
  if (tokens.empty()) return fail(ErrorCode::usage, "there is no token in this file", where, fix);
  return tokens;
}

Result<std::vector<std::string>> read_tokens(const std::string& path) {
  const auto text = read_whole_file(path, largest_token_file);
  if (!text) return Unexpected<Error>(text.error());
  return parse_tokens(*text, path);
}

Result<std::string> read_password(const std::string& path) {
  auto text = read_whole_file(path, largest_token_file);
  if (!text) return text;
  if (text->ends_with('\n')) text->pop_back();
  if (text->ends_with('\r')) text->pop_back();
  if (text->empty() || text->find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
    return fail(ErrorCode::usage, "this file does not hold one line, the password", path);
  return text;
}

std::string to_base64(std::string_view bytes) {
  static constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned held = 0;
    const std::size_t there = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k) held = held << 8 | (k < there ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) text += k <= there ? letters[held >> (18 - 6 * k) & 63U] : '=';
  }
  return text;
}

}  // namespace prony
