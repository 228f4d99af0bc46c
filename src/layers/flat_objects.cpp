#include "layers/flat_objects.hpp"

#include <utility>

namespace prony::layers {

Unexpected<Error> FlatObjects::wrong(std::string what) {
  if (!json_.error().what.empty()) return Unexpected<Error>(json_.error());
  return fail(ErrorCode::malformed, std::move(what));
}

Result<bool> FlatObjects::next() {
  if (!std::exchange(begun_, true) && json_.next() != JsonToken::begin_array) return wrong("the document is no array");
  numbers_.clear();
  texts_.clear();
  const JsonToken token = json_.next();
  if (token == JsonToken::end_array) {
    if (json_.next() != JsonToken::end) return wrong("more behind the end of the document");
    return false;
  }
  if (token != JsonToken::begin_object) return wrong("an entry that is no object");
  if (const auto read = members(""); !read) return Unexpected<Error>(read.error());
  return true;
}

Result<void> FlatObjects::members(const std::string& prefix) {
  constexpr std::size_t most = 256;  // members of one object that are kept
  while (true) {
    JsonToken token = json_.next();
    if (token == JsonToken::end_object) return {};
    if (token != JsonToken::key) return wrong("no key where one is due");
    const std::string name(json_.text());
    const std::string key = prefix + name;
    token = json_.next();
    if (token == JsonToken::begin_object && prefix.empty() && name == "args") {
      if (const auto read = members("args."); !read) return read;
    } else if (token == JsonToken::number) {
      if (const auto value = json_.number(); value && numbers_.size() < most) numbers_[key] = *value;
    } else if (token == JsonToken::text) {
      if (texts_.size() < most) texts_[key] = json_.text();
    } else if (!json_.skip(token)) {
      return wrong("no value behind a key");
    }
  }
}

std::optional<double> FlatObjects::number(std::string_view key) const {
  const auto found = numbers_.find(key);
  if (found == numbers_.end()) return std::nullopt;
  return found->second;
}

std::string_view FlatObjects::text(std::string_view key) const {
  const auto found = texts_.find(key);
  return found == texts_.end() ? std::string_view() : std::string_view(found->second);
}

}  // namespace prony::layers
