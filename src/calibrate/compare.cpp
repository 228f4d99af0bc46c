#include "calibrate/compare.hpp"

#include <algorithm>
#include <iterator>

namespace prony::calibrate {

namespace {

// A ratio of what is not above zero tells nothing: a battery that charges, a counter that stood still.
bool usable(const MeteredRow& row) {
  return row.channel != nullptr && row.channel->scope == Scope::host && gives_energy(*row.channel) && row.gross &&
         row.gross->value > 0 && row.gross->low > 0;
}

Estimate ratio_of(const Estimate& a, const Estimate& b) {
  return {a.value / b.value, a.low / b.high, a.high / b.low, weaker(a.kind, b.kind)};
}

// "package-1", "amd_energy-Esocket1" → "1": processors by number, whoever names them.
std::string_view processor_of(std::string_view domain) {
  for (const std::string_view word : {"package-", "socket"}) {
    const std::size_t at = domain.find(word);
    if (at == std::string_view::npos) continue;
    const std::string_view number = domain.substr(at + word.size());
    if (!number.empty() && number.find_first_not_of("0123456789") == std::string_view::npos) return number;
  }
  return {};
}

bool same_domain(const Channel& a, const Channel& b) {
  if (a.domain == b.domain) return true;
  const auto processor = processor_of(a.domain);
  return a.sensor != b.sensor && !processor.empty() && processor == processor_of(b.domain);
}

void add_pairs(std::span<const MeteredRow> rows, std::vector<Comparison>& out) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!usable(rows[i])) continue;
    const Channel& a = *rows[i].channel;
    for (std::size_t j = 0; j < rows.size(); ++j) {
      if (i == j || !usable(rows[j])) continue;
      const Channel& b = *rows[j].channel;
      if (a.part_of == b.id) {
        if (meters_whole_machine(b)) continue;  // all that lies in it is told together
        out.push_back({Likeness::part, {a.name}, b.name, ratio_of(*rows[i].gross, *rows[j].gross)});
      } else if (i < j && !a.part_of && !b.part_of && !a.model && !b.model && same_domain(a, b)) {
        const bool counter_second = a.kind != b.kind && b.kind == ChannelKind::counter;
        const MeteredRow& first = rows[counter_second ? j : i];
        const MeteredRow& second = rows[counter_second ? i : j];
        out.push_back({a.kind != b.kind ? Likeness::counter_and_power : Likeness::same,
                       {first.channel->name},
                       second.channel->name,
                       ratio_of(*first.gross, *second.gross)});
      }
    }
  }
}

bool has_parts(std::span<const MeteredRow> rows, const Channel& meter) {
  return std::ranges::any_of(rows, [&](const MeteredRow& row) {
    return row.channel != nullptr && row.channel->part_of == meter.id && !meters_whole_machine(*row.channel);
  });
}

// What software sees: the headline's domains, which do not overlap; where the meter itself is the headline, what lies
// in it, else the model.
void add_meters(std::span<const MeteredRow> rows, std::vector<Comparison>& out) {
  for (const MeteredRow& meter : rows) {
    if (!usable(meter) || !meters_whole_machine(*meter.channel)) continue;
    Comparison all{Likeness::meter, {}, meter.channel->name, {}};
    Estimate sum;
    bool whole = true;
    const bool parts = has_parts(rows, *meter.channel);
    for (const MeteredRow& row : rows) {
      if (&row == &meter || row.channel == nullptr || meters_whole_machine(*row.channel)) continue;
      const bool inside = row.channel->part_of == meter.channel->id;
      if (meter.headline ? !(parts ? inside : row.channel->model.has_value()) : !row.headline) continue;
      whole = whole && usable(row);
      if (!usable(row)) continue;
      sum = all.what.empty() ? *row.gross : sum + *row.gross;
      all.what.push_back(row.channel->name);
    }
    if (all.what.empty() || !whole) continue;
    all.ratio = ratio_of(sum, *meter.gross);
    out.push_back(std::move(all));
  }
}

}  // namespace

std::string_view to_string(Likeness likeness) noexcept {
  switch (likeness) {
    case Likeness::part: return "part";
    case Likeness::same: return "same";
    case Likeness::counter_and_power: return "counter-and-power";
    case Likeness::meter: return "meter";
  }
  return "part";
}

bool meters_whole_machine(const Channel& channel) {
  if (!gives_energy(channel) || channel.model) return false;
  if (channel.domain == "wall" || channel.domain.starts_with("wall:")) return true;
  if (channel.coverage_known) return false;
  const auto says = [&](std::string_view word) { return channel.name.find(word) != std::string::npos; };
  return channel.sensor == "power_supply" || says("power_meter") || says("psu") || says("wall");
}

std::vector<Comparison> compare(std::span<const MeteredRow> rows) {
  std::vector<Comparison> all;
  add_meters(rows, all);
  add_pairs(rows, all);
  std::vector<Comparison> sorted;  // parts, which say least, last
  for (const Likeness likeness : {Likeness::meter, Likeness::counter_and_power, Likeness::same, Likeness::part})
    std::ranges::copy_if(all, std::back_inserter(sorted), [&](const Comparison& c) { return c.likeness == likeness; });
  return sorted;
}

}  // namespace prony::calibrate
