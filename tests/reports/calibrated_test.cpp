// What a kept line makes of a Run's joules, and what its words say of it.
#include "reports/calibrated.hpp"

#include <gtest/gtest.h>

#include "calibrate/calibration.hpp"

namespace prony {
namespace {

constexpr double run_s = 10;

// A Run of ten seconds whose package drew `watts`; kept is meter = 1.5 × package − 4 from 6 to 24 W.
Summary summary_of(double watts) {
  calibrate::Calibration kept{"the plug", {"package"}, "2026-11-21T09:00:00.000Z", "0.1.0", "m", {}};
  for (const double x_w : {6.0, 12.0, 18.0, 24.0}) kept.steps.push_back({"s", x_w, 1.5 * x_w - 4, 0, 0});
  Summary summary;
  summary.manifest.set("calibration", calibrate::to_text(kept), "file");
  summary.window = {Instant{0}, Instant{static_cast<std::int64_t>(run_s * 1e9)}};
  EnergyRow row;
  row.channel.name = "package";
  const double joules = watts * run_s;
  row.ledger.gross = Estimate{joules, joules, joules, EstimateKind::bound};
  summary.energy.push_back(row);
  return summary;
}

// Bug: a Run below the steps gets joules below nothing from the plug.
TEST(CalibratedReport, WhereTheLineFallsToNothingTheJoulesAreAbsentWithTheReason) {
  const auto words = calibrated_words(summary_of(2));
  ASSERT_EQ(words.size(), 1U);
  EXPECT_EQ(words[0],
            "absent: the line gives -1.00 W at the meter for 2.00 W seen, and nothing draws less than nothing");
  const auto json = calibrated_json(summary_of(2));
  EXPECT_TRUE(json.contains("absent"));
  EXPECT_FALSE(json.contains("gross_j"));
}

// Bug: "1.5 × package + -4.00 W", without a word of what that is.
TEST(CalibratedReport, AnOffsetBelowZeroIsWrittenAsOneAndSaid) {
  const auto words = calibrated_words(summary_of(12));
  ASSERT_GE(words.size(), 5U);
  EXPECT_NE(words[0].find("140.0 J"), std::string::npos) << words[0];
  EXPECT_EQ(words[1], "1.500 × package − 4.00 W");
  EXPECT_NE(words[4].find("no idle power"), std::string::npos);
  EXPECT_NEAR(calibrated_json(summary_of(12))["offset_w"].get<double>(), -4, 1e-9);  // never clipped
}

}  // namespace
}  // namespace prony
