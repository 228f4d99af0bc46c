#include "reports/request_energy.hpp"

#include <algorithm>
#include <cmath>

#include "model/metrics.hpp"
#include "reports/load_figures.hpp"

namespace prony {

namespace {

constexpr double normal_975 = 1.96;

// Why a request's joules served nobody; "": they did.
std::string why_wasted(const RequestRow& row) {
  if (row.span.status == SpanStatus::unfinished) return "never ended";
  if (row.finish == "stop" || row.finish == "cancelled") return "cancelled";  // a model that ends itself is "eos"
  if (row.span.status == SpanStatus::failed || row.finish == "error") return "failed";
  if (row.span.count("context_full").value_or(0) > 0) return "context full";
  return {};
}

// A sum of requests' joules. What the fitted costs leave open of one is in another's, so it adds up in squares; edges
// and baselines have causes in common and add up.
class Joules {
 public:
  void add(const Estimate& part, double sigma) {
    const double own = normal_975 * sigma;
    const double low = std::min(part.value, part.low + own), high = std::max(part.value, part.high - own);
    const Estimate edges{part.value, low, high, part.kind};
    sum_ = sum_ ? *sum_ + edges : edges;
    squares_ += own * own;
    ++count_;
  }
  [[nodiscard]] std::size_t count() const { return count_; }
  [[nodiscard]] std::optional<Estimate> sum() const {
    if (!sum_) return std::nullopt;
    Estimate all = *sum_;
    const double own = std::sqrt(squares_);
    all.low = all.low >= 0 ? std::max(all.low - own, 0.0) : all.low - own;
    all.high += own;
    return all;
  }

 private:
  std::optional<Estimate> sum_;
  double squares_ = 0;
  std::size_t count_ = 0;
};

double sigma_of(const std::vector<SpanJoules>& parts, const Summary& summary) {
  double sum = 0;  // the domains' fits share their requests: what is off in one may be off in all
  for (const SpanJoules& part : parts)
    if (summary.energy[part.row].ledger.headline) sum += part.energy.share_sigma_j;
  return sum;
}

Estimate scaled(const Estimate& one, double factor) {
  return {one.value * factor, one.low * factor, one.high * factor, one.kind};
}

// n ÷ J: the larger the joules, the smaller it is. A doubt that reaches down to nothing has no upper end.
std::optional<Estimate> inverse(double count, const Estimate& joules) {
  if (!(joules.low > 0)) return std::nullopt;
  return Estimate{count / joules.value, count / joules.high, count / joules.low, joules.kind};
}

std::string why_no_charge(const Summary& summary) {
  if (const std::string host = summary.fact("engine.elsewhere"); !host.empty())
    return "the engine is on another host (" + host + "): its joules are not this machine's";
  for (const EnergyRow& row : summary.energy)
    for (const auto& [field, reason] : row.ledger.absent)
      if (row.ledger.headline && field == "target") return reason;
  for (const RequestRow& row : summary.requests)
    if (!row.headline.resolvable)
      return "not resolvable: requests are too short for this sensor" +
             (row.headline.needed_s ? std::string() : std::string(" or it was not read"));
  return "no request has joules of its own";
}

class Gather {
 public:
  explicit Gather(const Summary& summary) : summary_(summary) {}

  RequestEnergy all() {
    sum_up();
    by_token();
    by_request();
    by_phase();
    of_the_run();
    waste();
    lifecycle();
    close();
    return std::move(out_);
  }

 private:
  static void put(std::vector<EnergyMetric>& list, std::string name, std::string unit, std::optional<Estimate> value,
                  std::size_t requests, double denominator, std::string absent) {
    if (value && (!std::isfinite(value->value) || !std::isfinite(value->low) || !std::isfinite(value->high)))
      value.reset();
    list.push_back({std::move(name), std::move(unit), value, requests, denominator, value ? "" : std::move(absent)});
  }

