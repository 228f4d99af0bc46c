#include "study/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace prony::study {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

Vocabulary words() {
  return {{"engine", "model", "threads", "ctx", "temperature", "top-k", "top-p", "max-tokens", "ignore-eos", "load",
           "prompts"},
          {"interval", "baseline", "tag"},
          {"tag"},
          {"llama", "ollama", "openai"}};
}

Result<Plan> plan_of(const std::string& text, const PlanChoices& choices = {}, const std::string& name = "s.toml") {
  const auto value = read_study_text(text, name);
  if (!value) return Unexpected<Error>(value.error());
  return make_plan(*value, name, words(), choices);
}

Plan good(const std::string& text, const PlanChoices& choices = {}, const std::string& name = "s.toml") {
  auto plan = plan_of(text, choices, name);
  EXPECT_TRUE(plan) << plan.error().what << " at " << plan.error().where;
  return plan ? std::move(*plan) : Plan{};
}

Error bad(const std::string& text, const std::string& name = "s.toml") {
  const auto plan = plan_of(text, {}, name);
  EXPECT_FALSE(plan) << text;
  return plan ? Error{} : plan.error();
}

std::vector<std::string> names(const Plan& plan) {
  std::vector<std::string> all;
  for (const Variant& variant : plan.variants) all.push_back(variant.name);
  return all;
}

TEST(StudyPlan, ListsOfValuesAreCrossedTheFirstAxisSlowest) {
  const Plan plan = good("[base]\nmodel = 'm.gguf'\n[sweep]\nthreads = [1, 2]\nctx = [64, 128, 256]\n");
  EXPECT_EQ(plan.variants.size(), 6U);
  EXPECT_THAT(names(plan), ElementsAre("threads=1 ctx=64", "threads=1 ctx=128", "threads=1 ctx=256", "threads=2 ctx=64",
                                       "threads=2 ctx=128", "threads=2 ctx=256"));
  EXPECT_THAT(plan.varied, UnorderedElementsAre("threads", "ctx"));
  EXPECT_THAT(command_line(plan, plan.variants[3]), ElementsAre("llm", "--ctx=64", "--model=m.gguf", "--threads=2"));
}

TEST(StudyPlan, OneAxisIsNamedByItsValuesAndFilesByTheirStems) {
  EXPECT_THAT(names(good("[sweep]\nmodel = ['models/f16.gguf', '/m/q8_0.gguf']\n")), ElementsAre("f16", "q8_0"));
}

TEST(StudyPlan, TablesChangeTogetherTheEmptyOneIsTheBaseAndListsInsideAreAGrid) {
  const Plan plan = good(
      "[base]\ntemperature = 0\n[sweep]\nsampling = [{}, { temperature = 0.7, top-k = [20, 40] }, { label = 'nucleus', "
      "temperature = 1.0, top-p = 0.9 }]\nthreads = [1, 2]\n");
  EXPECT_EQ(plan.variants.size(), 8U);
  EXPECT_EQ(plan.variants[0].word("temperature"), "0");
  EXPECT_EQ(plan.variants[0].find("top-k"), nullptr);
  EXPECT_EQ(plan.variants[2].word("top-k"), "20");
  EXPECT_EQ(plan.variants[4].word("top-k"), "40");
  EXPECT_EQ(plan.variants[6].word("top-p"), "0.9");
  EXPECT_EQ(plan.variants[6].name, "nucleus threads=1");
  EXPECT_EQ(plan.variants[0].name, "base threads=1");
}

