// A text that very many rows have in common: kept once, however many copies there are. Never changes. Thread promise:
// plain value; copies may be read by any thread.
#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace prony {

class SharedText {
 public:
  SharedText() = default;
  // Implicit: it stands where a string stood.
  SharedText(std::string text) : text_(text.empty() ? nullptr : std::make_shared<const std::string>(std::move(text))) {}
  SharedText(const char* text) : SharedText(std::string(text)) {}

  [[nodiscard]] std::string_view view() const noexcept { return text_ ? std::string_view(*text_) : std::string_view(); }
  [[nodiscard]] std::string str() const { return std::string(view()); }
  [[nodiscard]] bool empty() const noexcept { return text_ == nullptr; }
  bool operator==(const SharedText& other) const noexcept { return text_ == other.text_ || view() == other.view(); }
  friend std::ostream& operator<<(std::ostream& out, const SharedText& text) { return out << text.view(); }

 private:
  std::shared_ptr<const std::string> text_;  // null: empty
};

}  // namespace prony
