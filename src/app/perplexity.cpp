#include "app/perplexity.hpp"

#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>

#include "app/beside.hpp"
#include "app/common.hpp"
#include "base/text.hpp"
#include "workloads/worker_link.hpp"

namespace prony::app {

namespace {

using nlohmann::json;

constexpr std::size_t most_corpus_bytes = std::size_t{12} << 20;  // a line of the protocol has 16 MiB

// A worker that answers one request after another, and is gone at the end.
class Scorer {
 public:
  Scorer(const std::vector<std::string>& command, std::int64_t timeout_ns)
      : command_(command), timeout_ns_(timeout_ns), child_(start()) {}
  ~Scorer() {
    if (!child_) return;
    (void)link_.send({{"type", "stop"}}, WorkerLink::now_ns() + wind_up_ns);
    link_.close_input();
    const auto ended = child_->wait(wind_up_ns);
    if (!ended || !*ended) {
      child_->signal(SIGKILL);
      (void)child_->wait();
    }
  }
  Scorer(const Scorer&) = delete;
  Scorer& operator=(const Scorer&) = delete;

  Result<json> expect(const char* type) {
    if (!child_) return Unexpected<Error>(child_.error());
    const Reply reply = link_.receive(WorkerLink::now_ns() + timeout_ns_, false);
    if (!reply.trouble && reply.message["type"] == type) return reply.message;
    std::string what = reply.trouble == Trouble::timeout ? "the worker did not answer in time (--timeout)"
                       : reply.trouble                   ? "the worker ended before it answered"
                                                         : "the worker replied with something else";
    if (!reply.trouble && reply.message["type"] == "error") {
      const json error = reply.message.value("error", json::object());
      if (error.is_object() && error.contains("message") && error["message"].is_string())
        what = printable(error["message"].get<std::string>(), 600);
    }
    return fail(ErrorCode::unavailable, what, command_.front(), "");
  }
  Result<json> ask(const json& message, const char* type) {
    if (!child_) return Unexpected<Error>(child_.error());
    if (!link_.send(message, WorkerLink::now_ns() + timeout_ns_))
      return fail(ErrorCode::unavailable, "the worker ended before it answered", command_.front(), "");
    return expect(type);
  }

 private:
  Result<Child> start() {
    if (link_.error()) return Unexpected<Error>(*link_.error());
    auto child = spawn(link_.command(command_));
    link_.drop_child_ends();
    return child;
  }

