#include "layers/csv_line.hpp"

namespace prony::layers {

bool split_csv(std::string_view line, std::vector<std::string>& fields) {
  std::size_t count = 0;
  const auto field = [&]() -> std::string& {
    if (count == fields.size()) fields.emplace_back();
    fields[count].clear();
    return fields[count++];
  };
  std::string* into = &field();
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      *into += '"';
      ++i;
    } else if (c == '"' && (quoted || into->empty())) {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      into = &field();
    } else {
      *into += c;
    }
  }
  fields.resize(count);
  return !quoted;
}

}  // namespace prony::layers
