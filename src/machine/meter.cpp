#include "machine/meter.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/text.hpp"

namespace prony {

namespace {

struct Scheme {
  std::string_view name;
  MeterKind kind;
  std::string_view base;  // what the address begins with instead of SCHEME://
};
constexpr std::array<Scheme, 13> schemes{{{"http", MeterKind::http_plug, "http://"},
                                          {"https", MeterKind::http_plug, "https://"},
                                          {"shelly", MeterKind::shelly, "http://"},
                                          {"shelly+https", MeterKind::shelly, "https://"},
                                          {"tasmota", MeterKind::tasmota, "http://"},
                                          {"tasmota+https", MeterKind::tasmota, "https://"},
                                          {"kasa", MeterKind::kasa, ""},
                                          {"tapo", MeterKind::tapo, "http://"},
                                          {"redfish", MeterKind::redfish, "https://"},
                                          {"redfish+http", MeterKind::redfish, "http://"},
                                          {"exec", MeterKind::program, ""},
                                          {"serial", MeterKind::serial, ""},
                                          {"file", MeterKind::file, ""}}};

constexpr std::array<std::string_view, 6> network_options{"channel", "chassis", "login", "ca", "insecure", "supply"};
constexpr std::array<std::string_view, 14> line_options{"map",    "format", "separator", "columns", "time",
                                                        "watts",  "volts",  "amps",      "joules",  "kwh",
                                                        "factor", "baud",   "sum",       "supply"};

bool name_character(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-'; }

Unexpected<Error> refuse_meter(std::string_view text, const std::string& what, std::string fix = {}) {
  if (fix.empty())
    fix =
        "Write for example:  --meter shelly://192.0.2.7   or   --meter lab=exec:PROGRAM#watts=2\n"
        "`prony help meters` has all of them.";
  return fail(ErrorCode::usage, "'" + printable(text, 80) + "' " + what, "--meter", std::move(fix));
}

Result<void> take_options(Meter& meter, std::string_view text) {
  std::vector<std::string> known;
  if (meter.lines())
    known.assign(line_options.begin(), line_options.end());
  else
    known.assign(network_options.begin(), network_options.end());
  for (const std::string_view part : split(text, ',')) {
    const std::string_view word = trim(part);
    if (word.empty()) continue;
    const std::size_t equals = word.find('=');
    const std::string key(word.substr(0, equals));
    if (std::ranges::find(known, key) == known.end()) {
      const auto near = nearest_name(key, known);
      std::string all;
      for (const std::string& name : known) all += (all.empty() ? "" : ", ") + name;
      return refuse_meter(key, "is no option of such a meter",
                          near ? "Did you mean '" + *near + "'?" : "After # may stand: " + all);
    }
    meter.options[key] = equals == std::string_view::npos ? "" : std::string(word.substr(equals + 1));
  }
  return {};
}

// Behind the host nothing is taken but a port: the rest is asked for by what the device is.
Result<void> check_host(std::string_view text, std::string_view host) {
  if (host.find('@') != std::string_view::npos)
    return refuse_meter(text.substr(0, text.find(':')), "has a password in its address, where everybody can read it",
                        "Put it into a file that only you may read (chmod 600):\n"
                        "  machine HOST login USER password PASSWORD\nand name the file:  #login=FILE");
  const bool plain = !host.empty() && std::ranges::all_of(host, [](char c) {
    return name_character(c) || c == '.' || c == ':' || c == '[' || c == ']' || c == '%';
  });
  if (!plain) return refuse_meter(text, "names no host", "After // comes HOST or HOST:PORT.");
  return {};
}

}  // namespace

std::string_view to_string(MeterKind kind) noexcept {
  switch (kind) {
    case MeterKind::http_plug: return "http";
    case MeterKind::shelly: return "shelly";
    case MeterKind::tasmota: return "tasmota";
    case MeterKind::kasa: return "kasa";
    case MeterKind::tapo: return "tapo";
    case MeterKind::redfish: return "redfish";
    case MeterKind::program: return "exec";
    case MeterKind::serial: return "serial";
    case MeterKind::file: return "file";
  }
  return "http";
}

std::string Meter::option(std::string_view key) const {
  const auto found = options.find(key);
  return found == options.end() ? std::string() : found->second;
}

std::string host_of(std::string_view address) {
  if (const std::size_t slashes = address.find("//"); slashes != std::string_view::npos)
    address.remove_prefix(slashes + 2);
  address = address.substr(0, address.find('/'));
  if (address.starts_with('[')) return std::string(address.substr(1, address.find(']') - 1));
  return std::string(address.substr(0, address.find(':')));
}

Result<Meter> parse_meter(std::string_view text) {
  Meter meter;
  meter.text = text;
  std::string_view rest = trim(text);
  const std::size_t colon = rest.find(':'), equals = rest.find('=');
  if (equals != std::string_view::npos && equals < colon) {
    const std::string_view name = rest.substr(0, equals);
    if (name.empty() || name.size() > 40 || !std::ranges::all_of(name, name_character))
      return refuse_meter(name, "is no name of a meter",
                          "It may have letters, digits, - and _:  --meter lab=shelly://HOST");
    meter.name = name;
    rest.remove_prefix(equals + 1);
  }
  const std::size_t end = rest.find(':');
  const std::string_view scheme = rest.substr(0, end);
  const auto found = std::ranges::find(schemes, scheme, &Scheme::name);
  if (end == std::string_view::npos || found == schemes.end())
    return refuse_meter(text, "names no kind of meter that is known");
  meter.kind = found->kind;
  rest.remove_prefix(end + 1);
  const std::size_t hash = rest.rfind('#');
  if (hash != std::string_view::npos) {
    if (auto taken = take_options(meter, rest.substr(hash + 1)); !taken) return Unexpected<Error>(taken.error());
    rest = rest.substr(0, hash);
  }
  if (meter.lines()) {
    meter.address = trim(rest);
    if (meter.address.empty()) return refuse_meter(text, "names nothing to read from");
    return meter;
  }
  if (!rest.starts_with("//")) return refuse_meter(text, "names no host", "Write:  " + std::string(scheme) + "://HOST");
  rest.remove_prefix(2);
  while (rest.ends_with('/')) rest.remove_suffix(1);
  if (auto sound = check_host(text, rest); !sound) return Unexpected<Error>(sound.error());
  meter.address = std::string(found->base) + std::string(rest);
  if (const std::string channel = meter.option("channel"); meter.has("channel") && !parse_u64(channel))
    return refuse_meter(channel, "is no number of an outlet", "They count from 0:  #channel=0");
  return meter;
}

Result<std::vector<Meter>> parse_meters(const std::vector<std::string>& texts) {
  std::vector<Meter> meters;
  for (const std::string& text : texts) {
    auto meter = parse_meter(text);
    if (!meter) return Unexpected<Error>(meter.error());
    if (std::ranges::any_of(meters, [&](const Meter& other) { return other.name == meter->name; }))
      return refuse_meter(meter->name, "is the name of two meters",
                          "Name them:  --meter first=shelly://HOST --meter second=shelly://HOST");
    meters.push_back(std::move(*meter));
  }
  return meters;
}

Result<std::optional<MeterLogin>> login_of(std::string_view netrc, std::string_view host) {
  std::vector<std::string_view> words;
  for_each_line(netrc, [&](std::string_view line) {
    if (trim(line).starts_with('#')) return;
    for (std::size_t at = 0; at < line.size();) {
      const std::size_t from = line.find_first_not_of(" \t", at);
      if (from == std::string_view::npos) break;
      const std::size_t to = std::min(line.find_first_of(" \t", from), line.size());
      words.push_back(line.substr(from, to - from));
      at = to;
    }
  });
  std::optional<MeterLogin> login;
  bool ours = false, named = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "default") {
      ours = !login;
      named = true;
      continue;
    }
    const bool last = i + 1 == words.size();
    if (words[i] == "machine" && !last) {
      ours = words[++i] == host && !login;
      named = true;
    } else if ((words[i] == "login" || words[i] == "password") && !last && named) {
      const bool user = words[i] == "login";
      ++i;
      if (!ours) continue;
      if (!login) login.emplace();
      (user ? login->user : login->password) = words[i];
    } else {
      // The word itself may be a password that stands in the wrong place: it is not told.
      return fail(ErrorCode::malformed, "is no file of logins: word " + std::to_string(i + 1) + " is out of place", {},
                  "Write:  machine HOST login USER password PASSWORD");
    }
  }
  return login;
}

Channel meter_channel(const Meter& meter, std::string_view sensor, std::string_view what, Measure measure, bool alone) {
  Channel channel;
  channel.sensor = sensor;
  channel.device = std::string(to_string(meter.kind)) + " " +
                   (meter.lines() ? printable(meter.address, 80) : host_of(meter.address));
  channel.domain = alone ? "wall" : "wall:" + meter.name;
  channel.name = std::string(sensor) + "." + meter.name + "." + std::string(what);
  channel.measure = measure;
  channel.kind = measure == Measure::energy ? ChannelKind::counter : ChannelKind::gauge;
  channel.coverage_known = alone;
  return channel;
}

}  // namespace prony
