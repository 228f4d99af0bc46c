#define TOML_HEADER_ONLY 1
// With error codes instead of exceptions version 3.3 goes on a little after an error, into its own assertions.
#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <algorithm>
#include <sstream>

#include "base/stable_sort.hpp"
#include "base/text.hpp"
#include "study/value.hpp"

namespace prony::study {

namespace {

struct TomlReader {
  const std::string& name;
  std::size_t values = 0;

  Result<Value> value(const toml::node& node, std::size_t depth) {
    Value out;
    out.line = node.source().begin.line;
    if (depth > deepest_value) return fail(ErrorCode::malformed, "nested too deep", at_line(name, out.line));
    if (++values > most_values) return fail(ErrorCode::full, "too many values", at_line(name, out.line));
    if (const auto* text = node.as_string()) {
      out.kind = Value::Kind::text;
      out.text = text->get();
    } else if (const auto* integer = node.as_integer()) {
      out.kind = Value::Kind::integer;
      out.integer = integer->get();
    } else if (const auto* real = node.as_floating_point()) {
      out.kind = Value::Kind::real;
      out.real = real->get();
    } else if (const auto* boolean = node.as_boolean()) {
      out.kind = Value::Kind::boolean;
      out.boolean = boolean->get();
    } else if (const auto* array = node.as_array()) {
      out.kind = Value::Kind::list;
      for (const toml::node& item : *array) {
        auto made = value(item, depth + 1);
        if (!made) return made;
        out.list.push_back(std::move(*made));
      }
    } else if (const auto* table = node.as_table()) {
      return entries(*table, std::move(out), depth);
    } else {  // dates and times
      std::ostringstream stamp;
      if (const auto* date = node.as_date()) stamp << *date;
      if (const auto* time = node.as_time()) stamp << *time;
      if (const auto* both = node.as_date_time()) stamp << *both;
      out.kind = Value::Kind::text;
      out.text = stamp.str();
    }
    return out;
  }

  // toml++ sorts by name; a study's axes vary in the order in which they were written.
  Result<Value> entries(const toml::table& table, Value out, std::size_t depth) {
    out.kind = Value::Kind::table;
    struct Item {
      const toml::key* key;
      const toml::node* node;
    };
    std::vector<Item> items;
    for (const auto& [key, node] : table) items.push_back({&key, &node});
    const auto place = [](const Item& item) {
      const auto at = item.key->source().begin;
      return std::pair(at.line, at.column);
    };
    sort_stably(items, [&](const Item& a, const Item& b) { return place(a) < place(b); });
    for (const Item& item : items) {
      auto made = value(*item.node, depth + 1);
      if (!made) return made;
      out.table.push_back({std::string(item.key->str()), std::move(*made), item.key->source().begin.line});
    }
    return out;
  }
};

}  // namespace

Result<Value> read_toml(std::string_view text, const std::string& name) {
  try {
    const toml::table parsed = toml::parse(text);
    TomlReader reader{name};
    return reader.value(parsed, 0);
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::malformed, "this is no TOML: " + printable(error.description(), 160),
                at_line(name, error.source().begin.line),
                "Texts stand in double quotes, lists in [ ].  prony help study  shows a whole file.");
  }
}

}  // namespace prony::study
