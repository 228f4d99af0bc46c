// `prony collect`: receives what remote monitors send, until it is stopped.
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <semaphore>

#include "app/common.hpp"
#include "app/signals.hpp"
#include "app/subcommand.hpp"
#include "base/text.hpp"
#include "collect/receiver.hpp"
#include "sinks/token_file.hpp"

namespace prony::app {

namespace {

constexpr std::uint16_t usual_port = 9787;
constexpr std::size_t most_body_bytes = std::size_t{16} << 20, most_bodies_bytes = std::size_t{128} << 20;
constexpr Duration least_length = milliseconds(1), most_length{366LL * 86'400 * 1'000'000'000};
constexpr std::int64_t forget_every_s = 60;

struct CollectOptions {
  std::vector<std::string> names;
  std::string listen, out = "prony-collect.sqlite", token_file, web_config, keep, length;
  unsigned connections = 4096, connections_per_address = 2048;
  bool anyone = false, heflwr_for_anybody = false, quiet = false;
};

Result<DoorPlan> door_of(const CollectOptions& o) {
  DoorPlan plan;
  auto address = parse_door_address(o.listen, usual_port, "--listen");
  if (!address) return Unexpected<Error>(address.error());
  plan.at = *address;
  plan.when_taken = "Another collector? Give this one a port of its own:  --listen 9786";
  if (!o.web_config.empty()) {
    auto web = read_web_config(o.web_config);
    if (!web) return Unexpected<Error>(web.error());
    plan.web = std::move(*web);
  }
  if (!o.token_file.empty()) {
    auto tokens = read_tokens(o.token_file);
    if (!tokens) return Unexpected<Error>(tokens.error());
    plan.tokens = std::move(*tokens);
  }
  if (!plan.at.loopback() && plan.tokens.empty() && plan.web.users.empty() && !o.anyone)
    return fail(ErrorCode::usage, "whoever reaches this address could write here", "--listen " + o.listen,
                "Ask for a token (--token-file FILE) or a password (--web-config FILE), or say --anyone.");
  if (o.heflwr_for_anybody)
    plan.for_anybody = [](std::string_view path) { return path == "/log" || path == "/simple_log"; };
  plan.names = o.names;
  plan.most_connections = std::max(1U, o.connections);
  plan.most_per_address = std::max(1U, o.connections_per_address);
  plan.requests = {20'000, 40'000};
  plan.requests_of_an_address = {5'000, 10'000};
  plan.most_body_bytes = most_body_bytes;
  plan.most_bodies_bytes = most_bodies_bytes;
  return plan;
}

std::int64_t wall_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Until a signal, or for so long; takes away what is too old meanwhile.
void attend(collect::Receiver& receiver, std::counting_semaphore<8>& end, std::optional<Duration> length,
            std::optional<Duration> keep) {
  const auto begun = std::chrono::steady_clock::now();
  std::string trouble;
  bool more = false;
  for (std::int64_t second = 0;; ++second) {
    auto wait = std::chrono::nanoseconds(std::chrono::seconds(1));
    if (length)
      wait = std::min(wait, std::chrono::nanoseconds(length->ns) - (std::chrono::steady_clock::now() - begun));
    if (wait.count() <= 0 || end.try_acquire_for(wait)) return;
    const bool due = keep && (more || second % forget_every_s == 0);
    const auto forgot = due ? receiver.forget_before(wall_ns() - keep->ns) : Result<bool>(false);
    more = forgot && *forgot;
    auto wrong = receiver.received().trouble;
    if (!forgot) wrong = forgot.error();
    if (wrong && wrong->what != trouble) {
      wrong->fix = "What cannot be kept is refused, and waits at those who send it. Free some space, or --keep less.";
      print_error(*wrong);
    }
    if (!wrong && !trouble.empty()) print_note("keeps again what comes");
    trouble = wrong ? wrong->what : std::string();
  }
}

Result<std::optional<Duration>> duration_of(const std::string& text, std::string_view option) {
  if (text.empty()) return std::optional<Duration>();
  const auto duration = duration_setting(text, option, least_length, most_length);
  if (!duration) return Unexpected<Error>(duration.error());
  return std::optional(*duration);
}

int run_collect(const CollectOptions& o) {
  (void)raise_open_file_limit();
  const auto length = duration_of(o.length, "--for"), keep = duration_of(o.keep, "--keep");
  if (!length) return failed(length.error());
  if (!keep) return failed(keep.error());
  auto plan = door_of(o);
  if (!plan) return failed(plan.error());
  SignalRelay signals;
  std::counting_semaphore<8> end{0};
  auto archive = collect::Archive::open(o.out);
  if (!archive) return failed(archive.error());
  auto receiver = collect::Receiver::open(std::move(*archive), std::move(*plan));
  if (!receiver) return failed(receiver.error());
  signals.relay([&](int number, bool) {
    if (number != SIGUSR1 && number != SIGUSR2) end.release();
  });
  if (!o.quiet) print_note("receives at " + (*receiver)->url() + " and keeps it in " + o.out);
  attend(**receiver, end, *length, *keep);
  const collect::Received got = (*receiver)->received();
  receiver->reset();
  if (!o.quiet)
    print_note(std::to_string(got.frames) + " frames and " + std::to_string(got.messages) + " messages received, " +
               std::to_string(got.doubled) + " came twice and were kept once, " + std::to_string(got.refused) +
               " requests refused");
  return exit_code::ok;
}

}  // namespace

std::function<int(const CommandWords&)> add_collect(CLI::App& command) {
  auto options = std::make_shared<CollectOptions>();
  const auto text = [&](const char* name, std::string& value, const char* help, const char* type) {
    command.add_option(name, value, help)->type_name(type);
  };
  text("--listen", options->listen, "Where (default 127.0.0.1:9787; :PORT is every address)", "[ADDRESS:]PORT");
  text("--out", options->out, "The SQLite file that keeps it (default prony-collect.sqlite)", "FILE");
  text("--token-file", options->token_file, "Tokens that may send and read, one a line", "FILE");
  text("--web-config", options->web_config, "TLS and passwords, as Prometheus' exporters have it", "FILE");
  command.add_option("--answer-to", options->names, "A name by which it is asked for, beside its own; '*': any")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command.add_flag("--anyone", options->anyone, "Listen beyond this machine without asking who sends");
  command.add_flag("--heflwr-for-anybody", options->heflwr_for_anybody,
                   "/log and /simple_log without token or password");
  text("--keep", options->keep, "Take frames away that are older; counts and totals stay", "DURATION");
  command.add_option("--connections", options->connections, "At one time (default 4096)")->type_name("N");
  command.add_option("--connections-per-address", options->connections_per_address, "Of those (default 2048)")
      ->type_name("N");
  text("--for", options->length, "Ends it after so long", "DURATION");
  command.add_flag("--quiet", options->quiet, "Say only what went wrong");
  return [options](const CommandWords& after_dashes) {
    if (!after_dashes.empty())
      return failed({ErrorCode::usage, "a collector starts no command", after_dashes.front(),
                     "`prony collect --help` shows what there is."});
    return run_collect(*options);
  };
}

}  // namespace prony::app