TEST(StudyPlan, KeysOfAnEngineConcernItsRunsAloneAndImplyTheEngines) {
  const Plan both = good("[sweep]\nctx = [64, 128]\nllama.threads = [1, 2]\nollama.max-tokens = [10, 20, 30]\n");
  EXPECT_EQ(both.variants.size(), 2U * 2 + 2U * 3);
  for (const Variant& variant : both.variants) {
    EXPECT_EQ(variant.find("threads") != nullptr, variant.word("engine") == "llama");
    EXPECT_EQ(variant.find("max-tokens") != nullptr, variant.word("engine") == "ollama");
  }
  const Plan base = good(
      "[base]\nllama.threads = 3\nollama.threads = 4\nthreads = 1\n[sweep]\nengine = ['llama', 'ollama', 'openai']\n");
  EXPECT_EQ(base.variants[0].word("threads"), "3");
  EXPECT_EQ(base.variants[1].word("threads"), "4");
  EXPECT_EQ(base.variants[2].word("threads"), "1");
  EXPECT_THAT(bad("[base]\nengine = 'openai'\n[sweep]\nllama.threads = [1, 2]\n").what,
              HasSubstr("no run has the engine"));
}

TEST(StudyPlan, OneFactorChangesOneAxisAtATime) {
  const Plan plan = good(
      "[study]\nmode = 'one-factor'\n[base]\nthreads = 1\nctx = 64\n[sweep]\nthreads = [1, 2, 4]\nctx = [64, 128]\n");
  // The base, two more threads, one more context: what equals the base is not run again.
  EXPECT_THAT(names(plan), ElementsAre("base", "threads=2", "threads=4", "ctx=128"));
  ASSERT_EQ(plan.equal.size(), 1U);
  EXPECT_THAT(plan.equal[0].dropped, ElementsAre("threads=1", "ctx=64"));
}

// The counts of a published study: 216 = 4 + 19 + 4 + 8 × (1 + 9 + 7) + 1 + 4 + 48, one factor at a time.
TEST(StudyPlan, TheControlledSuiteOfTwoHundredAndSixteenAndAGridOfOneThousandAndFiftySix) {
  const auto list = [](int count) {
    std::string text = "[";
    for (int i = 0; i < count; ++i) text += (i > 0 ? "," : "") + std::to_string(i);
    return text + "]";
  };
  const std::string command = "[base]\ncommand = ['x', '{a}', '{b}', '{c}', '{d}', '{e}']\n";
  const Plan controlled =
      good("[study]\nmode = 'one-factor'\ndeduplicate = false\n" + command +
           "vars = { a = 9, b = 9, c = 9, d = 9, e = 9 }\n[sweep]\nvars.a = " + list(4) + "\nvars.b = " + list(19) +
           "\nvars.c = " + list(4) + "\ndecoder = [{ vars.d = " + list(8) + ", vars.e = " + list(17) +
           " }]\nlatency = [{ env.L = " + list(53) + " }]\n");
  EXPECT_EQ(controlled.variants.size(), 216U + 1);  // and the base itself
  const Plan grid = good(command + "[sweep]\nvars.a = " + list(4) + "\nvars.b = " + list(6) + "\nvars.c = " + list(4) +
                         "\nvars.d = " + list(11) + "\nvars.e = [1]\n");
  EXPECT_EQ(grid.variants.size(), 1056U);
}

TEST(StudyPlan, SingleRunsAndScenariosComeAfterTheSweepAndMayBeChosenByName) {
  const std::string text =
      "[base]\nthreads = 1\n[sweep]\nctx = [64, 128]\n[[experiments]]\nname = 'wide'\nthreads = "
      "8\n[[experiments]]\nmax-tokens = [5, 6]\n"
      "[scenarios.chat]\ntemperature = 0.8\n[scenarios.batch]\nload = 'concurrent:8'\n";
  EXPECT_THAT(names(good(text)),
              ElementsAre("ctx=64", "ctx=128", "wide", "max-tokens=5", "max-tokens=6", "chat", "batch"));
  EXPECT_THAT(names(good(text, {true, {"batch"}})), ElementsAre("batch"));
  const auto wrong = plan_of(text, {true, {"chats"}});
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().fix, HasSubstr("'chat'"));
}

