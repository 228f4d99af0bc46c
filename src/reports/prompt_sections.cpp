// Sections of a Run's report: several models side by side, and what measuring cost.
#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "model/metrics.hpp"
#include "reports/estimate_share.hpp"
#include "reports/figures.hpp"
#include "reports/json_put.hpp"
#include "reports/prompt_checks.hpp"
#include "reports/text_layout.hpp"

namespace prony {

namespace {

using nlohmann::ordered_json;

std::optional<double> mean_of(const std::vector<double>& values) {
  const auto mean = metrics::mean(values);
  return mean ? std::optional(*mean) : std::nullopt;
}

// When the sampler rested, by what the Run was told.
std::vector<Interval> rests(const Summary& summary) {
  std::vector<Interval> found;
  std::optional<Instant> since;
  for (const Event& event : summary.events) {
    if (event.kind == "sampling-rests") since = event.at;
    if (event.kind == "sampling-wakes" && since) {
      found.push_back({*since, event.at});
      since.reset();
    }
  }
  return found;
}

}  // namespace

std::vector<ModelRow> model_rows(const Summary& summary) {
  struct Gathered {
    ModelRow row;
    std::vector<double> ttft, decode;
    double tokens_with_gross = 0, tokens_with_charged = 0;
  };
  const bool at_once = ran_at_once(summary);
  const auto add = [](std::optional<Estimate>& sum, double& tokens, const Estimate& part, std::int64_t count) {
    sum = sum ? *sum + part : part;
    tokens += static_cast<double>(count);
  };
  std::vector<Gathered> models;
  for (const RequestRow& row : summary.requests) {
    const auto name = row.span.attribute("model");
    if (!name) continue;
    auto found = std::ranges::find_if(models, [&](const Gathered& g) { return g.row.name == *name; });
    if (found == models.end()) {
      models.push_back({});
      found = models.end() - 1;
      found->row.name = *name;
    }
    ++found->row.requests;
    if (row.span.status != SpanStatus::ok || check_request(row).cancelled) continue;
    ++found->row.ok;
    found->row.prompt_tokens += row.prompt_tokens.value_or(0);
    found->row.output_tokens += row.output_tokens.value_or(0);
    if (row.ttft_s) found->ttft.push_back(*row.ttft_s);
    if (row.decode_tokens_per_s) found->decode.push_back(*row.decode_tokens_per_s);
    if (!row.headline.resolvable || row.output_tokens.value_or(0) <= 0) continue;
    if (row.headline.gross && !at_once)
      add(found->row.gross, found->tokens_with_gross, *row.headline.gross, *row.output_tokens);
    if (row.headline.charged)
      add(found->row.charged, found->tokens_with_charged, *row.headline.charged, *row.output_tokens);
  }
  std::vector<ModelRow> rows;
  for (Gathered& g : models) {
    g.row.ttft_s = mean_of(g.ttft);
    g.row.decode_tokens_per_s = mean_of(g.decode);
    if (g.row.gross) g.row.gross_per_output_token = each(*g.row.gross, g.tokens_with_gross);
    if (g.row.charged) g.row.charged_per_output_token = each(*g.row.charged, g.tokens_with_charged);
    rows.push_back(std::move(g.row));
  }
  return rows;
}

std::string models_table(const Summary& summary, std::size_t width, bool colour) {
  const auto rows = model_rows(summary);
  if (rows.empty()) return {};
  const figures::Mark mark = summary.headline_mark();
  const std::string none(figures::none);
  const bool at_once = ran_at_once(summary);
  layout::TextTable table;
  table.columns = {{"model", false, 0, 16},
                   {"prompts", true, 0, 0},
                   {"in", true, 4, 0},
                   {"out", true, 1, 0},
                   {"TTFT", true, 2, 0},
                   {"decode", true, 3, 0},
                   {at_once ? "charged" : "energy", true, 0, 0},
                   {"per out-token", true, 2, 0}};
  for (const ModelRow& row : rows) {
    const auto& joules = at_once ? row.charged : row.gross;
    const auto& per_token = at_once ? row.charged_per_output_token : row.gross_per_output_token;
    table.rows.push_back(
        {printable(row.name, 60),
         row.ok == row.requests ? std::to_string(row.ok)
                                : std::to_string(row.ok) + " of " + std::to_string(row.requests),
         figures::count(static_cast<double>(row.prompt_tokens)), figures::count(static_cast<double>(row.output_tokens)),
         row.ttft_s ? figures::seconds(*row.ttft_s) : none,
         row.decode_tokens_per_s ? figures::significant(*row.decode_tokens_per_s, 3) + " tok/s" : none,
         joules ? figures::joules(*joules, mark) : none, per_token ? figures::joules_alone(*per_token, mark) : none});
  }
  std::vector<std::string> left_out;
  return table.render(width, colour, left_out) + "\n";
}

std::optional<Intrusion> intrusion_of(const Summary& summary) {
  if (summary.fact("intrusion.test").empty()) return std::nullopt;
  const auto resting = rests(summary);
  const auto off = [&](Instant at) {
    return std::ranges::any_of(resting, [&](const Interval& i) { return i.begin <= at && at < i.end; });
  };
  // Of each prompt and each four rounds: two with the sampler on, two with it off.
  struct Four {
    std::vector<double> with[2];
  };
  std::map<std::pair<std::string, std::int64_t>, Four> fours;
  for (const RequestRow& row : summary.requests) {
    const std::int64_t round = row.span.count("repeat").value_or(1);
    if (row.span.status != SpanStatus::ok || check_request(row).cancelled || !row.e2e_s) continue;
    if (row.output_tokens.value_or(0) <= 0) continue;
    const std::string id = row.span.name.substr(0, row.span.name.rfind('#'));
    fours[{id, (round - 1) / 4}].with[off(row.span.interval.begin) ? 1 : 0].push_back(
        *row.e2e_s / static_cast<double>(*row.output_tokens));
  }
  Intrusion result;
  std::vector<double> on_s, off_s, differences;
  for (const auto& [key, four] : fours) {
    if (four.with[0].size() != 2 || four.with[1].size() != 2) continue;
    on_s.push_back(*mean_of(four.with[0]));
    off_s.push_back(*mean_of(four.with[1]));
    differences.push_back(on_s.back() - off_s.back());
  }
  if (differences.empty()) return std::nullopt;
  result.pairs = differences.size();
  result.on_s = *mean_of(on_s);
  result.off_s = *mean_of(off_s);
  result.difference_s = *mean_of(differences);
  if (const auto interval = metrics::mean_interval_95(differences)) {
    result.low_s = interval->low;
    result.high_s = interval->high;
  }
  const auto share = [&](const char* cpu, const char* wall) -> std::optional<double> {
    const auto used = summary.prony_total(cpu), length = summary.prony_total(wall);
    if (!used || !length || *length <= 0) return std::nullopt;
    return *used / *length;
  };
  result.cpu_on = share("intrusion_cpu_on_s", "intrusion_wall_on_s");
  result.cpu_off = share("intrusion_cpu_off_s", "intrusion_wall_off_s");
  return result;
}

std::vector<std::string> intrusion_items(const Summary& summary) {
  const auto found = intrusion_of(summary);
  if (!found)
    return summary.fact("intrusion.test").empty()
               ? std::vector<std::string>{}
               : std::vector<std::string>{"no prompt was answered in all four rounds: nothing can be compared"};
  const auto part = [&](double seconds) { return figures::percent(seconds / found->off_s); };
  std::vector<std::string> items{figures::seconds(found->off_s) + " per output token with the sampler at rest, " +
                                 figures::seconds(found->on_s) + " with it on"};
  std::string cost = "measuring cost " + part(found->difference_s) + " of the time per token";
  if (found->low_s)
    cost += " (95 %: " + part(*found->low_s) + " to " + part(*found->high_s) + ", n = " + std::to_string(found->pairs) +
            ")";
  else
    cost += ", from one comparison: no interval";
  items.push_back(cost);
  if (found->low_s && *found->low_s <= 0 && *found->high_s >= 0) items.emplace_back("no cost is resolved");
  if (found->cpu_on && found->cpu_off)
    items.push_back("Prony used " + figures::percent(*found->cpu_on) + " of a core while sampling, " +
                    figures::percent(*found->cpu_off) + " at rest");
  return items;
}

void put_prompt_checks(ordered_json& out, const Summary& summary) {
  std::size_t cancelled = 0, loops = 0, checked = 0, kept = 0;
  for (const RequestRow& row : summary.requests) {
    const RequestCheck check = check_request(row);
    cancelled += check.cancelled ? 1 : 0;
    loops += check.loop_share ? 1 : 0;
    for (const auto& one : {check.prompt_kept, check.output_kept}) {
      checked += one ? 1 : 0;
      kept += one == true ? 1 : 0;
    }
  }
  if (cancelled > 0) out["requests_cancelled"] = cancelled;
  if (loops > 0) out["answers_ending_in_a_loop"] = loops;
  if (checked > 0) out["lengths_kept"] = checked == kept;
  if (const auto read = pieces_read(summary)) {
    out["pieces"] = read->pieces;
    out["pieces_read_together"] = read->together;
  }
  if (const auto rows = model_rows(summary); !rows.empty()) {
    out["models"] = ordered_json::array();
    for (const ModelRow& row : rows) {
      ordered_json one{{"model", row.name},
                       {"requests", row.requests},
                       {"requests_ok", row.ok},
                       {"prompt_tokens", row.prompt_tokens},
                       {"output_tokens", row.output_tokens}};
      put(one, "mean_ttft_s", row.ttft_s);
      put(one, "mean_decode_tokens_per_s", row.decode_tokens_per_s);
      if (row.gross) one["gross_j"] = row.gross->value;
      if (row.gross_per_output_token) {
        one["gross_j_per_output_token"] = row.gross_per_output_token->value;
        one["gross_j_per_output_token_low"] = row.gross_per_output_token->low;
        one["gross_j_per_output_token_high"] = row.gross_per_output_token->high;
      }
      if (row.charged) one["charged_j"] = row.charged->value;
      if (row.charged_per_output_token) {
        one["charged_j_per_output_token"] = row.charged_per_output_token->value;
        one["charged_j_per_output_token_low"] = row.charged_per_output_token->low;
        one["charged_j_per_output_token_high"] = row.charged_per_output_token->high;
      }
      out["models"].push_back(std::move(one));
    }
  }
  if (const auto found = intrusion_of(summary)) {
    ordered_json one{{"pairs", found->pairs},
                     {"on_s_per_output_token", found->on_s},
                     {"off_s_per_output_token", found->off_s},
                     {"difference_s_per_output_token", found->difference_s}};
    put(one, "difference_low_s", found->low_s);
    put(one, "difference_high_s", found->high_s);
    put(one, "prony_cpu_share_on", found->cpu_on);
    put(one, "prony_cpu_share_off", found->cpu_off);
    out["intrusion"] = std::move(one);
  }
}

}  // namespace prony
