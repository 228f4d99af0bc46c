// prony-engine-llama: the worker protocol of docs/worker-protocol.md on one side, llama.cpp on the other. Whatever
// happens to a prompt is told as spans through libprony; standard output carries protocol lines and nothing else.
#include <prony/prony.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "layer_times.hpp"
#include "line_queue.hpp"
#include "llama_engine.hpp"
#include "message.hpp"

namespace prony_engine {
namespace {

using nlohmann::json;

// "crash-at:3" → {crash-at, 3}: see "Test hooks" in the protocol page.
struct Fault {
  std::string kind;
  int prompt = 0;
  static Fault from_environment() {
    const char* variable = std::getenv("PRONY_ENGINE_FAULT");
    const std::string_view words = variable != nullptr ? variable : "";
    const std::size_t colon = words.find(':');
    Fault fault;
    if (colon == std::string_view::npos) return fault;
    fault.kind = words.substr(0, colon);
    std::from_chars(words.data() + colon + 1, words.data() + words.size(), fault.prompt);
    return fault;
  }
};

[[noreturn]] void crash() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);  // it is meant: no core file
  std::abort();
}

class Worker {
 public:
  Worker(LineQueue& lines, int out)
      : lines_(lines), out_(out), engine_(lines.cancelled()), fault_(Fault::from_environment()) {}

  int run() {
    say({{"type", "hello"},
         {"protocol", 1},
         {"worker", "prony-engine-llama"},
         {"version", PRONY_VERSION},
         {"engine", "llama.cpp"},
         {"engine_version", LlamaEngine::version()},
         {"capabilities",
          {"prompt", "phase", "cancel", "seed", "ignore_eos", "sampling", "batch", "min_tokens", "truncate",
           "cancel_after", "tokenise", "cached_tokens", "perplexity", "infer"}}});
    while (!stopped_) {
      const auto line = lines_.next();
      if (!line) break;
      handle(*line);
    }
    return write_failed_ ? 1 : 0;
  }

 private:
  void handle(const Line& line) {
    if (line.too_long) return error("protocol", "the line is longer than 16 MiB");
    if (line.text.find_first_not_of(" \t\r") == std::string::npos) return;
    const json message = json::parse(line.text, nullptr, false);
    if (!message.is_object()) return error("protocol", "the line is not a JSON object");
    std::optional<std::string> id;
    if (const auto found = message.find("id"); found != message.end() && found->is_string()) id = *found;
    try {
      dispatch(text(message, "type"), message);
    } catch (const BadMessage& bad) {
      error(bad.code, bad.message, id);
    }
  }

  void dispatch(const std::string& type, const json& message) {
    if (type == "load") return load(message);
    if (type == "prompt") return prompt(message);
    if (type == "phase") return phase(message);
    if (type == "batch") return batch(message);
    if (type == "tokenise") return tokenise(message);
    if (type == "perplexity") return perplexity(message);
    if (type == "infer") return infer(message);
    if (type == "stop") {
      say({{"type", "bye"}});
      stopped_ = true;
      return;
    }
    error("protocol", "unknown type \"" + type.substr(0, 40) + "\"");
  }

  void load(const json& message) {
    const LoadSettings settings = load_settings(message);
    seed_ =
        static_cast<std::uint32_t>(integer(message, "seed", 0, std::numeric_limits<std::uint32_t>::max()).value_or(1));
    lines_.cancelled() = lines_.ended();
    layers_.reset();
    const prony_span span = prony_span_begin(PRONY_PHASE, "load", 0);
    ModelFacts facts;
    const auto failure = engine_.load(settings, facts);
    prony_span_end(span, failure ? PRONY_FAILED : PRONY_OK);
    if (failure) return error(failure->code, failure->message);
    say({{"type", "loaded"},
         {"facts",
          {{"model.name", facts.name},
           {"model.path", facts.path},
           {"model.description", facts.description},
           {"model.parameters", facts.parameters},
           {"model.size_bytes", facts.size_bytes},
           {"model.quant", facts.quant},
           {"model.ctx_trained", facts.ctx_trained},
           {"engine.ctx", facts.ctx},
           {"engine.batch", facts.batch},
           {"engine.threads", facts.threads},
           {"engine.sequences", facts.sequences},
           {"engine.can_offload", llama_supports_gpu_offload()},
           {"engine.load_ms", facts.load_ms}}}});
  }