TEST(StudyPlan, WhatChangesNothingAtTemperatureZeroIsNoOtherRun) {
  const std::string axes = "[sweep]\ntop-k = [1, 20]\ntop-p = [0.5, 1]\n";
  const Plan unsaid = good("[base]\nthreads = 1\n" + axes);  // prony llm's own temperature is 0
  EXPECT_THAT(names(unsaid), ElementsAre("top-k=1 top-p=0.5"));
  EXPECT_EQ(unsaid.not_run.size(), 3U);
  EXPECT_EQ(good("[base]\ntemperature = 0.0\n" + axes).variants.size(), 1U);
  EXPECT_EQ(good("[base]\ntemperature = 0.7\n" + axes).variants.size(), 4U);
  EXPECT_EQ(good("[base]\ntemperature = 0\n" + axes, {false, {}}).variants.size(), 4U);
  // Those that are equal to the letter are no others that change nothing.
  const Plan plain = good("[sweep]\nthreads = [1, 1]\n");
  ASSERT_EQ(plain.equal.size(), 1U);
  EXPECT_EQ(plain.equal[0].why, "");
  EXPECT_TRUE(plain.not_run.empty());
}

TEST(StudyPlan, RunsThatMeanTheSameCollapseAndAreListedUnlessAllAreWanted) {
  const std::string text = "[sweep]\ntemperature = [0.1, 0.10, 0.1000000000000001, '0.1', 0.2]\n";
  const Plan once = good(text);
  EXPECT_EQ(once.variants.size(), 2U);
  ASSERT_EQ(once.equal.size(), 1U);
  EXPECT_EQ(once.equal[0].dropped.size(), 3U);
  EXPECT_EQ(good(text, {false, {}}).variants.size(), 5U);
  // Asked for what the program does by itself is not the same as not asked.
  EXPECT_EQ(good("base: {}\nsweep:\n  group: [{}, {threads: null}]\n", {}, "s.yaml").variants.size(), 2U);
}

TEST(StudyPlan, EveryValueSaysWhereItCameFrom) {
  const Plan plan = good("[base]\nthreads = 1\nctx = 64\n[sweep]\nctx = [128]\n[scenarios.chat]\ntop-k = 4\n");
  const auto source = [&](std::size_t variant, const std::string& key) {
    const auto& all = plan.variants[variant].settings;
    return std::ranges::find(all, key, &Setting::key)->source;
  };
  EXPECT_EQ(source(0, "threads"), "base");
  EXPECT_EQ(source(0, "ctx"), "sweep ctx");
  EXPECT_EQ(source(1, "ctx"), "base");
  EXPECT_EQ(source(1, "top-k"), "scenario chat");
}

TEST(StudyPlan, AnUnknownKeyIsNamedWithItsLineAndTheNearest) {
  Error error = bad("[base]\nmodel = 'a'\n\nthread = 2\n");
  EXPECT_THAT(error.what, HasSubstr("'thread'"));
  EXPECT_EQ(error.where, "s.toml:4");
  EXPECT_THAT(error.fix, HasSubstr("'threads'"));
  error = bad("study:\n  cycels: 3\n", "s.yaml");
  EXPECT_EQ(error.where, "s.yaml:2");
  EXPECT_THAT(error.fix, HasSubstr("'cycles'"));
  EXPECT_THAT(bad("[swep]\nthreads = [1]\n").fix, HasSubstr("'sweep'"));
  EXPECT_THAT(bad("[sweep]\nlama.threads = [1]\n").fix, HasSubstr("'llama'"));
  EXPECT_THAT(bad("[sweep]\ngroup = [{ tempreature = 1 }]\n").fix, HasSubstr("'temperature'"));
  EXPECT_THAT(bad("[base]\nout = 'x'\n").what, HasSubstr("says itself"));
  EXPECT_THAT(bad("[sweep]\nmachine.cap = [1]\n[machine.power-cap]\nget = 'g'\nset = 's {value}'\n").what,
              HasSubstr("machine.cap"));
}

TEST(StudyPlan, ASettingIsPutBackByItsSetWithWhatWasBeforeWhereverTheValueStands) {
  const Plan plan = good(
      "[sweep]\nmachine.clock = [900]\n[machine.clock]\nget = 'g'\nset = 'smi -lgc {value},{value}; echo {value}'\n");
  ASSERT_EQ(plan.machine.size(), 1U);
  EXPECT_EQ(plan.machine[0].restore, "smi -lgc {before},{before}; echo {before}");
  EXPECT_THAT(bad("[sweep]\nmachine.clock = [9]\n[machine.clock]\nget = 'g'\nset = 's {value}'\n"
                  "restore = 'r {value}'\n")
                  .fix,
              HasSubstr("{before}"));
}

