#include "sensors/line_map.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "sensors/json_numbers.hpp"

namespace prony {

namespace {

constexpr std::size_t longest_line = std::size_t{64} << 10;

Unexpected<Error> refuse(const std::string& what, const std::string& fix) {
  return fail(ErrorCode::usage, what, "--meter", fix);
}

bool by_number(const std::string& column) {
  return !column.empty() && column.find_first_not_of("0123456789") == std::string::npos;
}

// "#activepow1" is called activepow1; so is "\"activepow1\"".
std::string_view bare(std::string_view name) {
  name = trim(name);
  while (!name.empty() && (name.front() == '#' || name.front() == '"')) name.remove_prefix(1);
  while (!name.empty() && name.back() == '"') name.remove_suffix(1);
  return trim(name);
}

// Seconds since 1970 whatever the unit: between 1973 and 5138 no two of them meet.
double seconds_of(double time) {
  if (time > 1e17) return time * 1e-9;
  if (time > 1e14) return time * 1e-6;
  if (time > 1e11) return time * 1e-3;
  return time;
}

Result<void> take_columns(const Meter& meter, LineMap& map) {
  const std::string watts = meter.option("watts");
  for (const std::string_view column : split(watts, '+'))
    if (!trim(column).empty()) map.watts.emplace_back(trim(column));
  map.volts = meter.option("volts"), map.amps = meter.option("amps");
  map.joules = meter.option("joules"), map.kwh = meter.option("kwh");
  if (meter.has("time")) map.time = meter.option("time");
  if (map.volts.empty() != map.amps.empty())
    return refuse("volts and amps go together", "Name both columns:  #volts=2,amps=3");
  if (!map.watts.empty() && !map.volts.empty()) return refuse("power is named twice", "Name watts, or volts and amps.");
  if (!map.joules.empty() && !map.kwh.empty()) return refuse("energy is named twice", "Name joules or kwh.");
  return {};
}

Result<void> take_form(const Meter& meter, LineMap& map) {
  const std::string format = meter.option("format"), separator = meter.option("separator");
  if (format == "csv") map.format = LineMap::Format::csv;
  if (format == "json") map.format = LineMap::Format::json;
  if (meter.has("format") && format != "csv" && format != "json")
    return refuse("'" + printable(format, 20) + "' is no format of lines", "It may be csv or json.");
  if (separator == "tab")
    map.separator = '\t';
  else if (separator == "space")
    map.separator = ' ';
  else if (separator == "semicolon")
    map.separator = ';';
  else if (separator.size() == 1)
    map.separator = separator.front();
  else if (meter.has("separator"))
    return refuse("a separator is one character", "separator=; or tab, space, semicolon");
  if (!meter.has("factor")) return {};
  const auto factor = parse_finite(meter.option("factor"));
  if (!factor || *factor == 0) return refuse("factor= is no number", "1 of the column times the factor is W or J.");
  map.factor = *factor;
  return {};
}

}  // namespace

Result<LineMap> line_map_of(const Meter& meter) {
  LineMap map;
  if (auto taken = take_columns(meter, map); !taken) return Unexpected<Error>(taken.error());
  if (auto taken = take_form(meter, map); !taken) return Unexpected<Error>(taken.error());
  const std::string preset = meter.option("map");
  if (preset == "omegawatt") {
    map.format = LineMap::Format::csv;
    if (map.time.empty()) map.time = "timestamp";
    map.sound = "frame_is_ok";
    if (!map.power() && !map.energy()) map.watts = {"activepow1"};
  } else if (meter.has("map")) {
    return refuse("no map of columns is called '" + printable(preset, 30) + "'",
                  "There is omegawatt; of any other say which column is what:  #watts=2");
  }
  if (!map.power() && !map.energy())
    return refuse("nobody said which column is the power",
                  "Name it, or its number from 1:  #watts=2   or  #watts=power_w");
  return map;
}

void LineParser::feed(std::string_view bytes, const std::function<void(const LineReading&)>& reading) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (!skipping_ && rest_.size() + piece.size() <= longest_line)
      rest_ += piece;
    else
      skipping_ = true;
    if (end == std::string_view::npos) break;
    bytes.remove_prefix(end + 1);
    ++lines_;
    const auto found = skipping_ ? std::nullopt : parse(trim(rest_));
    if (found) {
      reading(*found);
    } else {
      ++passed_over_;
      last_passed_over_ = printable(rest_, 60);
    }
    rest_.clear();
    skipping_ = false;
  }
  if (skipping_) rest_.clear();
}

std::optional<LineReading> LineParser::parse(std::string_view line) {
  if (line.empty()) return std::nullopt;
  if (map_.format == LineMap::Format::json || (map_.format == LineMap::Format::either && line.front() == '{'))
    return parse_json(line);
  return parse_csv(line);
}

std::vector<std::string> LineParser::columns() const {
  std::vector<std::string> all = map_.watts;
  for (const std::string& column : {map_.volts, map_.amps, map_.joules, map_.kwh})
    if (!column.empty()) all.push_back(column);
  return all;
}

