#include "app/study_variants.hpp"

#include <algorithm>
#include <optional>

#include "app/study_judge.hpp"
#include "base/text.hpp"
#include "statistics/describe.hpp"
#include "statistics/difference.hpp"

namespace prony::app {

namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr double wanted_share = 0.05;
constexpr std::size_t resamples_of_a_figure = 2000;  // an end of the interval is off by half a per cent of its level

// One figure over the runs of one variant that have it.
struct FigureOver {
  StudyColumn column;
  std::size_t n = 0;
  // By the names of their columns; absent: too few values, or no spread to speak of.
  std::vector<std::pair<const char*, std::optional<double>>> numbers;
};

struct VariantFigures {
  std::string name, hash, origin;
  std::size_t planned = 0, done = 0;
  std::vector<FigureOver> figures;
};

FigureOver figure_over(const StudyColumn& column, const std::vector<double>& values) {
  FigureOver out{column, values.size(), {}};
  const auto all = statistics::describe(values);
  const auto t = statistics::mean_interval(values);
  statistics::Bootstrap bootstrap;
  bootstrap.resamples = resamples_of_a_figure;
  const auto bca = statistics::bootstrap_bca(values, statistics::mean_of, bootstrap);
  std::optional<double> runs;
  if (all && all->cv)
    if (const auto wanted = statistics::values_for_interval(*all->cv, wanted_share))
      runs = static_cast<double>(*wanted);
  using Number = std::optional<double>;
  out.numbers = {{"mean", all ? Number(all->mean) : Number()},
                 {"sd", all ? all->sd : Number()},
                 {"cv", all ? all->cv : Number()},
                 {"t_low", t ? Number(t->low) : Number()},
                 {"t_high", t ? Number(t->high) : Number()},
                 {"bca_low", bca ? Number(bca->low) : Number()},
                 {"bca_high", bca ? Number(bca->high) : Number()},
                 {"runs_for_5_percent", runs}};
  return out;
}

VariantFigures figures_of_variant(const StudyManifest& manifest, const OrderedJson& variant) {
  VariantFigures out;
  out.name = variant.at("name").get<std::string>();
  std::vector<const StudyAttempt*> good;
  for (const StudyRun& run : manifest.runs) {
    if (run.variant != out.name) continue;
    ++out.planned;
    out.hash = run.hash;
    const StudyAttempt* attempt = run.good();
    if (attempt == nullptr) continue;
    good.push_back(attempt);
    if (!attempt->origin.empty() && out.origin.find(attempt->origin) == std::string::npos)
      out.origin += (out.origin.empty() ? "" : "; ") + attempt->origin;
  }
  out.done = good.size();
  for (const StudyColumn& column : study_columns()) {
    std::vector<double> values;
    for (const StudyAttempt* attempt : good)
      if (const auto at = attempt->figures.find(column.name); at != attempt->figures.end())
        values.push_back(at->second);
    if (!values.empty()) out.figures.push_back(figure_over(column, values));
  }
  return out;
}

std::string variant_csv_row(const std::vector<std::string>& fields) {
  std::string line;
  for (const std::string& field : fields) line += (line.empty() ? "" : ",") + csv_field(field);
  return line + "\n";
}

std::string json_line(const OrderedJson& json) {
  return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace

std::string variants_csv(const StudyManifest& manifest) {
  std::string text = variant_csv_row({"study_id", "study", "variant", "variant_hash", "runs_planned", "runs_done",
                                      "joules_origin", "figure", "unit", "n", "mean", "sd", "cv", "t_low", "t_high",
                                      "bca_low", "bca_high", "runs_for_5_percent"});
  for (const auto& variant : manifest.variants) {
    const VariantFigures one = figures_of_variant(manifest, variant);
    for (const FigureOver& figure : one.figures) {
      std::vector<std::string> fields{manifest.id,
                                      manifest.name,
                                      one.name,
                                      one.hash,
                                      std::to_string(one.planned),
                                      std::to_string(one.done),
                                      one.origin,
                                      figure.column.name,
                                      figure.column.unit,
                                      std::to_string(figure.n)};
      for (const auto& [name, number] : figure.numbers) fields.push_back(number ? format_number(*number) : "");
      text += variant_csv_row(fields);
    }
  }
  return text;
}

std::string variants_jsonl(const StudyManifest& manifest) {
  std::string text;
  for (const auto& variant : manifest.variants) {
    const VariantFigures one = figures_of_variant(manifest, variant);
    OrderedJson line{{"study_id", manifest.id},  {"study", manifest.name},      {"variant", one.name},
                     {"variant_hash", one.hash}, {"runs_planned", one.planned}, {"runs_done", one.done}};
    if (!one.origin.empty()) line["joules_origin"] = one.origin;
    line["figures"] = OrderedJson::object();
    for (const FigureOver& figure : one.figures) {
      OrderedJson& told = line["figures"][figure.column.name];
      told = {{"unit", figure.column.unit}, {"n", figure.n}};
      for (const auto& [name, number] : figure.numbers)
        if (number) told[name] = *number;
    }
    text += json_line(line);
  }
  return text;
}

std::string runs_jsonl(const StudyManifest& manifest) {
  std::string text;
  for (const StudyRun& run : manifest.runs) {
    OrderedJson line{{"study_id", manifest.id}, {"study", manifest.name},         {"run", run.number},
                     {"variant", run.variant},  {"variant_hash", run.hash},       {"cycle", run.cycle + 1},
                     {"status", run.status},    {"attempts", run.attempts.size()}};
    const StudyAttempt* good = run.good();
    const StudyAttempt* told = good != nullptr ? good : run.attempts.empty() ? nullptr : &run.attempts.back();
    if (told != nullptr) {
      line.update({{"attempt_id", told->id}, {"begun_utc", told->begun_utc}, {"run_file", told->run}});
      if (!told->reason.empty()) line["reason"] = told->reason;
      if (!told->origin.empty()) line["joules_origin"] = told->origin;
      if (!told->flags.empty()) line["flags"] = told->flags;
    }
    if (good != nullptr) line["figures"] = good->figures;
    text += json_line(line);
  }
  return text;
}

}  // namespace prony::app