TEST(StudyPlan, AnAxisWithoutValuesAndOneThatIsNoListAreRefusedWithTheirLines) {
  Error error = bad("[sweep]\nthreads = [1]\nctx = []\n");
  EXPECT_THAT(error.what, HasSubstr("'ctx' has no values"));
  EXPECT_EQ(error.where, "s.toml:3");
  EXPECT_THAT(bad("[sweep]\nctx = 5\n").what, HasSubstr("no list"));
  EXPECT_THAT(bad("[sweep]\ngroup = [{ ctx = [] }]\n").what, HasSubstr("'ctx' has no values"));
  EXPECT_THAT(bad("[sweep]\nctx = [1, { threads = 2 }]\n").what, HasSubstr("mixes"));
  EXPECT_THAT(bad("[base]\nctx = [1, 2]\n").fix, HasSubstr("[sweep]"));
}

TEST(StudyPlan, TwoAxesThatSayOneThingAreBothNamed) {
  for (const char* other : {"group = [{ threads = 4 }, {}]\n", "llama.threads = [4]\n"}) {
    const Error error = bad("[sweep]\nthreads = [1, 2]\n" + std::string(other));
    EXPECT_THAT(error.what, HasSubstr("'threads' (line 2)"));
    EXPECT_THAT(error.what, HasSubstr("(line 3)"));
    EXPECT_EQ(error.where, "s.toml:3");
  }
  // Of two engines they never meet.
  EXPECT_EQ(good("[sweep]\nllama.threads = [1, 2]\nollama.threads = [4]\n").variants.size(), 3U);
}

TEST(StudyPlan, AVariableIsPutInOnceAndOneThatChangesNothingIsRefused) {
  const Plan plan = good("[base]\ncommand = ['./x', '--n={n}', '{other}', '${n}']\n[sweep]\nvars.n = [1, 20]\n");
  EXPECT_THAT(command_line(plan, plan.variants[1]), ElementsAre("run", "--", "./x", "--n=20", "{other}", "$20"));
  EXPECT_EQ(plan.kind, Kind::run);
  EXPECT_THAT(bad("[base]\ncommand = ['./x']\n[sweep]\nvars.n = [1, 2]\n").what, HasSubstr("changes nothing"));
  const Plan shell = good("[base]\ncommand = 'sleep {n}'\ntag = ['a=1', 'b=2']\nvars.n = 3\nenv.OMP = 2\n");
  EXPECT_THAT(command_line(shell, shell.variants[0]),
              ElementsAre("run", "--tag=a=1", "--tag=b=2", "--", "/bin/sh", "-c", "sleep 3"));
  EXPECT_THAT(environment(shell.variants[0]), ElementsAre(std::pair<std::string, std::string>("OMP", "2")));
}

TEST(StudyPlan, TomlAndYamlThatSayTheSameHaveTheSameDesignAndOrdersAreNoPartOfIt) {
  const Plan toml = good("[base]\nmodel = 'm'\n[sweep]\nthreads = [1, 2]\ntemperature = [0, 0.7]\n");
  const Plan yaml = good(
      "base: &b {model: m}\nsweep:\n  threads: [1, 2]\n  temperature: [0.0, 0.70]\nstudy: {order: shuffle, cycles: "
      "4}\n",
      {}, "s.yml");
  EXPECT_EQ(toml.design, yaml.design);
  EXPECT_EQ(toml.seed(), yaml.seed());
  EXPECT_NE(good("[base]\nmodel = 'n'\n[sweep]\nthreads = [1, 2]\ntemperature = [0, 0.7]\n").design, toml.design);
}

