// Carbon and money from the user's own factors.
#include "model/factors.hpp"

#include <gtest/gtest.h>

namespace prony {
namespace {

Factors factors(const char* carbon, const char* pue, const char* tariff) {
  const auto parsed = parse_factors(carbon, pue, tariff);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().what);
  return parsed.value_or(Factors{});
}

// Kills: joules taken for watt-hours, PUE left out or added, low and high swapped or left behind.
TEST(Factors, CarbonIsKilowattHoursTimesPueTimesGramsAndLowAndHighGoWithIt) {
  const Estimate joules{7.2e6, 3.6e6, 14.4e6, EstimateKind::interval_95};  // 2 kWh, 1 to 4
  const auto grams = carbon_g(joules, factors("380 national mean of 2025", "1.5", ""));
  ASSERT_TRUE(grams);
  EXPECT_DOUBLE_EQ(grams->value, 2 * 1.5 * 380);
  EXPECT_DOUBLE_EQ(grams->low, 1 * 1.5 * 380);
  EXPECT_DOUBLE_EQ(grams->high, 4 * 1.5 * 380);
  EXPECT_EQ(grams->kind, EstimateKind::interval_95);
}

TEST(Factors, TheTariffIsPerKilowattHourOfTheWholeSite) {
  const auto money = cost({3.6e6, 3.6e6, 3.6e6, EstimateKind::bound}, factors("", "2", "0.30 EUR"));
  ASSERT_TRUE(money);
  EXPECT_DOUBLE_EQ(money->value, 0.60);
}

// Kills: a default factor that nobody gave; zero grams where the factor is unknown.
TEST(Factors, WithoutAFactorThereIsNoFigure) {
  const Estimate joules{3.6e6, 3.6e6, 3.6e6, EstimateKind::bound};
  EXPECT_FALSE(carbon_g(joules, {}));
  EXPECT_FALSE(cost(joules, {}));
  EXPECT_FALSE(carbon_g(joules, factors("", "1.2", "0.30 EUR")));
  EXPECT_FALSE(cost(joules, factors("380", "1.2", "")));
}

TEST(Factors, WhereAFactorIsFromIsKept) {
  const Factors told = factors("41.5 operator's report, p. 3", "1.08 audited", "0.2915EUR/kWh contract of 2026");
  EXPECT_DOUBLE_EQ(told.carbon_g_per_kwh->value, 41.5);
  EXPECT_EQ(told.carbon_g_per_kwh->source, "operator's report, p. 3");
  EXPECT_EQ(told.pue->source, "audited");
  EXPECT_DOUBLE_EQ(told.tariff->per_kwh, 0.2915);
  EXPECT_EQ(told.tariff->currency, "EUR");
  EXPECT_EQ(told.tariff->source, "contract of 2026");
}

TEST(Factors, AGridWithoutCarbonGivesZeroGramsAndNotNothing) {
  const auto grams = carbon_g({3.6e6, 3.6e6, 3.6e6, EstimateKind::bound}, factors("0 own hydro plant", "", ""));
  ASSERT_TRUE(grams);
  EXPECT_EQ(grams->value, 0);
}

// Kills: a slip of the unit or of the sign that is believed.
TEST(Factors, WordsThatAreNoFactorAreRefusedWithTheFormTheyMustHave) {
  for (const char* text : {"grid", "-380", "380g", "1e3", "nan", "20000", "", "--", "3.8.0"})
    EXPECT_FALSE(parse_carbon(text)) << text;
  for (const char* text : {"0.9", "0", "-1", "101", "one"}) EXPECT_FALSE(parse_pue(text)) << text;
  for (const char* text : {"0.30", "EUR 0.30", "-0.3 EUR", "0.3 EURO", "0.3 €", "0,30 EUR"})
    EXPECT_FALSE(parse_tariff(text)) << text;
  const auto refused = parse_factors("380", "0.5", "");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().where, "--pue");
  EXPECT_NE(refused.error().fix.find("1 or more"), std::string::npos);
}

// A Run from elsewhere can hold any text.
TEST(Factors, ASettingThatMakesNoSenseIsLeftOutAndTold) {
  Manifest manifest;
  manifest.set("setting.carbon-g-per-kwh", "rubbish", "flag");
  manifest.set("setting.pue", "1.3", "file");
  manifest.set("setting.tariff", "", "default");
  std::vector<Unavailable> trouble;
  const Factors told = factors_of(manifest, trouble);
  EXPECT_FALSE(told.carbon_g_per_kwh);
  EXPECT_DOUBLE_EQ(told.pue->value, 1.3);
  EXPECT_FALSE(told.tariff);
  ASSERT_EQ(trouble.size(), 1u);
  EXPECT_EQ(trouble[0].subject, "setting.carbon-g-per-kwh");
}

}  // namespace
}  // namespace prony
