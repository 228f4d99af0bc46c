#include "workloads/network_replies.hpp"

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/text.hpp"

namespace prony {

using nlohmann::json;

namespace {

constexpr std::int64_t longest_reply_number = 4'000'000'000'000'000;  // 46 days in ns

}  // namespace

std::string reply_words(const json& from, const char* key) {
  const auto found = from.find(key);
  return found != from.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string reply_trouble(const Reply& reply, std::int64_t timeout_ns) {
  if (!reply.trouble) {
    const json error = reply.message.value("error", json::object());
    if (reply.message["type"] == "error" && error.is_object())
      return printable(reply_words(error, "message"), 400) + " (" + printable(reply_words(error, "code"), 40) + ")";
    return "the worker replied with \"" + printable(reply.message["type"].get<std::string>(), 60) +
           "\", which was not asked for";
  }
  switch (*reply.trouble) {
    case Trouble::ended: return "the worker ended before it answered";
    case Trouble::timeout:
      return "the worker did not answer within " + format_number(static_cast<double>(timeout_ns) / 1e9) + " s";
    case Trouble::garbage: return reply.detail;
    case Trouble::woken: return "cancelled";
  }
  return {};
}

std::optional<std::vector<std::int64_t>> reply_numbers(const json& from, const char* key) {
  const auto found = from.find(key);
  if (found == from.end() || !found->is_array()) return std::nullopt;
  std::vector<std::int64_t> numbers;
  for (const json& one : *found) {
    if (!one.is_number_integer() || one < 0 || one > longest_reply_number) return std::nullopt;
    numbers.push_back(one.get<std::int64_t>());
  }
  return numbers;
}

Result<void> greet_network_worker(WorkerLink& link, const std::vector<std::string>& arguments, std::int64_t timeout_ns,
                                  const std::vector<std::string>& needed, WorkloadOutcome& outcome) {
  const Reply hello = link.receive(WorkerLink::now_ns() + timeout_ns, true);
  if (hello.trouble || hello.message["type"] != "hello" || hello.message.value("protocol", json()) != 1)
    return fail(ErrorCode::unavailable, "the worker did not say hello: " + reply_trouble(hello, timeout_ns),
                arguments.front(), "Run it by itself: its first line must be as docs/worker-protocol.md says.");
  const json capabilities = hello.message.value("capabilities", json::array());
  for (const std::string& one : needed)
    if (!capabilities.is_array() ||
        std::find(capabilities.begin(), capabilities.end(), json(one)) == capabilities.end())
      return fail(ErrorCode::unavailable,
                  one == "infer" ? "this worker does not run networks (capability infer)"
                                 : "this worker cannot do what is asked of it (capability " + one + ")",
                  arguments.front());
  for (const auto& [member, fact] :
       {std::pair{"engine", "engine.name"}, {"engine_version", "engine.version"}, {"worker", "engine.worker"}})
    outcome.facts.emplace_back(fact, reply_words(hello.message, member));
  return {};
}

void end_network_worker(WorkerLink& link, Child& child, WorkloadOutcome& outcome, bool well) {
  if (well && link.send({{"type", "stop"}}, WorkerLink::now_ns() + wind_up_ns))
    (void)link.receive(WorkerLink::now_ns() + wind_up_ns, false);
  link.close_input();
  // What is done is done: on a machine that others use, one that takes long to end is waited for.
  auto status = child.wait(well ? 5 * wind_up_ns : wind_up_ns / 10);
  if (status && !*status) {
    child.signal(SIGKILL);
    status = child.wait();
    if (well) outcome.failures.emplace_back("the worker did not end by itself and was killed");
  }
  link.close_output();
  if (status && *status) outcome.exit = **status;
}

}  // namespace prony
