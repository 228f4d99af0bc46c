#include "compare/merit.hpp"

#include <cmath>

#include "base/text.hpp"
#include "compare/guards.hpp"
#include "reports/figures.hpp"
#include "reports/json_put.hpp"
#include "reports/text_layout.hpp"

namespace prony::compare {

namespace {

using metrics::Maybe;
using Pick = Maybe<double> (*)(const RunFigures&);

Unexpected<metrics::Absent> no_figure(std::string reason) {
  return Unexpected<metrics::Absent>(metrics::Absent{std::move(reason)});
}

Maybe<double> figure(const RunFigures& run, std::string_view name) {
  const auto metric = metric_from(name);
  if (!metric || *metric >= run.figures.size()) return no_figure("not told");
  const auto& found = run.figures[*metric];
  return found ? Maybe<double>(found->value) : no_figure(found.error().reason);
}

Maybe<double> throughput(const RunFigures& run) { return figure(run, "output_tokens_per_s"); }
Maybe<double> bandwidth(const RunFigures& run) { return run.merit.mbu; }
Maybe<double> cpu_share(const RunFigures& run) { return run.merit.cpu_share; }
Maybe<double> tokens_per_joule(const RunFigures& run) {
  const auto joules = figure(run, "run_gross_j_per_output_token");
  if (!joules) return joules;
  return *joules > 0 ? Maybe<double>(1 / *joules) : no_figure("no joules per token");
}

// Over a variant's Runs, where every one of them tells it.
Maybe<double> mean_over(const Variant& variant, Pick pick) {
  double sum = 0;
  for (const RunFigures& run : variant.runs) {
    const auto value = pick(run);
    if (!value) return value;
    sum += *value;
  }
  return variant.runs.empty() ? no_figure("no Run") : Maybe<double>(sum / static_cast<double>(variant.runs.size()));
}

std::optional<double> parameters_of(const Variant& variant) {
  std::optional<double> all;
  for (const RunFigures& run : variant.runs) {
    if (!run.merit.parameters || (all && *all != *run.merit.parameters)) return std::nullopt;
    all = run.merit.parameters;
  }
  return all;
}

MeritPart part_of(std::string_view name, std::string_view unit, const Variant& before, const Variant& after, Pick pick,
                  double factor, double weight) {
  MeritPart part;
  part.name = name, part.unit = unit, part.weight = weight;
  const auto first = mean_over(before, pick), second = mean_over(after, pick);
  if (first) part.before = *first;
  if (second) part.after = *second;
  if (!first || !second)
    part.absent = (first ? "after: " : "before: ") + (first ? second : first).error().reason;
  else if (*first <= 0 || *second <= 0)
    part.absent = "a figure of 0 has no ratio";
  else
    part.ratio = *second / *first * factor;
  return part;
}

Usable usable_of(const Variant& variant, double wanted_words_per_s) {
  Usable usable;
  const auto rate = mean_over(variant, [](const RunFigures& run) { return figure(run, "decode_tokens_per_s"); });
  const auto length = mean_over(variant, [](const RunFigures& run) { return run.merit.tokens_per_word; });
  if (length) usable.tokens_per_word = *length;
  if (!rate || !length) {
    usable.absent = (rate ? length : rate).error().reason;
    return usable;
  }
  usable.words_per_s = *rate / *length;
  usable.fast_enough = *usable.words_per_s >= wanted_words_per_s;
  return usable;
}

void take_means(Merit& merit) {
  double logarithms = 0, weights = 0;
  for (const MeritPart& part : merit.parts) {
    if (part.weight <= 0) continue;
    if (!part.ratio) {
      merit.full_absent += (merit.full_absent.empty() ? "" : "; ") + std::string(part.name) + ": " + part.absent;
      continue;
    }
    logarithms += part.weight * std::log(*part.ratio);
    weights += part.weight;
  }
  if (merit.full_absent.empty()) merit.full = std::exp(logarithms / weights);
  const MeritPart &rate = merit.parts.front(), &energy = merit.parts.back();
  if (rate.ratio && energy.ratio)
    merit.reduced = std::sqrt(*rate.ratio * *energy.ratio);
  else
    merit.reduced_absent =
        std::string(rate.ratio ? energy.name : rate.name) + ": " + (rate.ratio ? energy : rate).absent;
}

std::string times(const std::optional<double>& ratio) {
  return ratio ? figures::significant(*ratio, 4) + " ×" : std::string(figures::none);
}

std::string usable_words(const char* which, const Usable& usable, double wanted) {
  if (!usable.fast_enough) return std::string(which) + ": not told, " + printable(usable.absent, 200);
  return std::string(which) + ": " + (*usable.fast_enough ? "yes, " : "no, ") +
         figures::significant(*usable.words_per_s, 3) + " words/s of " + format_number(wanted) + ", " +
         figures::significant(*usable.tokens_per_word, 3) + " tokens a word";
}

nlohmann::ordered_json usable_json(const Usable& usable) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  put(out, "words_per_s", usable.words_per_s);
  put(out, "tokens_per_word", usable.tokens_per_word);
  if (usable.fast_enough) out["usable"] = *usable.fast_enough;
  put(out, "absent", usable.absent);
  return out;
}

}  // namespace

