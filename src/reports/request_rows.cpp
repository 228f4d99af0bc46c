#include "reports/request_rows.hpp"

#include <algorithm>
#include <iterator>

#include "base/stable_sort.hpp"
#include "model/metrics.hpp"
#include "model/request_names.hpp"

namespace prony {

namespace {

// Spans that have a parent, by it; of one parent in the Run's order.
class Children {
 public:
  explicit Children(const std::vector<Span>& spans) {
    for (const Span& span : spans)
      if (span.parent.value != 0) spans_.push_back(&span);
    sort_stably(spans_, [](const Span* a, const Span* b) { return a->parent < b->parent; });
  }
  [[nodiscard]] std::vector<const Span*> of(SpanId parent) const {
    const auto found = std::ranges::equal_range(spans_, parent, {}, parent_of);
    return {found.begin(), found.end()};
  }

 private:
  static SpanId parent_of(const Span* span) { return span->parent; }
  std::vector<const Span*> spans_;
};

double seconds_between(Instant from, Instant to) { return (to - from).seconds().value(); }

HeadlineJoules headline_of(const std::vector<SpanJoules>& parts, const std::vector<EnergyRow>& rows) {
  HeadlineJoules sum;
  bool any = false, all_gross = true, all_charged = true;
  const auto add = [](std::optional<Estimate>& total, const Estimate& part) { total = total ? *total + part : part; };
  for (const SpanJoules& part : parts) {
    if (!rows[part.row].ledger.headline) continue;
    any = true;
    if (part.energy.gross) add(sum.gross, *part.energy.gross);
    if (part.energy.charged) add(sum.charged, *part.energy.charged);
    all_gross = all_gross && part.energy.gross.has_value();
    all_charged = all_charged && part.energy.charged.has_value();
    sum.resolvable = sum.resolvable && part.energy.resolvable;
    if (part.energy.needed_s) sum.needed_s = std::max(sum.needed_s.value_or(0), *part.energy.needed_s);
  }
  if (!any || !all_gross) sum.gross.reset();
  if (!any || !all_charged) sum.charged.reset();
  return sum;
}

// Requests, after which a row keeps the joules of the headline's channels alone: single channels of so many are told by
// no report, and were most of what is kept of a request.
constexpr std::size_t most_with_all_channels = 10'000;
// Reasons for what a row lacks are kept by request up to here; of more, a count of each is told.
constexpr std::size_t most_with_reasons = 1000;

std::optional<std::size_t> row_of(const std::vector<EnergyRow>& rows, const SpanEnergy& energy) {
  const auto found = std::ranges::find(rows, energy.channel, [](const EnergyRow& row) { return row.channel.id; });
  if (found == rows.end()) return std::nullopt;
  return static_cast<std::size_t>(found - rows.begin());
}

struct Gathering {
  Summary& summary;
  std::vector<SpanEnergy> joules;  // by span and row
  SpanGauges gauges;
  AbsentCounts absent = {};

