// redfish: what a server draws, as its management controller (BMC) says over Redfish.
// reads       /redfish/v1/Chassis: of the chassis that tells a power, EnvironmentMetrics (PowerWatts, EnergykWh), else
// Power
//             (PowerControl[0].PowerConsumedWatts), else a Sensor of watts
// sees        the whole server, at the input of its power supplies
// period      not documented, 1 s to 10 s as a rule: 10 s are allowed for;  wrap none: a smaller total is a reset
// privilege   a user of the BMC, out of a file (#login=FILE); certificates are checked (#ca=FILE, #insecure)
// part_of     nothing; what the machine itself measures is part of it (sensors/wall.hpp)
// lane        blocking, one thread per BMC; one session, made anew where the BMC ended it, and closed at the end
// source      DMTF DSP0266 (sessions), DSP2046 (Chassis, EnvironmentMetrics, Power, Sensor)
#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/interruptible.hpp"
#include "base/text.hpp"
#include "machine/network.hpp"
#include "sensors/meter_rows.hpp"
#include "sensors/plug_dialect.hpp"
#include "sensors/retry_pause.hpp"
#include "sensors/wall.hpp"

namespace prony {

namespace {

constexpr Duration controller_deadline = milliseconds(8000);  // controllers are slow
constexpr Duration farewell = milliseconds(1000);
constexpr Duration longest_controller_pause = milliseconds(30'000);
constexpr Duration allowed_period = milliseconds(10'000);
constexpr std::size_t most_members = 16, most_sensors = 24;

// A BMC, and the session with it.
class Controller {
 public:
  Controller(Meter meter, std::unique_ptr<Network> network) : meter_(std::move(meter)), network_(std::move(network)) {}
  Controller(Controller&&) = default;
  Controller& operator=(Controller&&) = delete;
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;
  ~Controller() {
    if (!network_ || session_.empty()) return;
    HttpRequest request = about(session_);  // controllers have room for few
    request.method = "DELETE";
    request.deadline = farewell;
    (void)network_->http(request);
  }
  [[nodiscard]] const Meter& meter() const noexcept { return meter_; }
  void interrupt() noexcept { network_->interrupt(); }

  [[nodiscard]] Result<JsonNumbers> get(const std::string& path) {
    auto response = network_->http(about(path));
    if (response && response->status == 401 && !meter_.user.empty() && !refused_) {
      if (auto in = log_in(); !in) return Unexpected<Error>(in.error());
      response = network_->http(about(path));
    }
    if (!response) return Unexpected<Error>(response.error());
    if (auto sound = check(*response, path); !sound) return Unexpected<Error>(sound.error());
    auto numbers = JsonNumbers::parse(response->body);
    if (!numbers) return fail(numbers.error().code, "answers with " + numbers.error().what, where(path));
    return numbers;
  }
  [[nodiscard]] std::string where(const std::string& path) const { return meter_.address + path; }

 private:
  [[nodiscard]] HttpRequest about(const std::string& path) const {
    HttpRequest request;
    request.url = where(path);
    request.deadline = controller_deadline;
    request.ca_file = meter_.option("ca");
    request.check_certificate = !meter_.has("insecure");
    if (!token_.empty())
      request.headers.push_back("X-Auth-Token: " + token_);
    else if (basic_)
      request.user = meter_.user, request.password = meter_.password;
    return request;
  }
  [[nodiscard]] Result<void> check(const HttpResponse& response, const std::string& path) const {
    if (response.status == 200) return {};
    const std::string host = host_of(meter_.address);
    if (response.status == 401 || response.status == 403)
      return fail(ErrorCode::denied,
                  meter_.user.empty() ? "it wants a user and a password" : "user or password is refused", where(path),
                  "Put both into a file that only you may read, as in a .netrc:  #login=FILE\n  machine " + host +
                      " login USER password PASSWORD\nA user of the BMC that may log in and read is enough.");
    if (response.status >= 300 && response.status < 400)
      return fail(ErrorCode::unavailable, "sends elsewhere: " + printable(response.header("location"), 120),
                  where(path), "No redirection is followed. Name the address that it means, if it is your BMC's.");
    return fail(response.status == 404 ? ErrorCode::absent : ErrorCode::transient,
                "answers " + std::to_string(response.status), where(path));
  }
  // A session; where the controller has none, its user and password with each request.
  [[nodiscard]] Result<void> log_in() {
    token_.clear(), session_.clear();
    const std::string path = "/redfish/v1/SessionService/Sessions";
    HttpRequest request = about(path);
    request.user.clear();
    request.method = "POST";
    request.headers = {"Content-Type: application/json"};
    request.body = nlohmann::json{{"UserName", meter_.user}, {"Password", meter_.password}}.dump(
        -1, ' ', false, nlohmann::json::error_handler_t::replace);
    const auto response = network_->http(request);
    if (!response) return Unexpected<Error>(response.error());
    token_ = response->header("x-auth-token");
    if (response->status == 401 || response->status == 403 || response->status == 400) {
      refused_ = true;  // asked again and again with a wrong password, a BMC locks the user out
      return fail(ErrorCode::denied, "user or password is refused", where(path),
                  "See the file after #login=; the user must be one of the BMC's own.");
    }
    if (token_.empty() || token_.find_first_of("\r\n") != std::string::npos) {
      token_.clear();
      basic_ = true;
      return {};
    }
    session_ = response->header("location");
    if (const std::size_t slashes = session_.find("//"); slashes != std::string::npos) {
      const std::size_t slash = session_.find('/', slashes + 2);
      session_ = slash == std::string::npos ? "" : session_.substr(slash);
    }
    return {};
  }

  Meter meter_;
  std::unique_ptr<Network> network_;
  std::string token_, session_;  // secret; its address
  bool basic_ = false, refused_ = false;
};

// What is asked on each tick.
struct Source {
  PlugAsk ask;
  std::string kind;
};

std::string link_of(const JsonNumbers& json, const std::string& name) {
  const std::string link = json.text(name + ".@odata.id");
  return link.starts_with('/') && link.size() < 512 ? link : std::string();
}

std::vector<std::string> members_of(const JsonNumbers& collection, std::size_t most) {
  std::vector<std::string> links;
  for (const std::string& place : collection.below("Members"))
    if (const std::string link = link_of(collection, "Members." + place); !link.empty() && links.size() < most)
      links.push_back(link);
  return links;
}

PlugQuantity watts_at(std::string path) { return {"power", Measure::power, {std::move(path)}, 1, 1e-3, 1}; }

std::optional<Source> metrics_of(Controller& controller, const std::string& link) {
  if (link.empty()) return std::nullopt;
  const auto json = controller.get(link);
  if (!json || !json->number("PowerWatts.Reading")) return std::nullopt;
  Source source{{link, {watts_at("PowerWatts.Reading")}}, "EnvironmentMetrics"};
  if (json->number("EnergykWh.Reading"))
    source.ask.quantities.push_back(
        {"energy", Measure::energy, {"EnergykWh.Reading"}, joules_per_kwh, joules_per_kwh * 1e-6, joules_per_kwh});
  return source;
}

std::optional<Source> power_of(Controller& controller, const std::string& link) {
  if (link.empty()) return std::nullopt;
  const auto json = controller.get(link);
  const std::string path = "PowerControl.0.PowerConsumedWatts";
  if (!json || !json->number(path)) return std::nullopt;
  return Source{{link, {watts_at(path)}}, "Power"};
}

std::optional<Source> sensor_of(Controller& controller, const std::string& link) {
  if (link.empty()) return std::nullopt;
  const auto list = controller.get(link);
  if (!list) return std::nullopt;
  for (const std::string& sensor : members_of(*list, most_sensors)) {
    std::string name = sensor;
    std::ranges::transform(name, name.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const bool whole = name.find("total") != std::string::npos || name.find("input") != std::string::npos ||
                       name.find("consum") != std::string::npos;
    if (name.find("power") == std::string::npos || !whole) continue;  // one of a single fan is not the server's
    const auto json = controller.get(sensor);
    if (json && json->text("ReadingUnits") == "W" && json->number("Reading"))
      return Source{{sensor, {watts_at("Reading")}}, "Sensors"};
  }
  return std::nullopt;
}

Result<Source> find_power(Controller& controller) {
  const auto root = controller.get("/redfish/v1/");
  if (!root) return Unexpected<Error>(root.error());
  const std::string chassis_link = link_of(*root, "Chassis");
  if (chassis_link.empty())
    return fail(ErrorCode::absent, "is no Redfish service with a chassis", controller.where("/redfish/v1/"));
  const auto collection = controller.get(chassis_link);
  if (!collection) return Unexpected<Error>(collection.error());
  const std::string wanted = controller.meter().option("chassis");
  std::vector<std::pair<std::string, Source>> found;
  std::string all;
  for (const std::string& link : members_of(*collection, most_members)) {
    const std::string id = link.substr(link.find_last_of('/') + 1);
    all += (all.empty() ? "" : ", ") + printable(id, 40);
    if (!wanted.empty() && id != wanted) continue;
    const auto chassis = controller.get(link);
    if (!chassis) continue;
    auto source = metrics_of(controller, link_of(*chassis, "EnvironmentMetrics"));
    if (!source) source = power_of(controller, link_of(*chassis, "Power"));
    if (!source) source = sensor_of(controller, link_of(*chassis, "Sensors"));
    if (source) found.emplace_back(id, std::move(*source));
  }
  if (found.empty())
    return fail(ErrorCode::absent, "no chassis tells what it draws", controller.where(chassis_link), "It has: " + all);
  if (found.size() > 1)
    return fail(ErrorCode::usage, std::to_string(found.size()) + " chassis tell what they draw",
                controller.where(chassis_link), "Say which one this machine is:  #chassis=" + found.front().first);
  found.front().second.kind += " of chassis " + printable(found.front().first, 40);
  return std::move(found.front().second);
}

class RedfishSensor final : public Sensor, public Interruptible {
 public:
  RedfishSensor(Machine& machine, Controller controller, PlugAsk ask, std::vector<Channel> channels)
      : machine_(machine), controller_(std::move(controller)), ask_(std::move(ask)), channels_(std::move(channels)) {}
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::blocking; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void interrupt() noexcept override { controller_.interrupt(); }
  void read(std::span<Reading> out) noexcept override {
    std::ranges::fill(out, Reading{});
    if (machine_.now() < not_before_) return;
    const auto answer = controller_.get(ask_.path);
    std::optional<Error> trouble;
    if (!answer) trouble = answer.error();
    for (std::size_t i = 0; answer && i < ask_.quantities.size(); ++i) {
      if (const auto counts = counts_of(ask_.quantities[i], *answer))
        out[i] = {*counts, Quality::ok};
      else
        trouble = Error{
            ErrorCode::malformed, "its answer has no " + ask_.quantities[i].what, controller_.where(ask_.path), {}};
    }
    pause_ = trouble ? longer_pause(pause_, longest_controller_pause) : Duration{0};
    not_before_ = machine_.now() + pause_;
    if (!trouble) return;
    const std::lock_guard lock(mutex_);
    trouble_ = std::move(trouble);
  }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    const std::lock_guard lock(mutex_);
    std::vector<Unavailable> told;
    if (!trouble_) return told;
    for (const Channel& channel : channels_)
      told.push_back({channel.name, trouble_->where + ": " + trouble_->what, trouble_->fix});
    trouble_.reset();
    return told;
  }

 private:
  Machine& machine_;
  Controller controller_;
  PlugAsk ask_;
  std::vector<Channel> channels_;
  Duration pause_;
  Instant not_before_;
  std::mutex mutex_;
  std::optional<Error> trouble_;
};

Result<std::unique_ptr<Sensor>> open_redfish(Machine& machine, MeterPort& port, const Meter& meter, bool alone) {
  auto network = port.open_network();
  if (!network) return Unexpected<Error>(network.error());
  Controller controller(meter, std::move(*network));
  auto source = find_power(controller);
  if (!source) return Unexpected<Error>(source.error());
  const auto answer = controller.get(source->ask.path);
  if (!answer) return Unexpected<Error>(answer.error());
  std::vector<Channel> channels;
  for (const PlugQuantity& quantity : source->ask.quantities) {
    Channel channel = meter_channel(meter, "redfish", quantity.what, quantity.measure, alone);
    channel.id = {static_cast<std::uint32_t>(channels.size())};
    channel.device = source->kind + ", " + host_of(meter.address);
    channel.scale = quantity.scale;
    channel.resolution = step_of(quantity, *answer) / quantity.scale;
    channel.update_period = allowed_period;
    if (!channels.empty()) channel.coverage_known = false;  // the same joules again
    channels.push_back(std::move(channel));
  }
  return std::make_unique<RedfishSensor>(machine, std::move(controller), std::move(source->ask), std::move(channels));
}

}  // namespace

Probe make_redfish(Machine& machine, const SensorOptions& /*options*/) {
  return open_meters(
      machine, "redfish", [](const Meter& meter) { return meter.kind == MeterKind::redfish; },
      [&](MeterPort& port, const Meter& meter, bool alone) { return open_redfish(machine, port, meter, alone); });
}

}  // namespace prony
