// Builder: closed curves → Ledger. Inside of ledger.cpp (channels), headline.cpp (which of them are the machine's
// joules), use_checks.cpp (what they may be split by) and charges.cpp (spans) alone. One ledger, one use.
#pragma once

#include <map>
#include <memory>
#include <utility>

#include "attribute/baseline.hpp"
#include "attribute/parties.hpp"
#include "attribute/process_shares.hpp"
#include "attribute/request_share.hpp"
#include "attribute/resolvable.hpp"
#include "attribute/spans.hpp"
#include "attribute/split.hpp"

namespace prony::attribution {

class Builder {
 public:
  // `to_use_up`: the state's folds, where nobody will ask for them again; null: they are copied.
  explicit Builder(const Attribution::State& state, std::vector<Fold>* to_use_up = nullptr);
  Ledger build();

 private:
  // What one channel's energy is split into; absent where it is not.
  struct Shared {
    const Split* split = nullptr;
    std::optional<Parties> parties;
    bool accelerator = false;  // spans whose time there is not known take nothing
    SharedText absent = {};    // split->absent
  };

  void name_targets();
  void find_read();
  // Why nothing may be split by this counter; "": it may. `clock`: the CPU time of its target; null: not recorded.
  [[nodiscard]] std::string why_refused(const Fold& fold, const Channel* clock) const;
  [[nodiscard]] const Fold& fold_of(const Channel& channel) const;
  void split();
  void tell_cpu_use();
  void choose_headline();
  void energy_channel(const Curve& curve);
  void begin_row(const Curve& curve, ChannelLedger& row) const;
  void window_figures(const Curve& curve, const Measured& gross, const Baseline& base, const Shared& shared,
                      ChannelLedger& row) const;
  void marginal(const Shared& shared, ChannelLedger& row) const;
  void peak(const Curve& curve, ChannelLedger& row) const;
  void processes(const Shared& shared, Weight weight, ChannelLedger& row) const;
  void find_pieces();
  void charge_spans(const Curve& curve, const Shared& shared, ChannelLedger& row);
  [[nodiscard]] Shares share_target(const Curve& curve, const Shared& shared, std::size_t target,
                                    const std::vector<Piece>& pieces, ChannelLedger& row) const;
  void charge_parties(const Shared& shared, const std::vector<double>& to_spans, const ChannelLedger& row);
  void span_energy(const Curve& curve, std::size_t index, const Measured& gross, const std::optional<Estimate>& part,
                   const Shared& shared, const ChannelLedger& row);
  void gauges();
  void headline_sum();
  [[nodiscard]] Users users_of(const Basis& basis) const;
  [[nodiscard]] const Split& split_by(const Basis& basis);
  [[nodiscard]] const Curve* curve_of(const Channel* channel) const;
  [[nodiscard]] bool dead(const Curve& curve) const;
  [[nodiscard]] bool too_coarse(const Curve& curve) const;
  [[nodiscard]] bool choose_headline_of(const std::vector<bool>& left_out);
  [[nodiscard]] Estimate charged(double value, const Measured& gross, double length_s, double staleness_s) const;

  const Attribution::State& state_;
  std::vector<Curve> curves_;         // energy and use
  std::vector<const Channel*> read_;  // that gave a reading and may be used
  std::vector<Refused> refused_;
  std::vector<std::string> targets_;     // the Run's
  std::map<std::string, Split> splits_;  // by the text of their basis
  const Split* machine_ = nullptr;       // by CPU time of the whole machine
  Split other_host_;                     // of channels that came from another host: none
  std::vector<std::size_t> headline_;
  Viewed viewed_;
  std::vector<std::size_t> target_of_;                     // by span
  std::vector<std::vector<Piece>> pieces_, synchronised_;  // by target; without host-asynchronous spans
  std::vector<bool> asynchronous_;                         // by span: it, or the request it shows a part of
  std::optional<ProcessShares> process_shares_;
  SharedText why_elsewhere_ = elsewhere_reason, why_asynchronous_ = asynchronous_reason;
  Ledger ledger_;
};

}  // namespace prony::attribution
