// fakesysfs: a FUSE mount that serves a sysfs-like tree whose energy counters follow curves with a closed-form
// integral, so that what a meter should have measured between any two instants is known exactly (truth.py computes it).
//
// Counters behave as real ones do: they step at their update period (with a phase), by their quantum, and wrap at the
// end of their register. Faults are switched at run time by writing "NAME FAULT" into MOUNT/control; see `kFaultHelp`.
// Every reading is a function of CLOCK_MONOTONIC alone, so two readers see the same world. Reads are direct_io: what
// pread gives is computed at that read. One thread; ends and unmounts on SIGTERM, SIGINT, or when its parent dies.
// Source of the layout: Documentation/power/powercap and Documentation/hwmon/sysfs-interface of the Linux kernel.
#define FUSE_USE_VERSION 35
#include <fuse3/fuse.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr const char* kHelp = R"(usage: fakesysfs MOUNT [--zone "KEY=VALUE …"]… [--hwmon "KEY=VALUE …"]…
  --zone   id=intel-rapl:0 name=package-0  curve=constant|sine|square|steps base=W amp=W period=S levels=N
           update_us=N phase_us=N quantum_uj=X wrap_quanta=N start_uj=N max_w=W
  --hwmon  id=hwmon0 chip=NAME label=TEXT  and the curve's keys; serves power1_input, energy1_input, temp1_input, fan1_input
           only=power|energy (the chip has but one)  interval_ms=N (its update_interval; no such file without)
  without either: one socket (package-0 sine, core, dram) and one board with power and energy
Prints "ready" when the tree is mounted; describes itself in MOUNT/truth.json; faults: see MOUNT/control
)";
constexpr const char* kFaultHelp =
    "# write \"NAME FAULT\" where NAME is a zone's or a chip's label, FAULT one of:\n"
    "# ok eio rubbish empty negative vanish reset stale denied\n";

enum class Fault { ok, eio, rubbish, empty, negative, vanish, stale, denied };
constexpr std::pair<std::string_view, Fault> kFaults[] = {
    {"ok", Fault::ok},         {"eio", Fault::eio},           {"rubbish", Fault::rubbish}, {"empty", Fault::empty},
    {"vanish", Fault::vanish}, {"negative", Fault::negative}, {"stale", Fault::stale},     {"denied", Fault::denied}};

std::int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

struct Curve {
  std::string shape = "constant";
  double base_w = 20, amp_w = 0, period_s = 1;
  int levels = 4;

  // Energy from 0 to t, t ≥ 0, in closed form; truth.py has the same formulas and a test holds the two together.
  [[nodiscard]] double joules(double t) const {
    if (shape == "sine") {
      const double omega = 2 * M_PI / period_s;
      return base_w * t + amp_w / omega * (1 - std::cos(omega * t));
    }
    const double whole = std::floor(t / period_s);
    const double rest = t - whole * period_s;
    if (shape == "square") {
      const double half = period_s / 2;
      return base_w * t + amp_w * (rest <= half ? rest : period_s - rest);
    }
    if (shape == "steps") {  // a staircase from base to base + amp in `levels` equal treads, then down at once
      const double tread = period_s / levels;
      const double step_w = amp_w / (levels - 1);
      const double full = std::floor(rest / tread);
      const double climbed = step_w * tread * (full * (full - 1) / 2) + step_w * full * (rest - full * tread);
      return base_w * t + whole * amp_w / 2 * period_s + climbed;
    }
    return base_w * t;
  }
  [[nodiscard]] double watts(double t) const {
    const double rest = t - std::floor(t / period_s) * period_s;
    if (shape == "sine") return base_w + amp_w * std::sin(2 * M_PI / period_s * t);
    if (shape == "square") return rest < period_s / 2 ? base_w + amp_w : base_w - amp_w;
    if (shape == "steps") return base_w + amp_w / (levels - 1) * std::floor(rest / (period_s / levels));
    return base_w;
  }
};

struct Domain {
  std::string id, name, label;
  bool is_zone = true;
  Curve curve;
  std::int64_t update_ns = 1'000'000, phase_ns = 0;
  double quantum_uj = 1;
  std::uint64_t wrap_quanta = 1ULL << 32;
  double start_uj = 0, max_w = 200;
  std::string only;              // hwmon: "power" or "energy" where the chip has but one of the two
  std::int64_t interval_ms = 0;  // hwmon: what update_interval says; 0: there is no such file
  Fault fault = Fault::ok;
  std::int64_t frozen_ns = 0;  // for `stale`: the instant at which time stopped for it
  double reset_uj = 0;         // for `reset`: what is taken off

