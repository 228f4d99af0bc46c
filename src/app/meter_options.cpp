#include "app/meter_options.hpp"

#include <sys/stat.h>
#include <CLI/CLI.hpp>

#include <algorithm>

#include "app/common.hpp"
#include "base/text.hpp"
#include "machine/meter_port.hpp"
#include "sensors/line_map.hpp"

namespace prony::app {

namespace {

constexpr std::size_t longest_login_file = std::size_t{1} << 16;

constexpr const char* meters_page =
    R"(Meters at the wall:  --meter [NAME=]SCHEME:ADDRESS[#OPTION,OPTION=VALUE]   (prony run, llm, sensors, calibrate)

  http://HOST               a plug: finds out whether it is a Shelly, a Tasmota or a Tapo
  shelly://HOST             Shelly with a meter, any generation (shelly+https:// likewise)
  tasmota://HOST            Tasmota with a meter
  kasa://HOST               TP-Link Kasa with a meter (HS110, KP115): local protocol, or KLAP as of a Tapo
  tapo://HOST               TP-Link Tapo with a meter (P110, P115); #login=FILE: the account's e-mail and password
  redfish://HOST            a server's management controller, over HTTPS (redfish+http:// where it has none)
  exec:PROGRAM ARGUMENTS    a program that prints a line a reading, as CSV or JSON
  serial:DEVICE             the same from a serial port
  file:PATH                 the same from a file that another program writes

Options after #, parted by commas, for what is asked over the network
  channel=N     which outlet or phase, where it measures several; they count from 0
  login=FILE    user and password, as in a .netrc; only you may be able to read it (chmod 600):
                  machine HOST login USER password PASSWORD
  ca=FILE       the certificate that signed the device's, PEM     insecure   trust whoever answers
  chassis=ID    Redfish: which chassis, where several tell what they draw
Options after # for lines: which column is what, by its name in the header, its number from 1 or its JSON path
  watts=2   watts=left+right (their sum)   volts=2,amps=3 (their product)   joules=4   kwh=4 (counters)
  factor=0.001 (1 of the column is so many W)   separator=tab|space|semicolon|;   format=csv|json   baud=115200
  map=omegawatt (watts=activepow1 if none is named)

  prony run --meter shelly://192.0.2.7 -- ./infer model.bin
  prony sensors --meter tasmota://192.0.2.8#login=plug.netrc
  prony run --meter 'exec:wattmetre-read --tty=/dev/ttyUSB0 --nb=6#map=omegawatt,watts=activepow1+activepow2' -- ./infer

One meter is taken to see the whole machine: what the machine measures itself is part of it and never added to it,
and the summary holds one against the other. Several meters are not added, for nobody told what each of them sees. Where each is at another
power supply of this machine, say so behind each, and their sum is the machine:  --meter a=shelly://192.0.2.7#supply
NAME (default: wall) becomes part of the channels' names. A password on the command line is refused.
In the configuration file:  meter = ["shelly://192.0.2.7"]. Only the address that is named is asked, without any proxy.
)";

Result<void> log_in(Meter& meter) {
  const std::string path = meter.option("login");
  if (path.empty()) return {};
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) return Unexpected<Error>(error_from_errno(errno, path, "cannot read"));
  if ((facts.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return fail(ErrorCode::denied, "others may read this file of passwords", path, "chmod 600 " + path);
  const auto netrc = read_whole_file(path, longest_login_file);
  if (!netrc) return Unexpected<Error>(netrc.error());
  const std::string host = host_of(meter.address);
  const auto login = login_of(*netrc, host);
  if (!login) return fail(login.error().code, login.error().what, path, login.error().fix);
  if (!*login)
    return fail(ErrorCode::absent, "it has no login for " + host, path,
                "Write:  machine " + host + " login USER password PASSWORD");
  meter.user = (*login)->user.empty() ? "admin" : (*login)->user;
  meter.password = (*login)->password;
  return {};
}

}  // namespace

CLI::Option* add_meter_option(CLI::App& command, std::vector<std::string>& texts) {
  return command.add_option("--meter", texts, "A meter at the wall, may be repeated (see `prony help meters`)")
      ->type_name("[NAME=]URL")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
}

Result<std::vector<Meter>> meters_of(const std::vector<std::string>& texts) {
  auto meters = parse_meters(texts);
  if (!meters) return meters;
  for (Meter& meter : *meters) {
    if (auto done = log_in(meter); !done) return Unexpected<Error>(done.error());
    if (!meter.lines()) continue;
    if (const auto map = line_map_of(meter); !map) return Unexpected<Error>(map.error());
  }
  return meters;
}

Result<void> name_meters(Machine& machine, const std::vector<std::string>& texts) {
  auto meters = meters_of(texts);
  if (!meters) return Unexpected<Error>(meters.error());
  if (meters->empty()) return {};
  MeterPort* port = meter_port(machine);
  if (port == nullptr)
    return fail(ErrorCode::usage, "a simulated machine has no wall to put a meter at", "--meter", "Leave it out.");
  port->name_meters(std::move(*meters));
  return {};
}

void tell_missing_meters(Machine& machine, const std::vector<Unavailable>& unavailable) {
  const MeterPort* port = meter_port(machine);
  if (port == nullptr) return;
  for (const Meter& meter : port->meters())
    for (const Unavailable& entry : unavailable) {
      const std::size_t dot = entry.subject.find('.');
      if (dot == std::string::npos || std::string_view(entry.subject).substr(dot + 1) != meter.name) continue;
      std::string fix = entry.remedy.empty() ? "" : entry.remedy + "\n";
      print_error({ErrorCode::unavailable,
                   "meter " + meter.name + ": " + entry.reason,
                   {},
                   fix + "Measuring goes on without it."});
    }
}

std::string meter_options_text() { return meters_page; }

}  // namespace prony::app
