#include "reports/utilisation.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "reports/figures.hpp"
#include "reports/prompt_checks.hpp"

namespace prony {

namespace {

using nlohmann::ordered_json;

constexpr const char* how_to_peaks = "prony inspect --measure-machine, or --peak-flops and --peak-bandwidth";

std::optional<double> positive_fact(const Summary& summary, std::string_view key) {
  const auto value = parse_finite(summary.fact(key));
  return value && *value > 0 ? value : std::nullopt;
}

bool answered(const RequestRow& row) {
  return row.span.status == SpanStatus::ok && row.finish != "error" && !check_request(row).cancelled &&
         row.prompt_tokens && row.output_tokens && *row.prompt_tokens > 0 && *row.output_tokens > 0;
}

double cached_tokens(const RequestRow& row) {
  return static_cast<double>(
      std::clamp<std::int64_t>(row.span.count("cached_tokens").value_or(0), 0, *row.prompt_tokens));
}

// FLOP of all that a request computed: its prompt, and one step for each token after the first.
TokenWork work_of(const Utilisation& all, const RequestRow& row) {
  const double prompt = static_cast<double>(*row.prompt_tokens), cached = cached_tokens(row);
  TokenWork work = all.costs->prefill(prompt - cached, cached, std::max(all.prefill_step_tokens, 1.0));
  work += all.costs->generation(prompt, static_cast<double>(*row.output_tokens) - 1, 1);
  return work;
}

void add_work(std::optional<WorkDone>& sum, const std::optional<WorkDone>& part) {
  if (!part) return;
  if (!sum) {
    sum = part;
    return;
  }
  sum->requests += part->requests;
  sum->flop += part->flop;
  sum->seconds += part->seconds;
  if (sum->bytes && part->bytes)
    *sum->bytes += *part->bytes;
  else
    sum->bytes.reset();
}

std::optional<WorkDone> work_together(const Utilisation& all, const Summary& summary) {
  WorkDone done;
  std::optional<double> begin, end;
  for (const RequestRow& row : summary.requests) {
    if (!answered(row) || !row.e2e_s) continue;
    ++done.requests;
    done.flop += work_of(all, row).flop();
    begin = std::min(begin.value_or(row.begin_s), row.begin_s);
    end = std::max(end.value_or(row.begin_s + *row.e2e_s), row.begin_s + *row.e2e_s);
  }
  if (done.requests == 0 || *end <= *begin) return std::nullopt;
  done.seconds = *end - *begin;
  return done;
}

// Why nothing can be told at all; empty: it can.
std::string why_no_work(const Utilisation& all, const Summary& summary) {
  if (!all.costs) {
    const std::string why = summary.fact("model.cost.absent");
    return why.empty() ? "the Run does not hold what the model's tokens cost" : why;
  }
  const auto differs = [](const RequestRow& row) { return row.span.attribute("model").has_value(); };
  if (std::ranges::any_of(summary.requests, differs)) return "several models were asked: measure each by itself";
  const auto drafted = [](const RequestRow& row) { return row.span.count("draft_tokens").value_or(0) > 0; };
  if (std::ranges::any_of(summary.requests, drafted))
    return "a second model proposed tokens: what both computed is not known";
  return {};
}

void take_work(Utilisation& all, const Summary& summary) {
  const auto absent = [&](const char* what, std::string why, const char* remedy = "") {
    all.absent.push_back({what, std::move(why), remedy});
  };
  if (std::string why = why_no_work(all, summary); !why.empty()) {
    all.costs.reset();
    return absent("utilisation", std::move(why));
  }
  if (ran_at_once(summary)) {
    all.together = work_together(all, summary);
    if (!all.together) return absent("together", "no request was answered with its counts and times");
    return absent("together.bytes_per_s", "requests shared steps: which read the weights together is not known");
  }
  for (const RequestRow& row : summary.requests) {
    add_work(all.prefill, prefill_work(all, row));
    add_work(all.decode, decode_work(all, row));
  }
  if (!all.prefill) absent("prefill", "of no request it is known how long its prompt took");
  if (!all.decode) absent("decode", "no request made two tokens or more");
  if (all.prefill && !all.prefill->bytes) absent("prefill.bytes_per_s", "how many tokens a step has is not known");
}

void take_peaks(Utilisation& all, const Summary& summary) {
  const auto unknown = [&](std::string why, const char* remedy) {
    for (const char* what : {"mfu", "mbu"}) all.absent.push_back({what, why, remedy});
  };
  const std::string elsewhere = summary.fact("engine.elsewhere");
  all.peak_source = summary.fact("peak.source");
  if (all.peak_source.starts_with("measured") && summary.fact("engine.can_offload") == "true")
    return unknown("the kept peaks are of the processors, and this engine may compute on an accelerator",
                   "--peak-flops and --peak-bandwidth");
  all.peak_flop_per_s = positive_fact(summary, "peak.flop_per_s");
  all.peak_bytes_per_s = positive_fact(summary, "peak.bytes_per_s");
  if (!all.peak_flop_per_s && !all.peak_bytes_per_s)
    return unknown(elsewhere.empty() ? "no peak is known of what computed" : "no peak is known of the other host",
                   how_to_peaks);
  if (!all.peak_flop_per_s) all.absent.push_back({"mfu", "no peak of FLOP/s was given", "--peak-flops"});
  if (!all.peak_bytes_per_s) all.absent.push_back({"mbu", "no peak of bytes/s was given", "--peak-bandwidth"});
}

std::string rate_with_prefix(double value, const char* unit) {
  constexpr const char* prefixes[] = {" ", " k", " M", " G", " T", " P"};
  std::size_t prefix = 0;
  while (value >= 999.5 && prefix + 1 < std::size(prefixes)) value /= 1000, ++prefix;
  return figures::significant(value, 3) + prefixes[prefix] + unit;
}

std::string work_words(const char* name, const WorkDone& done, const Utilisation& all) {
  std::string words = std::string(name) + " " + rate_with_prefix(done.flop_per_s(), "FLOP/s");
  if (all.peak_flop_per_s) words += " (MFU " + figures::percent(done.flop_per_s() / *all.peak_flop_per_s) + ")";
  if (!done.bytes) return words;
  words += " and " + rate_with_prefix(*done.bytes_per_s(), "B/s");
  if (all.peak_bytes_per_s) words += " (MBU " + figures::percent(*done.bytes_per_s() / *all.peak_bytes_per_s) + ")";
  return words;
}

}  // namespace

std::optional<WorkDone> prefill_work(const Utilisation& all, const RequestRow& row) {
  if (!all.costs || !answered(row) || !row.prefill_s || *row.prefill_s <= 0) return std::nullopt;
  const double cached = cached_tokens(row), computed = static_cast<double>(*row.prompt_tokens) - cached;
  if (computed <= 0) return std::nullopt;
  const TokenWork work = all.costs->prefill(computed, cached, std::max(all.prefill_step_tokens, 1.0));
  return WorkDone{1, work.flop(), *row.prefill_s,
                  all.prefill_step_tokens > 0 ? std::optional(work.bytes()) : std::nullopt};
}

std::optional<WorkDone> decode_work(const Utilisation& all, const RequestRow& row) {
  if (!all.costs || !answered(row) || !row.decode_tokens_per_s || *row.decode_tokens_per_s <= 0) return std::nullopt;
  const double steps = static_cast<double>(*row.output_tokens) - 1;
  if (steps < 1) return std::nullopt;
  const TokenWork work = all.costs->generation(static_cast<double>(*row.prompt_tokens), steps, 1);
  return WorkDone{1, work.flop(), steps / *row.decode_tokens_per_s, work.bytes()};
}

Utilisation utilisation(const Summary& summary) {
  Utilisation all;
  all.costs = token_costs_of(summary.manifest);
  all.prefill_step_tokens = positive_fact(summary, "engine.batch").value_or(0);
  take_work(all, summary);
  if (all.costs) take_peaks(all, summary);
  return all;
}

ordered_json to_json(const Utilisation& all) {
  ordered_json out = ordered_json::object();
  if (all.peak_flop_per_s) out["peak_flop_per_s"] = *all.peak_flop_per_s;
  if (all.peak_bytes_per_s) out["peak_bytes_per_s"] = *all.peak_bytes_per_s;
  if (all.peak_flop_per_s || all.peak_bytes_per_s) out["peak_source"] = all.peak_source;
  for (const auto& [name, done] :
       {std::pair("prefill", &all.prefill), std::pair("decode", &all.decode), std::pair("together", &all.together)}) {
    if (!*done) continue;
    ordered_json one{{"requests", (*done)->requests},
                     {"flop", (*done)->flop},
                     {"s", (*done)->seconds},
                     {"flop_per_s", (*done)->flop_per_s()}};
    if (all.peak_flop_per_s) one["mfu"] = (*done)->flop_per_s() / *all.peak_flop_per_s;
    if ((*done)->bytes) {
      one["bytes"] = *(*done)->bytes;
      one["bytes_per_s"] = *(*done)->bytes_per_s();
      if (all.peak_bytes_per_s) one["mbu"] = *(*done)->bytes_per_s() / *all.peak_bytes_per_s;
    }
    out[name] = std::move(one);
  }
  if (all.costs) out["origin"] = "derived";  // work counted from the model's file, time measured
  out["unavailable"] = ordered_json::array();
  for (const Unavailable& one : all.absent) {
    ordered_json entry{{"name", one.subject}, {"reason", one.reason}};
    if (!one.remedy.empty()) entry["remedy"] = one.remedy;
    out["unavailable"].push_back(std::move(entry));
  }
  return out;
}

std::vector<std::string> utilisation_words(const Summary& summary) {
  const Utilisation all = utilisation(summary);
  std::vector<std::string> words;
  if (all.prefill) words.push_back(work_words("prefill", *all.prefill, all));
  if (all.decode) words.push_back(work_words("decode", *all.decode, all));
  if (all.together) words.push_back(work_words("all requests", *all.together, all));
  if (words.empty()) return words;
  if (!all.peak_flop_per_s && !all.peak_bytes_per_s) {
    const auto why = std::ranges::find(all.absent, "mfu", &Unavailable::subject);
    words.push_back(why->reason + ": " + why->remedy);
    return words;
  }
  std::string of = "of";
  if (all.peak_flop_per_s) of += " " + rate_with_prefix(*all.peak_flop_per_s, "FLOP/s");
  if (all.peak_bytes_per_s)
    of += std::string(all.peak_flop_per_s ? " and" : "") + " " + rate_with_prefix(*all.peak_bytes_per_s, "B/s");
  words.push_back(of + ", " + printable(all.peak_source, 80));
  return words;
}

}  // namespace prony
