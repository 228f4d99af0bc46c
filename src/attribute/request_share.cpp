#include "attribute/request_share.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace prony::attribution {

namespace {

// Stretches within which joules are shared. Within few periods of the sensor its readings blur what was drawn when, and
// the costs know better; where the costs do not fit, what was drawn is to be followed more closely than they.
constexpr double periods_where_costs_fit = 10, periods_where_they_do_not = 2;
constexpr double residual_of_a_fit = 0.1;

// Neighbouring pieces that share their joules together: indices of pieces.
struct GroupOfPieces {
  std::size_t from = 0, to = 0;
};

class Sharing {
 public:
  Sharing(const std::vector<Piece>& pieces, const std::vector<Span>& spans, const Viewed& viewed,
          const ChargedCurve& curve)
      : pieces_(pieces), spans_(spans), viewed_(viewed), curve_(curve) {
    shares_.parts.resize(spans.size());
    shares_.sigma.resize(spans.size());
    shares_.owner.resize(spans.size());
    gradient_.resize(spans.size());
    misfit_.resize(spans.size());
  }

  Shares by_time() {
    for (const Piece& piece : pieces_) alike(piece);
    return std::move(shares_);
  }

  // Of a stretch in which requests overlap without a break, each the same; of a part, by its time.
  Shares equally() {
    for (const GroupOfPieces& group : groups([](std::int64_t) { return false; })) {
      if (!of_requests(pieces_[group.from])) {
        alike(pieces_[group.from]);
        continue;
      }
      owners_.clear();
      of_span_.resize(spans_.size());  // an owner's time in the stretch
      for (std::size_t i = group.from; i < group.to; ++i)
        for (const std::size_t owner : pieces_[i].owners) {
          if (of_span_[owner] == 0) owners_.push_back(owner);
          of_span_[owner] += length_of(pieces_[i]);
        }
      const double each = joules_of(group) / static_cast<double>(owners_.size());
      for (std::size_t i = group.from; i < group.to; ++i)
        for (const std::size_t owner : pieces_[i].owners)
          give(i, owner, each * length_of(pieces_[i]) / of_span_[owner]);
      for (const std::size_t owner : owners_) of_span_[owner] = 0;
      shares_.given += joules_of(group);
    }
    return std::move(shares_);
  }

  Shares by_work(const WorkInTime& work, const FittedCosts& costs) {
    const Workload workload(work);
    const double periods =
        costs.told.residual < residual_of_a_fit ? periods_where_costs_fit : periods_where_they_do_not;
    const auto least_ns = static_cast<std::int64_t>(periods * curve_.period_s * 1e9);
    for (const GroupOfPieces& group : groups([=](std::int64_t length_ns) { return length_ns >= least_ns; })) {
      if (of_requests(pieces_[group.from]))
        weigh(group, workload, costs);
      else
        alike(pieces_[group.from]);
    }
    doubt(costs);
    return std::move(shares_);
  }

 private:
  [[nodiscard]] bool of_requests(const Piece& piece) const {
    return !piece.owners.empty() && spans_[piece.owners.front()].kind == SpanKind::request;
  }
  [[nodiscard]] std::int64_t begin_ns(const Piece& piece) const { return curve_.plan->fixed[piece.from]; }
  [[nodiscard]] std::int64_t end_ns(const Piece& piece) const { return curve_.plan->fixed[piece.to]; }
  [[nodiscard]] double length_of(const Piece& piece) const {
    return static_cast<double>(end_ns(piece) - begin_ns(piece));
  }
  [[nodiscard]] double joules_of(const Piece& piece) const {
    return (*curve_.at_fixed)[piece.to] - (*curve_.at_fixed)[piece.from];
  }
  [[nodiscard]] double joules_of(const GroupOfPieces& group) const {
    return (*curve_.at_fixed)[pieces_[group.to - 1].to] - (*curve_.at_fixed)[pieces_[group.from].from];
  }
  [[nodiscard]] bool go_on(const Piece& before, const Piece& after) const {
    if (before.to != after.from || !of_requests(before) || !of_requests(after)) return false;
    return std::ranges::any_of(
        before.owners, [&](std::size_t owner) { return std::ranges::find(after.owners, owner) != after.owners.end(); });
  }

