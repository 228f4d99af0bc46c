#include "sensors/hailo_library.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.hpp"
#include "sensors/retry_pause.hpp"

namespace prony {

namespace {

constexpr std::string_view hailo_remedy =
    "sudo apt install hailo-all (Raspberry Pi OS), or HailoRT and its driver from Hailo";

}  // namespace

std::string hailo_words(hailo::Status status) {
  using Words = std::pair<hailo::Status, std::string_view>;
  static constexpr std::array<Words, 21> known{{
      {hailo::function_not_found, "this HailoRT does not have the function"},
      {hailo::invalid_argument, "HailoRT does not know this accelerator any more"},
      {hailo::timeout, "it did not answer in time"},
      {hailo::insufficient_buffer, "there are more accelerators than there is room for"},
      {hailo::open_failed, "its device file cannot be opened (/dev/hailo*)"},
      {hailo::unsupported_firmware, "its firmware is of another version than HailoRT"},
      {hailo::firmware_refused, "its firmware refuses"},
      {hailo::driver_failed, "its driver failed"},
      {hailo::no_response, "its firmware gave no answer"},
      {hailo::unsupported_opcode, "this board or firmware does not have it"},
      {hailo::not_found, "it is not there"},
      {hailo::connection_closed, "the connection to it broke"},
      {hailo::driver_not_installed, "its driver is not loaded"},
      {hailo::not_available, "it is not available"},
      {hailo::device_in_use, "it is held by somebody else"},
      {hailo::invalid_driver_version, "its driver is of another version than HailoRT"},
      {hailo::not_supported, "this HailoRT does not support this accelerator"},
      {hailo::driver_invalid_response, "its driver is of another version than HailoRT"},
      {hailo::driver_invalid_control, "its driver is of another version than HailoRT"},
      {hailo::driver_timeout, "its driver did not answer in time; it may need a reset"},
      {hailo::success, "it answers"},
  }};
  for (const auto& [code, words] : known)
    if (code == status) return std::string(words);
  return "HailoRT answers with status " + std::to_string(status);
}

HailoLibrary::HailoLibrary(std::unique_ptr<Library> library) : library_(std::move(library)) {
  const auto bind = [this](auto& function, const char* exported) {
    function = std::remove_reference_t<decltype(function)>(library_->symbol(exported));
  };
  bind(version, "hailo_get_library_version");
  bind(scan, "hailo_scan_devices");
  bind(create, "hailo_create_device_by_id");
  bind(release, "hailo_release_device");
  bind(identify, "hailo_identify");
  bind(temperature, "hailo_get_chip_temperature");
  bind(power, "hailo_power_measurement");
}

Result<std::shared_ptr<const HailoLibrary>> HailoLibrary::open(Machine& machine) {
  auto library = machine.open_library(hailo::library_names);
  if (!library) {
    Error error = library.error();
    if (error.code == ErrorCode::absent) {
      error.what = "libhailort.so is not there: nothing of the accelerator can be read";
      error.where.clear();
      error.fix = std::string(hailo_remedy);
    }
    return Unexpected<Error>(error);
  }
  auto opened = std::make_shared<const HailoLibrary>(std::move(*library));
  if (!opened->scan || !opened->create || !opened->release)
    return fail(ErrorCode::unavailable, "is not the library that it is named after, or HailoRT before 4.15",
                "libhailort.so", std::string(hailo_remedy));
  return opened;
}

HailoChip::HailoChip(Machine& machine, std::shared_ptr<const HailoLibrary> library, std::size_t index,
                     std::string address)
    : machine_(machine),
      library_(std::move(library)),
      address_(std::move(address)),
      name_("hailo-" + std::to_string(index)) {}

HailoChip::~HailoChip() { give_back(); }

void HailoChip::give_back() noexcept {
  if (device_ != nullptr) (void)library_->call(&HailoLibrary::release, std::exchange(device_, nullptr));
}

hailo::Status HailoChip::open() {
  hailo::DeviceId id;
  address_.copy(id.id, sizeof id.id - 1);
  hailo::Device device = nullptr;
  const auto status = library_->call(&HailoLibrary::create, &id, &device);
  if (status != hailo::success) return status;
  if (device == nullptr) return hailo::not_available;
  device_ = device;
  here_.store(true, std::memory_order_relaxed);
  return status;
}

std::string HailoChip::product() {
  // More room than the layout that is known: a later version may write more.
  struct {
    hailo::Identity identity;
    std::array<char, 1024> more;
  } answer{};
  if (call(&HailoLibrary::identify, &answer.identity) != hailo::success) return {};
  const auto text = [](const char* name, std::size_t room) {
    const std::string_view all(name, room);
    return printable(all.substr(0, all.find('\0')), room);
  };
  auto product = text(answer.identity.product_name, sizeof answer.identity.product_name);
  return product.empty() ? text(answer.identity.board_name, sizeof answer.identity.board_name) : product;
}

// A request that the firmware refuses says nothing of the chip; these do.
bool HailoChip::means_away(hailo::Status status) noexcept {
  switch (status) {
    case hailo::invalid_argument:
    case hailo::timeout:
    case hailo::driver_failed:
    case hailo::no_response:
    case hailo::connection_closed:
    case hailo::driver_not_installed:
    case hailo::driver_timeout: return true;
    default: return false;
  }
}

void HailoChip::leave(hailo::Status status) noexcept {
  left_with_ = status;
  told_with_.store(status, std::memory_order_relaxed);
  left_ns_.store(machine_.now().ns, std::memory_order_release);
  here_.store(false, std::memory_order_relaxed);
  give_back();
  tries_ = 0;
  next_try_ = machine_.now() + pause_after(tries_);
}

hailo::Status HailoChip::come_back() noexcept {
  const Instant now = machine_.now();
  if (now < next_try_) return left_with_;
  const auto status = open();
  if (status == hailo::success) {
    back_ns_.store(machine_.now().ns, std::memory_order_release);
    return status;
  }
  next_try_ = now + pause_after(++tries_);
  return left_with_;
}

std::optional<Unavailable> HailoChip::complaint() {
  if (left_ns_.load(std::memory_order_acquire) == 0 || complained_) return std::nullopt;
  complained_ = true;
  return Unavailable{"hailo." + name_,
                     name_ + " at " + address_ + ": " + hailo_words(told_with_.load(std::memory_order_relaxed)) +
                         "; nothing of it is measured until it answers again",
                     "dmesg | grep hailo names the fault, hailortcli scan shows whether it is back"};
}

std::vector<Event> HailoChip::changes() {
  std::vector<Event> events;
  const auto left = left_ns_.load(std::memory_order_acquire), back = back_ns_.load(std::memory_order_acquire);
  const auto tell_left = [&] {
    if (left == told_left_ns_) return;
    if (std::exchange(told_left_ns_, left) == 0) return;  // that one is a complaint
    events.push_back({Instant{left}, "sensor-lost", "hailo." + name_,
                      name_ + ": " + hailo_words(told_with_.load(std::memory_order_relaxed))});
  };
  const auto tell_back = [&] {
    if (back == told_back_ns_) return;
    told_back_ns_ = back;
    events.push_back({Instant{back}, "sensor-back", "hailo." + name_, name_ + " answers again"});
  };
  if (back < left) tell_back();
  tell_left();
  if (back > left) tell_back();
  return events;
}

}  // namespace prony
