// `prony proxy --to URL`: passes requests on to a server of language models, and says what each of them cost. The
// traffic is another process's (prony-proxy), which goes on if this one dies; here is the meter beside it.
#include <CLI/CLI.hpp>
#include <memory>

#include "app/meter_options.hpp"
#include "app/monitor_run.hpp"
#include "app/proxy.hpp"
#include "app/proxy_requests.hpp"
#include "app/proxy_worker.hpp"
#include "app/subcommand.hpp"
#include "base/text.hpp"
#include "sinks/stream.hpp"

namespace prony::app {

namespace {

struct ProxyOptions {
  MonitorPlan plan;
  Settings settings;
  TargetFlags targets;
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
  if (record.targets.idle_to != "none")
    return failed({ErrorCode::usage, "a monitor measures no baseline, so there is no idle part", "--idle-to",
                   "Leave it out; `prony run --baseline 3s` has one."});
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
  const auto text = [&](const std::string& name, std::string& value, const std::string& help, const char* type) {
    const std::string default_text = value;
    CLI::Option* option = command.add_option("--" + name, value, help)->type_name(type);
    options->settings.watch(name, option, default_text);
    return option;
  };
  const auto many = [&](const std::string& name, std::vector<std::string>& values, const std::string& help,
                        const char* type) {
    CLI::Option* option = command.add_option("--" + name, values, help)
                              ->type_name(type)
                              ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
                              ->allow_extra_args(false);
    options->settings.watch(name, option, "");
  };
  text("to", options->to, "The server: Ollama, llama-server, or one that speaks OpenAI's interface", "URL");
  text("listen", options->listen, "Where clients come (default 127.0.0.1:9789)", "HOST:PORT");
  text("log", options->requests.log, "A JSON line a request, with its joules; - for standard output", "FILE");
  many("sink", options->plan.sinks, "As `prony monitor`: prometheus:PORT has requests, tokens and joules by model",
       "KIND:WHERE");
  text("out", record.out, "The Run file (default runs/<utc>Z-proxy.prony)", "PATH");
  options->settings.watch("response-header",
                          command.add_flag("--response-header", options->response_header,
                                           "Answers that are no stream get an estimate as a header"),
                          "false");
  text("ca-file", options->ca_file, "https: certificates of a private authority", "FILE");
  text("interval", record.interval, "Time between ticks (default 100ms)", "DURATION");
  many("engine-metrics", options->plan.engines, "Tokens as a llama-server or vLLM counts them itself (/metrics)",
       "URL");
  text("sensors", record.sensors, "Only these sensors (see `prony sensors`)", "NAME,NAME");
  options->settings.watch("meter", add_meter_option(command, record.meters), "");
  options->settings.watch("simulate", add_simulate_option(command, record.machine), "");
  many("tag", record.tags, "Keep k=v with the Run; may be repeated", "K=V");
  options->settings.watch("quiet", command.add_flag("--quiet", record.quiet, "Say only what went wrong"), "false");
  text("config", record.config, "Options as lines of TOML", "FILE")->group("");
  text("sysfs", record.machine.sysfs, "Read this tree instead of /sys", "DIR")->group("");
  text("procfs", record.machine.procfs, "Read this tree instead of /proc", "DIR")->group("");
  options->targets.add(command, record.targets, options->settings);
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