  // Neighbours that share a request, until `full(length)`; a rest that is not full goes to the group before it.
  template <class Full>
  [[nodiscard]] std::vector<GroupOfPieces> groups(Full&& full) const {
    std::vector<GroupOfPieces> result;
    bool joined = false, was_full = true;
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      joined = i > 0 && go_on(pieces_[i - 1], pieces_[i]);
      if (!joined || was_full) {
        if (!joined && !was_full) back_to_the_one_before(result);
        result.push_back({i, i});
      }
      result.back().to = i + 1;
      was_full = full(end_ns(pieces_[i]) - begin_ns(pieces_[result.back().from]));
    }
    if (!was_full) back_to_the_one_before(result);
    return result;
  }
  void back_to_the_one_before(std::vector<GroupOfPieces>& result) const {
    if (result.size() < 2) return;
    GroupOfPieces& before = result[result.size() - 2];
    if (before.to != result.back().from || !go_on(pieces_[before.to - 1], pieces_[before.to])) return;
    before.to = result.back().to;
    result.pop_back();
  }

  // An owner and those in the piece whose view of it this is. Lists by owner, remade for each piece: with thousands of
  // requests at once, to look through all viewers for each owner would take hours.
  template <class Visit>
  void each_span(std::size_t piece, std::size_t owner, Visit&& visit) {
    if (listed_ != piece) list_viewers(piece);
    visit(owner);
    for (std::size_t viewer = first_viewer_[owner]; viewer != none; viewer = next_viewer_[viewer]) visit(viewer);
  }
  void list_viewers(std::size_t piece) {
    first_viewer_.resize(spans_.size(), none);
    next_viewer_.resize(spans_.size(), none);
    for (const std::size_t owner : with_viewers_) first_viewer_[owner] = none;
    with_viewers_.clear();
    const auto& viewers = pieces_[piece].viewers;
    for (auto viewer = viewers.rbegin(); viewer != viewers.rend(); ++viewer) {  // so that each list has their order
      const auto& owner = viewed_[*viewer];
      if (!owner) continue;
      if (first_viewer_[*owner] == none) with_viewers_.push_back(*owner);
      next_viewer_[*viewer] = std::exchange(first_viewer_[*owner], *viewer);
    }
    listed_ = piece;
  }

  void give(std::size_t piece, std::size_t owner, double joules) {
    shares_.owner[owner] = true;
    each_span(piece, owner, [&](std::size_t span) { shares_.parts[span] += joules; });
  }

  void alike(const Piece& piece) {
    if (piece.owners.empty()) return;
    const double amount = joules_of(piece);
    const double each = amount / static_cast<double>(piece.owners.size());
    for (const std::size_t owner : piece.owners) shares_.parts[owner] += each, shares_.owner[owner] = true;
    for (const std::size_t viewer : piece.viewers) shares_.parts[viewer] += each;
    shares_.given += amount;
  }

  struct Entry {
    std::size_t piece = 0, owner = 0;
    FitVector done{};
    double weight = 0;
  };

