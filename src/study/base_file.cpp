#include "study/base_file.hpp"

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace prony::study {

namespace {

constexpr const char* from_key = "from";

const Value* own_table(const Value& root) {
  const Value* base = root.find("base");
  return base != nullptr && base->is(Value::Kind::table) ? base : nullptr;
}

bool is_a_study(const Value& root) {
  constexpr std::array<std::string_view, 6> sections{"study", "sweep", "experiments", "scenarios", "prepare", "gate"};
  return std::ranges::any_of(sections, [&](std::string_view name) {
    const Value* found = root.find(name);
    return found != nullptr && !found->scalar();
  });
}

}  // namespace

Result<std::string> base_file_of(const Value& root, const std::string& file) {
  const Value* base = root.find("base");
  if (base == nullptr) return std::string();
  const Value* from = base->is(Value::Kind::table) ? base->find(from_key) : base;
  if (from == nullptr) return std::string();
  if (from->is(Value::Kind::text) && !from->text.empty()) return from->text;
  return fail(ErrorCode::usage, "'base' names no file", at_line(file, from->line),
              "Write  base = \"other.toml\"  above the first table, or  [base]  with settings below.");
}

Result<const Value*> table_of_base_file(const Value& root, const std::string& file,
                                        const std::optional<BaseFile>& given) {
  const auto named = base_file_of(root, file);
  if (!named) return Unexpected<Error>(named.error());
  if (named->empty()) return nullptr;
  if (!given)
    return fail(ErrorCode::usage, "the base file '" + printable(*named, 80) + "' was not read", at_line(file, 0));
  const Value* base = given->value.find("base");
  if (base != nullptr && base->is(Value::Kind::table) && base->find(from_key) == nullptr) return base;
  if (base != nullptr)
    return fail(ErrorCode::usage, "a base file cannot name another", at_line(given->name, base->line),
                "Write its settings here, or name that file in the study itself.");
  if (!given->value.is(Value::Kind::table) || is_a_study(given->value))
    return fail(ErrorCode::usage, "there is no [base] in it", at_line(given->name, 0),
                "A base file has settings below [base], or nothing but settings.");
  return &given->value;
}

Result<std::vector<Setting>> base_settings(const Value& root, const std::string& file,
                                           const std::optional<BaseFile>& given, const Vocabulary& words, Kind kind) {
  std::vector<Setting> all;
  const auto other = table_of_base_file(root, file, given);
  if (!other) return Unexpected<Error>(other.error());
  if (*other != nullptr) {
    auto settings = AxisReader(given->name, words, kind).settings(**other, "base " + given->name);
    if (!settings) return Unexpected<Error>(settings.error());
    all = std::move(*settings);
    for (Setting& setting : all) setting.file = given->name;
  }
  if (const Value* own = own_table(root)) {
    auto settings = AxisReader(file, words, kind).settings(*own, "base", {from_key});
    if (!settings) return Unexpected<Error>(settings.error());
    all.insert(all.end(), settings->begin(), settings->end());
  }
  return all;
}

}  // namespace prony::study
