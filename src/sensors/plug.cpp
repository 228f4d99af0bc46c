// plug: power and energy at the wall, from plugs that are asked over the network: Shelly, Tasmota, Kasa.
// reads       Shelly Gen1 /meter/N (W, watt-minutes) or /emeter/N (W, Wh); Gen2+ /rpc/Switch.GetStatus and its like
//             (W, Wh); Tasmota /cm?cmnd=Status 8 (W, kWh); Kasa emeter.get_realtime over TCP 9999 (W, kWh or mW, Wh);
//             Tapo and newer firmware of Kasa the same or get_emeter_data, get_energy_usage (mW) behind KLAP over HTTP
// sees        all that is plugged in there: of this machine everything, losses of its power supply too
// period      not documented; a Shelly or Tasmota renews its power about once a second;  wrap none: a smaller total is
//             a reset
// privilege   none; a password stands in a file (#login=FILE)
// part_of     nothing; what the machine itself measures is part of it (sensors/wall.hpp)
// lane        blocking, one thread per plug; a plug that does not answer is asked ever more rarely, every 10 s at last
// source      sensors/plug_dialect.hpp
#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <vector>

#include "base/interruptible.hpp"
#include "base/text.hpp"
#include "machine/crypto.hpp"
#include "machine/network.hpp"
#include "sensors/klap.hpp"
#include "sensors/meter_rows.hpp"
#include "sensors/plug_dialect.hpp"
#include "sensors/plug_limits.hpp"
#include "sensors/retry_pause.hpp"
#include "sensors/wall.hpp"

namespace prony {

namespace {

constexpr std::string_view kasa_question = R"({"emeter":{"get_realtime":{}}})";
constexpr std::array<std::string_view, 2> tapo_questions{R"({"method":"get_emeter_data"})",
                                                         R"({"method":"get_energy_usage"})"};
constexpr unsigned kasa_port = 9999;

std::string encoded(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15u];
    }
  }
  return out;
}

// One plug, and how it is asked.
class Asker {
 public:
  Asker(Meter meter, std::unique_ptr<Network> network) : meter_(std::move(meter)), network_(std::move(network)) {}
  [[nodiscard]] const Meter& meter() const noexcept { return meter_; }
  void interrupt() noexcept { network_->interrupt(); }

  [[nodiscard]] Result<JsonNumbers> ask(const std::string& path) {
    auto answer = klap_ ? klap_->ask(*network_, path) : meter_.kind == MeterKind::kasa ? ask_kasa() : ask_http(path);
    if (!answer) return Unexpected<Error>(answer.error());
    auto numbers = JsonNumbers::parse(*answer);
    if (!numbers) return fail(numbers.error().code, "answers with " + numbers.error().what, where(path));
    return numbers;
  }
  [[nodiscard]] std::string where(const std::string& path) const { return meter_.address + (klap_ ? "" : path); }
  // From here on questions in JSON go through KLAP. Errors: absent, this is no such plug.
  [[nodiscard]] Result<void> speak_klap(MeterPort& port) {
    auto crypto = port.open_crypto();
    if (!crypto) return Unexpected<Error>(crypto.error());
    const bool bare = meter_.address.find("//") == std::string::npos;
    KlapSession session((bare ? "http://" : "") + meter_.address, meter_.user, meter_.password, std::move(*crypto));
    if (auto in = session.shake(*network_); !in) return in;
    klap_ = std::move(session);
    return {};
  }
  [[nodiscard]] bool second_form_of_klap() const noexcept { return klap_ && klap_->second_form(); }

 private:
  [[nodiscard]] Result<std::string> ask_http(const std::string& path) {
    HttpRequest request;
    request.url = where(path);
    request.deadline = plug_deadline;
    request.most_bytes = most_plug_bytes;
    request.ca_file = meter_.option("ca");
    request.check_certificate = !meter_.has("insecure");
    const bool in_address = path.starts_with("/cm?");  // Tasmota takes its password there
    if (in_address && !meter_.user.empty())
      request.secret_query = "&user=" + encoded(meter_.user) + "&password=" + encoded(meter_.password);
    else
      request.user = meter_.user, request.password = meter_.password;
    auto response = network_->http(request);
    if (!response) return Unexpected<Error>(response.error());
    if (response->status == 401 || response->status == 403)
      return fail(ErrorCode::denied, meter_.user.empty() ? "it wants a password" : "user or password is refused",
                  request.url,
                  "Put both into a file that only you may read, as in a .netrc:  #login=FILE\n"
                  "  machine " +
                      host_of(meter_.address) + " login admin password PASSWORD");
    if (response->status >= 300 && response->status < 400)
      return fail(ErrorCode::unavailable, "sends elsewhere: " + printable(response->header("location"), 120),
                  request.url, "No redirection is followed. Name the address that it means, if it is your plug's.");
    if (response->status != 200)
      return fail(response->status == 404 ? ErrorCode::absent : ErrorCode::transient,
                  "answers " + std::to_string(response->status), request.url);
    return std::move(response->body);
  }
  [[nodiscard]] Result<std::string> ask_kasa() {
    TcpRequest request;
    request.host = host_of(meter_.address);
    const std::size_t colon = meter_.address.rfind(':');
    const auto port = colon == std::string::npos || meter_.address.ends_with(']')
                          ? std::nullopt
                          : parse_u64(std::string_view(meter_.address).substr(colon + 1));
    request.port = port && *port < 65536 ? static_cast<unsigned>(*port) : kasa_port;
    request.send = kasa_wrapped(kasa_question);
    request.length = kasa_length;
    request.deadline = plug_deadline;
    request.most_bytes = most_plug_bytes;
    auto wire = network_->tcp(request);
    if (!wire) return Unexpected<Error>(wire.error());
    return kasa_unwrapped(*wire);
  }

