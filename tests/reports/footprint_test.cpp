// Carbon and money in text and JSON.
#include "reports/footprint.hpp"

#include <gtest/gtest.h>

#include "fake_run.hpp"
#include "reports/summary_json.hpp"
#include "reports/summary_text.hpp"

namespace prony {
namespace {

using prony::testing::Told;
using prony::testing::told_command;

// Kills: a figure from a factor that nobody gave.
TEST(Footprint, NothingIsToldWithoutFactors) {
  const Told told = told_command();
  const Summary summary = summarise(told.run, told.ledger);
  EXPECT_TRUE(footprint_words(summary).empty());
  EXPECT_FALSE(to_json(summary).contains("footprint"));
  EXPECT_EQ(to_text(summary, {100, false}).find("footprint"), std::string::npos);
}

TEST(Footprint, TheFactorsOfTheRunAreToldWithTheirSource) {
  Told told = told_command();
  told.run.facts.set("setting.carbon-g-per-kwh", "380 national mean of 2025", "flag");
  told.run.facts.set("setting.pue", "1.2 audited", "file");
  told.run.facts.set("setting.tariff", "0.30 EUR", "environment");
  const Summary summary = summarise(told.run, told.ledger);
  ASSERT_TRUE(summary.headline_j);
  const auto json = to_json(summary).at("footprint");
  EXPECT_NEAR(json.at("carbon_g").get<double>(), summary.headline_j->value / 3.6e6 * 1.2 * 380, 1e-12);
  EXPECT_NEAR(json.at("carbon_low_g").get<double>(), summary.headline_j->low / 3.6e6 * 1.2 * 380, 1e-12);
  EXPECT_NEAR(json.at("cost_high").get<double>(), summary.headline_j->high / 3.6e6 * 1.2 * 0.30, 1e-12);
  EXPECT_EQ(json.at("carbon_source"), "national mean of 2025");
  EXPECT_EQ(json.at("pue_source"), "audited");
  EXPECT_EQ(json.at("currency"), "EUR");
  const std::string text = to_text(summary, {200, false});
  EXPECT_NE(text.find("380 g/kWh (national mean of 2025)"), std::string::npos);
  EXPECT_NE(text.find("PUE 1.2 (audited)"), std::string::npos);
  EXPECT_NE(text.find("0.3 EUR/kWh (source not given)"), std::string::npos);
}

// Kills: grams of joules that are not there, and of modelled ones that look measured.
TEST(Footprint, WithoutJoulesThereAreNoGramsAndModelledOnesAreMarked) {
  Told told = told_command();
  told.run.facts.set("setting.carbon-g-per-kwh", "380", "flag");
  Summary summary = summarise(told.run, told.ledger);
  summary.headline_modelled = true;
  ASSERT_FALSE(footprint_words(summary).empty());
  EXPECT_NE(footprint_words(summary).front().find(" ~"), std::string::npos);
  summary.headline_j.reset();
  EXPECT_TRUE(footprint_words(summary).empty());
  EXPECT_TRUE(footprint_json(summary).is_null());
}

}  // namespace
}  // namespace prony
