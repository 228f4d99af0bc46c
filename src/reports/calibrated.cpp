#include "reports/calibrated.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "reports/figures.hpp"

namespace prony {

namespace {

using Json = nlohmann::ordered_json;
constexpr double share_outside =
    0.1;  // of the calibrated stretch: so far beyond it a line is still told without a word

// Σ gross of the channels that the line was fitted to.
void add_joules(const Summary& s, Calibrated& c) {
  std::optional<Estimate> sum;
  for (const std::string& name : c.calibration.from) {
    const auto row = std::ranges::find_if(s.energy, [&](const EnergyRow& r) { return r.channel.name == name; });
    if (row == s.energy.end() || !row->ledger.gross) {
      c.absent = printable(name, 60) + (row == s.energy.end() ? " is not in this Run" : " is not resolvable here");
      return;
    }
    c.modelled = c.modelled || row->channel.model.has_value();
    c.applied = c.applied || (row->channel.model && row->channel.origin == Origin::derived);
    sum = sum ? *sum + *row->ledger.gross : *row->ledger.gross;
  }
  const double length_s = s.window.length().seconds().value();
  if (!sum || length_s <= 0) return c.absent = "the measured window is empty", void();
  const double reach = share_outside * (c.line.most_x_w - c.line.least_x_w);
  const double told_w = sum->value / length_s;
  const double x_w = c.applied ? (told_w - c.line.offset_w.value) / c.line.slope.value : told_w;
  if (const auto held = watts_at(c.line, x_w); !held) return c.absent = held.error().what, void();
  c.outside = x_w < c.line.least_x_w - reach || x_w > c.line.most_x_w + reach;
  c.joules = c.applied ? *sum : apply(c.line, *sum, length_s);
}

std::string from_words(const Calibrated& c) {
  std::string words;
  for (const std::string& name : c.calibration.from) words += (words.empty() ? "" : " + ") + printable(name, 60);
  return words;
}

}  // namespace

std::optional<Calibrated> calibrated_of(const Summary& s) {
  const std::string text = s.fact("calibration");
  if (text.empty()) return std::nullopt;
  Calibrated c;
  auto kept = calibrate::calibration_from_text(text);
  if (!kept) return c.absent = kept.error().what, c;
  c.calibration = std::move(*kept);
  auto line = calibrate::fit(c.calibration.steps);
  if (!line) return c.absent = line.error().what, c;
  c.line = std::move(*line);
  add_joules(s, c);
  return c;
}

std::vector<std::string> calibrated_words(const Summary& s) {
  const auto c = calibrated_of(s);
  if (!c) return {};
  if (!c->joules) return {"absent: " + c->absent};
  std::vector<std::string> words{
      c->applied ? from_words(*c) + ", modelled, became derived"
                 : "wall " + figures::joules(*c->joules, figures::Mark::unmarked) + " derived",
      figures::significant(c->line.slope.value, 4) + " × " + from_words(*c) +
          (c->line.offset_w.value < 0 ? " − " : " + ") + figures::watts(std::abs(c->line.offset_w.value)),
      std::to_string(c->line.steps.size()) + " steps against " + printable(c->calibration.meter, 60) + ", " +
          printable(c->calibration.taken_utc.substr(0, 10), 10),
      "residual " + figures::watts(c->line.residual_w)};
  if (const auto below = words_of_offset(c->line); !below.empty()) words.push_back(below);
  if (c->modelled && !c->applied)
    words.push_back("from a modelled channel: no longer its range, but as good as the steps were");
  if (c->outside)
    words.push_back("outside the steps (" + figures::watts(c->line.least_x_w) + " to " +
                    figures::watts(c->line.most_x_w) + "): the line may not hold there");
  return words;
}

Json calibrated_json(const Summary& s) {
  const auto c = calibrated_of(s);
  if (!c) return nullptr;
  Json out{{"name", "wall (calibrated from " + from_words(*c) + ")"}, {"origin", "derived"}};
  if (!c->joules) {
    out["absent"] = c->absent;
    return out;
  }
  out.update({{"gross_j", c->joules->value},
              {"low_j", c->joules->low},
              {"high_j", c->joules->high},
              {"kind", std::string(to_string(c->joules->kind))},
              {"from", c->calibration.from},
              {"from_modelled", c->modelled},
              {"applied_to_channel", c->applied},
              {"outside_steps", c->outside},
              {"slope", c->line.slope.value},
              {"slope_low", c->line.slope.low},
              {"slope_high", c->line.slope.high},
              {"offset_w", c->line.offset_w.value},
              {"offset_low_w", c->line.offset_w.low},
              {"offset_high_w", c->line.offset_w.high},
              {"residual_w", c->line.residual_w},
              {"r2", c->line.r2},
              {"steps", c->line.steps.size()},
              {"meter", c->calibration.meter},
              {"calibrated_utc", c->calibration.taken_utc},
              {"calibrated_by", "prony " + c->calibration.version}});
  return out;
}

}  // namespace prony
