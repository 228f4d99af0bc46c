// Meter: a meter at the wall as the user names it:  [NAME=]SCHEME:ADDRESS[#OPTION,OPTION=VALUE].  Plain data and its
// parser; nothing secret is in its text: who to log in as stands in a file. Pure. Errors: usage, with what to write.
//
//   http://HOST, shelly://HOST, tasmota://HOST    a plug, asked over HTTP (https:// likewise)
//   kasa://HOST, tapo://HOST                      a plug of TP-Link: its open local protocol, or the newer KLAP
//   redfish://HOST                                a server's management controller, over HTTPS
//   exec:PROGRAM ARGUMENTS, serial:DEVICE, file:PATH    lines of text, a reading each
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/channel.hpp"

namespace prony {

inline constexpr double joules_per_kwh = 3.6e6;  // most of them count in kWh

enum class MeterKind { http_plug, shelly, tasmota, kasa, tapo, redfish, program, serial, file };
[[nodiscard]] std::string_view to_string(MeterKind kind) noexcept;  // "shelly"

struct Meter {
  std::string text;           // as it was written
  std::string name = "wall";  // of its channels: plug.NAME.power
  MeterKind kind = MeterKind::http_plug;
  std::string address;  // "http://192.0.2.7", "192.0.2.7:9999", or what follows "exec:", "serial:", "file:"
  std::map<std::string, std::string, std::less<>> options = {};  // "channel" → "1"; a flag's value is ""
  std::string user = {}, password = {};                          // out of the file that the option login= names

  [[nodiscard]] std::string option(std::string_view key) const;
  [[nodiscard]] bool has(std::string_view key) const { return options.find(key) != options.end(); }
  [[nodiscard]] bool lines() const {
    return kind == MeterKind::program || kind == MeterKind::serial || kind == MeterKind::file;
  }
};

[[nodiscard]] Result<Meter> parse_meter(std::string_view text);
// All that the user named: no two of one name.
[[nodiscard]] Result<std::vector<Meter>> parse_meters(const std::vector<std::string>& texts);

struct MeterLogin {
  std::string user, password;
};
// "machine HOST login USER password PASSWORD" as in a .netrc, or "default login …"; words may stand on lines of their
// own. Empty: it has nobody for that host. Errors: malformed.
[[nodiscard]] Result<std::optional<MeterLogin>> login_of(std::string_view netrc, std::string_view host);
// "192.0.2.7" of "https://192.0.2.7:8443".
[[nodiscard]] std::string host_of(std::string_view address);

// What its channels begin with: a channel of quantity `what` of that meter, a part of nothing. One meter sees the whole
// machine; where there are several nobody told whether they see the same or two halves of it (`alone` false).
[[nodiscard]] Channel meter_channel(const Meter& meter, std::string_view sensor, std::string_view what, Measure measure,
                                    bool alone);

}  // namespace prony
