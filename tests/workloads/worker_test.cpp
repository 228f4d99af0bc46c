#include "workloads/worker.hpp"
#include "../support/emulated.hpp"
#include "../support/sanitizer.hpp"
#include "../support/scratch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <nlohmann/json.hpp>

#include "model/span.hpp"
#include "store/span_consumer.hpp"
#include "synth/gguf_llama.hpp"

namespace prony {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

struct SeenSpan {
  std::string name, kind;
  std::uint64_t parent = 0;
  std::int64_t begin = 0, end = 0;  // end 0: never ended
  int status = -1;
  std::map<std::string, std::int64_t> counts;
  std::map<std::string, std::string> attributes;
};

struct Folder {
  ScratchFolder scratch{"worker"};
  const std::string& path = scratch.path();
  std::string file(const std::string& name) const { return path + "/" + name; }
};

std::string build(const std::string& name) { return std::string(PRONY_BUILD_DIR) + "/" + name; }
std::string python_worker() { return std::string(PRONY_SOURCE_DIR) + "/examples/python_worker.py"; }

// Drives a worker as the app does: spawned from command(), spans through a ring file.
class Driver {
 public:
  Result<WorkloadOutcome> run(WorkerOptions options, std::string fault = {}) {
    auto consumer = SpanConsumer::create(folder.file("run.spans"));
    if (!consumer) return Unexpected<Error>(consumer.error());
    workload = make_worker_workload(std::move(options));
    SpawnOptions spawn_options = workload->command();
    spawn_options.environment = {{"PRONY_SPANS", folder.file("run.spans")}, {"LIBPRONY", build("libprony.so")}};
    if (!fault.empty()) spawn_options.environment.emplace_back("PRONY_ENGINE_FAULT", fault);
    auto child = spawn(spawn_options);
    if (!child) return Unexpected<Error>(child.error());
    started.set_value();
    auto outcome = workload->run(*child, [this](const Progress& progress) { seen.push_back(progress); });
    read(*consumer);
    return outcome;
  }

  std::vector<SeenSpan> of_kind(const std::string& kind) const {
    std::vector<SeenSpan> found;
    for (const auto& [id, span] : spans)
      if (span.kind == kind) found.push_back(span);
    return found;
  }
  std::vector<SeenSpan> children(std::uint64_t parent, const std::string& kind) const {
    std::vector<SeenSpan> found;
    for (const auto& [id, span] : spans)
      if (span.parent == parent && span.kind == kind) found.push_back(span);
    return found;
  }

  Folder folder;
  std::unique_ptr<Workload> workload;
  std::promise<void> started;
  std::vector<Progress> seen;
  std::map<std::uint64_t, SeenSpan> spans;

 private:
  void read(SpanConsumer& consumer) {
    (void)consumer.drain([this](const SpanChange& change) -> Result<void> {
      SeenSpan& span = spans[change.span];
      switch (change.type) {
        case ring::SlotType::begin:
        case ring::SlotType::complete:
          span.kind = to_string(static_cast<SpanKind>(change.kind));
          span.name = change.text;
          span.parent = change.parent;
          span.begin = change.time_ns;
          if (change.type == ring::SlotType::complete) span.end = change.value;
          break;
        case ring::SlotType::end:
          span.end = change.time_ns;
          span.status = change.kind;
          break;
        case ring::SlotType::count: span.counts[change.key] = change.value; break;
        case ring::SlotType::attribute: span.attributes[change.key] = change.text; break;
        case ring::SlotType::text: break;
      }
      return {};
    });
  }
};

std::vector<Prompt> prompts(int count) {
  std::vector<Prompt> all;
  for (int i = 1; i <= count; ++i) all.push_back({std::to_string(i), "Tell me about number " + std::to_string(i)});
  return all;
}

WorkerOptions python(const std::string& program) {
  WorkerOptions options;
  options.arguments = {"python3", "-u", "-c", program};
  options.model = "none";
  options.prompts = prompts(3);
  return options;
}

// The beginning of a worker that behaves so far: it says hello and loads; `answer` is what it does with prompt `m`.
std::string behaving_until(const std::string& answer) {
  return R"(
import json, os, sys, time
n = 0
def say(**m): print(json.dumps(m), flush=True)
say(type="hello", protocol=1, worker="w", engine="e", engine_version="7", capabilities=["prompt"])
for line in sys.stdin:
    m = json.loads(line)
    if m["type"] == "load": say(type="loaded", facts={"model.name": "M"})
    if m["type"] == "stop": say(type="bye"); break
    if m["type"] == "prompt":
        n += 1
)" + answer;
}

