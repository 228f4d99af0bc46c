// PowerCurve from and to text.
#include <array>
#include <cmath>
#include <optional>

#include "base/text.hpp"
#include "machine/power_curve.hpp"

namespace prony {

namespace {

constexpr const char* shapes =
    "constant:W, sine:MEAN,AMPLITUDE,PERIOD_S[,PHASE], square:LOW,HIGH,PERIOD_S[,DUTY], steps:0=W,T=W,…[,repeat=S],\n"
    "noise:SEED,MEAN,AMPLITUDE,CELL_S; several are added with '+'.";
constexpr double most_watts = 1e9, most_seconds = 1e8;  // a power station; three years
constexpr std::size_t most_terms = 64, most_steps = 1024;

Unexpected<Error> refuse_curve(std::string what, std::string_view where) {
  return fail(ErrorCode::usage, std::move(what), "curve '" + printable(where, 80) + "'", shapes);
}

std::optional<std::int64_t> nanoseconds(std::optional<double> seconds) {
  if (!seconds || !(*seconds >= 0) || *seconds > most_seconds) return std::nullopt;
  return std::llround(*seconds * 1e9);
}

std::string seconds_text(std::int64_t ns) { return format_number(static_cast<double>(ns) / 1e9); }

}  // namespace

Result<void> PowerCurve::parse_steps(std::string_view list, std::string_view whole, Term& term) {
  for (const auto item : split(list, ',')) {
    const auto equals = item.find('=');
    if (equals == std::string_view::npos) return refuse_curve("'" + printable(item, 40) + "' is not T=W", whole);
    const auto value = parse_finite(item.substr(equals + 1));
    if (trim(item.substr(0, equals)) == "repeat") {
      const auto period = nanoseconds(value);
      if (!period || term.period_ns != 0) return refuse_curve("repeat= takes seconds, once, at the end", whole);
      term.period_ns = *period;
      continue;
    }
    const auto begin = nanoseconds(parse_finite(item.substr(0, equals)));
    if (!begin || !value || std::abs(*value) > most_watts || term.period_ns != 0)
      return refuse_curve("'" + printable(item, 40) + "' is not T=W", whole);
    if (term.steps.empty() ? *begin != 0 : *begin <= term.steps.back().begin_ns)
      return refuse_curve("steps begin at 0 and then only rise in time", whole);
    if (term.steps.size() == most_steps) return refuse_curve("more steps than 1024", whole);
    term.steps.push_back({*begin, *value});
  }
  if (term.steps.empty()) return refuse_curve("no steps", whole);
  if (list.find("repeat") != std::string_view::npos && term.period_ns <= term.steps.back().begin_ns)
    return refuse_curve("repeat= must be later than the last step", whole);
  return {};
}

Result<PowerCurve::Term> PowerCurve::parse_term(std::string_view text) {
  const auto colon = text.find(':');
  const auto shape = trim(text.substr(0, colon));
  const auto list = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  Term term;
  if (shape == "steps") {
    term.shape = Shape::steps;
    if (auto read = parse_steps(list, text, term); !read) return Unexpected<Error>(read.error());
    return term;
  }
  std::array<double, 4> value{};
  std::size_t count = 0;
  for (const auto item : split(list, ',')) {
    const auto number = parse_finite(item);
    if (!number || count == value.size() || std::abs(*number) > most_watts)
      return refuse_curve("'" + printable(item, 40) + "' is not one of its numbers", text);
    value[count++] = *number;
  }
  if (shape == "constant" && count == 1) {
    term.base_w = value[0];
    return term;
  }
  const bool noise = shape == "noise" && count == 4;
  const bool wave = (shape == "sine" || shape == "square") && count >= 3;
  if (!noise && !wave) return refuse_curve("no such shape, or not its numbers", text);
  const auto period = nanoseconds(noise ? value[3] : value[2]);
  if (!period || *period < 2) return refuse_curve("a period is 2 ns to 100 million seconds", text);
  term.period_ns = *period;
  if (noise) {
    if (!(value[0] >= 0) || value[0] != std::floor(value[0])) return refuse_curve("a seed is a whole number", text);
    term.shape = Shape::noise;
    term.seed = static_cast<std::uint64_t>(value[0]);
    term.base_w = value[1];
    term.amplitude_w = value[2];
  } else if (shape == "sine") {
    term.shape = Shape::sine;
    term.base_w = value[0];
    term.amplitude_w = value[1];
    term.phase = value[3] - std::floor(value[3]);
  } else {
    term.shape = Shape::square;
    term.base_w = value[0];
    term.high_w = value[1];
    term.amplitude_w = value[1] - value[0];
    term.duty = count == 4 ? value[3] : 0.5;
    if (!(term.duty >= 0 && term.duty <= 1)) return refuse_curve("a duty is 0 to 1", text);
    term.high_ns = std::llround(term.duty * static_cast<double>(term.period_ns));
  }
  return term;
}

Result<PowerCurve> PowerCurve::parse(std::string_view text) {
  PowerCurve curve;
  std::size_t begin = 0;
  for (std::size_t at = 0; at <= text.size(); ++at) {
    // A '+' before a shape's name adds; one in a number ("1e+3") does not.
    const bool adds = at + 1 < text.size() && text[at] == '+' && text[at + 1] >= 'a' && text[at + 1] <= 'z';
    if (at < text.size() && !adds) continue;
    if (curve.terms_.size() == most_terms) return refuse_curve("more terms than 64", text);
    auto term = parse_term(text.substr(begin, at - begin));
    if (!term) return Unexpected<Error>(term.error());
    curve.terms_.push_back(std::move(*term));
    begin = at + 1;
  }
  double least = 0;
  for (const Term& term : curve.terms_) {
    double lowest = term.base_w - std::abs(term.shape == Shape::square ? 0 : term.amplitude_w);
    if (term.shape == Shape::square) lowest = std::min(term.base_w, term.high_w);
    if (term.shape == Shape::steps) lowest = term.steps.front().watts;
    for (const Step& step : term.steps) lowest = std::min(lowest, step.watts);
    least += lowest;
  }
  if (least < 0) return refuse_curve("it falls below 0 W, and nothing here gives energy back", text);
  return curve;
}

std::string PowerCurve::Term::text() const {
  const auto base = format_number(base_w), amplitude = format_number(amplitude_w), period = seconds_text(period_ns);
  switch (shape) {
    case Shape::constant: return "constant:" + base;
    case Shape::sine: return "sine:" + base + "," + amplitude + "," + period + "," + format_number(phase);
    case Shape::square:
      return "square:" + base + "," + format_number(high_w) + "," + period + "," + format_number(duty);
    case Shape::noise: return "noise:" + std::to_string(seed) + "," + base + "," + amplitude + "," + period;
    case Shape::steps: break;
  }
  std::string list;
  for (const Step& step : steps)
    list += (list.empty() ? "steps:" : ",") + seconds_text(step.begin_ns) + "=" + format_number(step.watts);
  return period_ns > 0 ? list + ",repeat=" + period : list;
}

std::string PowerCurve::text() const {
  std::string sum;
  for (const Term& term : terms_) sum += (sum.empty() ? "" : "+") + term.text();
  return sum;
}

}  // namespace prony
