// Ollama's own interface (/api/…) and that of hailo-ollama, which speaks it in part: no load, no options beyond the
// usual, and of times and counts only total_duration and eval_count.
#include <algorithm>
#include <chrono>
#include <thread>

#include "dialect.hpp"
#include "fetch_progress.hpp"
#include "remote_model.hpp"

namespace prony_http {

namespace {

constexpr std::chrono::seconds longest_farewell{60};
constexpr std::int64_t for_ever_ns = 24LL * 3600 * 1'000'000'000;  // the driver's patience ends before

class Ollama final : public Dialect {
 public:
  explicit Ollama(bool hailo) : hailo_(hailo) {}

  [[nodiscard]] std::string_view name() const noexcept override { return hailo_ ? "hailo-ollama" : "ollama"; }

  [[nodiscard]] std::vector<std::string> capabilities() const override {
    std::vector<std::string> words = {"prompt",   "phase",        "cancel",   "streams", "seed",
                                      "sampling", "cancel_after", "messages", "schedule"};
    if (!hailo_) words.insert(words.end(), {"load_time", "queue_time", "prefill_time", "decode_time"});
    return words;
  }

  [[nodiscard]] Fallible<std::string> greet(const Caller& call) override {
    const auto version = get_json(call, "/api/version");
    if (version) return text_of(*version, "version");
    if (!hailo_ || version.error().code == "unreachable") return tl::unexpected<Failure>(no_ollama(version.error()));
    const auto tags = get_json(call, "/api/tags");  // without a version, its list must be there
    if (!tags) return tl::unexpected<Failure>(no_ollama(tags.error()));
    return std::string();
  }

  [[nodiscard]] Fallible<Facts> fetch(const LoadSettings& settings, const Caller& call,
                                      const FetchTeller& tell) override;
  [[nodiscard]] Fallible<void> leave_memory(const LoadSettings& settings, const Caller& call) override;
  [[nodiscard]] Fallible<Facts> load(const LoadSettings& settings, const Caller& call) override;
  [[nodiscard]] Call prompt(const PromptSettings& settings) const override;
  bool read(const json& event, Answer& answer) const override;

  void unload(const Caller& call) override {
    if (!hailo_ && brought_) (void)post_json(call, "/api/generate", {{"model", model_}, {"keep_alive", 0}});
  }

 private:
  struct Listed {
    json row;           // null: it is not there
    std::string names;  // of all that are
  };
  [[nodiscard]] Fallible<Listed> find_model(const std::string& model, const Caller& call) const;
  // Another kind of server answers that it does not know what every Ollama knows.
  [[nodiscard]] static Failure no_ollama(const Failure& failure) {
    if (!failure.message.starts_with("HTTP 404")) return failure;
    return Failure{"refused", "this is no Ollama: it has no /api/version (another --engine?)"};
  }
  void add_details(const Caller& call, Facts& facts);
  [[nodiscard]] json running(const Caller& call) const;
  [[nodiscard]] Fallible<void> verify(const LoadSettings& settings, const Caller& call, Facts& facts) const;