  void sum_up() {
    for (const RequestRow& row : summary_.requests) {
      if (!row.headline.charged) continue;
      const double sigma = sigma_of(row.energy, summary_);
      if (row.output_tokens && *row.output_tokens > 0) {
        of_output_.add(*row.headline.charged, sigma);
        output_ += static_cast<double>(*row.output_tokens);
      }
      if (row.output_tokens && row.prompt_tokens && *row.output_tokens + *row.prompt_tokens > 0) {
        of_total_.add(*row.headline.charged, sigma);
        total_ += static_cast<double>(*row.output_tokens + *row.prompt_tokens);
      }
      if (end_of(row) != RequestEnd::ok) continue;
      of_done_.add(*row.headline.charged, sigma);
      each_.push_back(*row.headline.charged);
      if (!row.e2e_s) continue;
      products_.push_back(row.headline.charged->value * *row.e2e_s);
      of_products_.add(scaled(*row.headline.charged, *row.e2e_s), sigma * *row.e2e_s);
    }
  }

  void ratio(const std::string& name, const Joules& joules, double denominator) {
    const auto sum = joules.sum();
    const bool can = sum && denominator > 0;
    put(out_.metrics, name, "J", can ? std::optional(scaled(*sum, 1 / denominator)) : std::nullopt, joules.count(),
        denominator, sum ? "no such token was counted" : why_no_charge(summary_));
  }

  void by_token() {
    ratio("charged_j_per_output_token", of_output_, output_);
    ratio("charged_j_per_total_token", of_total_, total_);
    const auto sum = of_output_.sum();
    put(out_.metrics, "output_tokens_per_charged_j", "1/J", sum ? inverse(output_, *sum) : std::nullopt,
        of_output_.count(), 0, sum ? "the joules may be nothing: they have no inverse" : why_no_charge(summary_));
  }

  // The interval of the mean over requests (Student's t: how far another sample of them may be off), and beyond it the
  // doubt of their joules, which no number of requests makes smaller.
  void over_requests(const std::string& name, const std::string& unit, const std::vector<double>& values,
                     const Joules& joules) {
    std::optional<Estimate> mean;
    if (const auto told = metrics::mean_interval_95(values)) {
      const Estimate own = scaled(*joules.sum(), 1 / static_cast<double>(values.size()));
      mean = Estimate{told->mean, told->low - (own.value - own.low), told->high + (own.high - own.value),
                      weaker(EstimateKind::interval_95, own.kind)};
    }
    put(out_.metrics, name, unit, mean, values.size(), 0,
        values.empty() ? why_no_charge(summary_) : "one request has no interval");
  }

  void by_request() {
    ratio("charged_j_per_completed_request", of_done_, static_cast<double>(of_done_.count()));
    std::vector<double> values, lows, highs;
    EstimateKind kind = EstimateKind::bound;
    for (const Estimate& one : each_) {
      values.push_back(one.value);
      lows.push_back(one.low);
      highs.push_back(one.high);
      kind = weaker(kind, one.kind);
    }
    over_requests("mean_charged_j_of_requests", "J", values, of_done_);
    over_requests("mean_charged_energy_delay_product_js_of_requests", "J·s", products_, of_products_);
    for (const auto& [percent, p] : {std::pair("p50", 0.50), std::pair("p90", 0.90), std::pair("p99", 0.99)}) {
      const auto value = metrics::percentile(values, p), low = metrics::percentile(lows, p),
                 high = metrics::percentile(highs, p);
      put(out_.metrics, std::string(percent) + "_charged_j_of_requests", "J",
          value ? std::optional(Estimate{*value, *low, *high, kind}) : std::nullopt, each_.size(), 0,
          value           ? ""
          : each_.empty() ? why_no_charge(summary_)
                          : value.error().reason);
    }
  }

  void by_phase() {
    Joules prefill, decode;
    double uncached = 0, further = 0;
    for (const RequestRow& row : summary_.requests) {
      const double cached = static_cast<double>(std::max<std::int64_t>(row.span.count("cached_tokens").value_or(0), 0));
      if (row.prefill.charged && row.prompt_tokens && static_cast<double>(*row.prompt_tokens) > cached) {
        prefill.add(*row.prefill.charged, sigma_of(row.prefill_energy, summary_));
        uncached += static_cast<double>(*row.prompt_tokens) - cached;
      }
      if (row.decode.charged && row.output_tokens && *row.output_tokens > 1) {
        decode.add(*row.decode.charged, sigma_of(row.decode_energy, summary_));
        further += static_cast<double>(*row.output_tokens - 1);
      }
    }
    ratio("prefill_charged_j_per_uncached_prompt_token", prefill, uncached);
    ratio("decode_charged_j_per_token_after_the_first", decode, further);
    for (const auto& [name, joules] :
         {std::pair("prefill_charged_j", &prefill), std::pair("decode_charged_j", &decode)})
      put(out_.metrics, name, "J", joules->sum(), joules->count(), 0, why_no_charge(summary_));
    prefill_token_ = uncached > 0 && prefill.sum() ? std::optional(scaled(*prefill.sum(), 1 / uncached)) : std::nullopt;
  }

