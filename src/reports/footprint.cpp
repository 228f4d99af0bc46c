#include "reports/footprint.hpp"

#include <cmath>

#include "base/text.hpp"
#include "reports/figures.hpp"

namespace prony {

namespace {

using Json = nlohmann::ordered_json;

// "0.52 g (0.47…0.6)": the ends rounded as the value is, and no digit more.
std::string with_ends(const Estimate& e, const std::string& unit, figures::Mark mark) {
  const auto told = [](double value) { return value == 0 ? std::string("0") : figures::significant(value, 3); };
  std::string text = told(e.value) + " " + unit;
  if (e.low != e.high) text += " (" + told(e.low) + "…" + told(e.high) + ")";
  return text + std::string(figures::sign(mark));
}

std::string sourced(const std::string& what, const std::string& source) {
  return what + (source.empty() ? " (source not given)" : " (" + printable(source, 120) + ")");
}

void put_with_ends(Json& out, const std::string& name, const std::string& unit, const Estimate& e) {
  out[name + unit] = e.value;
  out[name + "_low" + unit] = e.low;
  out[name + "_high" + unit] = e.high;
}

void put_source(Json& out, const char* name, const std::string& source) {
  if (!source.empty()) out[name] = source;
}

}  // namespace

std::vector<std::string> footprint_words(const Summary& s) {
  std::vector<std::string> words;
  if (!s.headline_j) return words;
  const Factors& f = s.factors;
  const auto grams = carbon_g(*s.headline_j, f);
  const auto money = cost(*s.headline_j, f);
  if (grams) {
    const bool kilo = std::abs(grams->value) >= 1000;
    const double scale = kilo ? 1e-3 : 1;
    words.push_back(with_ends({grams->value * scale, grams->low * scale, grams->high * scale, grams->kind},
                              kilo ? "kg CO2e" : "g CO2e", s.headline_mark()) +
                    " of gross");
  }
  if (money) words.push_back(with_ends(*money, printable(f.tariff->currency, 3), s.headline_mark()) + " of gross");
  if (grams) words.push_back(sourced(format_number(f.carbon_g_per_kwh->value) + " g/kWh", f.carbon_g_per_kwh->source));
  if (money)
    words.push_back(
        sourced(format_number(f.tariff->per_kwh) + " " + printable(f.tariff->currency, 3) + "/kWh", f.tariff->source));
  if (grams || money)
    words.push_back(f.pue ? sourced("PUE " + format_number(f.pue->value), f.pue->source) : "no PUE given: not in it");
  return words;
}

Json footprint_json(const Summary& s) {
  const Factors& f = s.factors;
  if (!s.headline_j || (!f.carbon_g_per_kwh && !f.tariff)) return nullptr;
  Json out{{"of", "headline.gross_j"}, {"kind", std::string(to_string(s.headline_j->kind))}};
  if (const auto grams = carbon_g(*s.headline_j, f)) {
    put_with_ends(out, "carbon", "_g", *grams);
    out["carbon_g_per_kwh"] = f.carbon_g_per_kwh->value;
    put_source(out, "carbon_source", f.carbon_g_per_kwh->source);
  }
  if (const auto money = cost(*s.headline_j, f)) {
    put_with_ends(out, "cost", "", *money);
    out["currency"] = f.tariff->currency;
    out["tariff_per_kwh"] = f.tariff->per_kwh;
    put_source(out, "tariff_source", f.tariff->source);
  }
  if (f.pue) {
    out["pue"] = f.pue->value;
    put_source(out, "pue_source", f.pue->source);
  }
  return out;
}

}  // namespace prony
