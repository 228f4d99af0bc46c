// `prony proxy --to URL`: passes requests on to a server of language models, and says what each of them cost. The
// traffic is another process's (prony-proxy), which goes on if this one dies; here is the meter beside it.
#include <CLI/CLI.hpp>
#include <memory>

#include "app/monitor_options.hpp"
#include "app/proxy.hpp"
#include "app/proxy_requests.hpp"
#include "app/proxy_worker.hpp"
#include "app/subcommand.hpp"
#include "base/text.hpp"
#include "sinks/stream.hpp"

namespace prony::app {

namespace {

struct ProxyOptions : MonitorOptions {
  ProxyPlan requests;
  std::string to, listen = "127.0.0.1:9789", ca_file;
  bool response_header = false;
};

std::vector<std::string> worker_words(const ProxyOptions& options) {
  std::vector<std::string> words = {"--to", options.to, "--listen", options.listen};
  if (!options.ca_file.empty()) words.insert(words.end(), {"--ca-file", options.ca_file});
  if (options.response_header) words.emplace_back("--response-header");
  return words;
}

// The server's processes are charged for the requests: those that the user names, else whoever listens on its port. The
// relay is a target of its own, so that what it costs is seen and in nobody's request.
void choose_targets(ProxyOptions& options, const ProxyWorker& worker) {
  MonitorPlan& plan = options.plan;
  std::vector<TargetChoice>& choices = plan.options.targets.choices;
  const ProxyWorker::Hello& hello = worker.hello();
  plan.facts.push_back({"engine.url", hello.to, "flag"});
  plan.facts.push_back({"proxy.listening", hello.listening, "flag"});
  if (!hello.elsewhere.empty()) {
    plan.facts.push_back({"engine.elsewhere", hello.elsewhere, "prony"});
    options.requests.elsewhere = hello.elsewhere;
  } else {
    if (choices.empty()) choices.push_back({SelectorKind::port, "server", std::to_string(hello.server_port), true});
    options.requests.requests_target = choices.front().name;
    plan.facts.push_back({"requests.target", choices.front().name, "prony"});
  }
  choices.push_back({SelectorKind::pid, "prony-proxy", std::to_string(worker.pid()), true});
}

Result<void> choose_sinks(MonitorPlan& plan) {
  bool run = false;
  for (const std::string& text : plan.sinks) {
    const auto spec = parse_sink_spec(text);
    if (!spec) return Unexpected<Error>(spec.error());
    run = run || spec->kind == "run";
  }
  const std::int64_t wall_ns = make_live_machine()->anchor().wall_ns;
  if (!run)
    plan.sinks.push_back(
        "run:" + (plan.options.out.empty() ? "runs/" + compact_utc(wall_ns) + "Z-proxy.prony" : plan.options.out));
  return {};
}

int run_proxy(ProxyOptions& options) {
  RecordOptions& record = options.plan.options;
  if (auto resolved = options.settings.resolve(config_file(record), config_keys()); !resolved)
    return failed(resolved.error());
  if (options.to.empty())
    return failed({ErrorCode::usage, "no server is named", "--to",
                   "Where requests go:  prony proxy --to http://127.0.0.1:11434"});
  if (const auto sound = check_no_idle_part(record.targets); !sound) return failed(sound.error());
  if (auto chosen = choose_sinks(options.plan); !chosen) return failed(chosen.error());
  auto worker = ProxyWorker::start(worker_words(options));
  if (!worker) return failed(worker.error());
  choose_targets(options, **worker);
  options.requests.quiet = record.quiet;
  ProxyRequests requests(**worker, options.requests);
  if (auto opened = requests.open_log(); !opened) {
    (*worker)->stop();
    return failed(opened.error());
  }
  options.plan.kind = "proxy";
  options.plan.guest = &requests;
  for (const Fact& fact : options.settings.facts()) options.plan.facts.push_back(fact);
  const ProxyWorker::Hello& hello = (*worker)->hello();
  if (!record.quiet)
    print_note("passes on from " + hello.listening + " to " + hello.to +
               (hello.taken_over ? ", taken over from a proxy whose meter had gone" : "") +
               (hello.elsewhere.empty() ? "" : "; that is another host: requests have no joules here"));
  const int code = monitor(std::move(options.plan));
  if (code != exit_code::ok) (*worker)->stop();
  if (!requests.worker_died()) return code;
  return failed({ErrorCode::gone, "the process that passed requests on has ended", "prony-proxy",
                 "What was recorded is kept. Start again:  prony proxy --to " + options.to});
}

}  // namespace

std::function<int(const CommandWords&)> add_proxy(CLI::App& command) {
  auto options = std::make_shared<ProxyOptions>();
  RecordOptions& record = options->plan.options;
  record.interval = "100ms";
  SettingAdder add(command, options->settings);
  add.text("to", options->to, "The server: Ollama, llama-server, or one that speaks OpenAI's interface", "URL");
  add.text("listen", options->listen, "Where clients come (default 127.0.0.1:9789)", "HOST:PORT");
  add.text("log", options->requests.log, "A JSON line a request, with its joules; - for standard output", "FILE");
  add.many("sink", options->plan.sinks, "As `prony monitor`: prometheus:PORT has requests, tokens and joules by model",
           "KIND:WHERE");
  add.text("out", record.out, "The Run file (default runs/<utc>Z-proxy.prony)", "PATH");
  options->settings.watch("response-header",
                          command.add_flag("--response-header", options->response_header,
                                           "Answers that are no stream get an estimate as a header"),
                          "false");
  add.text("ca-file", options->ca_file, "https: certificates of a private authority", "FILE");
  add.text("interval", record.interval, "Time between ticks (default 100ms)", "DURATION");
  add_monitor_options(command, *options);
  return [options, &command](const CommandWords& after_dashes) {
    if (!after_dashes.empty())
      return failed({ErrorCode::usage, "a proxy starts no command", after_dashes.front(),
                     "Start the server by itself and name where it is:  --to http://127.0.0.1:PORT"});
    if (auto taken = options->targets.take(command, options->plan.options.targets); !taken)
      return failed(taken.error());
    return run_proxy(*options);
  };
}

}  // namespace prony::app