  // All that the machine drew while it served: with idle, others, gaps and what failed.
  void of_the_run() {
    double output = 0;
    std::size_t counted = 0;
    for (const RequestRow& row : summary_.requests)
      if (row.output_tokens && *row.output_tokens > 0) output += static_cast<double>(*row.output_tokens), ++counted;
    const bool here = summary_.fact("engine.elsewhere").empty();
    const bool can = summary_.headline_j && output > 0 && here;
    put(out_.metrics, "run_gross_j_per_output_token", "J",
        can ? std::optional(scaled(*summary_.headline_j, 1 / output)) : std::nullopt, counted, output,
        !here || output > 0 ? why_no_charge(summary_) : "no output token was counted");
  }

  void waste() {
    std::vector<std::pair<std::string, Joules>> sums;
    for (const RequestRow& row : summary_.requests) {
      const std::string why = why_wasted(row);
      if (why.empty()) continue;
      auto found = std::ranges::find(out_.waste, why, &WasteRow::why);
      if (found == out_.waste.end()) {
        out_.waste.push_back({why, 0, 0, {}});
        sums.emplace_back(why, Joules{});
        found = out_.waste.end() - 1;
      }
      ++found->requests;
      if (row.headline.charged)
        sums[static_cast<std::size_t>(found - out_.waste.begin())].second.add(*row.headline.charged,
                                                                              sigma_of(row.energy, summary_));
      else
        ++found->without_joules;
    }
    for (std::size_t i = 0; i < sums.size(); ++i) out_.waste[i].charged = sums[i].second.sum();
    cut();
    drafts();
  }

  // Answers that ended at the most tokens that were asked for: whether that is waste is for the reader to say.
  void cut() {
    Joules joules;
    for (const RequestRow& row : summary_.requests)
      if (end_of(row) == RequestEnd::ok && row.finish == "length" && row.headline.charged)
        joules.add(*row.headline.charged, sigma_of(row.energy, summary_));
    if (joules.count() > 0)
      put(out_.metrics, "charged_j_of_answers_cut_at_the_token_limit", "J", joules.sum(), joules.count(), 0, "");
  }

  // Tokens that a small model proposed and the large one refused were computed all the same.
  void drafts() {
    Joules joules;
    double refused = 0;
    for (const RequestRow& row : summary_.requests) {
      const auto drafted = row.span.count("draft_tokens"), taken = row.span.count("draft_accepted_tokens");
      if (!drafted || !taken || *drafted <= *taken || !row.decode.charged || !row.output_tokens) continue;
      const double lost = static_cast<double>(*drafted - *taken);
      const double share = lost / (lost + std::max(1.0, static_cast<double>(*row.output_tokens)));
      joules.add(scaled(*row.decode.charged, share), share * sigma_of(row.decode_energy, summary_));
      refused += lost;
    }
    if (joules.count() == 0) return;
    auto sum = joules.sum();
    sum->kind = EstimateKind::range;  // that a refused token costs what a kept one does is a model
    put(out_.metrics, "refused_draft_tokens_j", "J", sum, joules.count(), refused, "");
  }

  void lifecycle() {
    std::optional<Estimate> load;
    for (const PhaseRow& row : summary_.phases)
      if (row.span.name == phase::load && row.headline.charged)
        load = load ? *load + *row.headline.charged : *row.headline.charged;
    put(out_.lifecycle, "load_charged_j", "J", load, 0, 0,
        "no load was seen, or it was too short for this sensor: what is loaded already costs nothing more");
    std::optional<Estimate> keep;
    std::string why = "no idle and loaded baseline (--baseline 3s --loaded-baseline 3s measure them)";
    bool all = summary_.headline_j.has_value();
    for (const EnergyRow& row : summary_.energy) {
      const ChannelLedger& l = row.ledger;
      if (!l.headline) continue;
      all = all && l.idle_w && l.loaded_idle_w;
      if (!l.idle_w || !l.loaded_idle_w) continue;
      const Estimate more{l.loaded_idle_w->value - l.idle_w->value, l.loaded_idle_w->low - l.idle_w->high,
                          l.loaded_idle_w->high - l.idle_w->low, weaker(l.loaded_idle_w->kind, l.idle_w->kind)};
      keep = keep ? *keep + more : more;
    }
    if (!all) keep.reset();
    put(out_.lifecycle, "keep_loaded_w", "W", keep, 0, 0, why);
    break_even(load, keep, why);
    cache_hits();
  }