  void prompt(const json& message) {
    if (!engine_.loaded()) throw BadMessage{"state", "no model is loaded"};
    const PromptMessage asked = prompt_message(message, seed_);
    lines_.cancelled() = lines_.ended();
    if (asked.warm_up) return warm_up(asked);

    const std::int64_t begin = prony_now_ns();
    const prony_span request = begin_request(asked);
    ++prompts_;
    if (misbehave(asked.id, request)) return;
    Times times;
    Answer answer;
    const auto failure = engine_.answer(asked.settings, observer(request, times), answer);
    finish(request, asked, answer, failure);
    if (failure) return error(failure->code, failure->message, asked.id);
    say(result(asked, answer, begin, times));
  }

  static prony_span begin_request(const PromptMessage& asked) {
    const prony_span request = prony_span_begin(PRONY_REQUEST, asked.id.c_str(), 0);
    prony_span_attribute(request, "prompt", asked.settings.text.c_str());
    if (asked.repeat > 1) prony_span_count(request, "repeat", asked.repeat);
    for (const auto& [key, value] : asked.counts) prony_span_count(request, key.c_str(), value);
    for (const auto& [key, value] : asked.attributes) prony_span_attribute(request, key.c_str(), value.c_str());
    return request;
  }

  // Many prompts at once, put together as load() was told. One reply, with theirs in the order of the prompts.
  void batch(const json& message) {
    if (!engine_.loaded()) throw BadMessage{"state", "no model is loaded"};
    const std::string id = text(message, "id");
    const auto list = message.find("prompts");
    if (list == message.end() || !list->is_array() || list->empty())
      throw BadMessage{"protocol", "prompts is missing or no list"};
    std::vector<PromptMessage> asked;
    for (const json& one : *list) {
      if (!one.is_object()) throw BadMessage{"protocol", "prompts holds something else than objects"};
      asked.push_back(prompt_message(one, seed_));
      if (asked.back().warm_up) throw BadMessage{"protocol", "a warm-up goes alone"};
    }
    lines_.cancelled() = lines_.ended();
    const std::int64_t begin = prony_now_ns();
    std::vector<prony_span> spans;
    std::vector<PromptSettings> prompts;
    for (const PromptMessage& one : asked) {
      spans.push_back(begin_request(one));
      prompts.push_back(one.settings);
    }
    std::vector<Times> times(asked.size());
    json results(asked.size(), nullptr);
    BatchObserver seen;
    seen.of_prompt = [&](std::size_t i) { return observer(spans[i], times[i]); };
    seen.step = write_step;
    seen.finished = [&](std::size_t i, Answer answer, const std::optional<Failure>& failure) {
      finish(spans[i], asked[i], answer, failure);
      results[i] = failure
                       ? json{{"type", "error"},
                              {"error", {{"code", failure->code}, {"message", failure->message}, {"id", asked[i].id}}}}
                       : result(asked[i], answer, begin, times[i]);
    };
    engine_.answer_all(prompts, begin, seen);
    say({{"type", "result"}, {"id", id}, {"finish", lines_.cancelled() ? "stop" : "length"}, {"results", results}});
  }

  static void write_step(const Step& step) {
    const prony_span span = prony_span_complete(PRONY_PHASE, "step", 0, step.begin_ns, step.end_ns);
    if (span == 0) return;
    prony_span_count(span, "prefill_tokens", step.prefill_tokens);
    prony_span_count(span, "decode_tokens", step.decode_tokens);
    prony_span_count(span, "kv_tokens", step.kv_tokens);
    prony_span_count(span, "sequences", step.sequences);
    if (step.padding_tokens > 0) prony_span_count(span, "padding_tokens", step.padding_tokens);
  }

