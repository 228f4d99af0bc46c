// ipmi: power of the whole machine as its BMC tells it (IPMI, DCMI).
// reads       /dev/ipmi0 (ipmi/0, ipmidev/0): "Get Power Reading" through IPMICTL_SEND_COMMAND and RECEIVE_MSG; where
// none
//             of them can be opened, `ipmitool dcmi power reading`, run off the tick about once a second
// unit        W, gauge;  step 1 W
// period      not documented: BMCs renew it every second to every minute, and prony probe learns it
// averaging   the period that the BMC gives for its statistics, where it is a minute at most, is taken for the
// reading's
//             too: the specification leaves open what a current reading is the mean of
// privilege   root, or whoever may open the device
// part_of     nothing, and contains everything: processors, memory, fans, losses of the supply. Coverage not known, so
//             that it is never added to them; `side by side` compares
// lane        a thread of its own: a BMC may take seconds
// source      DCMI 1.5 §6.6.1; Documentation/driver-api/ipmi.rst; include/uapi/linux/ipmi.h
#include <linux/ipmi.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>

#include "base/text.hpp"
#include "sensors/ipmi_dcmi.hpp"
#include "sensors/rows.hpp"

namespace prony {

namespace {

constexpr Duration answer_patience = milliseconds(2000), ipmi_program_patience = milliseconds(5000);
constexpr Duration oldest_power_answer = milliseconds(10'000);
constexpr std::uint32_t longest_period_ms = 60'000;
constexpr std::array<std::string_view, 3> devices{"/dev/ipmi0", "/dev/ipmi/0", "/dev/ipmidev/0"};
constexpr std::string_view ipmi_remedy =
    "sudo modprobe ipmi_devintf ipmi_si, and run as root or let your group read the device";

// What went wrong with one question: an errno, a completion code, or one of these.
struct Fault {
  enum Kind : int { none, in_errno, refused, silent, inactive };
  Kind kind = none;
  int detail = 0;
  [[nodiscard]] Error told(const std::string& where) const {
    switch (kind) {
      case in_errno: return error_from_errno(detail, where, "cannot ask the BMC");
      case refused: return {ErrorCode::transient, ipmi_completion_words(static_cast<std::uint8_t>(detail)), where, {}};
      case silent:
        return {ErrorCode::transient,
                "the BMC gave no answer within " + std::to_string(answer_patience.ns / 1'000'000) + " ms",
                where,
                {}};
      case inactive:
        return {ErrorCode::unavailable, "the BMC does not measure power now (its measurement is off)", where, {}};
      case none: break;
    }
    return {};
  }
};

class Bmc {
 public:
  virtual ~Bmc() = default;
  // No allocation.
  [[nodiscard]] virtual std::optional<DcmiPower> ask() noexcept = 0;
  virtual void refresh() {}
  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual bool answers_are_kept() const = 0;
  [[nodiscard]] virtual std::optional<Error> take_fault() = 0;
};

class BmcDevice final : public Bmc {
 public:
  BmcDevice(Machine& machine, std::unique_ptr<Device> device, std::string path)
      : machine_(machine), device_(std::move(device)), path_(std::move(path)) {}

  [[nodiscard]] std::optional<DcmiPower> ask() noexcept override {
    if (const int sent = send(); sent < 0) return failed(Fault::in_errno, -sent);
    std::array<std::uint8_t, IPMI_MAX_MSG_LENGTH> bytes{};
    const auto until = machine_.now() + answer_patience;
    for (;;) {
      const auto left = until - machine_.now();
      if (left.ns <= 0 || !device_->wait(left)) return failed(Fault::silent, 0);
      ipmi_addr from{};
      ipmi_recv received{};
      received.addr = reinterpret_cast<unsigned char*>(&from);
      received.addr_len = sizeof from;
      received.msg.data = bytes.data();
      received.msg.data_len = static_cast<unsigned short>(bytes.size());
      const int got = device_->control(IPMICTL_RECEIVE_MSG_TRUNC, std::as_writable_bytes(std::span(&received, 1)));
      if (got == -EAGAIN) continue;
      if (got < 0) return failed(Fault::in_errno, -got);
      // An answer to a question that was given up, or somebody's event.
      if (received.recv_type != IPMI_RESPONSE_RECV_TYPE || received.msgid != question_) continue;
      const auto answer =
          std::span<const std::uint8_t>(bytes).first(std::min<std::size_t>(received.msg.data_len, bytes.size()));
      const auto power = dcmi_power(answer);
      if (!power) return failed(Fault::refused, answer.empty() ? 0 : answer[0]);
      if (!power->active) return failed(Fault::inactive, 0);
      return power;
    }
  }
  [[nodiscard]] std::string name() const override { return path_; }
  [[nodiscard]] bool answers_are_kept() const override { return false; }
  [[nodiscard]] std::optional<Error> take_fault() override {
    const auto fault = fault_.exchange({}, std::memory_order_relaxed);
    return fault.kind == Fault::none ? std::nullopt : std::optional(fault.told(path_));
  }

 private:
  [[nodiscard]] int send() noexcept {
    ipmi_system_interface_addr to{};
    to.addr_type = IPMI_SYSTEM_INTERFACE_ADDR_TYPE;
    to.channel = IPMI_BMC_CHANNEL;
    auto data = dcmi_power_request;
    ipmi_req request{};
    request.addr = reinterpret_cast<unsigned char*>(&to);
    request.addr_len = sizeof to;
    request.msgid = ++question_;
    request.msg.netfn = dcmi_network_function;
    request.msg.cmd = dcmi_get_power_reading;
    request.msg.data = data.data();
    request.msg.data_len = static_cast<unsigned short>(data.size());
    return device_->control(IPMICTL_SEND_COMMAND, std::as_writable_bytes(std::span(&request, 1)));
  }
  [[nodiscard]] std::nullopt_t failed(Fault::Kind kind, int detail) noexcept {
    fault_.store({kind, detail}, std::memory_order_relaxed);
    return std::nullopt;
  }

  Machine& machine_;
  std::unique_ptr<Device> device_;
  std::string path_;
  long question_ = 0;
  std::atomic<Fault> fault_{};
};

class BmcProgram final : public Bmc {
 public:
  explicit BmcProgram(Machine& machine) : machine_(machine) {}

  [[nodiscard]] std::optional<DcmiPower> ask() noexcept override {
    const auto now = machine_.now();
    const std::lock_guard lock(mutex_);
    return last_ && now - at_ <= oldest_power_answer ? last_ : std::nullopt;
  }
  void refresh() override {
    const std::array<std::string, 4> words{"ipmitool", "dcmi", "power", "reading"};
    const auto output = machine_.run_program(words, ipmi_program_patience);
    const auto now = machine_.now();
    const auto power = output ? dcmi_power(std::string_view(output->out)) : std::nullopt;
    const std::lock_guard lock(mutex_);
    if (power && power->active) {
      last_ = power;
      at_ = now;
    } else if (!output) {
      fault_ = output.error();
    } else if (power) {
      fault_ = Fault{Fault::inactive, 0}.told("ipmitool");
    } else {
      const auto said = printable(trim(output->err.empty() ? output->out : output->err), 80);
      fault_ = Error{ErrorCode::transient,
                     "told no power, exit code " + std::to_string(output->exit_code) + ": " + said,
                     "ipmitool",
                     {}};
    }
  }
  [[nodiscard]] std::string name() const override { return "ipmitool"; }
  [[nodiscard]] bool answers_are_kept() const override { return true; }
  [[nodiscard]] std::optional<Error> take_fault() override {
    const std::lock_guard lock(mutex_);
    return std::exchange(fault_, std::nullopt);
  }

 private:
  Machine& machine_;
  std::mutex mutex_;
  std::optional<DcmiPower> last_;
  Instant at_;
  std::optional<Error> fault_;
};

class IpmiSensor final : public Sensor {
 public:
  IpmiSensor(std::unique_ptr<Bmc> bmc, const DcmiPower& first) : bmc_(std::move(bmc)) {
    channel_.name = "ipmi.wall.power";
    channel_.sensor = "ipmi";
    channel_.device = bmc_->name();
    channel_.domain = "wall";
    channel_.measure = Measure::power;
    channel_.coverage_known = false;
    if (first.period_ms > 0 && first.period_ms <= longest_period_ms)
      channel_.averaging_window = milliseconds(first.period_ms);
    if (bmc_->answers_are_kept()) channel_.update_period = milliseconds(1000);
  }
  [[nodiscard]] LaneKind lane() const noexcept override { return LaneKind::blocking; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return {&channel_, 1}; }
  void read(std::span<Reading> out) noexcept override {
    const auto power = bmc_->ask();
    out[0] = power ? Reading{power->now_w, Quality::ok} : Reading{};
    if (!power) lacking_.store(true, std::memory_order_relaxed);
  }
  [[nodiscard]] std::vector<Event> changes() override {
    bmc_->refresh();
    return {};
  }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    const auto fault = bmc_->take_fault();
    if (!lacking_.exchange(false, std::memory_order_relaxed) || !fault) return {};
    return {{channel_.name, fault->where + ": " + fault->what, fault->fix}};
  }

 private:
  std::unique_ptr<Bmc> bmc_;
  Channel channel_;
  std::atomic<bool> lacking_ = false;
};

// The first of the devices that opens, else the program; null: why not is in `error`.
std::unique_ptr<Bmc> open_bmc(Machine& machine, Error& error) {
  std::optional<Error> denied, other;
  for (const auto path : devices) {
    auto device = machine.open_device(std::string(path));
    if (device) return std::make_unique<BmcDevice>(machine, std::move(*device), std::string(path));
    auto& why = device.error().code == ErrorCode::denied ? denied : other;
    if (!why) why = device.error();
  }
  error = denied ? *denied : *other;
  // Without a device of its own the program has none either, unless it is one that reaches further (a wrapper of sudo).
  auto program = std::make_unique<BmcProgram>(machine);
  program->refresh();
  if (program->ask()) return program;
  const auto fault = program->take_fault();
  if (fault && fault->code != ErrorCode::absent && fault->code != ErrorCode::unavailable && !denied) error = *fault;
  return nullptr;
}

}  // namespace

Probe make_ipmi(Machine& machine, const SensorOptions&) {
  Probe probe;
  Error error;
  auto bmc = open_bmc(machine, error);
  if (!bmc) {
    // Most machines have none: that is told, and no summary advises anything.
    const bool absent = error.code == ErrorCode::absent, elsewhere = error.code == ErrorCode::unavailable;
    probe.unavailable.push_back({"ipmi",
                                 absent ? "no BMC that the kernel knows: " + error.where +
                                              " is not there (on a server with one: sudo modprobe ipmi_devintf ipmi_si)"
                                        : error.where + ": " + error.what,
                                 absent || elsewhere ? std::string() : std::string(ipmi_remedy)});
    return probe;
  }
  const auto first = bmc->ask();
  if (!first) {
    const auto fault = bmc->take_fault();
    probe.unavailable.push_back({"ipmi.wall.power",
                                 fault ? fault->where + ": " + fault->what : bmc->name() + " tells no power",
                                 "Redfish, or a meter at the plug, where the BMC has no DCMI"});
    return probe;
  }
  probe.notes.push_back({"ipmi.wall.power",
                         first->period_ms == 0
                             ? "the BMC does not tell over how long it averages"
                             : "the BMC averages its statistics over " + std::to_string(first->period_ms) + " ms (" +
                                   std::to_string(first->average_w) + " W now); a window shorter than that sees little",
                         {}});
  probe.sensor = std::make_unique<IpmiSensor>(std::move(bmc), *first);
  return probe;
}

}  // namespace prony
