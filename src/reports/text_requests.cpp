#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "model/metrics.hpp"
#include "reports/estimate_share.hpp"
#include "reports/figures.hpp"
#include "reports/load_figures.hpp"
#include "reports/prompt_checks.hpp"
#include "reports/text_layout.hpp"
#include "reports/text_parts.hpp"

namespace prony::text {

namespace {

using figures::joules_or_none;
using figures::none;

std::string or_none(const std::optional<double>& value, std::string (*format)(double)) {
  return value ? format(*value) : std::string(none);
}
std::string rate(double value) { return figures::significant(value, 3) + " tok/s"; }

std::string prompt_cell(const RequestRow& row) {
  std::string text = row.prompt.empty() ? row.span.name : "\"" + row.prompt + "\"";
  std::replace_if(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  if (check_request(row).cancelled) return "cancelled: " + text;
  const bool failed = row.span.status != SpanStatus::ok || row.finish == "error";
  return failed ? std::string(row.span.status == SpanStatus::unfinished ? "unfinished: " : "failed: ") + text : text;
}

// A share of a window that the sensor cannot resolve is no better than the window.
bool shows(const RequestRow& row) { return row.headline.resolvable && row.headline.gross.has_value(); }

// What a row's energy per token is made of: `at_once`, of what it is charged, for in its window others ran, too.
const std::optional<Estimate>& for_tokens(const RequestRow& row, bool at_once) {
  return at_once ? row.headline.charged : row.headline.gross;
}

std::vector<std::string> request_cells(const Summary& summary, const RequestRow& row, std::size_t number, bool charged,
                                       bool at_once) {
  const figures::Mark mark = summary.headline_mark();
  const bool visible = shows(row);
  std::string per_token{none};
  if (const auto& joules = for_tokens(row, at_once); visible && joules && row.output_tokens && *row.output_tokens > 0)
    per_token = figures::joules_alone(each(*joules, static_cast<double>(*row.output_tokens)), mark);
  return {std::to_string(number),
          prompt_cell(row),
          figures::count_or_none(row.prompt_tokens),
          figures::count_or_none(row.output_tokens),
          or_none(row.ttft_s, figures::seconds),
          or_none(row.e2e_s, figures::seconds),
          or_none(row.prefill_tokens_per_s, rate),
          or_none(row.decode_tokens_per_s, rate),
          visible ? figures::joules(*row.headline.gross, mark) : std::string(none),
          per_token,
          charged ? joules_or_none(visible ? row.headline.charged : std::nullopt, mark) : std::string()};
}

// Median from eleven values on, the mean below: a median of eight is a figure that the next run will not repeat.
std::string centre(const std::vector<double>& values, std::string (*format)(double), std::string& name) {
  if (const auto median = metrics::percentile(values, 0.5)) {
    name = "p50";
    return format(*median);
  }
  const auto average = metrics::mean(values);
  name = average ? "mean" : "";
  return average ? format(*average) : std::string(none);
}

// Tokens, times and rates are of the answered alone, joules of all: what failed was paid for.
struct Sums {
  std::size_t answered = 0;
  std::int64_t in = 0, out = 0;
  std::optional<Estimate> token_j;
  double token_count = 0;  // of the prompts that have both: others would make tokens look dear or free
  std::vector<double> ttft, e2e, prefill, decode;
  std::optional<Estimate> gross, charged;
  std::size_t with_gross = 0, with_charged = 0;
};

Sums sums_of(const Summary& summary, bool at_once) {
  Sums sums;
  const auto add = [](std::optional<Estimate>& sum, const Estimate& part) { sum = sum ? *sum + part : part; };
  for (const RequestRow& row : summary.requests) {
    if (check_request(row).cancelled) continue;  // waste, told on a line of its own
    if (end_of(row) == RequestEnd::ok) {         // a failure is often quick: it would make the server look good
      ++sums.answered;
      sums.in += row.prompt_tokens.value_or(0);
      sums.out += row.output_tokens.value_or(0);
      if (row.ttft_s) sums.ttft.push_back(*row.ttft_s);
      if (row.e2e_s) sums.e2e.push_back(*row.e2e_s);
      if (row.prefill_tokens_per_s) sums.prefill.push_back(*row.prefill_tokens_per_s);
      if (row.decode_tokens_per_s) sums.decode.push_back(*row.decode_tokens_per_s);
    }
    if (!shows(row)) continue;
    if (!at_once) {
      ++sums.with_gross;
      add(sums.gross, *row.headline.gross);
    }
    if (const auto& joules = for_tokens(row, at_once); joules && row.output_tokens && *row.output_tokens > 0) {
      add(sums.token_j, *joules);
      sums.token_count += static_cast<double>(*row.output_tokens);
    }
    if (!row.headline.charged) continue;
    ++sums.with_charged;
    add(sums.charged, *row.headline.charged);
  }
  return sums;
}

void add_sum_rows(const Summary& summary, bool charged, bool at_once, layout::TextTable& table) {
  const Sums sums = sums_of(summary, at_once);
  const figures::Mark mark = summary.headline_mark();
  std::string ttft_name, e2e_name, prefill_name, decode_name;
  const std::string ttft = centre(sums.ttft, figures::seconds, ttft_name);
  const std::string e2e = centre(sums.e2e, figures::seconds, e2e_name);
  const std::string prefill = centre(sums.prefill, rate, prefill_name);
  const std::string decode = centre(sums.decode, rate, decode_name);
  const std::size_t all = summary.requests.size();
  const auto sum_name = [&](std::size_t count) {
    return count == 0 ? std::string() : count == all ? std::string("sum") : "sum of " + std::to_string(count);
  };
  table.rows.push_back(
      {"",
       sums.answered < all ? std::to_string(sums.answered) + " of " + std::to_string(all) + " answered"
                           : std::to_string(all) + (all == 1 ? " prompt" : " prompts"),
       figures::count(static_cast<double>(sums.in)), figures::count(static_cast<double>(sums.out)), ttft, e2e, prefill,
       decode, joules_or_none(sums.gross, mark),
       sums.token_j ? figures::joules_alone(each(*sums.token_j, sums.token_count), mark) : std::string(none),
       charged ? joules_or_none(sums.charged, mark) : std::string()});
  table.rows.push_back({"", "", "", "", ttft_name, e2e_name, prefill_name, decode_name,
                        at_once ? "at once: no sum" : sum_name(sums.with_gross), sums.token_j ? "sum ÷ sum" : "",
                        charged ? sum_name(sums.with_charged) : ""});
  table.tones.assign(table.rows.size() - 2, layout::Tone::plain);
  table.tones.push_back(layout::Tone::strong);
  table.tones.push_back(layout::Tone::dim);
}

}  // namespace

Part requests_table(const Summary& summary, const TextOptions& options) {
  const bool charged = std::any_of(summary.requests.begin(), summary.requests.end(),
                                   [](const RequestRow& row) { return row.headline.charged.has_value(); });
  const bool at_once = ran_at_once(summary);
  // Others in a prompt's window, or a server beside the client: what is charged is the figure to read.
  const bool mine = charged && (at_once || others_to_warn_of(summary) || !summary.targets.empty());
  layout::TextTable table;
  table.columns = {{"#", true, 7, 0},
                   {"prompt", false, 0, std::max<std::size_t>(12, options.width / 5)},
                   {"in", true, 5, 0},
                   {"out", true, 1, 0},
                   {"TTFT", true, 2, 0},
                   {"E2E", true, 8, 0},
                   {"prefill", true, 10, 0},
                   {"decode", true, 3, 0},
                   {"energy", true, mine && !at_once ? 9 : 0, 0},
                   {at_once ? "charged/token" : "per out-token", true, 4, 0},
                   {charged ? "charged" : "", true, mine ? 0 : 9, 0}};
  // A screen or two of them; all are in the tables that are exported.
  constexpr std::size_t most_rows = 60, shown_of_more = 20;
  const std::size_t all = summary.requests.size(), shown = all > most_rows ? shown_of_more : all;
  for (std::size_t i = 0; i < shown; ++i)
    table.rows.push_back(request_cells(summary, summary.requests[i], i + 1, charged, at_once));
  if (shown < all) {
    table.rows.emplace_back(table.columns.size());
    table.rows.back()[0] = "…";
    table.rows.back()[1] = figures::count(static_cast<double>(all - shown)) + " more";
  }
  add_sum_rows(summary, charged, at_once, table);
  Part part;
  part.text = table.render(options.width, options.colour, part.left_out);
  return part;
}

std::vector<std::string> where_it_went(const Summary& summary) {
  const auto target = headline_party(summary, &ChannelLedger::target);
  if (!target || target->value <= 0) return {};
  double prefill = 0, decode = 0, requests = 0, load = 0, warm_up = 0;
  for (const RequestRow& row : summary.requests) {
    if (row.headline.charged) requests += row.headline.charged->value;
    if (row.prefill.charged) prefill += row.prefill.charged->value;
    if (row.decode.charged) decode += row.decode.charged->value;
  }
  for (const PhaseRow& row : summary.phases) {
    if (!row.headline.charged) continue;
    if (row.span.name == phase::load) load += row.headline.charged->value;
    if (row.span.name == phase::warm_up) warm_up += row.headline.charged->value;
  }
  std::vector<std::string> items;
  const auto add = [&](const char* name, double joules) {
    const double share = joules / target->value;
    if (std::abs(share) < 0.0005) return;
    items.push_back(std::string(name) + " " + figures::percent(share) + " " + layout::bar(share, 10));
  };
  add("load", load);
  add("warm-up", warm_up);
  add("prefill", prefill);
  add("decode", decode);
  add("rest of the prompts", requests - prefill - decode);
  add("between", target->value - requests - load - warm_up);
  if (!items.empty()) items.push_back("of this program's " + figures::joules_alone(*target, summary.headline_mark()));
  return items;
}

std::vector<std::string> repeatability(const Summary& summary) {
  if (!summary.repeated.empty()) {
    double worst = 0;
    std::size_t least = summary.repeated.front().count;
    for (const Repeated& row : summary.repeated) {
      if (row.mean > 0) worst = std::max(worst, (row.high - row.mean) / row.mean);
      least = std::min(least, row.count);
    }
    return {std::to_string(summary.repeated.size()) + (summary.repeated.size() == 1 ? " prompt" : " prompts") +
                " ran at least " + std::to_string(least) + " times",
            "decode rates: ±" + figures::percent(worst) + " at worst (95 % interval of the mean)"};
  }
  std::vector<double> rates;
  for (const RequestRow& row : summary.requests)
    if (row.decode_tokens_per_s && row.span.status == SpanStatus::ok) rates.push_back(*row.decode_tokens_per_s);
  if (rates.size() < 2) return {"one measurement says nothing about that: run --repeat 5 for an interval"};
  const double average = *metrics::mean(rates);
  const auto off = std::count_if(rates.begin(), rates.end(),
                                 [&](double value) { return std::abs(value - average) > 0.05 * average; });
  return {std::to_string(off) + " of " + std::to_string(rates.size()) +
          " prompts decode more than 5 % off the mean: run --repeat 5 for an interval"};
}

}  // namespace prony::text