  // A part of the work so many times, prefill or decode, with the time of each operator or without.
  void infer(const json& message) {
    if (!engine_.loaded()) throw BadMessage{"state", "no model is loaded"};
    const std::string id = text(message, "id"), part = text(message, "part");
    if (part != "prefill" && part != "decode") throw BadMessage{"protocol", "part is neither prefill nor decode"};
    const auto runs = integer(message, "runs", 1, 1'000'000).value_or(1);
    const auto warm_up = integer(message, "warm_up", 0, 1'000'000).value_or(0);
    const auto tokens = static_cast<std::int32_t>(integer(message, "tokens", 1, 1'000'000).value_or(128));
    const auto threads = static_cast<std::int32_t>(integer(message, "threads", 1, 4096).value_or(1));
    const bool observed = message.contains("profile");
    lines_.cancelled() = lines_.ended();
    if (!layers_ || layers_tokens_ != tokens) {
      layers_ = std::make_unique<LayerTimes>(engine_.model());
      layers_tokens_ = tokens;
      if (const auto failure = layers_->open(tokens, threads)) {
        layers_.reset();
        return error(failure->code, failure->message, id);
      }
    }
    layers_->clear();
    json took = json::array();
    const bool decode = part == "decode";
    std::optional<Failure> failure = layers_->prepare(decode, observed);
    if (!failure) failure = repeat_part(decode, observed, warm_up, "warm-up", nullptr);
    layers_->clear();
    if (!failure) failure = repeat_part(decode, observed, runs, id, &took);
    if (failure) return error(failure->code, failure->message, id);
    json reply = {{"type", "result"}, {"id", id}, {"durations_ns", took}};
    if (observed) {
      reply["nodes"] = json::array();
      for (const OperatorTimes& row : layers_->rows())
        reply["nodes"].push_back({{"name", row.layer}, {"op", row.op}, {"durations_ns", row.durations_ns}});
    }
    say(reply);
  }

  std::optional<Failure> repeat_part(bool decode, bool observed, std::int64_t runs, const std::string& name,
                                     json* took) {
    if (runs == 0) return std::nullopt;
    const prony_span span = prony_span_begin(PRONY_PHASE, name.c_str(), 0);
    prony_span_count(span, "runs", runs);
    std::optional<Failure> failure;
    for (std::int64_t i = 0; i < runs && !failure; ++i) {
      if (lines_.cancelled()) failure = Failure{"cancelled", "called off"};
      std::int64_t begin = 0, end = 0;
      if (!failure) failure = layers_->run(decode, observed, begin, end);
      if (took != nullptr) took->push_back(end - begin);
      if (!failure && took != nullptr) prony_span_complete(PRONY_BATCH, name.c_str(), span, begin, end);
    }
    prony_span_end(span, failure ? PRONY_FAILED : PRONY_OK);
    return failure;
  }

  // How long texts are, without computing anything.
  void tokenise(const json& message) {
    if (!engine_.loaded()) throw BadMessage{"state", "no model is loaded"};
    const auto list = message.find("texts");
    if (list == message.end() || !list->is_array()) throw BadMessage{"protocol", "texts is missing or no list"};
    json counts = json::array();
    for (const json& one : *list) {
      if (!one.is_string()) throw BadMessage{"protocol", "texts holds something else than texts"};
      std::int32_t count = 0;
      if (const auto failure = engine_.count_tokens(one.get<std::string>(), count))
        counts.push_back(nullptr);
      else
        counts.push_back(count);
    }
    say({{"type", "tokenised"}, {"counts", counts}});
  }