TEST(StudyPlan, WhatChangedBetweenTwoDesignsIsToldLineByLine) {
  const auto before = design_rows(good("[base]\nctx = 64\n[sweep]\nthreads = [1, 2]\n"));
  const auto now = design_rows(good("[base]\nctx = 128\n[sweep]\nthreads = [2, 4]\n"));
  EXPECT_THAT(design_drift(before, now),
              ElementsAre("no longer in the file: 1", "2: ctx 64 → 128", "not yet in the folder: 4"));
  EXPECT_TRUE(design_drift(before, before).empty());
}

TEST(StudyText, MergedKeysOfYamlGiveWayToWhatStandsThere) {
  const Plan plan =
      good("base: &b\n  threads: 1\n  ctx: 64\nscenarios:\n  one:\n    <<: *b\n    ctx: 128\n", {}, "s.yaml");
  EXPECT_EQ(plan.variants[0].word("ctx"), "128");
  EXPECT_EQ(plan.variants[0].word("threads"), "1");
}

TEST(StudyText, RubbishIsAnErrorWithItsLineInBoundedTime) {
  EXPECT_EQ(bad("[base]\nmodel = \n").where, "s.toml:2");
  for (const char* header : {"a = 1\n[{b]\n", "a = 1\n  [[ =b]]\n", "a = 1\n[\xc3\xa4]\n", "a = 1\n[b]\xff\n"})
    EXPECT_EQ(bad(header).where, "s.toml:2") << header;
  EXPECT_EQ(bad("base:\n  model: [a\n", "s.yaml").code, ErrorCode::malformed);
  EXPECT_EQ(bad("base:\n  ctx: 1\n  ctx: 2\n", "s.yaml").where, "s.yaml:3");
  EXPECT_EQ(bad("base: &a [*a]\n", "s.yaml").code, ErrorCode::malformed);
  EXPECT_EQ(bad(std::string(2000, '['), "s.yaml").code, ErrorCode::malformed);
  EXPECT_EQ(bad("a = " + std::string(2000, '[')).code, ErrorCode::malformed);
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";  // 10^9 of little
  for (int i = 1; i < 9; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 9; ++j) laughs += ", " + before;
    laughs += "]\n";
  }
  EXPECT_EQ(bad(laughs, "s.yaml").code, ErrorCode::full);
  std::string wide = "[sweep]\n";
  for (const char* key : {"threads", "ctx", "top-k", "top-p", "max-tokens"}) {
    wide += std::string(key) + " = [0";
    for (int i = 1; i < 100; ++i) wide += "," + std::to_string(i);
    wide += "]\n";
  }
  EXPECT_EQ(bad(wide).code, ErrorCode::full);
  EXPECT_EQ(bad(std::string("a\0b", 3)).code, ErrorCode::malformed);
}

TEST(StudyPlan, ABaseOfAnotherFileComesWithItsNameAndLineAndWhatTheStudySaysWins) {
  const auto value = read_study_text("[base]\nmodel = 'm.gguf'\nthreads = 2\n", "other.toml");
  PlanChoices choices;
  choices.base = BaseFile{"other.toml", *value};
  const Plan named = good("base = 'other.toml'\n[sweep]\nctx = [64, 128]\n", choices);
  ASSERT_EQ(named.variants.size(), 2U);
  EXPECT_EQ(named.variants[0].word("threads"), "2");
  for (const Setting& setting : named.variants[0].settings)
    if (setting.key == "threads") {
      EXPECT_EQ(setting.source, "base other.toml");
      EXPECT_EQ(setting.file, "other.toml");
      EXPECT_EQ(setting.line, 3U);
    } else if (setting.key == "ctx") {
      EXPECT_EQ(setting.file, "");
    }
  const Plan both = good("[base]\nfrom = 'other.toml'\nthreads = 4\n", choices);
  EXPECT_EQ(both.variants[0].word("threads"), "4");
  EXPECT_EQ(both.variants[0].word("model"), "m.gguf");
  EXPECT_EQ(both.variants[0].find("from"), nullptr);
}