TEST(PythonWorker, AnswersThroughTheProtocolAndTellsItsSpansThroughLibprony) {
  if (test::emulated()) GTEST_SKIP() << "this machine's Python cannot load a library of the other machine's kind";
  if (test::address_sanitizer)
    GTEST_SKIP() << "an interpreter without the address sanitizer cannot load a library built with it";
  Driver driver;
  WorkerOptions options;
  options.arguments = {"python3", python_worker()};
  options.model = "pretended.gguf";
  options.prompts = prompts(2);
  options.max_tokens = 3;
  options.repeat = 2;
  options.warm_up = 1;
  options.gap_ns = 5'000'000;
  options.loaded_baseline_ns = 5'000'000;
  options.keep_output = true;
  const auto outcome = driver.run(options);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(outcome->failures, IsEmpty());
  EXPECT_EQ(outcome->requests_ok, 4U);
  EXPECT_EQ(outcome->exit.shell_code(), 0);
  EXPECT_THAT(outcome->facts, Contains(Pair("engine.name", "cpu-burner")));
  EXPECT_THAT(outcome->facts, Contains(Pair("model.name", "pretended.gguf")));
  EXPECT_EQ(outcome->answers.size(), 4U);
  EXPECT_EQ(driver.seen.back().done, 4U);
  EXPECT_EQ(driver.seen.back().total, 4U);

  const auto requests = driver.of_kind("request");
  ASSERT_EQ(requests.size(), 4U);
  EXPECT_EQ(requests[0].name, "1#1");
  EXPECT_EQ(requests[3].name, "2#2");
  for (const auto& request : requests) {
    EXPECT_EQ(request.counts.at("output_tokens"), 3);
    EXPECT_EQ(request.attributes.at("finish"), "length");
    EXPECT_EQ(request.status, 0);
  }
  EXPECT_EQ(driver.of_kind("token").size(), 12U) << "a warm-up writes no tokens";
  std::vector<std::string> phases;
  for (const auto& phase : driver.of_kind("phase")) phases.push_back(phase.name);
  EXPECT_THAT(phases, ElementsAre("baseline-loaded", "warm-up", "gap", "gap", "gap"));
}

TEST(WorkerWorkload, ARequestThatItsClientCalledOffIsNeitherASuccessNorAFailure) {
  Driver driver;
  std::string program = behaving_until(R"(
        off = "cancel_after_ns" in m
        say(type="result", id=m["id"], prompt_tokens=1, output_tokens=1, finish="cancelled" if off else "length")
)");
  program.replace(program.find("[\"prompt\"]"), 10, R"(["prompt", "cancel_after"])");
  WorkerOptions options = python(program);
  options.prompts = prompts(40);
  options.cancel_rate = 0.5;
  const auto outcome = driver.run(options);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(outcome->failures, IsEmpty());
  EXPECT_GT(outcome->requests_cancelled, 5U);
  EXPECT_GT(outcome->requests_ok, 5U);
  EXPECT_EQ(outcome->requests_cancelled + outcome->requests_ok, 40U);
  EXPECT_EQ(outcome->requests_failed, 0U);
}