  Meter meter_;
  std::unique_ptr<Network> network_;
  std::optional<KlapSession> klap_;
};

class PlugSensor final : public Sensor, public Interruptible {
 public:
  PlugSensor(Machine& machine, Asker asker, PlugPlan plan, std::vector<Channel> channels)
      : machine_(machine), asker_(std::move(asker)), plan_(std::move(plan)), channels_(std::move(channels)) {}
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::blocking; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void interrupt() noexcept override { asker_.interrupt(); }

  // Allocates: a request costs a thousand times what that does, and the lane is its own.
  void read(std::span<Reading> out) noexcept override {
    std::ranges::fill(out, Reading{});
    if (machine_.now() < not_before_) return;
    std::size_t next = 0;
    bool all = true;
    for (const PlugAsk& ask : plan_.asks) {
      const auto answer = asker_.ask(ask.path);
      const JsonScalar* valid = answer ? answer->find(ask.valid) : nullptr;
      const bool sound = answer && (valid == nullptr || valid->number != 0);
      if (!answer) tell(answer.error());
      for (const PlugQuantity& quantity : ask.quantities) {
        const auto counts = sound ? counts_of(quantity, *answer) : std::nullopt;
        if (counts) out[next] = {*counts, Quality::ok};
        if (answer && !counts)
          tell({ErrorCode::malformed,
                sound ? "its answer has no " + quantity.what : "says that it is not valid",
                asker_.where(ask.path),
                {}});
        all = all && counts;
        ++next;
      }
    }
    pause(all);
  }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    const std::lock_guard lock(mutex_);
    if (!trouble_) return {};
    const Error error = *std::exchange(trouble_, std::nullopt);
    std::vector<Unavailable> told;
    for (const Channel& channel : channels_) told.push_back({channel.name, error.where + ": " + error.what, error.fix});
    return told;
  }

 private:
  void tell(Error error) {
    const std::lock_guard lock(mutex_);
    trouble_ = std::move(error);
  }
  void pause(bool good) {
    pause_ = good ? Duration{0} : longer_pause(pause_);
    not_before_ = machine_.now() + pause_;
  }

  Machine& machine_;
  Asker asker_;
  PlugPlan plan_;
  std::vector<Channel> channels_;
  Duration pause_;
  Instant not_before_;
  std::mutex mutex_;
  std::optional<Error> trouble_;
};

// Which of the questions a plug behind KLAP has a power for: Kasa's own, or those of Tapo.
Result<PlugPlan> klap_plan(Asker& asker) {
  std::vector<std::string> questions(tapo_questions.begin(), tapo_questions.end());
  questions.insert(asker.second_form_of_klap() ? questions.end() : questions.begin(), std::string(kasa_question));
  Result<PlugPlan> plan = fail(ErrorCode::absent, "it measures no power");
  for (const std::string& question : questions) {
    const auto answer = asker.ask(question);
    if (!answer) return Unexpected<Error>(answer.error());
    plan = question == kasa_question ? kasa_plan(*answer) : tapo_plan(*answer);
    if (!plan) continue;
    plan->kind += ", behind KLAP";
    plan->asks.back().path = question;
    return plan;
  }
  return plan;
}