  // Unloading pays where nobody asks for longer than this.
  void break_even(const std::optional<Estimate>& load, const std::optional<Estimate>& keep, const std::string& why) {
    std::optional<Estimate> length;
    std::string absent = !load ? "the energy of loading is not known" : !keep ? why : std::string();
    if (load && keep && keep->low > 0)
      length = Estimate{load->value / keep->value, std::max(load->low, 0.0) / keep->high, load->high / keep->low,
                        weaker(load->kind, keep->kind)};
    else if (load && keep)
      absent = "a loaded model may draw nothing more than none: then keeping it costs nothing";
    put(out_.lifecycle, "unload_pays_after_s", "s", length, 0, 0, absent);
  }

  void cache_hits() {
    double cached = 0;
    std::size_t hits = 0;
    for (const RequestRow& row : summary_.requests)
      if (const auto tokens = row.span.count("cached_tokens"); tokens && *tokens > 0)
        cached += static_cast<double>(*tokens), ++hits;
    if (hits == 0) return;
    std::optional<Estimate> token;  // the fit's own cost of a prompt token, else prefill's joules over its tokens
    for (const EnergyRow& row : summary_.energy) {
      if (!row.ledger.headline) continue;
      std::optional<Estimate> of_row;
      if (!row.ledger.sharing.empty() && row.ledger.sharing.front().fit)
        of_row = row.ledger.sharing.front().fit->prefill_token_j;
      token = of_row && token ? std::optional(*token + *of_row) : of_row;
      if (!of_row) break;
    }
    if (!token) token = prefill_token_;
    std::optional<Estimate> saved;
    if (token) saved = scaled(*token, cached);
    if (saved) saved->kind = EstimateKind::range;  // not computed, so not measured
    put(out_.lifecycle, "prompt_cache_saved_j", "J", saved, hits, cached, why_no_charge(summary_));
  }

  void close() {
    Closure sum;
    bool any = false;
    for (const EnergyRow& row : summary_.energy)
      if (row.ledger.headline) sum.recorded_j += row.ledger.recorded.value, any = true;
    std::vector<std::uint64_t> requests, phases;
    for (const RequestRow& row : summary_.requests) requests.push_back(row.span.id.value);
    for (const PhaseRow& row : summary_.phases) phases.push_back(row.span.id.value);
    std::ranges::sort(requests);
    std::ranges::sort(phases);
    for (const Charge& charge : summary_.charges) {
      const bool headline = std::ranges::any_of(summary_.energy, [&](const EnergyRow& row) {
        return row.ledger.headline && row.channel.id == charge.channel;
      });
      if (!headline) continue;
      const double joules = charge.joules.value;
      switch (charge.party) {
        case Party::foreign: sum.foreign_j += joules; break;
        case Party::prony: sum.prony_j += joules; break;
        case Party::idle: sum.idle_j += joules; break;
        case Party::unattributed: sum.unattributed_j += joules; break;
        case Party::target: {
          auto of = std::ranges::find(sum.targets, charge.target.view(), &Closure::OfTarget::target);
          if (of == sum.targets.end()) of = sum.targets.insert(of, {charge.target.str()});
          const std::uint64_t span = charge.span.value;
          (span == 0                                    ? of->rest_j
           : std::ranges::binary_search(requests, span) ? of->requests_j
           : std::ranges::binary_search(phases, span)   ? of->phases_j
                                                        : of->other_spans_j) += joules;
          break;
        }
      }
    }
    if (any) out_.closure = sum;
  }

  const Summary& summary_;
  RequestEnergy out_;
  Joules of_output_, of_total_, of_done_, of_products_;
  double output_ = 0, total_ = 0;
  std::vector<Estimate> each_;
  std::vector<double> products_;
  std::optional<Estimate> prefill_token_;
};

}  // namespace

RequestEnergy request_energy(const Summary& summary) { return Gather(summary).all(); }

}  // namespace prony