  // The last instant at or before `t` at which the source renewed its values.
  [[nodiscard]] double updated_s(std::int64_t t_ns) const {
    if (fault == Fault::stale) t_ns = std::min(t_ns, frozen_ns);
    if (t_ns < phase_ns) return 0;
    return static_cast<double>((t_ns - phase_ns) / update_ns * update_ns + phase_ns) * 1e-9;
  }
  [[nodiscard]] double total_uj(std::int64_t t_ns) const { return start_uj + curve.joules(updated_s(t_ns)) * 1e6; }
  [[nodiscard]] std::uint64_t counter_uj(std::int64_t t_ns) const {
    const auto quanta = static_cast<std::uint64_t>(std::floor((total_uj(t_ns) - reset_uj) / quantum_uj));
    return static_cast<std::uint64_t>(static_cast<double>(quanta % wrap_quanta) * quantum_uj);
  }
  [[nodiscard]] std::uint64_t range_uj() const {
    return static_cast<std::uint64_t>(static_cast<double>(wrap_quanta - 1) * quantum_uj);
  }
};

struct Node {
  enum class Kind { directory, link, file } kind = Kind::directory;
  std::vector<std::string> entries;               // directory
  std::string target;                             // link
  std::function<std::string(std::int64_t)> text;  // file, of the time since t0
  Domain* domain = nullptr;                       // file whose reads fail when this has a fault
};

struct World {
  std::int64_t t0_ns = 0;
  std::vector<std::unique_ptr<Domain>> domains;
  std::map<std::string, Node, std::less<>> nodes;

  void add(const std::string& path, Node node) {
    for (auto slash = path.rfind('/'); slash != std::string::npos; slash = path.rfind('/', slash - 1)) {
      const auto parent = slash == 0 ? std::string("/") : path.substr(0, slash);
      const auto end = path.find('/', slash + 1);
      const auto name = path.substr(slash + 1, end == std::string::npos ? end : end - slash - 1);
      auto& entries = nodes[parent].entries;
      if (std::find(entries.begin(), entries.end(), name) == entries.end()) entries.push_back(name);
      if (slash == 0) break;
    }
    nodes[path] = std::move(node);
  }
  void add_text(const std::string& path, std::string text) {
    add(path, {Node::Kind::file, {}, {}, [text = std::move(text) + "\n"](std::int64_t) { return text; }, nullptr});
  }
  void add_value(const std::string& path, Domain* domain, std::function<std::string(std::int64_t)> text) {
    add(path, {Node::Kind::file, {}, {}, std::move(text), domain});
  }
  void add_link(const std::string& path, std::string target) {
    add(path, {Node::Kind::link, {}, std::move(target), {}, nullptr});
  }
};

World& world() { return *static_cast<World*>(fuse_get_context()->private_data); }

void add_zone(World& w, Domain* d) {
  // As the kernel lays it out: nested below devices/virtual/powercap, and flat links in class/powercap.
  std::string folder = "devices/virtual/powercap/intel-rapl";
  for (auto colon = d->id.find(':'); colon != std::string::npos; colon = d->id.find(':', colon + 1))
    folder += "/" + d->id.substr(0, d->id.find(':', colon + 1));
  w.add_link("/class/powercap/" + d->id, "../../" + folder);
  folder = "/" + folder;
  w.add_text(folder + "/name", d->name);
  w.add_text(folder + "/enabled", "1");
  w.add_value(folder + "/energy_uj", d, [d](std::int64_t t) { return std::to_string(d->counter_uj(t)) + "\n"; });
  w.add_text(folder + "/max_energy_range_uj", std::to_string(d->range_uj()));
  const auto limit = std::to_string(static_cast<std::int64_t>(d->max_w * 1e6));
  w.add_text(folder + "/constraint_0_name", "long_term");
  w.add_text(folder + "/constraint_0_max_power_uw", limit);
  w.add_text(folder + "/constraint_0_power_limit_uw", limit);
}