  std::vector<std::string> command_;
  std::int64_t timeout_ns_;
  WorkerLink link_;
  Result<Child> child_;
};

Result<std::vector<std::string>> scorer_command(const PerplexityOptions& options, const CommandWords& words) {
  if (!words.empty()) return words;
  if (options.engine == "transformers") return transformers_command(options.transformers);
  if (options.engine != "llama")
    return fail(ErrorCode::usage, "this engine gives no chances of tokens", "--engine",
                "There are: llama, transformers");
  if (auto found = find_beside_or_in_path("prony-engine-llama")) return std::vector<std::string>{*found};
  return fail(ErrorCode::absent, "the worker of this engine is not installed", "prony-engine-llama",
              "tools/setup-llama.sh fetches libllama; then build again:  make build");
}

Result<std::vector<quality::WindowSum>> sums_of(const json& reply) {
  const auto wrong = [] { return fail(ErrorCode::malformed, "the worker's windows are no sums", "perplexity"); };
  const json windows = reply.value("windows", json());
  if (!windows.is_array()) return wrong();
  std::vector<quality::WindowSum> sums;
  for (const json& one : windows) {
    if (!one.is_array() || one.size() != 3 || !one[0].is_number_integer() || !one[1].is_number() || !one[2].is_number())
      return wrong();
    sums.push_back({one[0].get<std::int64_t>(), one[1].get<double>(), one[2].get<double>()});
  }
  return sums;
}

std::int64_t whole_number(const json& message, const char* name) {
  const auto at = message.find(name);
  return at != message.end() && at->is_number_integer() ? at->get<std::int64_t>() : 0;
}
// To five figures: more of a perplexity nobody reads.
std::string five_figures(double value) {
  if (!(value > 0)) return format_number(value);
  const double unit = std::pow(10, std::floor(std::log10(value)) - 4);
  return format_number(unit < 1 ? std::round(value / unit) / std::round(1 / unit) : std::round(value / unit) * unit);
}
std::string word(const json& message, const char* name) {
  const auto at = message.find(name);
  return at != message.end() && at->is_string() ? printable(at->get<std::string>(), 100) : std::string();
}

}  // namespace

Result<CorpusScore> score_corpus(const PerplexityOptions& options, const CommandWords& words) {
  if (options.model.empty())
    return fail(ErrorCode::usage, "no model given", "--model", "--perplexity CORPUS --model model.gguf");
  if (options.stride > options.window)
    return fail(ErrorCode::usage,
                "a window of " + std::to_string(options.window) + " tokens has no " + std::to_string(options.stride) +
                    " new ones",
                "--stride", "At most as many as --window, so that no token is left out.");
  const auto corpus = read_whole_file(options.corpus, most_corpus_bytes);
  if (!corpus) return Unexpected<Error>(corpus.error());
  const auto timeout = duration_setting(options.timeout, "timeout", milliseconds(1), milliseconds(30 * 86'400'000LL));
  if (!timeout) return Unexpected<Error>(timeout.error());
  const auto command = scorer_command(options, words);
  if (!command) return Unexpected<Error>(command.error());

  Scorer scorer(*command, timeout->ns);
  const auto hello = scorer.expect("hello");
  if (!hello) return Unexpected<Error>(hello.error());
  const auto loaded = scorer.ask(
      {{"type", "load"}, {"model", options.model}, {"threads", options.threads}, {"ctx", options.window}}, "loaded");
  if (!loaded) return Unexpected<Error>(loaded.error());
  const json facts = loaded->value("facts", json::object());
  if (const std::int64_t trained = facts.is_object() ? whole_number(facts, "model.ctx_trained") : 0;
      trained > 0 && options.window > trained)
    print_note("windows of " + std::to_string(options.window) + " tokens, and the model was trained for " +
               std::to_string(trained) + ": what it makes of the rest is no measure of it");
  const std::int32_t stride = options.stride > 0 ? options.stride : options.window;
  json request = {{"type", "perplexity"}, {"text", *corpus}, {"window", options.window}, {"stride", stride}};
  if (options.most_tokens > 0) request["most_tokens"] = options.most_tokens;
  const auto reply = scorer.ask(request, "perplexity");
  if (!reply) return Unexpected<Error>(reply.error());
  if (reply->value("complete", json()) != true)
    return fail(ErrorCode::unavailable, "the worker was called off before the end of the corpus", options.corpus);
  const auto sums = sums_of(*reply);
  if (!sums) return Unexpected<Error>(sums.error());
  const auto perplexity = quality::perplexity_of(*sums);
  if (!perplexity) return Unexpected<Error>(perplexity.error());
  CorpusScore score;
  score.perplexity = *perplexity;
  score.engine = word(*hello, "engine") + " " + word(*hello, "engine_version");
  score.model = facts.is_object() ? word(facts, "model.name") : std::string();
  score.tokens = whole_number(*reply, "tokens");
  score.window = whole_number(*reply, "window");
  score.stride = whole_number(*reply, "stride");
  score.begin_token = reply->value("begin_token", json()) == true;
  return score;
}

std::string text_of(const CorpusScore& score) {
  const quality::Perplexity& p = score.perplexity;
  std::string text = "prony quality · " + score.model + " · " + score.engine + "\n";
  text += " perplexity     " + five_figures(p.value);
  if (p.error) text += " ± " + five_figures(*p.error) + " (standard error, tokens taken as independent)";
  text += "\n";
  if (p.error_by_window)
    text += "                ± " + five_figures(*p.error_by_window) + " with windows taken as independent\n";
  text += " scored         " + std::to_string(p.tokens) + " of " + std::to_string(score.tokens) + " tokens, in " +
          std::to_string(p.windows) + " windows of " + std::to_string(score.window) + ", " +
          std::to_string(score.stride) + " new in each" +
          (score.begin_token ? ", a begin token before each\n" : ", no begin token\n");
  return text + " mean −ln p     " + five_figures(p.mean_nll) + " nats\n";
}

std::string json_text_of(const CorpusScore& score) {
  const quality::Perplexity& p = score.perplexity;
  nlohmann::ordered_json out{{"model", score.model},          {"engine", score.engine},
                             {"perplexity", p.value},         {"mean_nll_nats", p.mean_nll},
                             {"scored_tokens", p.tokens},     {"corpus_tokens", score.tokens},
                             {"windows", p.windows},          {"window_tokens", score.window},
                             {"stride_tokens", score.stride}, {"begin_token", score.begin_token}};
  if (p.error) out["standard_error"] = *p.error;
  if (p.error_by_window)
    out["standard_error_by_window"] = *p.error_by_window;
  else
    out["absent"]["standard_error_by_window"] = "fewer than eight windows";
  return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace prony::app
