// What spans and parties are charged: the flat list of charges, and what each span's window drew.
#include <algorithm>
#include <map>
#include <utility>

#include "attribute/builder.hpp"
#include "attribute/part.hpp"
#include "attribute/request_share.hpp"

namespace prony::attribution {

void Builder::find_pieces() {
  const std::vector<Span>& spans = state_.spans;
  viewed_ = owners_of_viewers(spans);
  target_of_ = targets_of_spans(spans, viewed_, targets_, state_.processes, state_.options.requests_target);
  asynchronous_.resize(spans.size());
  for (std::size_t i = 0; i < spans.size(); ++i)
    asynchronous_[i] = is_host_asynchronous(spans[i]) || (viewed_[i] && is_host_asynchronous(spans[*viewed_[i]]));
  std::vector<bool> local(spans.size());
  for (std::size_t i = 0; i < spans.size(); ++i)
    local[i] = !is_elsewhere(spans[i]) && !(viewed_[i] && is_elsewhere(spans[*viewed_[i]]));
  const bool any_asynchronous = std::ranges::find(asynchronous_, true) != asynchronous_.end();
  for (std::size_t target = 0; target < targets_.size(); ++target) {
    std::vector<bool> counts(spans.size());
    for (std::size_t i = 0; i < spans.size(); ++i) counts[i] = target_of_[i] == target && local[i];
    pieces_.push_back(make_pieces(spans, viewed_, counts, ledger_.window, state_.plan));
    if (!any_asynchronous) continue;
    for (std::size_t i = 0; i < spans.size(); ++i) counts[i] = counts[i] && !asynchronous_[i];
    synchronised_.push_back(make_pieces(spans, viewed_, counts, ledger_.window, state_.plan));
  }
}

// What a span is charged carries the doubt of its window's edges in proportion, and of the CPU clocks. Where an idle
// power was taken away, the edges' is that of all it drew, idle included, and the idle power's comes on top: an idle
// power that is a watt too high takes its part of that watt, however little is left. `idle_s`: for how long the idle
// power was taken from it; below 0: given to it.
Estimate Builder::charged(double value, const Measured& gross, double clocks, double idle_s,
                          const std::optional<Estimate>& idle_w) const {
  const Estimate& whole = gross.estimate;
  const double drawn = idle_w ? value + idle_s * idle_w->value : value;
  const Estimate part = part_of(drawn, whole, share_of(drawn, whole.value) * clocks);
  if (!idle_w) return part;
  const double down = idle_s * (idle_w->value - idle_w->high), up = idle_s * (idle_w->value - idle_w->low);
  return {value, value - (part.value - part.low) + std::min({down, up, 0.0}),
          value + (part.high - part.value) + std::max({down, up, 0.0}), part.kind};
}

// Where requests overlap: what each is charged, and by which rule.
Shares Builder::share_target(const Curve& curve, const Shared& shared, std::size_t target,
                             const std::vector<Piece>& pieces, ChannelLedger& row) const {
  const ChargedCurve charged{&state_.plan, &shared.parties->target_at[target], &shared.split->edges,
                             shared.parties->target_in.empty() ? nullptr : &shared.parties->target_in[target],
                             curve.seen_every_s()};
  const RequestShare asked = state_.options.request_share;
  const bool overlap = std::ranges::any_of(pieces, [&](const Piece& piece) {
    return piece.owners.size() > 1 && state_.spans[piece.owners.front()].kind == SpanKind::request;
  });
  if (!overlap) return share_pieces(RequestShare::time, pieces, state_.spans, viewed_, nullptr, nullptr, charged);
  RequestSharing told{targets_[target], asked, asked, {}, {}};
  std::optional<FittedCosts> costs;
  if (asked == RequestShare::work && state_.work) {
    Expected<FittedCosts, std::string> fitted = Unexpected<std::string>(state_.work->absent);
    if (state_.work->absent.empty()) fitted = fit_costs(pieces, state_.spans, *state_.work, charged);
    if (fitted) {
      costs = std::move(*fitted);
      told.fit = costs->told;
      told.fit->kv_in_bytes = state_.options.kv_reads.has_value();
    } else {
      told.used = RequestShare::time;
      told.why = std::move(fitted.error());
    }
  }
  Shares shares = share_pieces(told.used, pieces, state_.spans, viewed_, state_.work ? &*state_.work : nullptr,
                               costs ? &*costs : nullptr, charged);
  row.sharing.push_back(std::move(told));
  return shares;
}

namespace {

std::string charge_method(const Span& span, const std::string& target, const ChannelLedger& row) {
  std::string method = "the target's part in the span's time, " + row.method;
  if (span.kind != SpanKind::request) return method;
  for (const RequestSharing& sharing : row.sharing)
    if (sharing.target == target) method += "; requests at once share by " + std::string(to_string(sharing.used));
  return method;
}

// Seconds that each span has of the time in which its target did something for spans: those of several at once are
// parted equally.
std::vector<double> own_seconds(const std::vector<Piece>& pieces, const Plan& plan, std::size_t spans) {
  std::vector<double> own(spans, 0.0);
  for (const Piece& piece : pieces) {
    if (piece.owners.empty()) continue;
    const double each =
        seconds_of(plan.fixed[piece.to] - plan.fixed[piece.from]) / static_cast<double>(piece.owners.size());
    for (const std::size_t owner : piece.owners) own[owner] += each;
    for (const std::size_t viewer : piece.viewers) own[viewer] += each;
  }
  return own;
}

// What part of the idle power lies under a target and was not given back to it.
double taken_away(const Parties& parties, std::size_t target, double idle_j) {
  return parties.time[target] - (idle_j != 0 ? parties.given[target] / idle_j : 0);
}

// What the fitted costs leave open comes on top of what is not known of the edges.
void widen(Estimate& part, double sigma) {
  constexpr double normal_975 = 1.96;
  const double least = part.low >= 0 ? 0.0 : part.low - normal_975 * sigma;
  part.low = std::min(part.value, std::max(part.low - normal_975 * sigma, least));
  part.high += normal_975 * sigma;
}

}  // namespace

void Builder::charge_spans(const Curve& curve, const Shared& shared, ChannelLedger& row) {
  const std::vector<Span>& spans = state_.spans;
  const auto& pieces = shared.accelerator && !synchronised_.empty() ? synchronised_ : pieces_;
  std::vector<Shares> by_target;
  // By target: for how long the idle power was taken away from each span; only where there is one.
  std::vector<std::vector<double>> own_s;
  const double window_s = ledger_.window.length().seconds().value();
  std::vector<double> to_spans(targets_.size(), 0.0);
  for (std::size_t target = 0; shared.parties && target < pieces.size(); ++target) {
    by_target.push_back(share_target(curve, shared, target, pieces[target], row));
    to_spans[target] = by_target.back().given;
    own_s.push_back(row.idle_w ? own_seconds(pieces[target], state_.plan, spans.size()) : std::vector<double>{});
    const double kept = row.idle_w ? taken_away(*shared.parties, target, row.idle_w->value * window_s) : 0;
    for (double& own : own_s.back()) own *= kept;
  }
  std::map<std::pair<std::size_t, bool>, SharedText> methods;  // by target; of requests, of all else
  const auto words_of = [&](const Span& span, std::size_t target) {
    SharedText& method = methods[{target, span.kind == SpanKind::request}];
    if (method.empty()) method = charge_method(span, targets_[target], row);
    return method;
  };
  const std::vector<SharedText> names(targets_.begin(), targets_.end());
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const Span& span = spans[i];
    if (span.kind == SpanKind::run) continue;
    const Measured gross = curve.between_fixed(span.interval.begin.ns, span.interval.end.ns);
    std::optional<Estimate> part;
    double sigma = 0;
    if (shared.parties) {
      const Shares& shares = by_target[target_of_[i]];
      sigma = shares.sigma[i];
      const double clocks =
          std::min(1.0, 2 * shared.split->staleness_s / std::max(span.interval.length().seconds().value(), 1e-9));
      part = charged(shares.parts[i], gross, clocks, row.idle_w ? own_s[target_of_[i]][i] : 0, row.idle_w);
      if (sigma > 0) widen(*part, sigma);
      if (shares.owner[i])
        ledger_.charges.push_back(
            {row.channel, Party::target, span.id, *part, words_of(span, target_of_[i]), names[target_of_[i]]});
    }
    if (row.headline) span_energy(curve, i, gross, part, shared, row);
    if (row.headline && ledger_.spans.back().charged) ledger_.spans.back().share_sigma_j = sigma;
  }
  charge_parties(shared, to_spans, row);
}

