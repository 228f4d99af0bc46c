// OpenAI's interface, as vLLM, SGLang, TensorRT-LLM, LM Studio, TGI, llama-server, Ollama and clouds speak it:
// /v1/chat/completions or /v1/completions. Times are in it only where a server adds its own (llama-server's `timings`,
// vLLM's `metrics`).
#include <algorithm>

#include "dialect.hpp"
#include "remote_model.hpp"

namespace prony_http {

namespace {

constexpr std::int64_t ollama_patience_ns = 1'500'000'000;

class OpenAi final : public Dialect {
 public:
  explicit OpenAi(bool chat) : chat_(chat) {}

  [[nodiscard]] std::string_view name() const noexcept override { return "openai"; }

  [[nodiscard]] std::vector<std::string> capabilities() const override {
    return {"prompt",     "phase",      "cancel",   "streams",      "seed",     "sampling",
            "ignore_eos", "min_tokens", "truncate", "cancel_after", "messages", "schedule"};
  }

  [[nodiscard]] Fallible<std::string> greet(const Caller& call) override {
    const auto models = get_json(call, "/v1/models");
    if (!models) {
      // Some proxies do not list their models; who refuses the key does not get past this.
      if (models.error().message.starts_with("HTTP 404")) return std::string();
      return tl::unexpected<Failure>(models.error());
    }
    if (!models->is_object() || !member(*models, "data").is_array())
      return failed("refused", "this server does not speak OpenAI's interface: its /v1/models is another's");
    return std::string();
  }

  [[nodiscard]] Fallible<Facts> load(const LoadSettings& settings, const Caller& call) override;
  [[nodiscard]] Call prompt(const PromptSettings& settings) const override;
  bool read(const json& event, Answer& answer) const override;
  bool ask_otherwise(int status, const std::string& body) override;