  void perplexity(const json& message) {
    if (!engine_.loaded()) throw BadMessage{"state", "no model is loaded"};
    const CorpusSettings settings = corpus_settings(message);
    lines_.cancelled() = lines_.ended();
    const prony_span span = prony_span_begin(PRONY_PHASE, "perplexity", 0);
    CorpusSums sums;
    const auto failure = engine_.perplexity(settings, sums);
    std::int64_t scored = 0;
    json windows = json::array();
    for (const CorpusWindow& window : sums.windows) {
      windows.push_back({window.tokens, window.nll, window.nll_squares});
      scored += window.tokens;
    }
    prony_span_count(span, "scored_tokens", scored);
    prony_span_end(span, failure ? PRONY_FAILED : PRONY_OK);
    if (failure) return error(failure->code, failure->message);
    say({{"type", "perplexity"},
         {"tokens", sums.tokens},
         {"window", sums.window},
         {"stride", settings.stride},
         {"begin_token", sums.begin_token},
         {"windows", windows},
         {"complete", sums.complete}});
  }

  struct Times {
    std::int64_t first_token_ns = 0, decode_ns = 0;
  };

  // The pieces are written with the times at which they happened, so that neighbours share their edges exactly.
  static Observer observer(prony_span request, Times& times) {
    const auto writer = [request](int kind) {
      return [request, kind](std::int64_t begin, std::int64_t end) {
        if (request != 0) prony_span_complete(kind, nullptr, request, begin, end);
      };
    };
    return {writer(PRONY_TOKENISE),
            [&times, write = writer(PRONY_PREFILL)](std::int64_t begin, std::int64_t end) {
              times.first_token_ns = end;
              write(begin, end);
            },
            writer(PRONY_TOKEN),
            [&times, write = writer(PRONY_DECODE)](std::int64_t begin, std::int64_t end) {
              times.decode_ns = end - begin;
              write(begin, end);
            }};
  }

  static void finish(prony_span request, const PromptMessage& asked, Answer& answer,
                     const std::optional<Failure>& failure) {
    if (answer.prompt_tokens > 0) prony_span_count(request, "prompt_tokens", answer.prompt_tokens);
    if (!failure || answer.output_tokens > 0) prony_span_count(request, "output_tokens", answer.output_tokens);
    if (asked.settings.cache_prompt && !failure) prony_span_count(request, "cached_tokens", answer.cached_tokens);
    if (answer.truncated_tokens > 0) prony_span_count(request, "truncated_tokens", answer.truncated_tokens);
    if (answer.loop_tokens > 0) {
      prony_span_count(request, "loop_tokens", answer.loop_tokens);
      prony_span_count(request, "loop_period", answer.loop_period);
    }
    if (answer.context_full) prony_span_count(request, "context_full", 1);
    if (answer.finish == "cancelled") prony_span_count(request, "cancelled", 1);
    prony_span_attribute(request, "finish", failure ? "error" : answer.finish.c_str());
    if (failure) prony_span_attribute(request, "error", failure->message.c_str());
    if (asked.settings.keep_output) answer.text = valid_utf8(answer.text);
    if (asked.keep_in_run) prony_span_attribute(request, "answer", answer.text.c_str());
    prony_span_end(request, failure ? PRONY_FAILED : PRONY_OK);
  }

  static json result(const PromptMessage& asked, const Answer& answer, std::int64_t begin, const Times& times) {
    json result = {{"type", "result"},
                   {"id", asked.id},
                   {"prompt_tokens", answer.prompt_tokens},
                   {"output_tokens", answer.output_tokens},
                   {"finish", answer.finish}};
    if (times.first_token_ns != 0) result["ttft_ns"] = times.first_token_ns - begin;
    if (times.decode_ns != 0) result["decode_ns"] = times.decode_ns;
    if (answer.context_full) result["context_full"] = true;
    if (asked.settings.cache_prompt) result["cached_tokens"] = answer.cached_tokens;
    if (asked.settings.keep_output) result["text"] = answer.text;
    return result;
  }

