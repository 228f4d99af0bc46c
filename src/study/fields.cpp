#include "study/fields.hpp"

#include "base/text.hpp"

namespace prony::study {

namespace {

constexpr std::int64_t longest_ns = std::int64_t{90} * 86'400 * 1'000'000'000;

}  // namespace

Result<void> take_fields(const Value& table, const std::string& file, const std::string& where,
                         const std::vector<Field>& fields) {
  std::vector<std::string> names;
  for (const Field& field : fields) names.emplace_back(field.name);
  for (const Entry& entry : table.table) {
    const Field* found = nullptr;
    for (const Field& field : fields)
      if (field.name == entry.key) found = &field;
    if (found == nullptr) {
      const auto near = nearest_name(entry.key, names);
      std::string all;
      for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
      return fail(ErrorCode::usage, "unknown key '" + printable(entry.key, 60) + "' in [" + where + "]",
                  at_line(file, entry.line), near ? "Did you mean '" + *near + "'?" : "There are: " + all + ".");
    }
    if (!found->take(entry.value))
      return fail(ErrorCode::usage, "'" + entry.key + "' is not as it should be", at_line(file, entry.line),
                  "It is " + std::string(found->expected) + ".");
  }
  return {};
}

std::function<bool(const Value&)> whole_number(std::size_t& into, std::int64_t least, std::int64_t most) {
  return [&into, least, most](const Value& value) {
    if (!value.is(Value::Kind::integer) || value.integer < least || value.integer > most) return false;
    into = static_cast<std::size_t>(value.integer);
    return true;
  };
}

std::optional<std::int64_t> duration_of(const Value& value) {
  if (value.is(Value::Kind::integer) && value.integer == 0) return 0;
  if (!value.is(Value::Kind::text)) return std::nullopt;
  const auto ns = parse_duration_ns(value.text);
  return ns && *ns >= 0 && *ns <= longest_ns ? ns : std::nullopt;
}

std::function<bool(const Value&)> duration_field(std::int64_t& into) {
  return [&into](const Value& value) {
    const auto ns = duration_of(value);
    into = ns.value_or(into);
    return ns.has_value();
  };
}

std::function<bool(const Value&)> seed_field(std::optional<std::uint64_t>& into) {
  return [&into](const Value& value) {
    if (!value.is(Value::Kind::integer) || value.integer < 0) return false;
    into = static_cast<std::uint64_t>(value.integer);
    return true;
  };
}

}  // namespace prony::study
