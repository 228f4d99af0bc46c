#include "sensors/raspberry_firmware.hpp"

#include <sys/ioctl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "base/text.hpp"
#include "sensors/raspberry_text.hpp"

namespace prony {

namespace {

constexpr unsigned long mailbox_property = _IOWR(100, 0, char*);
constexpr Duration vcgencmd_patience = milliseconds(1000);
constexpr Duration oldest_firmware_answer = milliseconds(3000);
constexpr std::string_view full_device = "/dev/vcio", command_device = "/dev/vcio_gencmd";
constexpr std::string_view into_the_group = "sudo usermod -aG video $USER   (then log in again)";

class Mailbox final : public Firmware {
 public:
  Mailbox(std::unique_ptr<Device> device, std::string path)
      : device_(std::move(device)), path_(std::move(path)), every_tag_(path_ == full_device) {}

  [[nodiscard]] std::string_view ask(Question question, FirmwareText& buffer) noexcept override {
    return say(words_of(question), buffer);
  }
  [[nodiscard]] FirmwareConditions conditions(FirmwareText& buffer) noexcept override {
    if (!every_tag_) return Firmware::conditions(buffer);
    FirmwareConditions now;
    message_.begin();
    // Asked with 0, so that what was since boot is told and not cleared.
    const auto temperature = message_.add(MailboxMessage::get_temperature, 8, {});
    const auto arm = add_clock(MailboxMessage::arm_clock), core = add_clock(MailboxMessage::core_clock),
               v3d = add_clock(MailboxMessage::v3d_clock);
    const auto throttled = message_.add(MailboxMessage::get_throttled, 4, {});
    const auto volts = message_.add_command(words_of(Question::core_volts));
    if (!send()) return now;
    if (message_.answered(temperature)) now.temperature_mc = message_.word(temperature + 1);
    now.arm_hz = clock_at(arm);
    now.core_hz = clock_at(core);
    now.v3d_hz = clock_at(v3d);
    if (message_.answered(throttled)) now.throttled = message_.word(throttled);
    now.core_uv = microvolts_of(message_.text(volts, words_of(Question::core_volts)));
    return now;
  }
  [[nodiscard]] Result<std::string> command(const std::string& words) override {
    FirmwareText buffer;
    const auto text = say(words, buffer);
    if (!text.empty()) return std::string(text);
    auto fault = take_fault();
    return Unexpected<Error>(fault ? *fault : Error{ErrorCode::unavailable, "gave no answer to " + words, path_, {}});
  }
  [[nodiscard]] std::string name() const override { return path_; }
  [[nodiscard]] bool answers_are_kept() const override { return false; }
  [[nodiscard]] std::optional<Error> take_fault() override {
    const int fault = fault_.exchange(0, std::memory_order_relaxed);
    if (fault == 0) return std::nullopt;
    if (fault == unanswered) return Error{ErrorCode::transient, "the firmware gave no answer", path_, {}};
    return error_from_errno(fault, path_, "cannot ask the firmware");
  }

 private:
  static constexpr int unanswered = -1;

  std::size_t add_clock(std::uint32_t id) noexcept {
    return message_.add(MailboxMessage::get_clock_measured, 8, std::span(&id, 1));
  }
  [[nodiscard]] std::optional<std::int64_t> clock_at(std::size_t at) const noexcept {
    return message_.answered(at) ? std::optional<std::int64_t>(message_.word(at + 1)) : std::nullopt;
  }
  [[nodiscard]] bool send() noexcept {
    const int answer = device_->control(mailbox_property, message_.finish());
    if (answer < 0) fault_.store(-answer, std::memory_order_relaxed);
    return answer >= 0;
  }
  [[nodiscard]] std::string_view say(std::string_view words, FirmwareText& buffer) noexcept {
    message_.begin();
    const auto at = message_.add_command(words);
    if (!send()) return {};
    const auto text = message_.text(at, words);
    if (text.empty()) fault_.store(unanswered, std::memory_order_relaxed);
    std::copy(text.begin(), text.end(), buffer.begin());
    return {buffer.data(), text.size()};
  }

  std::unique_ptr<Device> device_;
  std::string path_;
  bool every_tag_;
  MailboxMessage message_;
  std::atomic<int> fault_ = 0;
};

// The program in the mailbox's place. What nobody asked for twice is not run every second: a question is asked again
// once ask() has wanted it.
class CommandProgram final : public Firmware {
 public:
  explicit CommandProgram(Machine& machine) : machine_(machine) {}

  [[nodiscard]] std::string_view ask(Question question, FirmwareText& buffer) noexcept override {
    const auto now = machine_.now();
    const std::lock_guard lock(mutex_);
    auto& answer = answers_[static_cast<std::size_t>(question)];
    answer.wanted = true;
    if (answer.size == 0 || now - answer.at > oldest_firmware_answer) return {};
    std::copy_n(answer.text.begin(), answer.size, buffer.begin());
    return {buffer.data(), answer.size};
  }
  void refresh() override {
    for (std::size_t i = 0; i < question_count; ++i) {
      {
        const std::lock_guard lock(mutex_);
        if (!answers_[i].wanted) continue;
      }
      const auto text = command(std::string(words_of(static_cast<Question>(i))));
      const auto now = machine_.now();
      const std::lock_guard lock(mutex_);
      if (!text) {
        fault_ = text.error();
        continue;
      }
      answers_[i].size = text->copy(answers_[i].text.data(), answers_[i].text.size());
      answers_[i].at = now;
    }
  }
  [[nodiscard]] Result<std::string> command(const std::string& words) override {
    std::vector<std::string> arguments{"vcgencmd"};
    for (const auto word : split(words, ' ')) arguments.emplace_back(word);
    auto output = machine_.run_program(arguments, vcgencmd_patience);
    if (!output) return Unexpected<Error>(output.error());
    if (output->exit_code != 0 || trim(output->out).empty()) {
      auto said = firmware_error(output->out);
      if (said.empty()) said = printable(trim(output->err.empty() ? output->out : output->err), 80);
      return fail(ErrorCode::transient,
                  "ended with exit code " + std::to_string(output->exit_code) + (said.empty() ? "" : ": " + said),
                  "vcgencmd " + words, std::string(into_the_group));
    }
    return std::move(output->out);
  }
  [[nodiscard]] std::string name() const override { return "vcgencmd"; }
  [[nodiscard]] bool answers_are_kept() const override { return true; }
  [[nodiscard]] std::optional<Error> take_fault() override {
    const std::lock_guard lock(mutex_);
    return std::exchange(fault_, std::nullopt);
  }