 private:
  bool chat_;
  std::string model_;
  // Fields that not every server knows; those that this one refused.
  std::vector<std::string> refused_;
  [[nodiscard]] bool may(const char* field) const {
    return std::find(refused_.begin(), refused_.end(), field) == refused_.end();
  }
};

Fallible<Facts> OpenAi::load(const LoadSettings& settings, const Caller& call) {
  if (settings.threads || settings.ctx || settings.batch)
    return failed("unsupported", "a server of OpenAI's interface takes no --threads, --ctx or --batch from its client");
  model_ = settings.model;
  Facts facts;
  const auto models = get_json(call, "/v1/models");
  if (models) {
    std::string names;
    bool found = false;
    const json& rows = member(*models, "data");
    for (const json& row : rows.is_array() ? rows : json::array()) {
      const std::string id = text_of(row, "id");
      if (model_.empty() && rows.size() == 1) model_ = id;
      names += (names.empty() ? "" : ", ") + id;
      if (id != model_) continue;
      found = true;
      if (const auto context = whole(row, "max_model_len")) facts.emplace_back("engine.ctx", *context);
      if (const std::string owner = text_of(row, "owned_by"); !owner.empty())
        facts.emplace_back("engine.owned_by", owner);
    }
    if (model_.empty()) return failed("model", "no model is named (--model NAME); the server has: " + one_line(names));
    if (!found && rows.is_array() && !rows.empty())
      return failed("model", "the server has no model '" + one_line(model_, 80) + "'; it has: " + one_line(names));
  } else if (!models.error().message.starts_with("HTTP 404")) {
    return tl::unexpected<Failure>(models.error());
  }
  if (model_.empty())
    return failed("model", "no model is named (--model NAME), and the server does not list what it has");
  facts.emplace_back("model.name", model_);
  // Ollama speaks this interface too, and passes requests to its cloud models on.
  if (const std::string cloud = cloud_of(model_, call, ollama_patience_ns); !cloud.empty())
    facts.emplace_back("engine.elsewhere", cloud);
  facts.emplace_back("engine.interface", chat_ ? "chat/completions" : "completions");
  return facts;
}

Call OpenAi::prompt(const PromptSettings& settings) const {
  json body = {{"model", model_}, {"stream", true}, {"temperature", settings.temperature}};
  if (may("stream_options")) body["stream_options"] = {{"include_usage", true}};
  // vLLM's and SGLang's: each piece says how many tokens there were until then.
  if (may("stream_options") && may("continuous_usage_stats")) body["stream_options"]["continuous_usage_stats"] = true;
  if (may("seed")) body["seed"] = settings.seed;
  if (settings.top_p < 1) body["top_p"] = settings.top_p;
  if (settings.top_k > 0) body["top_k"] = settings.top_k;
  if (settings.ignore_eos) {
    body["ignore_eos"] = true;
    if (may("min_tokens")) body["min_tokens"] = settings.max_tokens;
  } else if (settings.min_tokens > 0) {
    body["min_tokens"] = settings.min_tokens;
  }
  if (settings.truncate_tokens) body["truncate_prompt_tokens"] = *settings.truncate_tokens;
  body[!chat_ || may("max_tokens") ? "max_tokens" : "max_completion_tokens"] = settings.max_tokens;
  if (!chat_) {
    body["prompt"] = joined_text(settings);
    return {"POST", "/v1/completions", dump(body)};
  }
  body["messages"] = messages_of(settings);
  return {"POST", "/v1/chat/completions", dump(body)};
}

// 400 and 422 name the field that they do not know. What was asked for itself (ignore_eos, top_k) is not given up.
bool OpenAi::ask_otherwise(int status, const std::string& body) {
  if (status != 400 && status != 422) return false;
  if (refusal(status, body, "").code == "context") return false;  // it names max_tokens too
  // Some name what they do not know by what it stands in: the inner one goes first.
  if (may("continuous_usage_stats") && may("stream_options") &&
      (body.find("continuous_usage_stats") != std::string::npos || body.find("stream_options") != std::string::npos)) {
    refused_.emplace_back("continuous_usage_stats");
    return true;
  }
  for (const char* field : {"stream_options", "min_tokens", "max_tokens", "seed"})
    if (may(field) && body.find(field) != std::string::npos && !(std::string_view(field) == "max_tokens" && !chat_)) {
      refused_.emplace_back(field);
      return true;
    }
  return false;
}

// "Whether a chunk says something": the first one of a chat often names the role alone.
bool has_output(const json& choice, Answer& answer) {
  const json& delta = member(choice, "delta");
  const std::string text = text_of(delta, "content") + text_of(choice, "text");
  answer.text += text;
  if (!text.empty()) return true;
  const json& calls = member(delta, "tool_calls");
  return !text_of(delta, "reasoning_content").empty() || !text_of(delta, "reasoning").empty() ||
         (calls.is_array() && !calls.empty());
}

bool OpenAi::read(const json& event, Answer& answer) const {
  if (const auto told = told_error(event, 200)) {
    answer.failure = told;
    return false;
  }
  bool output = false;
  answer.output_tokens_so_far.reset();  // of this event
  const json& choices = member(event, "choices");
  if (choices.is_array() && !choices.empty()) {
    output = has_output(choices.front(), answer);
    if (const std::string reason = text_of(choices.front(), "finish_reason"); !reason.empty()) {
      answer.finish = reason == "stop" ? "eos" : reason;
      answer.ended = true;  // a usage chunk may follow, and [DONE] may be missing
    }
  }
  const json& usage = member(event, "usage");
  if (usage.is_object()) {
    answer.prompt_tokens = whole(usage, "prompt_tokens");
    answer.output_tokens_so_far = whole(usage, "completion_tokens");
    // Beside a piece it is of what came so far, and of a stream that breaks then no count of an answer.
    if (answer.ended || !choices.is_array() || choices.empty()) answer.output_tokens = answer.output_tokens_so_far;
    if (const auto cached = whole(member(usage, "prompt_tokens_details"), "cached_tokens"))
      answer.cached_tokens = cached;
  }
  const json& timings = member(event, "timings");  // llama-server's
  if (timings.is_object()) {
    answer.prefill_ns = ms_as_ns(timings, "prompt_ms");
    answer.decode_ns = ms_as_ns(timings, "predicted_ms");
    if (const auto cached = whole(timings, "cache_n")) answer.cached_tokens = cached;
  }
  const json& metrics = member(event, "metrics");  // vLLM's: its first-token time is from when it was scheduled
  if (metrics.is_object()) {
    answer.queue_ns = ms_as_ns(metrics, "queue_time_ms");
    answer.prefill_ns = ms_as_ns(metrics, "time_to_first_token_ms");
    answer.decode_ns = ms_as_ns(metrics, "generation_time_ms");
  }
  return output;
}

}  // namespace

std::unique_ptr<Dialect> make_openai(bool chat) { return std::make_unique<OpenAi>(chat); }

}  // namespace prony_http