TEST(StudyPlan, ABaseFileMayBeSettingsAloneAndItsMistakesAreToldWithItsOwnNameAndLine) {
  const auto with = [](const std::string& base) {
    const auto value = read_study_text(base, "b.toml");
    EXPECT_TRUE(value);
    PlanChoices choices;
    choices.base = BaseFile{"b.toml", *value};
    return plan_of("base = 'b.toml'\n", choices);
  };
  const auto settings = with("threads = 2\n");
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->variants[0].word("threads"), "2");
  const auto run = with("command = ['true']\n");
  ASSERT_TRUE(run);
  EXPECT_EQ(run->kind, Kind::run);
  EXPECT_EQ(with("model = 'm'\nthraeds = 2\n").error().where, "b.toml:2");
  EXPECT_EQ(with("machine.cap = 3\n").error().where, "b.toml:1");
  EXPECT_THAT(with("base = 'c.toml'\n").error().what, HasSubstr("cannot name another"));
  EXPECT_THAT(with("[base]\nfrom = 'c.toml'\n").error().what, HasSubstr("cannot name another"));
  EXPECT_THAT(with("[sweep]\nthreads = [1]\n").error().what, HasSubstr("no [base]"));
  EXPECT_EQ(bad("base = 'b.toml'\n").code, ErrorCode::usage);  // nobody read it
  EXPECT_EQ(bad("base = 3\n").where, "s.toml:1");
}

TEST(StudyPlan, LimitsAndGapsAreTextsWithUnitsAndOrdersHaveNames) {
  const Plan plan = good(
      "[study]\nname = 'n'\ncycles = 4\norder = 'counterbalanced'\nexperiment-gap = '2s'\ncycle-gap = '1m'\ntimeout = "
      "'90s'\n"
      "silence = 0\nretries = 2\nback-off = '10s'\nstop-after = 0\nwall-limit = '8h'\nseed = 5\n[gate]\nmax-temp = "
      "55\nlimit = '3m'\n");
  EXPECT_EQ(plan.execution.cycles, 4U);
  EXPECT_EQ(plan.execution.order, Order::counterbalanced);
  EXPECT_EQ(plan.execution.cycle_gap_ns, 60'000'000'000);
  EXPECT_EQ(plan.execution.silence_ns, 0);
  EXPECT_EQ(plan.execution.max_celsius, 55.0);
  EXPECT_EQ(plan.seed(), 5U);
  const Plan hours = good(
      "[study]\nmemory-limit = '1.5GiB'\nnotify = 'true'\n[schedule]\nat = '22:30'\nwindow = '22:00-06:00'\ndays = "
      "['mon', 'sat']\n");
  EXPECT_EQ(hours.execution.memory_limit, 1'610'612'736U);
  EXPECT_EQ(hours.execution.notify, "true");
  EXPECT_EQ(words_of(hours.execution.hours), "from the next 22:30 on, begun only 22:00-06:00 on mon sat");
  EXPECT_EQ(hours.design, good("[study]\ncycles = 2\n").design);  // when and with which limits: not what is measured
  for (const char* wrong : {"at = '25:00'", "window = '22:00'", "days = 'someday'", "days = []", "from = '22:00'"})
    EXPECT_EQ(bad("[schedule]\n" + std::string(wrong) + "\n").where, "s.toml:2") << wrong;
  for (const char* wrong : {"memory-limit = 5", "memory-limit = '5'", "memory-limit = '1KiB'", "memory-limit = '-1GiB'",
                            "memory-limit = 'nanGiB'", "notify = ''", "notify = ['mail']"})
    EXPECT_EQ(bad("[study]\n" + std::string(wrong) + "\n").where, "s.toml:2") << wrong;
  for (const char* wrong :
       {"cycles = 0", "cycles = 2.5", "order = 'random'", "timeout = 5", "timeout = '0s'", "retries = -1",
        "experiment-gap = '-2s'", "silence = 'long'", "kind = 'x'", "mode = 'both'"})
    EXPECT_EQ(bad("[study]\n" + std::string(wrong) + "\n").where, "s.toml:2") << wrong;
}

}  // namespace
}  // namespace prony::study
