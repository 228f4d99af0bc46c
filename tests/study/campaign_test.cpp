// Campaigns: what a file makes runs of, and where it is refused.
#include "study/campaign.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

namespace prony::study {
namespace {

constexpr std::array<std::string_view, 3> architectures{"resnet18", "lenet", "bert-tiny"};

Result<Campaign> read(const std::string& text) {
  const auto value = read_toml(text, "c.toml");
  if (!value) return Unexpected<Error>(value.error());
  return read_campaign(*value, "c.toml", architectures);
}

std::vector<std::string> names_of(const Campaign& campaign) {
  std::vector<std::string> names;
  for (const Configuration& one : configurations(campaign))
    names.push_back(campaign.models[one.model].name + " " + one.name());
  return names;
}

TEST(Campaigns, EachModelRunsAtEachOfItsSizesAndItsOwnValuesReplaceTheCampaigns) {
  const auto campaign = read(R"([campaign]
models = ["lenet", "own.onnx"]
batches = [1, 4]
resolutions = [32]
[[models]]
arch = "bert-tiny"
batches = 2
resolutions = [16, 64]
threads = [1, 2]
)");
  ASSERT_TRUE(campaign) << campaign.error().what;
  EXPECT_EQ(names_of(*campaign), (std::vector<std::string>{"lenet b1-r32-t1", "lenet b4-r32-t1", "own b1-t1",
                                                           "own b4-t1", "bert-tiny b2-r16-t1", "bert-tiny b2-r16-t2",
                                                           "bert-tiny b2-r64-t1", "bert-tiny b2-r64-t2"}));
  EXPECT_TRUE(campaign->models[2].batches_told);
  EXPECT_FALSE(campaign->models[1].batches_told);
}

TEST(Campaigns, TheOrderIsShuffledBySeedAnewInEachCycle) {
  const auto plan_of = [](int seed) {
    const auto campaign =
        read("[campaign]\nmodels = [\"lenet\", \"resnet18\"]\nbatches = [1, 2, 3, 4, 5]\ncycles = 2\nseed = " +
             std::to_string(seed) + "\n");
    EXPECT_TRUE(campaign);
    return campaign_plan(*campaign, configurations(*campaign));
  };
  const auto slots = plan_of(1).slots();
  ASSERT_EQ(slots.size(), 20U);
  EXPECT_EQ(slots, plan_of(1).slots());
  EXPECT_NE(slots, plan_of(2).slots());
  std::vector<std::size_t> first, second;
  for (const Slot& slot : slots) (slot.cycle == 0 ? first : second).push_back(slot.variant);
  EXPECT_NE(first, second);
  EXPECT_EQ(std::set<std::size_t>(first.begin(), first.end()).size(), 10U);
}

TEST(Campaigns, ARunIsACommandOfLayersWithItsSizesAndTheModelLast) {
  auto campaign = read(
      "[campaign]\nmodels = [\"lenet\"]\nbatches = [4]\nthreads = [2]\nruns = 40\nwarmup = 1\n"
      "most-gflop = 10\nidle = \"1s\"\nrest = \"250ms\"\n");
  ASSERT_TRUE(campaign) << campaign.error().what;
  auto all = configurations(*campaign);
  all[0].path = "m/lenet.onnx", all[0].flop = 1e9;
  const Plan plan = campaign_plan(*campaign, all);
  EXPECT_EQ(command_line(plan, plan.variants[0]),
            (std::vector<std::string>{"layers", "--batch=4", "--threads=2", "--runs=10", "--warmup=1",
                                      "--baseline=1000ms", "m/lenet.onnx"}));
  EXPECT_EQ(plan.execution.experiment_gap_ns, 250'000'000);
}

TEST(Campaigns, WhatCostsMuchRunsLessOftenButNeverFewerThanThreeTimes) {
  Campaign campaign;
  campaign.runs = 20, campaign.most_gflop = 30;
  EXPECT_EQ(runs_of(campaign, 1e9), 20U);
  EXPECT_EQ(runs_of(campaign, 4e9), 7U);
  EXPECT_EQ(runs_of(campaign, 1e12), 3U);
  campaign.runs = 2;
  EXPECT_EQ(runs_of(campaign, 1e12), 2U);
  campaign.most_gflop = 0, campaign.runs = 20;
  EXPECT_EQ(runs_of(campaign, 1e12), 20U);
}

TEST(Campaigns, WhatIsWrongIsSaidWithItsLineAndTheNearestName) {
  const auto refused = [](const std::string& text, const std::string& where, const std::string& fix) {
    const auto campaign = read(text);
    ASSERT_FALSE(campaign) << text;
    EXPECT_EQ(campaign.error().where, where) << text;
    EXPECT_NE((campaign.error().what + campaign.error().fix).find(fix), std::string::npos)
        << campaign.error().what << " / " << campaign.error().fix;
  };
  refused("", "c.toml", "names no models");
  refused("[campaign]\nmodels = [\"resnet81\"]\n", "c.toml:2", "'resnet18'");
  refused("[campaign]\nbatchs = [1]\n", "c.toml:2", "'batches'");
  refused("[campaign]\nmodels = [\"lenet\"]\nbatches = [0]\n", "c.toml:3", "from 1");
  refused("[campaign]\nmodels = [\"lenet\"]\nidle = 3\n", "c.toml:3", "with its unit");
  refused("[campaign]\nmodels = [\"lenet\", \"lenet\"]\n", "c.toml:2", "two models");
  refused("[[models]]\nname = \"x\"\n", "c.toml:1", "arch");
  refused("[[models]]\nfile = \"x.onnx\"\nresolutions = [64]\n", "c.toml:1", "input-shape");
  refused("[[models]]\nfile = \"x.txt\"\n", "c.toml:1", "ONNX");
  refused("models = 3\n", "c.toml:1", "[[models]]");
  refused("[gates]\nmax-temp = 50\n", "c.toml:1", "'gate'");
  refused("campaign = 3\n", "c.toml:1", "[campaign]");
}

TEST(Campaigns, TooManyConfigurationsAreRefusedBeforeTheyAreMade) {
  std::string numbers;
  for (int i = 1; i <= 64; ++i) numbers += (numbers.empty() ? "" : ", ") + std::to_string(i);
  const auto campaign = read("[campaign]\nmodels = [\"lenet\"]\nbatches = [" + numbers + "]\nthreads = [" + numbers +
                             "]\nresolutions = [" + numbers + "]\n");
  ASSERT_FALSE(campaign);
  EXPECT_EQ(campaign.error().code, ErrorCode::full);
}

TEST(Campaigns, ANewFileWithTheSameRunsIsTheSameCampaign) {
  const auto design = [](const std::string& more) {
    auto campaign = read("[campaign]\nmodels = [\"lenet\"]\n" + more);
    EXPECT_TRUE(campaign);
    return campaign_plan(*campaign, configurations(*campaign)).design;
  };
  EXPECT_EQ(design(""), design("cycles = 3\nrest = \"1s\"\nretries = 2\n"));
  EXPECT_NE(design(""), design("runs = 21\n"));
  EXPECT_NE(design(""), design("batches = [1, 2]\n"));
}

}  // namespace
}  // namespace prony::study
