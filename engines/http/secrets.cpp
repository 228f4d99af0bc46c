#include "secrets.hpp"

#include <algorithm>
#include <string_view>

#include "header_text.hpp"

namespace prony_http {

namespace {

constexpr std::string_view hidden = "***", cut_mark = "…", bearer = "bearer ";
constexpr std::size_t shortest_anywhere = 8, shortest_part = 4;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_word(char c) { return is_letter(c) || (c >= '0' && c <= '9'); }
bool is_of_key(char c) { return is_word(c) || std::string_view("-._~+/=").find(c) != std::string_view::npos; }

// As JSON and its careful writers have it, where the words are a document that nobody understood.
std::string escaped(std::string_view secret, std::string_view which) {
  std::string text;
  for (const char c : secret) {
    if (which.find(c) != std::string_view::npos) text += '\\';
    text += c;
  }
  return text;
}

void hide(std::string& text, std::string_view secret) {
  for (std::size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at)) {
    const std::size_t end = at + secret.size();
    const bool word = (at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]));
    if (word || secret.size() >= shortest_anywhere) {
      text.replace(at, secret.size(), hidden);
      at += hidden.size();
    } else {
      at = end;
    }
  }
  for (std::size_t at = text.find(cut_mark); at != std::string::npos; at = text.find(cut_mark, at + 1))
    for (std::size_t length = std::min(secret.size(), at); length >= shortest_part; --length)
      if (std::string_view(text).substr(at - length, length) == secret.substr(0, length)) {
        text.replace(at - length, length, hidden);
        at = at - length + hidden.size();
        break;
      }
}

// "Bearer authentication" is no key, and neither is the realm="…" of a challenge.
void hide_bearer(std::string& text) {
  std::string small = lower(text);
  for (std::size_t at = small.find(bearer); at != std::string::npos; at = small.find(bearer, at + 1)) {
    const std::size_t begin = at + bearer.size();
    std::size_t end = begin;
    while (end < text.size() && is_of_key(text[end])) ++end;
    const std::string_view token = std::string_view(text).substr(begin, end - begin);
    if (token.size() < shortest_part || std::all_of(token.begin(), token.end(), is_letter)) continue;
    if (token.ends_with('=') && text.substr(end, 1) == "\"") continue;
    text.replace(begin, token.size(), hidden);
    small.replace(begin, token.size(), hidden);
  }
}

}  // namespace

std::string without_secrets(std::string text, std::span<const std::string> secrets) {
  for (const std::string& secret : secrets) {
    if (secret.empty()) continue;
    hide(text, secret);
    for (const std::string_view which : {"\"\\", "\"\\/"})
      if (const std::string other = escaped(secret, which); other != secret) hide(text, other);
  }
  hide_bearer(text);
  return text;
}

}  // namespace prony_http
