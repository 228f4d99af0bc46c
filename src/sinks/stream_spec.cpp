#include <algorithm>
#include <array>
#include <cctype>
#include <limits>

#include "base/text.hpp"
#include "sinks/stream.hpp"

namespace prony {

Result<SinkSpec> parse_sink_spec(std::string_view text) {
  SinkSpec spec;
  spec.text = std::string(text);
  const auto parts = split(text, ',');
  const std::string_view head = parts.empty() ? std::string_view() : parts.front();
  const std::size_t colon = head.find(':');
  spec.kind = std::string(trim(head.substr(0, colon)));
  if (colon != std::string_view::npos) spec.target = std::string(trim(head.substr(colon + 1)));
  if (spec.kind.empty())
    return fail(ErrorCode::usage, "'" + printable(text, 60) + "' names no sink", "--sink",
                "Write KIND:WHERE, for example --sink csv:out.csv");
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::string_view part = trim(parts[i]);
    const std::size_t equals = part.find('=');
    if (equals == 0 || equals == std::string_view::npos)
      return fail(ErrorCode::usage, "'" + printable(part, 60) + "' is not option=value", "--sink " + spec.text,
                  "Write for example --sink csv:out.csv,rotate-size=10MB (a file's name may hold no comma)");
    if (!spec.options.emplace(std::string(part.substr(0, equals)), std::string(part.substr(equals + 1))).second)
      return fail(ErrorCode::usage, "'" + printable(part.substr(0, equals), 40) + "' is there twice",
                  "--sink " + spec.text, "Leave one of them out.");
  }
  return spec;
}

Result<void> check_options(const SinkSpec& spec, std::span<const std::string_view> known) {
  for (const auto& [name, value] : spec.options) {
    if (std::ranges::find(known, name) != known.end()) continue;
    std::vector<std::string> names;
    std::string all;
    for (const std::string_view one : known) {
      names.emplace_back(one);
      all += (all.empty() ? "" : ", ") + names.back();
    }
    const auto near = nearest_name(name, names);
    return fail(ErrorCode::usage, "the sink " + spec.kind + " has no option '" + printable(name, 40) + "'",
                "--sink " + spec.text, (near ? "Did you mean '" + *near + "'? " : std::string()) + "It has: " + all);
  }
  return {};
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  struct Unit {
    std::string_view ending;
    std::uint64_t bytes;
  };
  static constexpr std::array<Unit, 10> units{{{"kib", 1ULL << 10},
                                               {"mib", 1ULL << 20},
                                               {"gib", 1ULL << 30},
                                               {"kb", 1'000},
                                               {"mb", 1'000'000},
                                               {"gb", 1'000'000'000},
                                               {"k", 1'000},
                                               {"m", 1'000'000},
                                               {"g", 1'000'000'000},
                                               {"b", 1}}};
  std::string small(trim(text));
  std::ranges::transform(small, small.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::uint64_t factor = 1;
  for (const Unit& unit : units) {
    if (!std::string_view(small).ends_with(unit.ending)) continue;
    small.resize(small.size() - unit.ending.size());
    factor = unit.bytes;
    break;
  }
  const auto number = parse_u64(small);
  if (!number || *number == 0 || *number > std::numeric_limits<std::uint64_t>::max() / factor) return std::nullopt;
  return *number * factor;
}

}  // namespace prony
