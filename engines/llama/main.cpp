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

#include "line_queue.hpp"
#include "llama_engine.hpp"

namespace prony_engine {
namespace {

using nlohmann::json;

// What the driver sent is not what the protocol says; caught where a line is handled, never further.
struct BadMessage {
  std::string code, message;
};

// An integer member within bounds; absent or null → nullopt.
template <class T>
std::optional<T> integer(const json& message, const char* key, std::int64_t least, std::int64_t most) {
  const auto found = message.find(key);
  if (found == message.end() || found->is_null()) return std::nullopt;
  const bool fits = found->is_number_unsigned() ? found->get<std::uint64_t>() <= static_cast<std::uint64_t>(most)
                                                : found->is_number_integer() && found->get<std::int64_t>() <= most;
  if (!fits || (!found->is_number_unsigned() && found->get<std::int64_t>() < least) ||
      (found->is_number_unsigned() && least > 0 && found->get<std::uint64_t>() < static_cast<std::uint64_t>(least)))
    throw BadMessage{"protocol", std::string(key) + " must be a whole number from " + std::to_string(least) + " to " +
                                     std::to_string(most)};
  return static_cast<T>(found->get<std::int64_t>());
}

double number(const json& message, const char* key, double otherwise) {
  const auto found = message.find(key);
  if (found == message.end() || found->is_null()) return otherwise;
  if (!found->is_number()) throw BadMessage{"protocol", std::string(key) + " must be a number"};
  return found->get<double>();
}

bool yes(const json& message, const char* key, bool otherwise) {
  const auto found = message.find(key);
  if (found == message.end() || found->is_null()) return otherwise;
  if (!found->is_boolean()) throw BadMessage{"protocol", std::string(key) + " must be true or false"};
  return found->get<bool>();
}

std::string text(const json& message, const char* key) {
  const auto found = message.find(key);
  if (found == message.end() || !found->is_string())
    throw BadMessage{"protocol", std::string(key) + " is missing or not a text"};
  return found->get<std::string>();
}

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
         {"capabilities", {"prompt", "phase", "cancel", "seed", "ignore_eos", "sampling"}}});
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
    if (type == "batch") return error("unsupported", "this worker answers one prompt at a time");
    if (type == "stop") {
      say({{"type", "bye"}});
      stopped_ = true;
      return;
    }
    error("protocol", "unknown type \"" + type.substr(0, 40) + "\"");
  }

  void load(const json& message) {
    LoadSettings settings;
    settings.model = text(message, "model");
    settings.threads = integer<std::int32_t>(message, "threads", 1, 1024);
    settings.ctx = integer<std::int32_t>(message, "ctx", 8, std::numeric_limits<std::int32_t>::max());
    settings.batch = integer<std::int32_t>(message, "batch", 1, 65536);
    settings.use_mmap = yes(message, "use_mmap", true);
    seed_ = integer<std::uint32_t>(message, "seed", 0, std::numeric_limits<std::uint32_t>::max()).value_or(1);
    lines_.cancelled() = lines_.ended();
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
           {"engine.load_ms", facts.load_ms}}}});
  }

  void prompt(const json& message) {
    if (!engine_.loaded()) throw BadMessage{"state", "no model is loaded"};
    const std::string id = text(message, "id");
    PromptSettings settings;
    settings.text = text(message, "text");
    settings.max_tokens =
        integer<std::int32_t>(message, "max_tokens", 1, std::numeric_limits<std::int32_t>::max()).value_or(128);
    settings.temperature = number(message, "temperature", 0);
    settings.top_k = integer<std::int32_t>(message, "top_k", 0, std::numeric_limits<std::int32_t>::max()).value_or(0);
    settings.top_p = number(message, "top_p", 1);
    if (settings.top_p <= 0 || settings.top_p > 1) throw BadMessage{"protocol", "top_p must be above 0 and at most 1"};
    settings.seed =
        integer<std::uint32_t>(message, "seed", 0, std::numeric_limits<std::uint32_t>::max()).value_or(seed_);
    settings.ignore_eos = yes(message, "ignore_eos", false);
    settings.keep_output = yes(message, "keep_output", false);
    const auto repeat =
        integer<std::int64_t>(message, "repeat", 1, std::numeric_limits<std::int32_t>::max()).value_or(1);
    lines_.cancelled() = lines_.ended();
    if (yes(message, "warm_up", false)) return warm_up(id, settings);

    const prony_span request = prony_span_begin(PRONY_REQUEST, id.c_str(), 0);
    const std::int64_t begin = prony_now_ns();
    prony_span_attribute(request, "prompt", settings.text.c_str());
    if (repeat > 1) prony_span_count(request, "repeat", repeat);
    ++prompts_;
    if (misbehave(id, request)) return;
    Times times;
    Answer answer;
    const auto failure = engine_.answer(settings, observer(request, times), answer);
    finish(request, settings, answer, failure);
    if (failure) return error(failure->code, failure->message, id);
    reply(id, settings, answer, begin, times);
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

  static std::string valid_utf8(const std::string& bytes) {
    const std::string quoted = json(bytes).dump(-1, ' ', false, json::error_handler_t::replace);
    return json::parse(quoted).get<std::string>();
  }

  static void finish(prony_span request, const PromptSettings& settings, Answer& answer,
                     const std::optional<Failure>& failure) {
    if (answer.prompt_tokens > 0) prony_span_count(request, "prompt_tokens", answer.prompt_tokens);
    if (!failure || answer.output_tokens > 0) prony_span_count(request, "output_tokens", answer.output_tokens);
    prony_span_attribute(request, "finish", failure ? "error" : answer.finish.c_str());
    if (failure) prony_span_attribute(request, "error", failure->message.c_str());
    if (settings.keep_output) {
      answer.text = valid_utf8(answer.text);  // a token may hold half a character
      prony_span_attribute(request, "answer", answer.text.c_str());
    }
    prony_span_end(request, failure ? PRONY_FAILED : PRONY_OK);
  }

  void reply(const std::string& id, const PromptSettings& settings, const Answer& answer, std::int64_t begin,
             const Times& times) {
    json result = {{"type", "result"},
                   {"id", id},
                   {"prompt_tokens", answer.prompt_tokens},
                   {"output_tokens", answer.output_tokens},
                   {"finish", answer.finish}};
    if (times.first_token_ns != 0) result["ttft_ns"] = times.first_token_ns - begin;
    if (times.decode_ns != 0) result["decode_ns"] = times.decode_ns;
    if (answer.context_full) result["context_full"] = true;
    if (settings.keep_output) result["text"] = answer.text;
    say(result);
  }

  void warm_up(const std::string& id, const PromptSettings& settings) {
    const auto ignore = [](std::int64_t, std::int64_t) {};
    const prony_span span = prony_span_begin(PRONY_PHASE, "warm-up", 0);
    Answer answer;
    const auto failure = engine_.answer(settings, Observer{ignore, ignore, ignore, ignore}, answer);
    prony_span_end(span, failure ? PRONY_FAILED : PRONY_OK);
    if (failure) return error(failure->code, failure->message, id);
    if (settings.keep_output) answer.text = valid_utf8(answer.text);
    reply(id, settings, answer, 0, {});
  }

  void phase(const json& message) {
    const std::string name = text(message, "name");
    const auto ms = integer<std::int64_t>(message, "ms", 0, 86'400'000);
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
