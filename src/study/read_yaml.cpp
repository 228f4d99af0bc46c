#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.hpp"
#include "study/value.hpp"

namespace prony::study {

namespace {

std::size_t line_of(const YAML::Mark& mark) {
  return mark.is_null() || mark.line < 0 ? 0 : static_cast<std::size_t>(mark.line) + 1;
}

// YAML 1.2's core schema; what stands in quotes is a text.
Value yaml_scalar(const YAML::Node& node) {
  Value out = text_value(node.Scalar(), line_of(node.Mark()));
  if (node.Tag() == "!") return out;  // in quotes
  const std::string& text = out.text;
  const bool plain_number = !text.empty() && text.find_first_not_of("+-.0123456789eE") == std::string::npos;
  if (text == "true" || text == "True" || text == "TRUE" || text == "false" || text == "False" || text == "FALSE") {
    out.kind = Value::Kind::boolean;
    out.boolean = text.front() == 't' || text.front() == 'T';
  } else if (const auto whole = parse_i64(text); whole && plain_number) {
    out.kind = Value::Kind::integer;
    out.integer = *whole;
  } else if (const auto real = parse_finite(text); real && plain_number) {
    out.kind = Value::Kind::real;
    out.real = *real;
  }
  return out;
}

struct YamlReader {
  const std::string& name;
  std::size_t values = 0;

  Result<Value> value(const YAML::Node& node, std::size_t depth) {
    Value out;
    out.line = line_of(node.Mark());
    if (depth > deepest_value) return fail(ErrorCode::malformed, "nested too deep", at_line(name, out.line));
    if (++values > most_values)
      return fail(ErrorCode::full, "too many values (aliases count each time)", at_line(name, out.line));
    switch (node.Type()) {
      case YAML::NodeType::Scalar: return yaml_scalar(node);
      case YAML::NodeType::Sequence:
        out.kind = Value::Kind::list;
        for (const YAML::Node& item : node) {
          auto made = value(item, depth + 1);
          if (!made) return made;
          out.list.push_back(std::move(*made));
        }
        return out;
      case YAML::NodeType::Map: return map(node, std::move(out), depth);
      default: return out;
    }
  }

  Result<Value> map(const YAML::Node& node, Value out, std::size_t depth) {
    out.kind = Value::Kind::table;
    std::vector<Entry> merged;
    std::set<std::string> seen;
    for (const auto& pair : node) {
      const std::size_t line = line_of(pair.first.Mark());
      if (!pair.first.IsScalar()) return fail(ErrorCode::malformed, "a key that is no text", at_line(name, line));
      auto made = value(pair.second, depth + 1);
      if (!made) return made;
      const std::string key = pair.first.Scalar();
      if (key == "<<") {
        take_merged(*made, merged);
        continue;
      }
      if (!seen.insert(key).second)
        return fail(ErrorCode::malformed, "the key '" + printable(key, 60) + "' stands here twice",
                    at_line(name, line));
      out.table.push_back({key, std::move(*made), line});
    }
    for (Entry& entry : merged)
      if (seen.insert(entry.key).second) out.table.push_back(std::move(entry));
    return out;
  }

  // `<<: *base`, or a list of such: what stands here itself wins, then the first of the list.
  static void take_merged(const Value& from, std::vector<Entry>& merged) {
    for (const Entry& entry : from.table) merged.push_back(entry);
    for (const Value& item : from.list)
      for (const Entry& entry : item.table) merged.push_back(entry);
  }
};

}  // namespace

Result<Value> read_yaml(std::string_view text, const std::string& name) {
  constexpr const char* advice =
      "Check the indentation (no tabs) and the quotes.  prony help study  shows a whole file.";
  try {
    const YAML::Node root = YAML::Load(std::string(text));
    YamlReader reader{name};
    return reader.value(root, 0);
  } catch (const YAML::Exception& error) {
    return fail(ErrorCode::malformed, "this is no YAML: " + printable(error.msg, 160),
                at_line(name, line_of(error.mark)), advice);
  } catch (const std::exception& error) {
    return fail(ErrorCode::malformed, "this is no YAML: " + printable(error.what(), 160), name, advice);
  }
}

}  // namespace prony::study