  bool hailo_;
  std::string model_, keep_alive_;  // as the server lists it
  json options_ = json::object();   // the runner's: the same in every request, for another value loads the model anew
  std::optional<std::int64_t> trained_ctx_;  // the longest context that the model was made for
  bool brought_ = false;                     // it was not in memory before we came
};

// The server takes a registry's address with its scheme and lists it without.
std::string without_scheme(const std::string& model) {
  const std::size_t end = model.find("://");
  return end == std::string::npos ? model : model.substr(end + 3);
}

// The model's row of /api/tags.
Fallible<Ollama::Listed> Ollama::find_model(const std::string& model, const Caller& call) const {
  const auto tags = get_json(call, "/api/tags");
  if (!tags) return tl::unexpected<Failure>(tags.error());
  Listed listed;
  const json& models = member(*tags, "models");
  for (const json& row : models.is_array() ? models : json::array()) {
    const std::string name = text_of(row, "name").empty() ? text_of(row, "model") : text_of(row, "name");
    if (same_model(model, name)) {
      listed.row = row;
      return listed;
    }
    listed.names += (listed.names.empty() ? "" : ", ") + name;
  }
  return listed;
}

// A registry without TLS is asked only where the model's name says http://.
Fallible<Facts> Ollama::fetch(const LoadSettings& settings, const Caller& call, const FetchTeller& tell) {
  if (hailo_ || !settings.pull || settings.model.empty()) return Facts{};
  const auto listed = find_model(without_scheme(settings.model), call);
  if (!listed) return tl::unexpected<Failure>(listed.error());
  if (!listed->row.is_null()) return Facts{};
  tell({});
  FetchProgress progress;
  json body = {{"model", settings.model}, {"stream", true}};
  if (settings.model.starts_with("http://")) body["insecure"] = true;
  const auto reply = call({"POST", "/api/pull", dump(body),
                           [&](std::string_view bytes) {
                             progress.feed(bytes);
                             tell({progress.done_bytes(), progress.total_bytes()});
                           }},
                          for_ever_ns);
  progress.finish();
  std::optional<Failure> failure;
  if (!reply)
    failure = reply.error();
  else if (reply->status != 200)
    failure = our_refusal(reply->status, reply->body, "");
  else
    failure = progress.failure();
  if (failure)
    return failed(failure->code,
                  "the server could not fetch '" + one_line(settings.model, 80) + "': " + failure->message);
  Facts facts;
  if (progress.total_bytes() > 0) facts.emplace_back("model.fetched_bytes", progress.total_bytes());
  return facts;
}

void Ollama::add_details(const Caller& call, Facts& facts) {
  trained_ctx_.reset();
  const auto show = post_json(call, "/api/show", {{"model", model_}});
  if (!show) return;  // what it would tell is absent
  const json& details = member(*show, "details");
  if (const std::string quant = text_of(details, "quantization_level"); !quant.empty())
    facts.emplace_back("model.quant", quant);
  const json& info = member(*show, "model_info");
  if (const auto count = whole(info, "general.parameter_count")) facts.emplace_back("model.parameters", *count);
  const std::string architecture = text_of(info, "general.architecture");
  trained_ctx_ = whole(info, (architecture + ".context_length").c_str());
  if (trained_ctx_) facts.emplace_back("model.ctx_trained", *trained_ctx_);
}

json Ollama::running(const Caller& call) const {
  const auto ps = get_json(call, "/api/ps");
  if (!ps) return {};
  const json& models = member(*ps, "models");
  for (const json& row : models.is_array() ? models : json::array())
    if (same_model(model_, text_of(row, "name")) || same_model(model_, text_of(row, "model"))) return row;
  return {};
}

// What the server does with what was asked, as far as it shows it. Of a context beyond the one that the model was
// trained with it shows what was asked, and takes no more than that one (llm/server.go).
Fallible<void> Ollama::verify(const LoadSettings& settings, const Caller& call, Facts& facts) const {
  const json row = running(call);
  if (row.is_null()) return {};
  auto context = whole(row, "context_length");
  if (context && trained_ctx_) context = std::min(*context, *trained_ctx_);
  if (context) facts.emplace_back("engine.ctx", *context);
  if (context && settings.ctx && *context != *settings.ctx)
    return failed("refused", "a context of " + std::to_string(*settings.ctx) + " was asked for and the server took " +
                                 std::to_string(*context) + " (leave --ctx out, or name that)");
  const auto size = whole(row, "size"), on_gpu = whole(row, "size_vram");
  if (size) facts.emplace_back("engine.memory_bytes", *size);
  if (size && on_gpu && *size > 0) facts.emplace_back("engine.gpu_memory_bytes", *on_gpu);
  return {};
}

// The server answers before its runner is gone.
Fallible<void> Ollama::leave_memory(const LoadSettings& settings, const Caller& call) {
  if (hailo_) return Dialect::leave_memory(settings, call);
  model_ = without_scheme(settings.model);
  if (running(call).is_null()) return {};
  const auto told = post_json(call, "/api/generate", {{"model", model_}, {"keep_alive", 0}});
  if (!told) return tl::unexpected<Failure>(told.error());
  if (const auto error = told_error(*told, 200)) return tl::unexpected<Failure>(*error);
  const auto begun = std::chrono::steady_clock::now();
  while (!running(call).is_null()) {
    if (std::chrono::steady_clock::now() - begun > longest_farewell)
      return failed("refused", "the model was still in the server's memory a minute after it was told to leave");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return {};
}

Fallible<Facts> Ollama::load(const LoadSettings& settings, const Caller& call) {
  if (settings.model.empty()) return failed("model", "no model is named (--model NAME; `ollama list` shows them)");
  model_ = without_scheme(settings.model);
  const auto listed = find_model(model_, call);
  if (!listed) return tl::unexpected<Failure>(listed.error());
  const json& row = listed->row;
  if (row.is_null())
    return failed("model", "the server has no model '" + one_line(model_, 80) +
                               "'; it has: " + (listed->names.empty() ? "none" : one_line(listed->names)) +
                               " (fetch it:  ollama pull " + one_line(model_, 80) + ", or --pull)");
  keep_alive_ = settings.keep_alive;
  Facts facts = {{"model.name", model_}};
  if (const std::string digest = text_of(row, "digest"); !digest.empty()) facts.emplace_back("model.digest", digest);
  if (const auto bytes = whole(row, "size"); bytes && *bytes > 0) facts.emplace_back("model.size_bytes", *bytes);
  const std::string elsewhere = elsewhere_in(row);
  if (!elsewhere.empty()) facts.emplace_back("engine.elsewhere", elsewhere);
  if (hailo_ || !elsewhere.empty()) return facts;
  add_details(call, facts);
  for (const auto& [key, value] :
       {std::pair{"num_thread", settings.threads}, {"num_ctx", settings.ctx}, {"num_batch", settings.batch}})
    if (value) options_[key] = *value;
  brought_ = running(call).is_null();
  facts.emplace_back("engine.was_loaded", brought_ ? "no" : "yes");
  json body = {{"model", model_}, {"stream", false}, {"options", options_}};  // no prompt: it loads and nothing else
  if (!keep_alive_.empty()) body["keep_alive"] = keep_alive_;
  const auto loaded = post_json(call, "/api/generate", body, for_ever_ns);
  if (!loaded) return tl::unexpected<Failure>(loaded.error());
  if (const auto told = told_error(*loaded, 200)) return tl::unexpected<Failure>(*told);
  if (auto verified = verify(settings, call, facts); !verified) return tl::unexpected<Failure>(verified.error());
  return facts;
}

Call Ollama::prompt(const PromptSettings& settings) const {
  json options = options_;
  options["num_predict"] = settings.max_tokens;
  options["temperature"] = settings.temperature;
  options["seed"] = settings.seed;
  if (settings.top_k > 0) options["top_k"] = settings.top_k;
  if (settings.top_p < 1) options["top_p"] = settings.top_p;
  json body = {{"model", model_}, {"stream", true}, {"options", options}};
  if (!keep_alive_.empty()) body["keep_alive"] = keep_alive_;
  // A conversation has no other way in; a prompt alone goes the shorter one.
  if (hailo_ || !settings.before.empty()) {
    body["messages"] = messages_of(settings);
    if (!hailo_) body["truncate"] = false;
    return {"POST", "/api/chat", dump(body)};
  }
  body["prompt"] = settings.text;
  // A prompt that does not fit is an error and never cut in silence (older servers do not know these and cut it).
  body["truncate"] = false;
  return {"POST", "/api/generate", dump(body)};
}

bool Ollama::read(const json& event, Answer& answer) const {
  if (const auto told = told_error(event, 200)) {
    answer.failure = told;
    return false;
  }
  const json& message = member(event, "message");
  const std::string text = text_of(event, "response") + text_of(message, "content");
  const bool output = !text.empty() || !text_of(event, "thinking").empty() || !text_of(message, "thinking").empty();
  answer.text += text;
  const json& done = member(event, "done");
  if (!done.is_boolean() || !done.get<bool>()) return output;
  answer.ended = true;
  const std::string reason = text_of(event, "done_reason");
  answer.finish = reason == "stop" ? "eos" : reason;
  answer.prompt_tokens = whole(event, "prompt_eval_count");
  answer.cached_tokens = whole(event, "prompt_eval_cached_count");
  answer.output_tokens = whole(event, "eval_count");
  answer.load_ns = whole(event, "load_duration");
  answer.prefill_ns = whole(event, "prompt_eval_duration");
  answer.decode_ns = whole(event, "eval_duration");
  answer.total_ns = whole(event, "total_duration");
  // Waiting for the model's turn is in no component: what the total has beyond them.
  if (answer.total_ns && answer.prefill_ns && answer.decode_ns) {
    const std::int64_t rest = *answer.total_ns - answer.load_ns.value_or(0) - *answer.prefill_ns - *answer.decode_ns;
    if (rest >= 0) answer.queue_ns = rest;
  }
  return output;
}

}  // namespace

std::unique_ptr<Dialect> make_ollama(bool hailo) { return std::make_unique<Ollama>(hailo); }

}  // namespace prony_http
