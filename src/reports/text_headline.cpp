// The first lines: what ran, how it ended, what it used of the processors and of memory.
#include "base/text.hpp"
#include "reports/figures.hpp"
#include "reports/text_layout.hpp"
#include "reports/text_parts.hpp"

namespace prony::text {

namespace {

using Items = std::vector<std::string>;
using layout::Tone;

// "2026-11-20T22:58:01.250Z" → "2026-11-20 22:58 UTC"
std::string short_utc(const std::string& utc) {
  return utc.size() >= 16 ? utc.substr(0, 10) + " " + utc.substr(11, 5) + " UTC" : utc;
}

std::string machine_words(const Summary& s) {
  std::string words = printable(s.fact("machine.cpu_model"), 48);
  const std::string virtual_kind = s.fact("machine.virtual");
  if (!virtual_kind.empty() && virtual_kind != "no" && virtual_kind != "none") words += words.empty() ? "VM" : " (VM)";
  return words;
}

std::string counted_words(const std::string& rung) {
  if (rung == "cgroup" || rung == "exit-events") return ", all counted";
  if (rung == "subreaper") return ", counted where they were waited for";
  return ", shorter ones than a tick are missed";
}

std::string cpu_words(const Summary& s) {
  const auto user = s.process_total("cpu_user_s");
  const auto system = s.process_total("cpu_system_s");
  if (!user || !system) return {};
  std::string words = figures::seconds(*user + *system) + " CPU";
  const auto cpus = parse_finite(s.fact("machine.cpus"));
  if (cpus && *cpus > 0 && s.wall_s && *s.wall_s > 0)
    words += " (" + figures::percent((*user + *system) / *s.wall_s / *cpus) + " of " + figures::count(*cpus) +
             (*cpus == 1 ? " core)" : " cores)");
  return words;
}

std::string processes_words(const Summary& s) {
  const auto processes = s.process_total("processes");
  if (!processes) return {};
  std::string words = figures::count(*processes) + (*processes == 1 ? " process" : " processes");
  if (*processes > 1) {
    const auto brief = s.process_total("short_lived");
    const std::string rung = s.fact("target.rung");
    if (brief) {
      words += " (" + figures::count(*brief) + " short-lived" + counted_words(rung) + ")";
    } else {
      words += rung == "cgroup" ? " seen, the time of all counted" : " seen" + counted_words(rung);
    }
  }
  return words;
}

// A Run without a command: whom it watched.
std::string watched_words(const Summary& s) {
  std::string words;
  for (const TargetRow& row : s.targets) words += (words.empty() ? "" : " ") + printable(row.target.selector, 60);
  return words.empty() ? "nobody was watched" : words;
}

}  // namespace

std::vector<std::string> usage_items(const Summary& s) {
  Items items;
  if (s.wall_s) items.push_back(figures::seconds(*s.wall_s) + " wall");
  if (const std::string cpu = cpu_words(s); !cpu.empty()) items.push_back(cpu);
  if (const auto peak = s.process_total("rss_peak_bytes")) items.push_back("peak " + figures::bytes(*peak));
  if (const std::string processes = processes_words(s); !processes.empty()) items.push_back(processes);
  return items;
}

std::string exit_words(const Summary& s) {
  if (s.exit_signal && *s.exit_signal != 0) return "killed by signal " + std::to_string(*s.exit_signal);
  if (s.exit_code) return "exit " + std::to_string(*s.exit_code);
  return s.state == RunState::complete ? "exit not recorded" : "end not recorded";
}

std::string headline(const Summary& s, const TextOptions& o) {
  Items items;
  if (s.kind == "llm") {
    items.push_back("prony llm");
    const std::string engine =
        s.fact("engine.name") + (s.fact("engine.version").empty() ? "" : " " + s.fact("engine.version"));
    const std::string asked = s.fact("setting.threads");
    const std::string threads = asked.empty() ? s.fact("engine.threads") : asked;
    for (const std::string& item :
         {printable(s.fact("model.name"), 60), printable(engine, 40),
          parse_u64(threads) ? threads + (threads == "1" ? " thread" : " threads") : std::string(), machine_words(s),
          short_utc(printable(s.fact("run.started_utc"), 80))})
      if (!item.empty()) items.push_back(item);
  } else {
    const std::string command = printable(s.fact("run.command"), o.width > 60 ? o.width - 20 : 40);
    const bool proxy = s.kind == "proxy";
    const std::string by = printable(s.fact("run.by"), 40);  // Runs of older versions do not say
    items.push_back(!command.empty() ? command : !by.empty() ? by : proxy ? "prony proxy" : "prony run");
    if (proxy)
      items.push_back(printable(s.fact("engine.url"), 60));
    else if (s.kind != "watch")
      items.push_back(exit_words(s));
    else
      items.push_back(watched_words(s));
    if (s.kind == "watch" && (s.exit_code || s.exit_signal)) items.push_back(exit_words(s));  // the only one's, watched
    for (std::string& item : usage_items(s)) items.push_back(std::move(item));
  }
  const std::string text = layout::joined(items, o.width, 1);
  const std::size_t first = text.find('\n');
  return layout::paint(text.substr(0, first), Tone::strong, o.colour) + text.substr(first);
}

}  // namespace prony::text