void Builder::span_energy(const Curve& curve, std::size_t index, const Measured& gross,
                          const std::optional<Estimate>& part, const Shared& shared, const ChannelLedger& row) {
  const Span& span = state_.spans[index];
  SpanEnergy energy{span.id, row.channel, gross.resolvable(), {}, {}, {}, {}};
  // Where nothing could be split, nobody looked whose parts spans are.
  const Span* whole = index < viewed_.size() && viewed_[index] ? &state_.spans[*viewed_[index]] : nullptr;
  const bool in_window = span.interval.begin >= ledger_.window.begin && span.interval.end <= ledger_.window.end;
  if (is_elsewhere(span) || (whole != nullptr && is_elsewhere(*whole))) {
    energy.resolvable = false;
    energy.absent = why_elsewhere_;
  } else if (shared.accelerator && is_host_asynchronous(span)) {
    energy.resolvable = false;
    energy.absent = why_asynchronous_;
  } else if (!energy.resolvable) {
    energy.needed_s = needed_s(curve, gross, span.interval);
  } else {
    energy.gross = gross.estimate;
    energy.interval = gross.interval;
    const bool hidden = shared.accelerator && !asynchronous_.empty() && asynchronous_[index];
    if (hidden) energy.absent = why_asynchronous_;
    if (!shared.parties) energy.absent = shared.absent;
    if (part && in_window && !hidden) energy.charged = part;
  }
  ledger_.spans.push_back(std::move(energy));
}

void Builder::charge_parties(const Shared& shared, const std::vector<double>& to_spans, const ChannelLedger& row) {
  const auto charge = [&](Party party, const Estimate& joules, std::string method, std::string target = {}) {
    ledger_.charges.push_back({row.channel, party, SpanId{}, joules, std::move(method), std::move(target)});
  };
  if (shared.parties) {
    const double length_s = ledger_.window.length().seconds().value();
    const double clocks = std::min(1.0, 2 * shared.split->staleness_s / std::max(length_s, 1e-9));
    for (std::size_t target = 0; target < row.targets.size(); ++target) {
      if (!row.targets[target].charged) continue;
      const Estimate& whole = *row.targets[target].charged;
      const double shift = to_spans[target];
      charge(Party::target, rest_of(shift, whole, clocks), "the target outside all spans, " + row.method,
             row.targets[target].target);
    }
    charge(Party::foreign, *row.foreign, row.method);
    if (row.prony) charge(Party::prony, *row.prony, row.method);
    if (row.idle) charge(Party::idle, *row.idle, "baseline power × time");
  }
  charge(Party::unattributed, row.unattributed,
         shared.parties ? "outside the measured window, and where nobody used the CPU" : shared.split->absent);
}

}  // namespace prony::attribution