// A header names every column that is wanted by name.
bool LineParser::take_header(const std::vector<std::string_view>& fields) {
  std::vector<std::string> names;
  for (const std::string_view field : fields) names.emplace_back(bare(field));
  bool any = false;
  for (const std::string& column : columns()) {
    if (by_number(column)) continue;
    any = true;
    if (std::ranges::find(names, column) == names.end()) return false;
  }
  if (!any) return false;
  header_ = std::move(names);
  return true;
}

std::optional<LineReading> LineParser::parse_csv(std::string_view line) {
  std::vector<std::string_view> fields = split(line, map_.separator);
  if (map_.separator == ' ') std::erase_if(fields, [](std::string_view field) { return field.empty(); });
  if (take_header(fields)) return std::nullopt;
  // Half a line has fewer fields than its header, and what its last number has lost nobody can tell.
  if (!header_.empty() && fields.size() != header_.size()) return std::nullopt;
  const auto field_of = [&](const std::string& column) -> std::optional<std::string_view> {
    std::size_t at = 0;
    if (by_number(column)) {
      const auto number = parse_u64(column);
      if (!number || *number == 0 || *number > fields.size()) return std::nullopt;
      at = static_cast<std::size_t>(*number - 1);
    } else {
      const auto found = std::ranges::find(header_, column);
      if (found == header_.end()) return std::nullopt;
      at = static_cast<std::size_t>(found - header_.begin());
    }
    return bare(fields[at]);
  };
  if (!map_.sound.empty() && !header_.empty())
    if (const auto sound = field_of(map_.sound); sound && *sound != "true" && *sound != "True" && *sound != "1")
      return std::nullopt;
  return reading_of([&](const std::string& column) {
    const auto field = field_of(column);
    return field ? number_in(*field) : std::nullopt;
  });
}

std::optional<LineReading> LineParser::parse_json(std::string_view line) const {
  const auto json = JsonNumbers::parse(line);
  if (!json) return std::nullopt;
  return reading_of([&](const std::string& path) -> std::optional<Number> {
    if (const auto number = json->number(path)) {
      const JsonScalar* scalar = json->find(path);
      return Number{*number, scalar != nullptr && scalar->decimals >= 0 ? std::pow(10.0, -scalar->decimals) : 0};
    }
    return number_in(json->text(path));  // "12.3": some write numbers as texts
  });
}

std::optional<LineParser::Number> LineParser::number_in(std::string_view text) {
  const auto value = parse_finite(text);
  if (!value) return std::nullopt;
  const std::size_t exponent_at = std::min(text.find_first_of("eE"), text.size());
  const std::size_t point = std::min(text.find('.'), exponent_at);
  const auto decimals = static_cast<double>(exponent_at - std::min(point + 1, exponent_at));
  const auto exponent =
      exponent_at < text.size() ? parse_finite(text.substr(exponent_at + 1)) : std::optional<double>(0);
  return Number{*value, exponent ? std::pow(10.0, std::clamp(*exponent, -300.0, 300.0) - decimals) : 0};
}

std::optional<LineReading> LineParser::reading_of(const Lookup& number) const {
  LineReading reading;
  if (!map_.time.empty()) {
    const auto time = number(map_.time);
    if (!time) return std::nullopt;
    reading.time_s = seconds_of(time->value);
  }
  if (!map_.watts.empty()) {
    double sum = 0, step = 0;
    for (const std::string& column : map_.watts) {
      const auto watts = number(column);
      if (!watts) return std::nullopt;
      sum += watts->value;
      step += watts->step;
    }
    reading.watts = sum * map_.factor;
    reading.watts_step = step * std::abs(map_.factor);
  } else if (!map_.volts.empty()) {
    const auto volts = number(map_.volts), amps = number(map_.amps);
    if (!volts || !amps) return std::nullopt;
    reading.watts = volts->value * amps->value * map_.factor;
    reading.watts_step =
        (volts->step * std::abs(amps->value) + amps->step * std::abs(volts->value)) * std::abs(map_.factor);
  }
  if (map_.energy()) {
    const auto energy = number(map_.joules.empty() ? map_.kwh : map_.joules);
    if (!energy) return std::nullopt;
    // The factor is the power's where both are named.
    const double unit = (map_.kwh.empty() ? 1 : joules_per_kwh) * (map_.power() ? 1 : map_.factor);
    reading.joules = energy->value * unit;
    reading.joules_step = energy->step * std::abs(unit);
  }
  constexpr double most = 1e12;  // what is larger is no meter's
  const auto sane = [](const std::optional<double>& value, double limit) {
    return !value || std::abs(*value) <= limit;
  };
  if (!sane(reading.watts, most) || !sane(reading.joules, 1e15) || !sane(reading.time_s, 1e11)) return std::nullopt;
  return reading;
}

}  // namespace prony
