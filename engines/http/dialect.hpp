// Dialect: how one kind of server wants to be asked and how it answers. One file each: ollama, llama_server, openai.
// It builds calls and reads events; sockets, stamps and spans are not its business. What a server does not tell is
// absent in Answer, never a guess. Times that the server tells are in ns, on its clock: durations only. Thread promise:
// one thread. Errors: Failure, with the protocol's codes. Sources: Ollama docs/api.md; llama.cpp
// tools/server/README.md; OpenAI's API reference (chat, completions).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exchange.hpp"
#include "failure.hpp"

namespace prony_http {

using nlohmann::json;

struct LoadSettings {
  std::string model;  // empty: the server's only one, where it has but one
  std::optional<std::int64_t> threads, ctx, batch, seed;
  std::string keep_alive;  // Ollama's; empty: the server's own
  bool pull = false;       // Ollama: fetch the model if it is not there
};

struct PromptSettings {
  std::string text;
  std::vector<std::pair<std::string, std::string>> before;  // of a conversation: role and content of what came before
  std::int64_t max_tokens = 128;
  double temperature = 0, top_p = 1;
  std::int64_t top_k = 0, seed = 1;
  bool ignore_eos = false;
  std::int64_t min_tokens = 0;                  // 0: none
  std::optional<std::int64_t> truncate_tokens;  // a longer prompt is cut to its last so many
  bool cache_prompt = false;                    // what the server has of it in its cache may be used
};

// What the server told of one request, gathered over the events of its stream.
struct Answer {
  std::string text;                           // reasoning apart
  std::string finish;                         // "length", "eos", or the server's own word; empty: not told
  bool ended = false;                         // the event came after which nothing of the answer follows
  std::optional<std::int64_t> prompt_tokens;  // with the cached ones
  std::optional<std::int64_t> cached_tokens;  // of them, not computed again
  std::optional<std::int64_t> output_tokens;
  // While it comes: how many tokens of the answer, and of the prompt with its cached ones, had been done at the event
  // that was read last.
  std::optional<std::int64_t> output_tokens_so_far, prompt_tokens_so_far;
  std::optional<std::int64_t> draft_tokens, draft_accepted_tokens;  // a small model's proposals, and those kept
  std::optional<std::int64_t> load_ns, queue_ns, prefill_ns, decode_ns, total_ns;
  bool context_full = false;
  std::optional<Failure> failure;  // told in the stream, under status 200
};

using Facts = std::vector<std::pair<std::string, json>>;  // names as in docs/worker-protocol.md
struct Reply {
  int status = 0;
  std::string body;
};
// How far a fetch has come; 0 of 0: it is not known yet.
struct FetchState {
  std::int64_t done_bytes = 0, total_bytes = 0;
};
using FetchTeller = std::function<void(const FetchState&)>;
// Makes a call and waits for its whole answer; `patience_ns` 0: the usual one.
using Caller = std::function<Fallible<Reply>(const Call&, std::int64_t patience_ns)>;

class Dialect {
 public:
  virtual ~Dialect() = default;
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  // Words of docs/worker-protocol.md, what the server tells of a request among them.
  [[nodiscard]] virtual std::vector<std::string> capabilities() const = 0;
  // Whether the server that answers is of this kind: asked before anything else. Gives its version, "" if it tells
  // none.
  [[nodiscard]] virtual Fallible<std::string> greet(const Caller& call) = 0;
  // Before load(): what the server has to fetch from elsewhere, if that was asked for; `tell` is called from its begin
  // on, and never where there is nothing to fetch.
  [[nodiscard]] virtual Fallible<Facts> fetch(const LoadSettings&, const Caller&, const FetchTeller&) {
    return Facts{};
  }
  [[nodiscard]] virtual Fallible<Facts> load(const LoadSettings& settings, const Caller& call) = 0;
  [[nodiscard]] virtual Call prompt(const PromptSettings& settings) const = 0;
  // One event of the stream. True: it holds text of the answer, so that its stamp is that of output.
  virtual bool read(const json& event, Answer& answer) const = 0;
  // A refusal under another status than 200 may be for a field that this server does not know: false if there is no
  // other way to ask, else prompt() now asks in it.
  virtual bool ask_otherwise(int, const std::string&) { return false; }
  // Before load(), for a cold start: the model leaves the server's memory, and has left it when this returns.
  [[nodiscard]] virtual Fallible<void> leave_memory(const LoadSettings&, const Caller&) {
    return failed("unsupported",
                  std::string(name()) + " cannot be told to give its model up, so no start is a cold one");
  }
  // At the end, if load() brought something into the server that ought not to stay.
  virtual void unload(const Caller&) {}
};

[[nodiscard]] std::unique_ptr<Dialect> make_ollama(bool hailo);
[[nodiscard]] std::unique_ptr<Dialect> make_llama_server();
[[nodiscard]] std::unique_ptr<Dialect> make_openai(bool chat);

// Pieces that dialects share.
// A count or a time in whole units; nullopt: absent, of another type, negative or beyond any sense.
[[nodiscard]] std::optional<std::int64_t> whole(const json& object, const char* key);
// A time in ms, whole or not, in ns.
[[nodiscard]] std::optional<std::int64_t> ms_as_ns(const json& object, const char* key);
[[nodiscard]] std::string text_of(const json& object, const char* key);             // "" if it is none
[[nodiscard]] const json& member(const json& object, const char* key);              // null if it is not there
[[nodiscard]] std::string one_line(std::string_view text, std::size_t most = 300);  // controls become blanks
// The error that a body or an event tells, in any of the forms servers use; nullopt: it tells none.
[[nodiscard]] std::optional<Failure> told_error(const json& message, int status);
// What an answer with another status than 200 means. `retry_after`: that header, or "".
[[nodiscard]] Failure refusal(int status, const std::string& body, const std::string& retry_after);
// The same of a request of our own: the key that is refused is the one that the user named.
[[nodiscard]] Failure our_refusal(int status, const std::string& body, const std::string& retry_after);
// GET of a JSON document; any other status than 200 is a failure.
[[nodiscard]] Fallible<json> get_json(const Caller& call, const std::string& path, std::int64_t patience_ns = 0);
[[nodiscard]] Fallible<json> post_json(const Caller& call, const std::string& path, const json& body,
                                       std::int64_t patience_ns = 0);
[[nodiscard]] std::string dump(const json& value);  // whatever its bytes
// A conversation for chat interfaces, and as one text for others.
[[nodiscard]] json messages_of(const PromptSettings& settings);
[[nodiscard]] std::string joined_text(const PromptSettings& settings);

}  // namespace prony_http