// A plug that TP-Link made, or one that may be: by its open protocol, else by KLAP.
Result<PlugPlan> tp_link_plan(Asker& asker, MeterPort& port) {
  Error open{ErrorCode::absent, "does not speak KLAP", asker.meter().address, {}};
  if (asker.meter().kind == MeterKind::kasa) {
    const auto answer = asker.ask("");
    if (answer) return kasa_plan(*answer);
    // Newer firmware keeps the old port shut.
    if (answer.error().code != ErrorCode::unavailable) return Unexpected<Error>(answer.error());
    open = answer.error();
  }
  if (const auto in = asker.speak_klap(port); !in) {
    const bool no_klap = in.error().code == ErrorCode::absent || in.error().code == ErrorCode::transient;
    const bool nobody = asker.meter().kind == MeterKind::kasa && in.error().code == ErrorCode::unavailable;
    return Unexpected<Error>((no_klap && asker.meter().kind != MeterKind::tapo) || nobody ? open : in.error());
  }
  return klap_plan(asker);
}

Result<PlugPlan> plan_of(Asker& asker, MeterPort& port) {
  const Meter& meter = asker.meter();
  const auto channel = parse_u64(meter.option("channel"));
  if (meter.kind == MeterKind::kasa || meter.kind == MeterKind::tapo) return tp_link_plan(asker, port);
  if (meter.kind != MeterKind::tasmota) {
    const auto identity = asker.ask("/shelly");
    const auto generation = identity ? shelly_generation(*identity) : std::nullopt;
    if (generation) {
      const auto status = asker.ask(*generation == 1 ? "/status" : "/rpc/Shelly.GetStatus");
      if (!status) return Unexpected<Error>(status.error());
      return *generation == 1 ? shelly_gen1_plan(*status, channel) : shelly_gen2_plan(*status, channel);
    }
    const bool answers =
        identity || identity.error().code == ErrorCode::absent || identity.error().code == ErrorCode::malformed;
    if (!answers) return Unexpected<Error>(identity.error());
    if (meter.kind == MeterKind::shelly)
      return fail(ErrorCode::absent, "is no Shelly", asker.where("/shelly"), "http://HOST finds out what it is.");
  }
  const auto status = asker.ask("/cm?cmnd=Status%208");
  if (status) return tasmota_plan(*status, channel);
  if (meter.kind == MeterKind::http_plug && status.error().code == ErrorCode::absent) {
    auto klap = tp_link_plan(asker, port);
    if (klap || klap.error().code == ErrorCode::denied) return klap;
    return fail(ErrorCode::absent, "is neither a Shelly nor a Tasmota nor a Tapo", meter.address,
                "Other meters can be read through a program of yours:  --meter exec:PROGRAM (`prony help meters`)");
  }
  return Unexpected<Error>(status.error());
}

// The plan's channels, their steps as the plug writes now.
Result<std::vector<Channel>> plug_channels(Asker& asker, const PlugPlan& plan, bool alone) {
  std::vector<Channel> channels;
  for (const PlugAsk& ask : plan.asks) {
    const auto answer = asker.ask(ask.path);
    if (!answer) return Unexpected<Error>(answer.error());
    for (const PlugQuantity& quantity : ask.quantities) {
      Channel channel = meter_channel(asker.meter(), "plug", quantity.what, quantity.measure, alone);
      channel.id = {static_cast<std::uint32_t>(channels.size())};
      channel.device = plan.kind + ", " + host_of(asker.meter().address);
      channel.scale = quantity.scale;
      channel.resolution = step_of(quantity, *answer) / quantity.scale;
      channels.push_back(std::move(channel));
    }
  }
  // Its total is its power again: never added to it, and held against it.
  const bool power = std::ranges::any_of(channels, [](const Channel& c) { return c.measure == Measure::power; });
  for (Channel& channel : channels)
    if (power && channel.measure == Measure::energy) channel.coverage_known = false;
  return channels;
}

Result<std::unique_ptr<Sensor>> open_plug(Machine& machine, MeterPort& port, const Meter& meter, bool alone) {
  auto network = port.open_network();
  if (!network) return Unexpected<Error>(network.error());
  Asker asker(meter, std::move(*network));
  auto plan = plan_of(asker, port);
  if (!plan) return Unexpected<Error>(plan.error());
  auto channels = plug_channels(asker, *plan, alone);
  if (!channels) return Unexpected<Error>(channels.error());
  return std::make_unique<PlugSensor>(machine, std::move(asker), std::move(*plan), std::move(*channels));
}

bool is_plug(const Meter& meter) {
  return meter.kind == MeterKind::http_plug || meter.kind == MeterKind::shelly || meter.kind == MeterKind::tasmota ||
         meter.kind == MeterKind::kasa || meter.kind == MeterKind::tapo;
}

}  // namespace

Probe make_plug(Machine& machine, const SensorOptions& /*options*/) {
  return open_meters(machine, "plug", is_plug, [&](MeterPort& port, const Meter& meter, bool alone) {
    return open_plug(machine, port, meter, alone);
  });
}

}  // namespace prony