  [[nodiscard]] std::vector<SpanJoules> joules_of(SpanId id, bool all_channels = true) const {
    const auto id_of = [](const SpanEnergy& one) { return one.span.value; };
    const auto found = std::ranges::equal_range(joules, id.value, {}, id_of);
    std::vector<SpanJoules> parts;
    const auto headline = [&](const SpanEnergy& one) {
      return summary.energy[*row_of(summary.energy, one)].ledger.headline;
    };
    const bool any_headline = std::ranges::any_of(found, headline);
    const auto wanted = [&](const SpanEnergy& one) { return all_channels || !any_headline || headline(one); };
    parts.reserve(static_cast<std::size_t>(std::ranges::count_if(found, wanted)));
    for (const SpanEnergy& one : found)
      if (wanted(one)) parts.push_back({*row_of(summary.energy, one), one});
    return parts;
  }
};

std::vector<SpanEnergy> by_span(std::vector<SpanEnergy> energies, const std::vector<EnergyRow>& rows) {
  std::erase_if(energies, [&](const SpanEnergy& one) { return !row_of(rows, one); });
  std::ranges::sort(energies, {}, [&](const SpanEnergy& one) { return std::pair(one.span.value, *row_of(rows, one)); });
  return energies;
}

void keep(RequestRow& row, std::optional<double>& field, const char* name, const metrics::Maybe<double>& value) {
  if (value) {
    field = *value;
  } else {
    row.absent.push_back({name, value.error().reason, ""});
  }
}

void gather_gaps(RequestRow& row, const std::vector<double>& gaps) {
  row.itl.count = gaps.size();
  if (gaps.empty()) {
    const auto pieces = row.span.count("chunks");
    const bool untold = pieces && row.output_tokens.value_or(0) > 1 && *pieces > 0;
    row.absent.push_back({"itl",
                          untold
                              ? "pieces of the answer are not tokens, and the engine does not tell how many each holds"
                              : "no token spans were recorded for two or more tokens",
                          ""});
    return;
  }
  row.itl.max_s = *std::max_element(gaps.begin(), gaps.end());
  keep(row, row.itl.mean_s, "itl.mean_s", metrics::mean(gaps));
  keep(row, row.itl.sd_s, "itl.sd_s", metrics::sd(gaps));
  keep(row, row.itl.p50_s, "itl.p50_s", metrics::percentile(gaps, 0.50));
  keep(row, row.itl.p90_s, "itl.p90_s", metrics::percentile(gaps, 0.90));
  keep(row, row.itl.p95_s, "itl.p95_s", metrics::percentile(gaps, 0.95));
  keep(row, row.itl.p99_s, "itl.p99_s", metrics::percentile(gaps, 0.99));
}

// The prompt and the answer are the row's own.
Span without_texts(const Span& span) {
  const auto kept = [](const auto& one) { return one.first != "prompt" && one.first != "answer"; };
  Span copy{span.id, span.parent, span.kind, span.status, span.name, span.interval, span.pid, span.thread, {}, {}};
  copy.counts = span.counts;
  copy.attributes.reserve(static_cast<std::size_t>(std::ranges::count_if(span.attributes, kept)));
  std::ranges::copy_if(span.attributes, std::back_inserter(copy.attributes), kept);
  return copy;
}

RequestRow request_row(const Gathering& all, const Span& span, const std::vector<const Span*>& children) {
  RequestRow row;
  row.span = without_texts(span);
  row.prompt = span.attribute("prompt").value_or("");
  row.answer = span.attribute("answer").value_or("");
  row.finish = span.attribute("finish").value_or("");
  row.begin_s = seconds_between(all.summary.window.begin, span.interval.begin);
  const metrics::RequestTimes times = metrics::request_times(span, children);
  row.prompt_tokens = times.prompt_tokens;
  row.output_tokens = times.output_tokens;
  if (!row.prompt_tokens) row.absent.push_back({"prompt_tokens", "the worker did not give it", ""});
  if (!row.output_tokens) row.absent.push_back({"output_tokens", "the worker did not give it", ""});
  keep(row, row.ttft_s, "ttft_s", metrics::ttft_s(times));
  keep(row, row.e2e_s, "e2e_s", metrics::e2e_s(times));
  keep(row, row.tpot_s, "tpot_s", metrics::tpot_s(times));
  keep(row, row.prefill_tokens_per_s, "prefill_tokens_per_s", metrics::prefill_tokens_per_s(times));
  keep(row, row.decode_tokens_per_s, "decode_tokens_per_s", metrics::decode_tokens_per_s(times));
  std::vector<double> gaps_s = metrics::itl_s(times);
  gather_gaps(row, gaps_s);
  if (!all.summary.fact("load.mode").empty()) row.gaps_s = std::move(gaps_s);
  const bool all_channels = all.summary.requests.size() < most_with_all_channels;
  row.energy = all.joules_of(span.id, all_channels);
  for (const Span* child : children) {
    const double length_s = child->interval.length().seconds().value();
    if (child->kind == SpanKind::tokenise) row.tokenise_s = length_s;
    if (child->kind == SpanKind::prefill && !child->attribute("holds")) {
      row.prefill_s = length_s;
      row.prefill_energy = all.joules_of(child->id, all_channels);
    }
    if (child->kind == SpanKind::decode) row.decode_energy = all.joules_of(child->id, all_channels);
  }
  // What this machine drew meanwhile is no cost of a model that another one runs.
  std::string host = all.summary.fact("engine.elsewhere");
  if (host.empty()) host = span.attribute("elsewhere").value_or("");
  if (!host.empty()) {
    row.energy.clear();
    row.prefill_energy.clear();
    row.decode_energy.clear();
    row.absent.push_back(
        {"energy", "the engine is on another host (" + host + "): its joules are not this machine's", ""});
  }
  row.headline = headline_of(row.energy, all.summary.energy);
  row.prefill = headline_of(row.prefill_energy, all.summary.energy);
  row.decode = headline_of(row.decode_energy, all.summary.energy);
  if (const auto found = all.gauges.find(span.id.value); found != all.gauges.end()) row.gauges = found->second;
  return row;
}

// A request whose answer the driver could not understand, or that it gave up with its worker, failed, whatever the
// worker wrote of its end: as called off, most often, since that is what the end of its input means to it.
void fail_what_the_driver_lost(Summary& summary) {
  std::map<std::string, std::size_t> lost;
  const std::string list = summary.fact("requests.failed");
  for (std::size_t begin = 0; begin < list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    ++lost[list.substr(begin, end - begin)];
    begin = end + 1;
  }
  if (lost.empty()) return;
  const auto find = [&](const RequestRow& row) { return lost.find(as_listed(row.span.name)); };
  for (const RequestRow& row : summary.requests)
    if (const auto found = find(row); found != lost.end() && found->second > 0 && row.span.status != SpanStatus::ok)
      --found->second;
  for (auto row = summary.requests.rbegin(); row != summary.requests.rend(); ++row) {
    const auto found = find(*row);
    if (found == lost.end() || found->second == 0 || row->span.status != SpanStatus::ok) continue;
    --found->second;
    row->span.status = SpanStatus::failed;
    row->absent.push_back(
        {"finish", "the driver did not get this answer: the worker's word \"" + row->finish + "\" is not what happened",
         ""});
    row->finish = "error";
  }
}

void gather_spans(const Run& run, Gathering& all) {
  const auto is_request = [](const Span& span) { return span.kind == SpanKind::request; };
  const auto requests = static_cast<std::size_t>(std::ranges::count_if(run.spans(), is_request));
  all.summary.requests.reserve(requests);
  const Children children(run.spans());
  for (const Span& span : run.spans()) {
    if (span.kind == SpanKind::request) {
      all.summary.requests.push_back(request_row(all, span, children.of(span.id)));
      auto& absent = all.summary.requests.back().absent;
      if (requests <= most_with_reasons) continue;
      for (const Unavailable& one : absent) ++all.absent[{one.subject, one.reason, one.remedy}];
      std::vector<Unavailable>().swap(absent);
    } else if (span.kind == SpanKind::phase && span.name != phase::step) {
      PhaseRow row{span,
                   seconds_between(all.summary.window.begin, span.interval.begin),
                   span.interval.length().seconds().value(),
                   all.joules_of(span.id),
                   {}};
      row.headline = headline_of(row.energy, all.summary.energy);
      all.summary.phases.push_back(std::move(row));
    }
  }
}

}  // namespace

AbsentCounts gather_requests(const Run& run, std::vector<SpanEnergy> joules, SpanGauges gauges, Summary& summary) {
  Gathering all{summary, by_span(std::move(joules), summary.energy), std::move(gauges)};
  gather_spans(run, all);
  fail_what_the_driver_lost(summary);
  return std::move(all.absent);
}

void gather_absent_of_requests(Summary& summary, AbsentCounts counts) {
  auto& out = summary.unavailable;
  if (summary.requests.size() <= most_with_reasons) {
    for (const RequestRow& row : summary.requests)
      for (const Unavailable& absent : row.absent)
        out.push_back({"requests[" + row.span.name + "]." + absent.subject, absent.reason, absent.remedy});
    return;
  }
  for (const RequestRow& row : summary.requests)
    for (const Unavailable& absent : row.absent) ++counts[{absent.subject, absent.reason, absent.remedy}];
  for (const auto& [what, count] : counts)
    out.push_back({"requests[" + std::to_string(count) + " of them]." + what[0], what[1], what[2]});
}

}  // namespace prony
