// Where a setting comes from: flag > environment > file > default, and what a slip of the finger is told.
#include "app/settings.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "app/common.hpp"

namespace prony::app {
namespace {

class SettingsTest : public ::testing::Test {
 protected:
  SettingsTest() { add_record_options(app_, options_, settings_); }
  ~SettingsTest() override {
    ::unsetenv("PRONY_INTERVAL");
    std::filesystem::remove(file_);
  }
  void write_config(const std::string& text) { std::ofstream(file_) << text; }
  Result<void> parse(std::vector<std::string> reversed_words) {
    app_.parse(reversed_words);
    return settings_.resolve(std::filesystem::exists(file_) ? file_ : std::string{}, config_keys());
  }

  CLI::App app_;
  RecordOptions options_;
  Settings settings_;
  std::string file_ =
      std::filesystem::temp_directory_path().string() + "/prony-settings-test-" + std::to_string(::getpid()) + ".toml";
};

TEST_F(SettingsTest, AFlagBeatsTheEnvironmentWhichBeatsTheFileWhichBeatsTheDefault) {
  write_config("interval = \"30ms\"\nbaseline = \"1s\"\n");
  ::setenv("PRONY_INTERVAL", "20ms", 1);
  ASSERT_TRUE(parse({"5ms", "--interval"}));
  EXPECT_EQ(options_.interval, "5ms");
  EXPECT_EQ(settings_.origin("interval"), "flag");
  EXPECT_EQ(options_.baseline, "1s");
  EXPECT_EQ(settings_.origin("baseline"), "file");
  EXPECT_EQ(settings_.origin("sysfs"), "default");
}

TEST_F(SettingsTest, TheEnvironmentBeatsTheFile) {
  write_config("interval = \"30ms\"\n");
  ::setenv("PRONY_INTERVAL", "20ms", 1);
  ASSERT_TRUE(parse({}));
  EXPECT_EQ(options_.interval, "20ms");
  EXPECT_EQ(settings_.origin("interval"), "environment");
}

TEST_F(SettingsTest, FactsCarryTheEffectiveValueOfADefaultToo) {
  ASSERT_TRUE(parse({}));
  bool found = false;
  for (const Fact& fact : settings_.facts()) {
    if (fact.key != "setting.interval") continue;
    found = true;
    EXPECT_EQ(fact.value, "10ms");
    EXPECT_EQ(fact.origin, "default");
  }
  EXPECT_TRUE(found);
}

// Kills: the key of a gateway in the Run, because it stood in the address that was asked.
TEST(Settings, WhatFollowsTheQuestionMarkOfAnAddressIsNotKept) {
  CLI::App app;
  Settings settings;
  std::vector<std::string> places;
  settings.watch("at", app.add_option("--at", places), "");
  std::vector<std::string> reversed = {"what?", "--at", "http://h:1/?key=hunter2", "--at"};
  app.parse(reversed);
  ASSERT_EQ(settings.facts().size(), 1U);
  EXPECT_EQ(settings.facts()[0].value, "http://h:1/?…,what?");
}

// Bug: the refused values stay with the option, and whoever asks for the settings afterwards meets an exception.
TEST_F(SettingsTest, AValueThatIsRefusedIsNoSetting) {
  write_config("baseline = [\"1s\", \"2s\"]\n");
  const auto resolved = parse({});
  ASSERT_FALSE(resolved);
  EXPECT_EQ(resolved.error().where, file_ + ": baseline");
  for (const Fact& fact : settings_.facts())
    if (fact.key == "setting.baseline") {
      EXPECT_EQ(fact.value, "");
      EXPECT_EQ(fact.origin, "default");
    }
}

TEST_F(SettingsTest, AnUnknownKeyInTheFileIsNamedWithTheNearestOne) {
  write_config("intervall = \"30ms\"\n");
  const auto resolved = parse({});
  ASSERT_FALSE(resolved);
  EXPECT_EQ(resolved.error().code, ErrorCode::usage);
  EXPECT_NE(resolved.error().fix.find("interval"), std::string::npos);
  EXPECT_EQ(resolved.error().where, file_);
}

TEST(Common, ADurationWithoutUnitOrOutOfRangeIsRefused) {
  EXPECT_FALSE(duration_setting("10", "interval", milliseconds(1), milliseconds(60'000)));
  EXPECT_FALSE(duration_setting("0.1ms", "interval", milliseconds(1), milliseconds(60'000)));
  EXPECT_FALSE(duration_setting("2h", "interval", milliseconds(1), milliseconds(60'000)));
  EXPECT_FALSE(duration_setting("-5ms", "interval", milliseconds(1), milliseconds(60'000)));
  EXPECT_EQ(duration_setting("1.5s", "interval", milliseconds(1), milliseconds(60'000)).value(), milliseconds(1500));
}

TEST(Common, AModelNameBecomesASafeFileName) {
  EXPECT_EQ(file_name_word("org/model:tag"), "org-model-tag");
  EXPECT_EQ(file_name_word("../../etc/passwd").find('/'), std::string::npos);
  EXPECT_NE(file_name_word("../x").front(), '.');
  EXPECT_EQ(file_name_word("\n\x01"), "run");
}

TEST(Common, AnErrorSaysWhatWhereAndWhatToDo) {
  EXPECT_EQ(error_text({ErrorCode::denied, "cannot read: permission denied", "/sys/x", "sudo chmod a+r /sys/x"}),
            "prony: cannot read: permission denied: /sys/x\n       sudo chmod a+r /sys/x\n");
}

}  // namespace
}  // namespace prony::app