 private:
  struct Answer {
    FirmwareText text{};
    std::size_t size = 0;
    Instant at;
    bool wanted = false;
  };
  Machine& machine_;
  std::mutex mutex_;
  std::array<Answer, question_count> answers_;
  std::optional<Error> fault_;
};

}  // namespace

std::string_view words_of(Question question) noexcept {
  switch (question) {
    case Question::rails: return "pmic_read_adc";
    case Question::temperature: return "measure_temp";
    case Question::arm_clock: return "measure_clock arm";
    case Question::core_clock: return "measure_clock core";
    case Question::v3d_clock: return "measure_clock v3d";
    case Question::core_volts: return "measure_volts core";
    case Question::throttled: return "get_throttled";
  }
  return {};
}

FirmwareConditions Firmware::conditions(FirmwareText& buffer) noexcept {
  FirmwareConditions now;
  now.temperature_mc = temperature_of(ask(Question::temperature, buffer));
  now.arm_hz = frequency_of(ask(Question::arm_clock, buffer));
  if (!answers_are_kept()) {  // a program a second for each would disturb what is measured
    now.core_hz = frequency_of(ask(Question::core_clock, buffer));
    now.v3d_hz = frequency_of(ask(Question::v3d_clock, buffer));
  }
  now.core_uv = microvolts_of(ask(Question::core_volts, buffer));
  now.throttled = throttled_of(ask(Question::throttled, buffer));
  return now;
}

std::size_t MailboxMessage::add(std::uint32_t tag, std::size_t bytes, std::span<const std::uint32_t> request) noexcept {
  words_[used_] = tag;
  words_[used_ + 1] = static_cast<std::uint32_t>(bytes);
  words_[used_ + 2] = 0;
  const std::size_t at = used_ + 3;
  std::fill_n(words_.begin() + static_cast<std::ptrdiff_t>(at), bytes / 4, 0U);
  std::copy(request.begin(), request.end(), words_.begin() + static_cast<std::ptrdiff_t>(at));
  used_ = at + bytes / 4;
  return at;
}

std::size_t MailboxMessage::add_command(std::string_view words) noexcept {
  // What is left of the message but the end's word, so that a command fits behind other tags.
  const std::size_t bytes = (words_.size() - used_ - 3 - 1) * 4;
  const auto at = add(general_command, bytes, {});
  std::memcpy(&words_[at + 1], words.data(), std::min(words.size(), bytes - 8));
  return at;
}

std::span<std::byte> MailboxMessage::finish() noexcept {
  words_[used_] = 0;
  words_[0] = static_cast<std::uint32_t>((used_ + 1) * sizeof(std::uint32_t));
  words_[1] = 0;
  return std::as_writable_bytes(std::span(words_).first(used_ + 1));
}

std::string_view MailboxMessage::text(std::size_t at, std::string_view asked) const noexcept {
  if (words_[1] != success || words_[at] != 0) return {};
  const auto* const begin = reinterpret_cast<const char*>(&words_[at + 1]);
  const std::string_view text(begin, ::strnlen(begin, (used_ - at - 1) * sizeof(std::uint32_t)));
  return text == asked || text.size() > firmware_text_bytes ? std::string_view() : text;
}

bool is_raspberry(Machine& machine) {
  const auto model = machine.read_text("/sys/firmware/devicetree/base/model");
  if (model) return model->starts_with("Raspberry Pi");
  return machine.exists(std::string(full_device)) || machine.exists(std::string(command_device));
}

Result<std::unique_ptr<Firmware>> open_firmware(Machine& machine) {
  if (!is_raspberry(machine)) return fail(ErrorCode::absent, "not a Raspberry Pi");
  std::optional<Error> denied, other;
  for (const auto path : {full_device, command_device}) {
    auto device = machine.open_device(std::string(path));
    Error error;
    if (device) {
      auto mailbox = std::make_unique<Mailbox>(std::move(*device), std::string(path));
      auto answer = mailbox->command(std::string(words_of(Question::temperature)));
      if (answer) return mailbox;
      error = answer.error();
    } else {
      error = device.error();
    }
    auto& why = error.code == ErrorCode::denied ? denied : other;
    if (!why) why = error;
  }
  auto program = std::make_unique<CommandProgram>(machine);
  auto answer = program->command(std::string(words_of(Question::temperature)));
  if (answer && temperature_of(*answer)) return program;
  // A program that is there and fails says more than a device that may not be opened; but it fails for that reason.
  Error error = denied ? *denied : other ? *other : Error{};
  if (denied) error.fix = into_the_group;
  if (!denied && !answer && answer.error().code != ErrorCode::absent && answer.error().code != ErrorCode::unavailable)
    error = answer.error();
  return Unexpected<Error>(error);
}

}  // namespace prony
