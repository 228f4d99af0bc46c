// `prony merge SERVER.prony CLIENT.prony -o MERGED.prony`: the joules of the host that a server ran on meet the
// requests that a client on another host made. The client's clock is laid to the server's: by requests that both saw,
// by the shape of the load, or by an offset that is named; how far that may be off is in every figure of the new Run.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "app/merge.hpp"
#include "app/merge_clocks.hpp"
#include "app/record.hpp"
#include "app/subcommand.hpp"
#include "base/text.hpp"
#include "reports/figures.hpp"
#include "store/recorder.hpp"
#include "store/run.hpp"

namespace prony::app {

namespace {

struct MergeOptions {
  std::string server, client, out, target;
  MergeClockOptions clocks;
  bool quiet = false;
};

constexpr std::uint64_t client_ids = std::uint64_t{1} << 62;  // no ring and no recorder gives ids so high

std::string host_of_run(const Run& run, const char* otherwise) {
  const std::string host = run.manifest().get("machine.hostname").value_or("");
  return host.empty() ? otherwise : host;
}

// Whose joules the requests are, of the server's targets.
Result<std::string> server_target(const Run& server, const std::string& wanted) {
  std::string names;
  for (const Target& target : server.targets()) names += (names.empty() ? "" : ", ") + target.name;
  if (!wanted.empty()) {
    const auto known = [&](const Target& target) { return target.name == wanted; };
    if (std::ranges::any_of(server.targets(), known)) return wanted;
    return fail(ErrorCode::usage, "the server's Run has no target '" + printable(wanted, 40) + "'", "--target",
                names.empty() ? "It has none: record it with  prony monitor --port PORT --sink run:server.prony"
                              : "It has: " + names);
  }
  if (const auto told = server.manifest().get("requests.target"); told && !told->empty()) return *told;
  return server.targets().empty() ? std::string() : server.targets().front().name;
}

class Merging {
 public:
  Merging(const Run& server, const Run& client, LaidClocks clocks, std::string target)
      : server_(server),
        client_(client),
        clocks_(std::move(clocks)),
        target_(std::move(target)),
        server_host_(host_of_run(server, "the server's host")),
        client_host_(host_of_run(client, "the client's host")) {
    if (client_host_ == server_host_) client_host_ += " (client)";
  }
  [[nodiscard]] Result<void> write(Recorder& recorder) const;

 private:
  [[nodiscard]] Manifest manifest() const;
  [[nodiscard]] std::vector<Channel> channels() const;
  [[nodiscard]] std::vector<Group> groups() const;
  [[nodiscard]] Result<void> blocks(Recorder& recorder) const;
  [[nodiscard]] Result<void> spans(Recorder& recorder) const;
  [[nodiscard]] Result<void> rest(Recorder& recorder) const;
  [[nodiscard]] Interval moved(Interval interval) const { return {moved(interval.begin), moved(interval.end)}; }
  [[nodiscard]] Instant moved(Instant at) const { return at + clocks_.at(at); }