  void weigh(const GroupOfPieces& group, const Workload& workload, const FittedCosts& costs) {
    entries_.clear();
    FitVector all{};
    double weight = 0;
    for (std::size_t i = group.from; i < group.to; ++i) {
      workload.between(pieces_[i], begin_ns(pieces_[i]), end_ns(pieces_[i]), by_owner_);
      for (std::size_t owner = 0; owner < by_owner_.size(); ++owner) {
        Entry entry{i, pieces_[i].owners[owner], by_owner_[owner], 0};
        for (std::size_t column = 0; column < fit_columns; ++column) {
          entry.weight += costs.cost[column] * entry.done[column];
          all[column] += entry.done[column];
        }
        weight += entry.weight;
        entries_.push_back(entry);
      }
    }
    if (weight <= 0) {  // nothing that costs is known of this stretch
      for (std::size_t i = group.from; i < group.to; ++i) alike(pieces_[i]);
      return;
    }
    const double joules = joules_of(group);
    shares_.given += joules;
    of_span_.resize(spans_.size());  // its share of the group
    for (const Entry& entry : entries_)
      each_span(entry.piece, entry.owner, [&](std::size_t span) { of_span_[span] += entry.weight / weight; });
    double squares = 0;
    for (const Entry& entry : entries_) squares += of_span_[entry.owner] * entry.weight / weight;
    at_once_ += std::abs(joules) * (squares > 0 ? 1 / squares : 1);
    at_once_of_ += std::abs(joules);
    for (const Entry& entry : entries_) {
      give(entry.piece, entry.owner, joules * entry.weight / weight);
      each_span(entry.piece, entry.owner, [&](std::size_t span) { lean(span, entry, joules / weight, all, weight); });
    }
    for (const Entry& entry : entries_)
      each_span(entry.piece, entry.owner, [&](std::size_t span) { of_span_[span] = 0; });
  }

  // How a part moves with each cost, and how much of it is at the mercy of what the others did.
  void lean(std::size_t span, const Entry& entry, double joules_per_weight, const FitVector& all, double weight) {
    for (std::size_t column = 0; column < fit_columns; ++column)
      gradient_[span][column] += joules_per_weight * (entry.done[column] - entry.weight * all[column] / weight);
    misfit_[span] += std::abs(joules_per_weight * entry.weight) * (1 - of_span_[span]);
  }

  // Costs that are off, and work that does not cost what the fit says: of k requests at once whose costs are off each
  // by itself, the window's sum shows 1/√k of it.
  void doubt(const FittedCosts& costs) {
    const double at_once = at_once_of_ > 0 ? at_once_ / at_once_of_ : 1;
    const double off = costs.told.residual * std::sqrt(at_once);
    for (std::size_t span = 0; span < shares_.sigma.size(); ++span) {
      double squares = off * misfit_[span] * off * misfit_[span];
      for (std::size_t i = 0; i < fit_columns; ++i)
        for (std::size_t j = 0; j < fit_columns; ++j)
          squares += gradient_[span][i] * costs.covariance[i][j] * gradient_[span][j];
      shares_.sigma[span] = std::sqrt(std::max(squares, 0.0));
    }
  }

  const std::vector<Piece>& pieces_;
  const std::vector<Span>& spans_;
  const Viewed& viewed_;
  const ChargedCurve& curve_;
  Shares shares_;
  std::vector<FitVector> gradient_;
  std::vector<double> misfit_;
  double at_once_ = 0, at_once_of_ = 0;
  std::vector<Entry> entries_;
  std::vector<FitVector> by_owner_;
  std::vector<std::size_t> owners_;
  std::vector<double> of_span_;  // scratch, all 0 between groups
  static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();
  std::size_t listed_ = none;  // the piece of these lists
  std::vector<std::size_t> first_viewer_, next_viewer_, with_viewers_;
};

}  // namespace

Shares share_pieces(RequestShare rule, const std::vector<Piece>& pieces, const std::vector<Span>& spans,
                    const Viewed& viewed, const WorkInTime* work, const FittedCosts* costs, const ChargedCurve& curve) {
  Sharing sharing(pieces, spans, viewed, curve);
  if (rule == RequestShare::equal) return sharing.equally();
  if (rule == RequestShare::work && work != nullptr && costs != nullptr) return sharing.by_work(*work, *costs);
  return sharing.by_time();
}

}  // namespace prony::attribution