  void warm_up(const PromptMessage& asked) {
    const auto ignore = [](std::int64_t, std::int64_t) {};
    const prony_span span = prony_span_begin(PRONY_PHASE, "warm-up", 0);
    Answer answer;
    const auto failure = engine_.answer(asked.settings, Observer{ignore, ignore, ignore, ignore}, answer);
    prony_span_end(span, failure ? PRONY_FAILED : PRONY_OK);
    if (failure) return error(failure->code, failure->message, asked.id);
    if (asked.settings.keep_output) answer.text = valid_utf8(answer.text);
    say(result(asked, answer, 0, {}));
  }

  void phase(const json& message) {
    const std::string name = text(message, "name");
    const auto ms = integer(message, "ms", 0, 86'400'000);
    if (!ms) throw BadMessage{"protocol", "ms is missing"};
    lines_.cancelled() = lines_.ended();
    const prony_span span = prony_span_begin(PRONY_PHASE, name.c_str(), 0);
    const std::int64_t end = prony_now_ns() + *ms * 1'000'000;
    while (!lines_.cancelled()) {
      const std::int64_t left = end - prony_now_ns();
      if (left <= 0) break;
      const std::int64_t nap = std::min<std::int64_t>(left, 50'000'000);  // a cancel need not wait for the end
      const timespec pause{0, nap};
      ::nanosleep(&pause, nullptr);
    }
    prony_span_end(span, PRONY_OK);
    say({{"type", "done"}, {"name", name}});
  }

  // True if the prompt's answer was replaced by a fault.
  bool misbehave(const std::string& id, prony_span request) {
    if (fault_.prompt != prompts_) return false;
    if (fault_.kind == "crash-at") crash();
    if (fault_.kind == "hang-at")
      for (;;) ::pause();
    if (fault_.kind != "garbage-at" && fault_.kind != "error-at") return false;
    prony_span_attribute(request, "finish", "error");
    prony_span_end(request, PRONY_FAILED);
    if (fault_.kind == "error-at")
      error("internal", "a fault was asked for", id);
    else
      write_line("this is not JSON");
    return true;
  }

  void error(const std::string& code, const std::string& message, const std::optional<std::string>& id = {}) {
    json what = {{"code", code}, {"message", message}};
    if (id) what["id"] = *id;
    say({{"type", "error"}, {"error", what}});
  }

  void say(const json& message) { write_line(message.dump(-1, ' ', false, json::error_handler_t::replace)); }

  void write_line(std::string line) {
    line.push_back('\n');
    std::size_t done = 0;
    while (done < line.size()) {
      const ssize_t got = ::write(out_, line.data() + done, line.size() - done);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {  // nobody listens any more
        write_failed_ = stopped_ = true;
        return;
      }
      done += static_cast<std::size_t>(got);
    }
  }

  LineQueue& lines_;
  int out_;
  LlamaEngine engine_;
  std::unique_ptr<LayerTimes> layers_;  // after the engine: its contexts are of the engine's model
  std::int32_t layers_tokens_ = 0;
  Fault fault_;
  std::uint32_t seed_ = 1;
  int prompts_ = 0;
  bool stopped_ = false, write_failed_ = false;
};

}  // namespace
}  // namespace prony_engine

int main() {
  // Whatever a library prints goes to standard error: the protocol has standard output for itself.
  const int out = ::dup(STDOUT_FILENO);
  if (out < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) return 1;
  std::signal(SIGPIPE, SIG_IGN);
  // Ctrl-C reaches the whole process group; the driver then cancels, and spans get their ends. By hand it ends as
  // usual.
  if (::isatty(STDIN_FILENO) == 0) std::signal(SIGINT, SIG_IGN);
  (void)prony_open(nullptr);                  // nobody recording is no failure
  auto* lines = new prony_engine::LineQueue;  // its thread may outlive main: never freed
  lines->start(STDIN_FILENO);
  int status = 0;
  {
    prony_engine::Worker worker(*lines, out);
    status = worker.run();
  }
  prony_close();
  std::fflush(nullptr);
  ::_exit(status);  // the reader may still wait for a line
}