  const Run& server_;
  const Run& client_;
  LaidClocks clocks_;
  std::string target_, server_host_, client_host_;
};

// The server's facts are the machine's; what the client says of engine, model and settings is what was run.
Manifest Merging::manifest() const {
  Manifest merged = server_.manifest();
  for (const char* key : {"engine.elsewhere", "requests.target"})
    std::erase_if(merged.facts, [&](const Fact& fact) { return fact.key == key; });
  for (const Fact& fact : client_.manifest().facts) {
    const bool ran = fact.key.starts_with("model.") ||
                     (fact.key.starts_with("engine.") && fact.key != "engine.elsewhere") || fact.key == "run.kind" ||
                     fact.key == "run.command" || fact.key.starts_with("tag.");
    merged.set(ran ? fact.key : "client." + fact.key, fact.value, fact.origin);
  }
  const auto set = [&](const char* key, const std::string& value) { merged.set(key, value, "prony"); };
  set("merge.server_run", server_.path().string());
  set("merge.client_run", client_.path().string());
  set("merge.server_host", server_host_);
  set("merge.client_host", client_host_);
  set("merge.offset_ns", std::to_string(clocks_.offset.ns));
  set("merge.offset_doubt_ns", std::to_string(clocks_.doubt.ns));
  if (clocks_.drift != 0) set("merge.drift_ppm", format_fixed(clocks_.drift * 1e6, 3));
  set("merge.offset_kind", clocks_.kind);
  set("merge.method", clocks_.method);
  if (!target_.empty()) set("requests.target", target_);
  merged.unavailable.push_back({"processes of " + client_host_, "a merged Run has those of the server's host alone",
                                "They are in " + client_.path().string()});
  return merged;
}

// Both hosts', the client's under its host's name, as those of a party that is none of this machine's targets. Its CPU
// time is time here: by CPU time the joules of this machine are split.
std::vector<Channel> Merging::channels() const {
  std::vector<Channel> all = server_.channels();
  const auto first = static_cast<std::uint32_t>(all.size());
  for (Channel channel : client_.channels()) {
    channel.id.value += first;
    if (channel.part_of) channel.part_of->value += first;
    channel.name = client_host_ + "/" + channel.name;
    channel.device = client_host_ + ": " + channel.device;
    channel.domain = client_host_ + "/" + channel.domain;
    channel.scope = Scope::target;
    if (channel.measure == Measure::cpu_time) channel.measure = Measure::time;
    channel.target = client_host_;
    all.push_back(std::move(channel));
  }
  return all;
}

std::vector<Group> Merging::groups() const {
  std::vector<Group> all = server_.groups();
  const auto first = static_cast<std::uint32_t>(all.size()),
             channels = static_cast<std::uint32_t>(server_.channels().size());
  for (Group group : client_.groups()) {
    group.id.value += first;
    group.name = client_host_ + "/" + group.name;
    for (ChannelId& id : group.channels) id.value += channels;
    for (IntervalChange& change : group.changes) change.at = moved(change.at);
    all.push_back(std::move(group));
  }
  return all;
}

Result<void> Merging::blocks(Recorder& recorder) const {
  const auto first = static_cast<std::uint32_t>(server_.groups().size());
  Result<void> written;
  for (const bool mine : {false, true})
    for (const Group& group : mine ? client_.groups() : server_.groups()) {
      auto read = (mine ? client_ : server_).for_each_block(group.id, [&](const TickBlock& block) {
        if (!mine) {
          written = recorder.append(block);
          return written.has_value();
        }
        TickBlock copy(GroupId{group.id.value + first}, block.channels(), block.ticks());
        std::vector<Reading> readings(block.channels());
        for (std::size_t tick = 0; tick < block.ticks(); ++tick) {
          for (std::size_t c = 0; c < block.channels(); ++c) readings[c] = block.reading(c, tick);
          copy.push(moved(block.begin(tick)), moved(block.end(tick)), readings);
        }
        written = recorder.append(copy);
        return written.has_value();
      });
      if (!written) return written;
      if (!read) return read;
    }
  return {};
}

// What was measured is what the client ran. Of the requests that both saw the client's stand; other clients' requests
// of the server's Run stay, for they shared its joules.
Result<void> Merging::spans(Recorder& recorder) const {
  const bool has_run =
      std::ranges::any_of(client_.spans(), [](const Span& span) { return span.kind == SpanKind::run; });
  const auto known_twice = [&](SpanId id) {
    return std::ranges::find(clocks_.same_requests, id) != clocks_.same_requests.end();
  };
  for (const Span& span : server_.spans()) {
    const bool told_by_client = span.kind == SpanKind::phase;  // the model's load, as the proxy saw it
    if (((span.kind == SpanKind::run || told_by_client) && has_run) || known_twice(span.id) || known_twice(span.parent))
      continue;
    if (auto added = recorder.add_span(span); !added) return added;
  }
  for (Span span : client_.spans()) {
    if (span.kind == SpanKind::phase && span.name.starts_with("baseline")) continue;  // its own host at rest
    span.id.value += client_ids;
    if (span.parent.value != 0) span.parent.value += client_ids;
    const Duration offset = clocks_.at(span.interval.begin);
    span.interval = moved(span.interval);
    span.pid = 0;  // a number of another host
    span.counts.emplace_back("clock_offset_ns", offset.ns);
    span.counts.emplace_back("clock_doubt_ns", clocks_.doubt.ns);
    span.attributes.emplace_back("clock_name", client_host_);
    if (auto added = recorder.add_span(span); !added) return added;
  }
  return {};
}

Result<void> Merging::rest(Recorder& recorder) const {
  for (const Target& target : server_.targets())
    if (auto added = recorder.add_target(target); !added) return added;
  for (const ProcessRecord& process : server_.processes())
    if (auto added = recorder.add_process(process); !added) return added;
  Result<void> written;
  const auto looked = server_.for_each_look([&](const ProcessLook& look) {
    written = recorder.append(look);
    return written.has_value();
  });
  if (!written) return written;
  if (!looked) return looked;
  for (const Event& event : server_.events())
    if (auto added = recorder.add_event(event); !added) return added;
  for (Event event : client_.events()) {
    event.at = moved(event.at);
    event.subject = client_host_ + "/" + event.subject;
    if (auto added = recorder.add_event(event); !added) return added;
  }
  for (const Total& total : server_.totals())
    if (total.subject != "target")
      if (auto added = recorder.add_total(total); !added) return added;
  for (Total total : client_.totals()) {
    if (total.subject != "target") total.subject = client_host_ + "/" + total.subject;
    if (auto added = recorder.add_total(total); !added) return added;
  }
  for (const ChannelPassport& passport : server_.passports())
    if (auto added = recorder.add_passport(passport); !added) return added;
  for (std::size_t i = 1; i < server_.anchors().size(); ++i)
    if (auto added = recorder.add_anchor(server_.anchors()[i]); !added) return added;
  return {};
}

Result<void> Merging::write(Recorder& recorder) const {
  const Anchor anchor = server_.anchors().empty() ? Anchor{} : server_.anchors().front();
  if (auto begun = recorder.begin(manifest(), channels(), groups(), anchor); !begun) return begun;
  if (auto done = blocks(recorder); !done) return done;
  if (auto done = spans(recorder); !done) return done;
  if (auto done = rest(recorder); !done) return done;
  return recorder.close(RunState::complete);
}

Result<std::unique_ptr<Run>> open_finished(const std::string& path) {
  auto run = Run::open(path);
  if (run && (*run)->state() == RunState::recording)
    return fail(ErrorCode::usage, "this Run is still being recorded", path, "Wait for its end.");
  if (run && (*run)->manifest().get("merge.offset_ns"))
    return fail(ErrorCode::usage, "this Run is merged already", path, "Merge the Runs that it was made of.");
  return run;
}

int merge(const MergeOptions& options) {
  const auto server = open_finished(options.server);
  if (!server) return failed(server.error());
  const auto client = open_finished(options.client);
  if (!client) return failed(client.error());
  auto target = server_target(**server, options.target);
  if (!target) return failed(target.error());
  auto clocks = lay_clocks(**server, **client, options.clocks, *target);
  if (!clocks) return failed(clocks.error());
  std::filesystem::path out = options.out;
  if (out.empty()) {
    out = options.client;
    out.replace_filename(out.stem().string() + "+server.prony");
  }
  auto recorder = Recorder::create(out, RecorderOptions{.if_exists = IfExists::refuse});
  if (!recorder) return failed(recorder.error());
  print_note("the client's clock is laid to the server's within ±" + figures::seconds(clocks->doubt.seconds().value()) +
             " (" + clocks->kind + "): " + clocks->method);
  if (target->empty())
    print_note(
        "the server's Run has no target, so requests have gross joules and are charged none (prony monitor --port)");
  const Merging merging(**server, **client, std::move(*clocks), std::move(*target));
  if (auto written = merging.write(**recorder); !written) {
    std::error_code ignored;
    recorder->reset();
    std::filesystem::remove(out, ignored);
    return failed(written.error());
  }
  if (options.quiet) return exit_code::ok;
  return print_run(out.string(), RecordOptions{}) ? exit_code::ok : exit_code::own_failure;
}

}  // namespace

std::function<int(const CommandWords&)> add_merge(CLI::App& command) {
  auto options = std::make_shared<MergeOptions>();
  MergeOptions& o = *options;
  command.add_option("SERVER", o.server, "The Run of the server's host (prony monitor, prony proxy)")->required();
  command.add_option("CLIENT", o.client, "The Run of the client (prony llm)")->required();
  command.add_option("-o,--out", o.out, "The new Run (default CLIENT+server.prony)")->type_name("PATH");
  command.add_option("--target", o.target, "Whose joules the requests are (default: the server's only target)")
      ->type_name("NAME");
  command
      .add_option("--offset", o.clocks.offset,
                  "What to add to the client's wall clock to have the server's,\ninstead of finding it")
      ->type_name("DURATION");
  command.add_option("--doubt", o.clocks.doubt, "How far that may be off")->type_name("DURATION");
  command.add_option("--within", o.clocks.within, "How far the wall clocks may be apart (default 60s)")
      ->type_name("DURATION");
  command.add_flag("--quiet", o.quiet, "Print no summary");
  return [options](const CommandWords&) { return merge(*options); };
}

}  // namespace prony::app
