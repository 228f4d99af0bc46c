// llama-server's own interface: /completion, with exact token counts and the times of prefill and decode.
#include <algorithm>

#include "dialect.hpp"

namespace prony_http {

namespace {

std::string base_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

class LlamaServer final : public Dialect {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "llama-server"; }

  [[nodiscard]] std::vector<std::string> capabilities() const override {
    return {"prompt",       "phase",       "cancel",        "streams",      "seed",     "sampling", "ignore_eos",
            "prefill_time", "decode_time", "cached_tokens", "cancel_after", "schedule", "progress", "chunk_tokens"};
  }

  [[nodiscard]] Fallible<std::string> greet(const Caller& call) override {
    const auto health = call({"GET", "/health", ""}, 0);
    if (!health) return tl::unexpected<Failure>(health.error());
    if (health->status == 503) return std::string();  // it loads its model: load() waits for that
    if (health->status == 404)
      return failed("refused", "this is no llama-server: it has no /health (another --engine?)");
    if (health->status != 200) return tl::unexpected<Failure>(our_refusal(health->status, health->body, ""));
    const auto props = get_json(call, "/props");
    if (!props) return tl::unexpected<Failure>(props.error());
    if (!props->is_object() || !props->contains("default_generation_settings"))
      return failed("refused", "this is no llama-server: its /props is another's");
    return text_of(*props, "build_info");
  }

  [[nodiscard]] Fallible<Facts> load(const LoadSettings& settings, const Caller& call) override;
  [[nodiscard]] Call prompt(const PromptSettings& settings) const override;
  bool read(const json& event, Answer& answer) const override;

 private:
  std::string model_;  // sent only where the server has several
};

Fallible<Facts> LlamaServer::load(const LoadSettings& settings, const Caller& call) {
  if (settings.threads || settings.ctx || settings.batch)
    return failed("unsupported",
                  "llama-server takes --threads, --ctx and --batch when it is started, not from its client");
  const auto props = get_json(call, "/props");
  if (!props) return tl::unexpected<Failure>(props.error());
  const std::string path = text_of(*props, "model_path");
  Facts facts;
  if (const std::string build = text_of(*props, "build_info"); !build.empty())
    facts.emplace_back("engine.version", build);
  if (const auto context = whole(member(*props, "default_generation_settings"), "n_ctx"))
    facts.emplace_back("engine.ctx", *context);
  if (const auto slots = whole(*props, "total_slots")) facts.emplace_back("engine.slots", *slots);
  std::vector<std::string> names = {path, base_name(path), text_of(*props, "model_alias")};
  const auto models = get_json(call, "/v1/models");
  const json& rows = models ? member(*models, "data") : member({}, "");
  for (const json& row : rows.is_array() ? rows : json::array()) {
    names.push_back(text_of(row, "id"));
    names.push_back(base_name(text_of(row, "id")));
    const json& meta = member(row, "meta");
    if (rows.size() != 1) continue;
    if (const auto count = whole(meta, "n_params")) facts.emplace_back("model.parameters", *count);
    if (const auto bytes = whole(meta, "size")) facts.emplace_back("model.size_bytes", *bytes);
    if (const auto trained = whole(meta, "n_ctx_train")) facts.emplace_back("model.ctx_trained", *trained);
  }
  if (!settings.model.empty() && std::find(names.begin(), names.end(), settings.model) == names.end() &&
      std::find(names.begin(), names.end(), base_name(settings.model)) == names.end())
    return failed("model", "the server runs '" + one_line(base_name(path), 120) + "', not '" +
                               one_line(settings.model, 80) + "' (leave --model out to take what it runs)");
  if (rows.is_array() && rows.size() > 1) model_ = settings.model;
  facts.emplace_back("model.name", !path.empty() ? base_name(path) : settings.model);
  if (!path.empty()) facts.emplace_back("model.path", path);
  return facts;
}

Call LlamaServer::prompt(const PromptSettings& settings) const {
  json body = {{"prompt", joined_text(settings)},
               {"n_predict", settings.max_tokens},
               {"temperature", settings.temperature},
               {"top_k", settings.top_k},
               {"top_p", settings.top_p},
               {"seed", settings.seed},
               {"ignore_eos", settings.ignore_eos},
               {"cache_prompt", settings.cache_prompt},  // else no prefix cache flatters a repeat
               {"return_progress", true},                // its first word comes when a slot has begun
               {"stream", true}};
  if (!model_.empty()) body["model"] = model_;
  return {"POST", "/completion", dump(body)};
}

bool LlamaServer::read(const json& event, Answer& answer) const {
  if (const auto told = told_error(event, 200)) {
    answer.failure = told;
    return false;
  }
  if (const json& progress = member(event, "prompt_progress"); progress.is_object()) {
    answer.prompt_tokens = whole(progress, "total");
    answer.cached_tokens = whole(progress, "cache");
    answer.prompt_tokens_so_far = whole(progress, "processed");
    return false;
  }
  const std::string text = text_of(event, "content");
  answer.text += text;
  answer.output_tokens_so_far = whole(event, "tokens_predicted");
  const json& stop = member(event, "stop");
  if (!stop.is_boolean() || !stop.get<bool>()) return !text.empty();
  answer.ended = true;
  const std::string kind = text_of(event, "stop_type");
  answer.finish = kind == "limit" ? "length" : kind;
  answer.prompt_tokens = whole(event, "tokens_evaluated");
  answer.output_tokens = whole(event, "tokens_predicted");
  const json& truncated = member(event, "truncated");
  answer.context_full = truncated.is_boolean() && truncated.get<bool>();
  const json& timings = member(event, "timings");
  answer.prefill_ns = ms_as_ns(timings, "prompt_ms");
  answer.decode_ns = ms_as_ns(timings, "predicted_ms");
  if (const auto cached = whole(timings, "cache_n")) answer.cached_tokens = cached;
  answer.draft_tokens = whole(timings, "draft_n");  // there only where the server has a draft model
  answer.draft_accepted_tokens = whole(timings, "draft_n_accepted");
  return !text.empty();
}

}  // namespace

std::unique_ptr<Dialect> make_llama_server() { return std::make_unique<LlamaServer>(); }

}  // namespace prony_http
