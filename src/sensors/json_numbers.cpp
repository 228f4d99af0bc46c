#include "sensors/json_numbers.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/text.hpp"

namespace prony {

namespace {

constexpr std::size_t most_values = 4096, deepest_nesting = 32, longest_json_text = 4096, longest_path = 1024;

int decimals_of(std::string_view number) {
  if (number.find_first_of("eE") != std::string_view::npos) return -1;
  const std::size_t point = number.find('.');
  return point == std::string_view::npos ? 0 : static_cast<int>(number.size() - point - 1);
}

// Called by the parser, which keeps no stack of the machine's: depth costs no memory but this.
class Collector final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Collector(std::map<std::string, JsonScalar, std::less<>>& values) : values_(values) {}
  [[nodiscard]] bool too_much() const { return too_much_; }

  bool null() override { return place().has_value(); }
  bool boolean(bool value) override { return add({JsonScalar::Kind::truth, value ? 1.0 : 0.0, 0, {}}); }
  bool number_integer(number_integer_t value) override { return number(static_cast<double>(value), 0); }
  bool number_unsigned(number_unsigned_t value) override { return number(static_cast<double>(value), 0); }
  bool number_float(number_float_t value, const string_t& text) override {
    // Of a number too large for a double nothing is left that means anything.
    return std::isfinite(value) ? number(value, decimals_of(text)) : place().has_value();
  }
  bool string(string_t& text) override {
    if (text.size() > longest_json_text) text.resize(longest_json_text);
    return add({JsonScalar::Kind::text, 0, 0, text});
  }
  bool binary(binary_t& /*bytes*/) override { return false; }
  bool start_object(std::size_t /*elements*/) override { return open(false); }
  bool key(string_t& name) override {
    levels_.back().key = name;
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array(std::size_t /*elements*/) override { return open(true); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return false;
  }

 private:
  struct Level {
    std::string prefix;
    bool array = false;
    std::size_t next = 0;
    std::string key = {};
  };

  // Where the value that comes now stands.
  std::optional<std::string> place() {
    if (levels_.empty()) return std::string();
    Level& level = levels_.back();
    std::string path = level.prefix;
    if (!path.empty()) path += '.';
    path += level.array ? std::to_string(level.next++) : level.key;
    if (path.size() <= longest_path) return path;
    too_much_ = true;
    return std::nullopt;
  }
  bool number(double value, int decimals) { return add({JsonScalar::Kind::number, value, decimals, {}}); }
  bool add(JsonScalar value) {
    auto path = place();
    if (!path) return false;
    values_.insert_or_assign(std::move(*path), std::move(value));
    too_much_ = values_.size() > most_values;
    return !too_much_;
  }
  bool open(bool array) {
    auto path = place();
    if (!path) return false;
    too_much_ = levels_.size() >= deepest_nesting;
    levels_.push_back({std::move(*path), array});
    return !too_much_;
  }
  bool close() {
    levels_.pop_back();
    return true;
  }

  std::map<std::string, JsonScalar, std::less<>>& values_;
  std::vector<Level> levels_;
  bool too_much_ = false;
};

}  // namespace

Result<JsonNumbers> JsonNumbers::parse(std::string_view text) {
  JsonNumbers numbers;
  Collector collector(numbers.values_);
  if (nlohmann::json::sax_parse(text.begin(), text.end(), &collector)) return numbers;
  if (collector.too_much()) return fail(ErrorCode::full, "more JSON than any meter needs", {});
  return fail(ErrorCode::malformed, "no JSON: '" + printable(text.substr(0, 60), 60) + "'", {});
}

const JsonScalar* JsonNumbers::find(std::string_view path) const {
  const auto found = values_.find(path);
  return found == values_.end() ? nullptr : &found->second;
}

std::optional<double> JsonNumbers::number(std::string_view path) const {
  const JsonScalar* scalar = find(path);
  if (scalar == nullptr || scalar->kind != JsonScalar::Kind::number) return std::nullopt;
  return scalar->number;
}

std::string JsonNumbers::text(std::string_view path) const {
  const JsonScalar* scalar = find(path);
  return scalar != nullptr && scalar->kind == JsonScalar::Kind::text ? scalar->text : std::string();
}

std::vector<std::string> JsonNumbers::below(std::string_view path) const {
  std::vector<std::string> names;
  const std::string prefix = path.empty() ? std::string() : std::string(path) + ".";
  for (auto at = values_.lower_bound(prefix); at != values_.end() && at->first.starts_with(prefix); ++at) {
    std::string name = at->first.substr(prefix.size(), at->first.find('.', prefix.size()) - prefix.size());
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace prony