void add_hwmon(World& w, Domain* d) {
  const std::string folder = "/devices/virtual/hwmon/" + d->id;
  w.add_link("/class/hwmon/" + d->id, "../.." + folder);
  w.add_text(folder + "/name", d->name);
  if (d->interval_ms > 0) w.add_text(folder + "/update_interval", std::to_string(d->interval_ms));
  if (d->only != "energy") {
    if (!d->label.empty()) w.add_text(folder + "/power1_label", d->label);
    w.add_value(folder + "/power1_input", d, [d](std::int64_t t) {
      return std::to_string(static_cast<std::int64_t>(d->curve.watts(d->updated_s(t)) * 1e6)) + "\n";
    });
  }
  if (d->only != "power") {
    if (!d->label.empty()) w.add_text(folder + "/energy1_label", d->label);
    w.add_value(folder + "/energy1_input", d, [d](std::int64_t t) { return std::to_string(d->counter_uj(t)) + "\n"; });
  }
  w.add_value(folder + "/temp1_input", d, [d](std::int64_t t) {  // 40 °C and half a degree for every watt
    return std::to_string(40'000 + static_cast<std::int64_t>(d->curve.watts(d->updated_s(t)) * 500)) + "\n";
  });
  w.add_value(folder + "/fan1_input", d, [](std::int64_t) { return std::string("1200\n"); });
}

nlohmann::json describe(const World& w) {
  nlohmann::json domains = nlohmann::json::array();
  for (const auto& d : w.domains)
    domains.push_back({{"id", d->id},
                       {"name", d->name},
                       {"kind", d->is_zone ? "zone" : "hwmon"},
                       {"curve", d->curve.shape},
                       {"base_w", d->curve.base_w},
                       {"amp_w", d->curve.amp_w},
                       {"period_s", d->curve.period_s},
                       {"levels", d->curve.levels},
                       {"update_ns", d->update_ns},
                       {"phase_ns", d->phase_ns},
                       {"quantum_uj", d->quantum_uj},
                       {"wrap_quanta", d->wrap_quanta},
                       {"start_uj", d->start_uj}});
  return {{"clock", "CLOCK_MONOTONIC"}, {"t0_ns", w.t0_ns}, {"domains", domains}};
}

// "package-0 eio" → 0, or the errno of what is wrong with it.
int command(World& w, std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.remove_suffix(1);
  const auto space = line.find(' ');
  if (space == std::string_view::npos) return EINVAL;
  const auto name = line.substr(0, space);
  const auto word = line.substr(space + 1);
  const auto now = monotonic_ns() - w.t0_ns;
  for (auto& d : w.domains) {
    if (d->name != name) continue;
    if (word == "reset") {
      d->reset_uj = d->total_uj(now);
      return 0;
    }
    for (const auto& [text, fault] : kFaults)
      if (text == word) {
        d->frozen_ns = now;
        d->fault = fault;
        return 0;
      }
    return EINVAL;
  }
  return ENOENT;
}

const Node* find(const char* path) {
  const auto found = world().nodes.find(std::string_view(path));
  if (found == world().nodes.end()) return nullptr;
  const auto* domain = found->second.domain;
  return domain != nullptr && domain->fault == Fault::vanish ? nullptr : &found->second;
}

int on_getattr(const char* path, struct stat* out, fuse_file_info* /*info*/) {
  const auto* node = find(path);
  if (node == nullptr) return -ENOENT;
  *out = {};
  out->st_nlink = 1;
  if (node->kind == Node::Kind::directory) out->st_mode = S_IFDIR | 0555;
  if (node->kind == Node::Kind::link) out->st_mode = S_IFLNK | 0777;
  if (node->kind == Node::Kind::file) {
    out->st_mode = S_IFREG | (std::string_view(path) == "/control" ? 0666 : 0444);
    out->st_size = 4096;
  }
  return 0;
}

int on_readlink(const char* path, char* buffer, std::size_t size) {
  const auto* node = find(path);
  if (node == nullptr || node->kind != Node::Kind::link) return -EINVAL;
  std::snprintf(buffer, size, "%s", node->target.c_str());
  return 0;
}

int on_readdir(const char* path, void* buffer, fuse_fill_dir_t fill, off_t /*offset*/, fuse_file_info* /*info*/,
               fuse_readdir_flags /*flags*/) {
  const auto* node = find(path);
  if (node == nullptr) return -ENOENT;
  const std::string folder = std::string_view(path) == "/" ? "/" : std::string(path) + "/";
  for (const auto& name : node->entries)
    if (find((folder + name).c_str()) != nullptr) fill(buffer, name.c_str(), nullptr, 0, fuse_fill_dir_flags(0));
  return 0;
}

int on_open(const char* path, fuse_file_info* info) {
  const auto* node = find(path);
  if (node == nullptr) return -ENOENT;
  if (node->domain != nullptr && node->domain->fault == Fault::denied) return -EACCES;
  info->direct_io = 1;
  info->fh = reinterpret_cast<std::uint64_t>(new std::string);
  return 0;
}
int on_release(const char* /*path*/, fuse_file_info* info) {
  delete reinterpret_cast<std::string*>(info->fh);
  return 0;
}

// As in sysfs: a read from the start renews the text, a read further on goes on in the same text.
int on_read(const char* path, char* buffer, std::size_t size, off_t offset, fuse_file_info* info) {
  const auto* node = find(path);
  if (node == nullptr) return -ENODEV;  // vanished while kept open: what sysfs says of a device that left
  auto& text = *reinterpret_cast<std::string*>(info->fh);
  if (offset == 0) text = node->text(monotonic_ns() - world().t0_ns);
  if (node->domain != nullptr) {
    switch (node->domain->fault) {
      case Fault::eio: return -EIO;
      case Fault::denied: return -EACCES;
      case Fault::rubbish: text = "4\x01x\xff#!\n"; break;
      case Fault::empty: text.clear(); break;
      case Fault::negative: text = "-7\n"; break;
      default: break;
    }
  }
  if (static_cast<std::size_t>(offset) >= text.size()) return 0;
  const auto length = std::min(size, text.size() - static_cast<std::size_t>(offset));
  std::memcpy(buffer, text.data() + offset, length);
  return static_cast<int>(length);
}

int on_write(const char* path, const char* data, std::size_t size, off_t /*offset*/, fuse_file_info* /*info*/) {
  if (std::string_view(path) != "/control") return -EACCES;
  const int error = command(world(), {data, size});
  return error != 0 ? -error : static_cast<int>(size);
}
int on_truncate(const char* path, off_t /*size*/, fuse_file_info* /*info*/) {
  return std::string_view(path) == "/control" ? 0 : -EACCES;
}
// Nothing may be served from a cache: a fault must be seen at the next read, a vanished file at the next look-up.
void* on_init(fuse_conn_info* /*connection*/, fuse_config* config) {
  config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
  config->direct_io = 1;
  return fuse_get_context()->private_data;
}

bool set_key(Domain& d, const std::string& key, const std::string& value) {
  const auto number = [&] { return std::strtod(value.c_str(), nullptr); };
  const auto integer = [&] { return std::strtoll(value.c_str(), nullptr, 10); };
  if (key == "id")
    d.id = value;
  else if (key == "name" || key == "chip")
    d.name = value;
  else if (key == "label")
    d.label = value;
  else if (key == "curve")
    d.curve.shape = value;
  else if (key == "base")
    d.curve.base_w = number();
  else if (key == "amp")
    d.curve.amp_w = number();
  else if (key == "period")
    d.curve.period_s = number();
  else if (key == "levels")
    d.curve.levels = static_cast<int>(integer());
  else if (key == "update_us")
    d.update_ns = integer() * 1000;
  else if (key == "phase_us")
    d.phase_ns = integer() * 1000;
  else if (key == "quantum_uj")
    d.quantum_uj = number();
  else if (key == "wrap_quanta")
    d.wrap_quanta = static_cast<std::uint64_t>(integer());
  else if (key == "start_uj")
    d.start_uj = number();
  else if (key == "max_w")
    d.max_w = number();
  else if (key == "only")
    d.only = value;
  else if (key == "interval_ms")
    d.interval_ms = integer();
  else
    return false;
  return true;
}

bool add_domain(World& w, bool is_zone, const std::string& words) {
  auto d = std::make_unique<Domain>();
  d->is_zone = is_zone;
  if (!is_zone) d->wrap_quanta = ~0ULL;
  std::size_t from = 0;
  while (from < words.size()) {
    const auto to = std::min(words.find(' ', from), words.size());
    const auto word = words.substr(from, to - from);
    from = to + 1;
    if (word.empty()) continue;
    const auto equals = word.find('=');
    if (equals == std::string::npos || !set_key(*d, word.substr(0, equals), word.substr(equals + 1))) {
      std::fprintf(stderr, "fakesysfs: what is \"%s\"?\n%s", word.c_str(), kHelp);
      return false;
    }
  }
  const bool known = d->curve.shape == "constant" || d->curve.shape == "sine" || d->curve.shape == "square" ||
                     d->curve.shape == "steps";
  if (!known || d->id.empty() || d->name.empty() || d->update_ns <= 0 || d->quantum_uj <= 0 || d->wrap_quanta < 2 ||
      d->curve.levels < 2 || d->curve.period_s <= 0 ||
      !(d->only.empty() || d->only == "power" || d->only == "energy")) {
    std::fprintf(stderr, "fakesysfs: not a domain: \"%s\"\n%s", words.c_str(), kHelp);
    return false;
  }
  if (is_zone)
    add_zone(w, d.get());
  else
    add_hwmon(w, d.get());
  w.domains.push_back(std::move(d));
  return true;
}

bool build(World& w, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') {
    std::fputs(kHelp, stderr);
    return false;
  }
  w.t0_ns = monotonic_ns();
  w.add_text("/class/powercap/intel-rapl/enabled", "1");
  for (int i = 2; i < argc; i += 2) {
    const std::string_view option = argv[i];
    if ((option != "--zone" && option != "--hwmon") || i + 1 >= argc) {
      std::fprintf(stderr, "fakesysfs: what is \"%s\"?\n%s", argv[i], kHelp);
      return false;
    }
    if (!add_domain(w, option == "--zone", argv[i + 1])) return false;
  }
  if (w.domains.empty()) {
    const bool made =
        add_domain(w, true, "id=intel-rapl:0 name=package-0 curve=sine base=40 amp=20 period=0.7 quantum_uj=61") &&
        add_domain(w, true, "id=intel-rapl:0:0 name=core curve=sine base=25 amp=15 period=0.7 quantum_uj=61") &&
        add_domain(w, true, "id=intel-rapl:0:1 name=dram curve=square base=5 amp=2 period=0.5 quantum_uj=61") &&
        add_domain(w, false, "id=hwmon0 chip=fakeboard label=board curve=steps base=60 amp=30 period=1 levels=4");
    if (!made) return false;
  }
  w.add_value("/truth.json", nullptr, [&w](std::int64_t) { return describe(w).dump(1) + "\n"; });
  w.add_value("/control", nullptr, [](std::int64_t) { return std::string(kFaultHelp); });
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  World w;
  if (!build(w, argc, argv)) return 2;
  fuse_operations operations{};
  operations.init = on_init;
  operations.getattr = on_getattr;
  operations.readlink = on_readlink;
  operations.readdir = on_readdir;
  operations.open = on_open;
  operations.read = on_read;
  operations.release = on_release;
  operations.write = on_write;
  operations.truncate = on_truncate;

  char name[] = "fakesysfs", option[] = "-o", value[] = "allow_other,fsname=fakesysfs";
  // Only root may let others in unless the system's fuse.conf says so; an ordinary user's own tests need nobody else.
  char own[] = "fsname=fakesysfs";
  char* arguments[] = {name, option, geteuid() == 0 ? value : own, nullptr};
  fuse_args args = FUSE_ARGS_INIT(3, arguments);
  fuse* session = fuse_new(&args, &operations, sizeof operations, &w);
  if (session == nullptr || fuse_mount(session, argv[1]) != 0) {
    std::fprintf(stderr, "fakesysfs: cannot mount at %s: is /dev/fuse there and allowed?\n", argv[1]);
    return 1;
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // a test that dies takes the mount with it
  int status = 1;
  if (fuse_set_signal_handlers(fuse_get_session(session)) == 0) {
    std::puts("ready");
    std::fflush(stdout);
    status = fuse_loop(session) < 0 ? 1 : 0;
    fuse_remove_signal_handlers(fuse_get_session(session));
  }
  fuse_unmount(session);
  fuse_destroy(session);
  fuse_opt_free_args(&args);
  return status;
}