TEST(WorkerWorkload, TurnsGoOneAfterAnotherWithTheAnswersBetweenThemAndStopWhereOneFails) {
  Driver driver;
  WorkerOptions options = python(behaving_until(R"(
        if m["text"] == "break": say(type="error", error={"code": "internal", "message": "no", "id": m["id"]})
        else: say(type="result", id=m["id"], finish="length", text="<" + m["text"] + ">")
)"));
  options.prompts = {{"a.1", "One"}, {"a.2", "Two"}, {"b.1", "break"}, {"b.2", "never"}};
  for (Prompt& prompt : options.prompts) prompt.session = prompt.id.substr(0, 1);
  options.keep_output = true;
  const auto outcome = driver.run(options);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_EQ(outcome->requests_ok, 2U);
  EXPECT_EQ(outcome->requests_failed, 1U);
  EXPECT_THAT(outcome->answers, ElementsAre("<One>", "<One\n<One>\nTwo>", ""));
  EXPECT_THAT(outcome->facts, Contains(Pair("requests.not_run", "b.2")));
}

TEST(WorkerWorkload, SeveralModelsAreLoadedOneAfterAnotherAndAskedTheSame) {
  Driver driver;
  WorkerOptions options = python(R"(
import json, sys
def say(**m): print(json.dumps(m), flush=True)
say(type="hello", protocol=1, worker="w", engine="e", engine_version="7", capabilities=["prompt", "phase"])
model = None
for line in sys.stdin:
    m = json.loads(line)
    if m["type"] == "load":
        model = m["model"]
        if model == "broken": say(type="error", error={"code": "model", "message": "it is broken"})
        else: say(type="loaded", facts={"model.name": model})
    if m["type"] == "stop": say(type="bye"); break
    if m["type"] == "phase": say(type="done", name=m["name"])
    if m["type"] == "prompt":
        assert m["attributes"]["model"] == model.split("/")[-1]
        say(type="result", id=m["id"], finish="length", text=model)
)");
  options.model = "folder/one";
  options.more_models = {"broken", "two"};
  options.model_gap_ns = 1'000'000;
  options.keep_output = true;
  options.prompts = prompts(2);
  const auto outcome = driver.run(options);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(outcome->answers, ElementsAre("folder/one", "folder/one", "two", "two"));
  EXPECT_THAT(outcome->facts, Contains(Pair("model.name", "folder/one")));
  EXPECT_THAT(outcome->facts, Contains(Pair("model.3.name", "two")));
  EXPECT_THAT(outcome->failures, ElementsAre(HasSubstr("model broken: the model was not loaded: it is broken")));
}

TEST(WorkerWorkload, WhatAnEngineCannotDoIsRefusedBeforeAnythingIsAsked) {
  for (const char* what : {"--min-tokens", "--truncate-prompt", "--cancel-rate", "--batching"}) {
    Driver driver;
    WorkerOptions options = python(behaving_until("        pass\n"));
    const std::string_view option = what;
    if (option == "--min-tokens") options.min_tokens = 5;
    if (option == "--truncate-prompt") options.truncate_tokens = 5;
    if (option == "--cancel-rate") options.cancel_rate = 0.5;
    if (option == "--batching") options.batching = "static:8";
    const auto outcome = driver.run(options);
    ASSERT_FALSE(outcome) << what;
    EXPECT_EQ(outcome.error().where, what);
  }
}

TEST(WorkerWorkload, ACrashAtPromptThreeKeepsTwoMarksTheThirdAndNamesTheRest) {
  Driver driver;
  WorkerOptions options = python(behaving_until(R"(
        if n == 3: os.abort()
        say(type="result", id=m["id"], prompt_tokens=1, output_tokens=1, finish="length")
)"));
  options.prompts = prompts(8);
  const auto outcome = driver.run(options);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_EQ(outcome->requests_ok, 2U);
  EXPECT_EQ(outcome->requests_failed, 1U);
  EXPECT_NE(outcome->exit.shell_code(), 0);
  EXPECT_THAT(outcome->facts, Contains(Pair("requests.failed", "3")));
  EXPECT_THAT(outcome->facts, Contains(Pair("requests.not_run", "4,5,6,7,8")));
  ASSERT_GE(outcome->failures.size(), 2U);
  EXPECT_THAT(outcome->failures[0], HasSubstr("request 3"));
  EXPECT_THAT(outcome->failures, Contains(HasSubstr("signal 6")));
  EXPECT_THAT(outcome->failures, Contains(HasSubstr("not run: 4,5,6,7,8")));
}

TEST(WorkerWorkload, AHangIsATimeoutWithItsNameAndTheWorkerIsKilled) {
  Driver driver;
  WorkerOptions options = python(behaving_until(R"(
        time.sleep(600)
)"));
  options.request_timeout_ns = 200'000'000;
  const auto outcome = driver.run(options);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(outcome->failures, Contains(HasSubstr("request 1: the worker did not answer within 0.2 s")));
  EXPECT_EQ(outcome->exit.signal, SIGKILL);
  EXPECT_THAT(outcome->facts, Contains(Pair("requests.not_run", "2,3")));
}

TEST(WorkerWorkload, GarbageOnStandardOutputIsNamedByItsLine) {
  Driver driver;
  const auto outcome = driver.run(python(behaving_until(R"(
        print("Segment\x1bed", flush=True)
)")));
  ASSERT_TRUE(outcome) << outcome.error().what;
  ASSERT_FALSE(outcome->failures.empty());
  EXPECT_THAT(outcome->failures[0], HasSubstr("line 3 of its standard output"));
  EXPECT_EQ(outcome->failures[0].find('\x1b'), std::string::npos) << "control characters reach no terminal";
}

// Kills: taking any result for the one that was asked for.
TEST(WorkerWorkload, AnAnswerToAnotherPromptIsNotTaken) {
  Driver driver;
  const auto outcome = driver.run(python(behaving_until(R"(
        say(type="result", id="other", prompt_tokens=1, output_tokens=1, finish="length")
)")));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->requests_ok, 0U);
  EXPECT_EQ(outcome->requests_failed, 1U);
}

TEST(WorkerWorkload, AnErrorReplyFailsOneRequestAndTheNextOnesRun) {
  Driver driver;
  const auto outcome = driver.run(python(behaving_until(R"(
        if n == 2: say(type="error", error={"code": "context", "message": "too long", "id": m["id"]})
        else: say(type="result", id=m["id"], prompt_tokens=1, output_tokens=1, finish="length")
)")));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->requests_ok, 2U);
  EXPECT_THAT(outcome->failures, ElementsAre("request 2: too long (context)"));
  EXPECT_EQ(outcome->exit.shell_code(), 0);
}

TEST(WorkerWorkload, MembersOfTheWrongTypeInAReplyDoNotEndTheDriver) {
  Driver driver;
  const auto outcome = driver.run(python(behaving_until(R"(
        say(type="error", error={"code": 5, "message": ["x"]}) if n == 1 else say(type="result", id=7, finish=[], text={})
)")));
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->requests_failed, 2U);
}

TEST(WorkerWorkload, AModelThatDoesNotLoadIsAnErrorWithTheWorkersWords) {
  Driver driver;
  const auto outcome = driver.run(python(R"(
import json
print(json.dumps({"type": "hello", "protocol": 1}), flush=True)
input()
print(json.dumps({"type": "error", "error": {"code": "model", "message": "truncated"}}), flush=True)
input()
)"));
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().what, HasSubstr("truncated"));
  EXPECT_EQ(outcome.error().where, "none");
}

TEST(WorkerWorkload, AnotherProtocolVersionIsRefusedByItsNumber) {
  Driver driver;
  const auto outcome = driver.run(python("print('{\"type\": \"hello\", \"protocol\": 2}', flush=True); input()"));
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().what, HasSubstr("protocol 2"));
}

TEST(WorkerWorkload, AProgramThatIsNoWorkerIsToldSo) {
  Driver driver;
  WorkerOptions options;
  options.arguments = {"true"};
  options.prompts = prompts(1);
  const auto outcome = driver.run(options);
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().what, HasSubstr("did not say hello"));
}

TEST(WorkerWorkload, APromptLargerThanThePipeArrivesWhole) {
  Driver driver;
  WorkerOptions options = python(behaving_until(R"(
        say(type="result", id=m["id"], prompt_tokens=len(m["text"]), output_tokens=1, finish="length", text=str(len(m["text"])))
)"));
  options.prompts = {{"big", std::string(3'000'000, 'x'), {}}};
  options.keep_output = true;
  const auto outcome = driver.run(options);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(outcome->answers, ElementsAre("3000000"));
}

TEST(WorkerWorkload, ACancelInMidRequestEndsTheRunAndTheWorkerEvenIfItDoesNotListen) {
  Driver driver;
  const std::string mark = driver.folder.file("prompt-arrived");
  const auto options = python(behaving_until("        open('" + mark + "', 'w').close(); time.sleep(600)\n"));
  auto done = std::async(std::launch::async, [&] { return driver.run(options); });
  while (!std::filesystem::exists(mark)) ::usleep(5000);
  driver.workload->cancel(SIGINT);
  const auto outcome = done.get();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->requests_failed, 1U);
  EXPECT_THAT(outcome->failures, Contains(HasSubstr("did not stop within 2 s")));
  EXPECT_EQ(outcome->exit.signal, SIGKILL);
  EXPECT_THAT(outcome->facts, Contains(Pair("requests.not_run", "2,3")));
}

// Bug: between the look for a cancel and the wait for an answer one comes, and is heeded when that took its 10 minutes.
TEST(WorkerWorkload, ACancelWhileAPromptIsStillBeingSentEndsTheRun) {
  Driver driver;
  const std::string mark = driver.folder.file("reads-no-more");
  WorkerOptions options =
      python(behaving_until("        if n == 2: time.sleep(600)\n"
                            "        say(type='result', id=m['id'], output_tokens=1, finish='length')\n"
                            "        open('" +
                            mark + "', 'w').close(); time.sleep(0.6)\n"));
  options.prompts = {{"small", "x", {}}, {"big", std::string(3'000'000, 'x'), {}}};
  auto done = std::async(std::launch::async, [&] { return driver.run(options); });
  while (!std::filesystem::exists(mark)) ::usleep(5000);
  ::usleep(200'000);
  driver.workload->cancel(SIGINT);
  const auto outcome = done.get();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->requests_ok, 1U);
  EXPECT_EQ(outcome->requests_failed + outcome->requests_cancelled, 1U);
  EXPECT_EQ(outcome->exit.signal, SIGKILL);
}

// ---- the real engine, where it was built -------------------------------------------------------------------------

class LlamaWorker : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(build("prony-engine-llama")))
      GTEST_SKIP() << "prony-engine-llama was not built: run tools/setup-llama.sh and configure again";
    SynthOptions synth;
    synth.parameters = 160'000;
    ASSERT_TRUE(write_synthetic_llama(synth, model()));
    options_.arguments = {build("prony-engine-llama")};
    options_.model = model();
    options_.threads = 1;
    options_.prompts = prompts(3);
    options_.max_tokens = 12;
    options_.ignore_eos = true;
    options_.keep_output = true;
  }
  std::string model() const { return driver_.folder.file("m.gguf"); }
  std::vector<std::string> answers(WorkerOptions options) {
    Driver driver;
    const auto outcome = driver.run(std::move(options));
    EXPECT_TRUE(outcome && outcome->failures.empty());
    return outcome ? outcome->answers : std::vector<std::string>{};
  }

  Driver driver_;
  WorkerOptions options_;
};

TEST_F(LlamaWorker, EveryPieceOfARequestIsASpanAndNeighboursShareTheirEdges) {
  const auto outcome = driver_.run(options_);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(outcome->failures, IsEmpty());
  EXPECT_EQ(outcome->requests_ok, 3U);
  EXPECT_THAT(outcome->facts, Contains(Pair("model.name", "synthetic-llama-160k")));
  EXPECT_THAT(outcome->facts, Contains(Pair("model.quant", "Q8_0")));
  EXPECT_THAT(outcome->facts, Contains(Pair("engine.threads", "1")));
  EXPECT_THAT(outcome->facts, Contains(Pair("engine.name", "llama.cpp")));
  std::size_t requests = 0;
  for (const auto& [id, request] : driver_.spans) {
    if (request.kind != "request") continue;
    ++requests;
    const auto tokenise = driver_.children(id, "tokenise"), prefill = driver_.children(id, "prefill"),
               decode = driver_.children(id, "decode"), tokens = driver_.children(id, "token");
    ASSERT_EQ(tokenise.size(), 1U);
    ASSERT_EQ(prefill.size(), 1U);
    ASSERT_EQ(decode.size(), 1U);
    ASSERT_EQ(tokens.size(), 12U);
    EXPECT_EQ(request.counts.at("output_tokens"), 12);
    EXPECT_GT(request.counts.at("prompt_tokens"), 3);
    EXPECT_EQ(request.attributes.at("finish"), "length");
    EXPECT_FALSE(request.attributes.at("prompt").empty());
    EXPECT_LE(request.begin, tokenise[0].begin);
    EXPECT_EQ(tokenise[0].end, prefill[0].begin);
    EXPECT_EQ(prefill[0].end, decode[0].begin);
    EXPECT_EQ(tokens.front().end, prefill[0].end) << "the first token is known when prefill ends";
    EXPECT_EQ(tokens.back().end, decode[0].end);
    for (std::size_t i = 1; i < tokens.size(); ++i) EXPECT_EQ(tokens[i].begin, tokens[i - 1].end);
    EXPECT_LE(decode[0].end, request.end);
  }
  EXPECT_EQ(requests, 3U);
  ASSERT_EQ(driver_.of_kind("phase").size(), 1U);
  EXPECT_EQ(driver_.of_kind("phase")[0].name, "load");
}

// Kills: a prefix cache left from the prompt before, a temperature that still matters, a seed that does not.
TEST_F(LlamaWorker, GreedyIsGreedyAtAnyTemperatureSettingAndSeedsAreHonoured) {
  options_.prompts = {options_.prompts[0], {"again", options_.prompts[0].text, {}}};
  const auto greedy = answers(options_);
  ASSERT_EQ(greedy.size(), 2U);
  EXPECT_FALSE(greedy[0].empty());
  EXPECT_EQ(greedy[0], greedy[1]);
  WorkerOptions changed = options_;
  changed.temperature = -3;
  changed.top_p = 0.1;
  changed.seed = 99;
  EXPECT_EQ(answers(changed), greedy);
  changed.temperature = 5;
  changed.top_k = 1;
  changed.top_p = 1;
  EXPECT_EQ(answers(changed), greedy);
  changed.top_k = 0;
  const auto random = answers(changed);
  EXPECT_NE(random, greedy);
  EXPECT_EQ(answers(changed), random);
  changed.seed = 100;
  EXPECT_NE(answers(changed), random);
}

TEST_F(LlamaWorker, ACrashAtPromptThreeOfEightLeavesItsSpanUnfinished) {
  options_.prompts = prompts(8);
  const auto outcome = driver_.run(options_, "crash-at:3");
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_EQ(outcome->requests_ok, 2U);
  EXPECT_EQ(outcome->requests_failed, 1U);
  EXPECT_EQ(outcome->exit.signal, SIGABRT);
  const auto requests = driver_.of_kind("request");
  ASSERT_EQ(requests.size(), 3U);
  EXPECT_EQ(requests[1].status, 0);
  EXPECT_EQ(requests[2].name, "3");
  EXPECT_EQ(requests[2].end, 0);
}

TEST_F(LlamaWorker, ATruncatedModelAndOneThatIsNoGgufAreCleanErrors) {
  std::filesystem::resize_file(model(), 100'000);
  const auto truncated = driver_.run(options_);
  ASSERT_FALSE(truncated);
  EXPECT_THAT(truncated.error().what, HasSubstr("not within the file bounds"));
  EXPECT_THAT(truncated.error().what, HasSubstr("(model)"));
  Driver other;
  std::ofstream(model()) << "this is no model at all, it is a text";
  const auto rubbish = other.run(options_);
  ASSERT_FALSE(rubbish);
  EXPECT_THAT(rubbish.error().what, HasSubstr("not a model"));
}

TEST_F(LlamaWorker, APromptLongerThanTheContextFailsAloneAndAFullContextEndsTheAnswer) {
  options_.ctx = 256;
  options_.prompts = {{"long", std::string(2000, 'z'), {}}, {"short", "a", 100'000}};
  const auto outcome = driver_.run(options_);
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(outcome->failures, ElementsAre(::testing::AllOf(HasSubstr("request long"), HasSubstr("(context)"))));
  const auto requests = driver_.of_kind("request");
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_EQ(requests[0].status, 1);
  EXPECT_EQ(requests[0].attributes.at("finish"), "error");
  EXPECT_EQ(requests[1].attributes.at("finish"), "length");
  EXPECT_EQ(requests[1].counts.at("prompt_tokens") + requests[1].counts.at("output_tokens"), 256 + 1);
  EXPECT_EQ(requests[1].counts.at("context_full"), 1);
  EXPECT_FALSE(requests[0].counts.contains("context_full"));
}

TEST_F(LlamaWorker, ACancelEndsTheRunningPromptWithItsSpanEnded) {
  options_.prompts = {{"endless", "go on", 1'000'000}, {"never", "x", {}}};
  options_.ctx = 200'000;
  auto done = std::async(std::launch::async, [&] { return driver_.run(options_); });
  driver_.started.get_future().wait();
  for (bool running = false; !running; ::usleep(5000)) {
    // The consumer is at work; the name of the request in its slot is enough to know that it has begun.
    std::ifstream file(driver_.folder.file("run.spans"), std::ios::binary);
    std::string start(std::size_t{1} << 18, '\0');
    file.read(start.data(), static_cast<std::streamsize>(start.size()));
    running = start.find("endless") != std::string::npos;
  }
  driver_.workload->cancel(SIGINT);
  const auto outcome = done.get();
  ASSERT_TRUE(outcome) << outcome.error().what;
  EXPECT_THAT(outcome->failures, Contains("request endless: cancelled"));
  EXPECT_THAT(outcome->facts, Contains(Pair("requests.cancelled", "endless"))) << "as its span says";
  EXPECT_EQ(outcome->requests_failed, 0U);
  EXPECT_THAT(outcome->facts, Contains(Pair("requests.not_run", "never")));
  EXPECT_EQ(outcome->exit.shell_code(), 0) << "it ended by itself";
  const auto requests = driver_.of_kind("request");
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].attributes.at("finish"), "stop");
  EXPECT_NE(requests[0].end, 0);
}

}  // namespace
}  // namespace prony