Result<std::array<double, merit_parts>> parse_weights(std::string_view text) {
  std::array<double, merit_parts> weights{};
  double sum = 0;
  const auto words = split(text, ',');
  const auto refuse = [&] {
    return fail(ErrorCode::usage, "four weights from 0 on, not all 0, are wanted",
                "--merit-weights " + printable(text, 60),
                "Of throughput, bandwidth, CPU and energy:  --merit-weights 1,1,1,1");
  };
  if (words.size() != merit_parts) return refuse();
  for (std::size_t i = 0; i < merit_parts; ++i) {
    const auto weight = parse_finite(trim(words[i]));
    if (!weight || *weight < 0 || *weight > 1e6) return refuse();
    sum += weights[i] = *weight;
  }
  if (sum <= 0) return refuse();
  return weights;
}

Merit merit_of(const Variant& before, const Variant& after, const MeritOptions& options) {
  Merit merit;
  merit.options = options;
  const auto first = parameters_of(before), second = parameters_of(after);
  merit.by_parameters = first && second && *first > 0;
  const double larger = merit.by_parameters ? *second / *first : 1;
  const auto& w = options.weights;
  merit.parts = {part_of("throughput", "1/s", before, after, throughput, larger, w[0]),
                 part_of("bandwidth", "MBU", before, after, bandwidth, 1, w[1]),
                 part_of("CPU", "share", before, after, cpu_share, 1, w[2]),
                 part_of("energy", "tokens/J", before, after, tokens_per_joule, larger, w[3])};
  if (const std::string refused = why_joules_are_not_comparable(before, after);
      !options.any_origin && !refused.empty()) {
    merit.parts.back().ratio.reset();
    merit.parts.back().absent = refused;
  }
  take_means(merit);
  merit.before = usable_of(before, options.words_per_s);
  merit.after = usable_of(after, options.words_per_s);
  return merit;
}

std::string to_text(const Merit& merit, std::size_t width, bool colour) {
  layout::TextTable table;
  table.columns = {{"merit", false}, {"before"}, {"after"}, {"times"}, {"weight"}, {"", false, 2}};
  for (const MeritPart& part : merit.parts) {
    const auto shown = [](const std::optional<double>& value) {
      return value ? figures::significant(*value, 4) : std::string(figures::none);
    };
    table.rows.push_back({std::string(part.name) + ", " + std::string(part.unit), shown(part.before), shown(part.after),
                          times(part.ratio), format_number(part.weight), part.absent});
  }
  std::vector<std::string> left_out;
  std::string text = table.render(width, colour, left_out);
  const auto line = [&](const char* label, const std::vector<std::string>& items) {
    text += layout::labelled(label, items, width, layout::Tone::plain, colour);
  };
  line("merit",
       {"all by weight: " + (merit.full ? times(merit.full) : "not told (" + printable(merit.full_absent, 300) + ")"),
        "throughput and energy: " +
            (merit.reduced ? times(merit.reduced) : "not told (" + printable(merit.reduced_absent, 300) + ")"),
        merit.by_parameters ? "throughput and energy are times the parameters, which both tell"
                            : "without the models' parameters, which not both tell",
        "geometric means of means: no interval is claimed"});
  line("usable", {usable_words("before", merit.before, merit.options.words_per_s),
                  usable_words("after", merit.after, merit.options.words_per_s)});
  return text;
}

nlohmann::ordered_json to_json(const Merit& merit) {
  nlohmann::ordered_json out{{"by_parameters", merit.by_parameters}};
  put(out, "full", merit.full);
  put(out, "full_absent", merit.full_absent);
  put(out, "reduced", merit.reduced);
  put(out, "reduced_absent", merit.reduced_absent);
  out["parts"] = nlohmann::ordered_json::array();
  for (const MeritPart& part : merit.parts) {
    nlohmann::ordered_json one{
        {"name", std::string(part.name)}, {"unit", std::string(part.unit)}, {"weight", part.weight}};
    put(one, "before", part.before);
    put(one, "after", part.after);
    put(one, "ratio", part.ratio);
    put(one, "absent", part.absent);
    out["parts"].push_back(std::move(one));
  }
  out["words_per_s_wanted"] = merit.options.words_per_s;
  out["before"] = usable_json(merit.before);
  out["after"] = usable_json(merit.after);
  return out;
}

}  // namespace prony::compare
