#include "reports/engine_tokens.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "reports/estimate_share.hpp"
#include "reports/figures.hpp"
#include "reports/json_put.hpp"

namespace prony {

namespace {

constexpr std::size_t most_rows = 20;

}  // namespace

std::vector<EngineTokens> engine_tokens(const Summary& summary) {
  std::vector<EngineTokens> rows;
  for (const GaugeRow& gauge : summary.gauges) {
    if (gauge.channel.sensor != "engine" || gauge.channel.scope != Scope::host) continue;
    auto row = std::ranges::find(rows, gauge.channel.device, &EngineTokens::device);
    if (row == rows.end()) row = rows.insert(rows.end(), EngineTokens{gauge.channel.device, {}, {}, {}, {}, {}});
    if (gauge.channel.domain == "prompt-tokens") row->prompt_tokens = gauge.ledger.increase;
    if (gauge.channel.domain == "output-tokens") row->output_tokens = gauge.ledger.increase;
    if (gauge.channel.domain == "steps") row->steps = gauge.ledger.increase;
  }
  if (rows.size() != 1 || !summary.headline_j) return rows;
  EngineTokens& only = rows.front();
  if (only.output_tokens && *only.output_tokens > 0)
    only.gross_per_output_token_j = each(*summary.headline_j, *only.output_tokens);
  if (only.output_tokens && only.prompt_tokens && *only.output_tokens + *only.prompt_tokens > 0)
    only.gross_per_token_j = each(*summary.headline_j, *only.output_tokens + *only.prompt_tokens);
  return rows;
}

std::vector<std::string> engine_words(const Summary& summary) {
  std::vector<std::string> words;
  const figures::Mark mark = summary.headline_mark();
  for (const EngineTokens& row : engine_tokens(summary)) {
    std::string text = printable(row.device, 60) + ": " + figures::count_or_none(row.prompt_tokens) +
                       " prompt tokens, " + figures::count_or_none(row.output_tokens) + " output tokens";
    if (row.steps) text += ", " + figures::count(*row.steps) + " steps";
    words.push_back(std::move(text));
    if (row.gross_per_output_token_j)
      words.push_back(figures::joules(*row.gross_per_output_token_j, mark) + " gross per output token" +
                      (row.gross_per_token_j
                           ? ", " + figures::joules(*row.gross_per_token_j, mark) + " per token in or out"
                           : std::string()));
    else if (summary.headline_j)
      words.emplace_back(row.output_tokens ? "no output token was made: there are no joules of one"
                                           : "its output tokens are not told: no joules of one");
  }
  return words;
}

nlohmann::ordered_json engine_json(const Summary& summary) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  const auto estimate = [](nlohmann::ordered_json& row, const std::string& name, const std::optional<Estimate>& value) {
    if (!value) return;
    row[name + "_j"] = value->value;
    row[name + "_low_j"] = value->low;
    row[name + "_high_j"] = value->high;
    row[name + "_kind"] = std::string(to_string(value->kind));
  };
  for (const EngineTokens& row : engine_tokens(summary)) {
    nlohmann::ordered_json one{{"server", row.device}};
    put(one, "prompt_tokens", row.prompt_tokens);
    put(one, "output_tokens", row.output_tokens);
    put(one, "steps", row.steps);
    estimate(one, "gross_per_output_token", row.gross_per_output_token_j);
    estimate(one, "gross_per_token", row.gross_per_token_j);
    out.push_back(std::move(one));
  }
  return out;
}

std::vector<std::string> proxied_words(const Summary& summary) {
  if (summary.kind != "proxy") return {};
  struct Sum {
    std::size_t count = 0, charged_count = 0;
    double in = 0, out = 0, charged_out = 0;
    std::optional<Estimate> charged;
    bool elsewhere = false;
  };
  std::map<std::pair<std::string, std::string>, Sum> sums;
  for (const RequestRow& row : summary.requests) {
    const std::string model = row.span.attribute("model").value_or("a model that nobody named");
    Sum& sum = sums[{model, row.span.attribute("outcome").value_or("")}];
    ++sum.count;
    sum.in += static_cast<double>(row.prompt_tokens.value_or(0));
    sum.out += static_cast<double>(row.output_tokens.value_or(0));
    sum.elsewhere = sum.elsewhere || row.span.attribute("elsewhere").has_value();
    if (!row.headline.charged) continue;
    ++sum.charged_count;
    sum.charged = sum.charged ? *sum.charged + *row.headline.charged : *row.headline.charged;
    sum.charged_out += static_cast<double>(row.output_tokens.value_or(0));
  }
  std::vector<std::string> words;
  for (const auto& [key, sum] : sums) {
    if (words.size() == most_rows) {
      words.push_back("and " + std::to_string(sums.size() - most_rows) + " more rows: prony export --table requests");
      break;
    }
    std::string text = printable(key.first, 40) + ": " + std::to_string(sum.count) + " " + key.second + ", " +
                       figures::count(sum.in) + " tokens in, " + figures::count(sum.out) + " out";
    if (sum.elsewhere) text += ", not local energy";
    if (sum.charged) {
      text += ", charged " + figures::joules(*sum.charged, summary.headline_mark());
      if (sum.charged_count < sum.count) text += " (" + std::to_string(sum.charged_count) + " of them)";
      if (sum.charged_out > 0)
        text += " = " + figures::joules_alone(each(*sum.charged, sum.charged_out), summary.headline_mark()) +
                " per output token";
    }
    words.push_back(std::move(text));
  }
  if (words.empty()) words.emplace_back("none came");
  return words;
}

}  // namespace prony
