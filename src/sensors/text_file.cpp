#include "sensors/text_file.hpp"

#include <atomic>
#include <charconv>

#include "sensors/retry_pause.hpp"

namespace prony {

namespace {

constexpr int malformed = -1;
constexpr std::int64_t largest_value = std::int64_t{1} << 62;

std::optional<std::int64_t> leading_number(std::string_view& text) noexcept {
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || text.front() == '-' || value > largest_value) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  return value;
}

constexpr bool is_blank(char c) noexcept { return c == ' ' || c == '\t'; }

void skip_blanks(std::string_view& text) noexcept {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
}

class TextSensor final : public Sensor {
 public:
  TextSensor(LaneKind lane, std::vector<Channel> channels, std::vector<TextSensorBuilder::Text> texts)
      : lane_(lane), channels_(std::move(channels)), texts_(std::move(texts)) {}

  [[nodiscard]] LaneKind lane() const noexcept override { return lane_; }
  [[nodiscard]] std::span<const Channel> channels() const noexcept override { return channels_; }
  void read(std::span<Reading> out) noexcept override {
    TextBuffer buffer;
    std::size_t at = 0;
    for (auto& [file, values] : texts_) {
      const auto text = file.read(buffer);
      for (const auto& value : values) {
        const auto found = text.empty() ? std::nullopt : value(text);
        if (!found && !text.empty()) file.note_malformed();
        out[at++] = found ? Reading{*found, Quality::ok} : Reading{};
      }
    }
  }
  [[nodiscard]] std::vector<Unavailable> complaints() override {
    std::vector<Unavailable> result;
    std::size_t first = 0;
    for (auto& [file, values] : texts_) {
      if (const auto fault = file.take_fault())
        result.push_back({channels_[first].name, fault->where + ": " + fault->what, fault->fix});
      first += values.size();
    }
    return result;
  }

 private:
  LaneKind lane_;
  std::vector<Channel> channels_;
  std::vector<TextSensorBuilder::Text> texts_;
};

}  // namespace

Result<TextFile> TextFile::open(Machine& machine, const std::string& path) {
  auto file = machine.open(path);
  if (!file) return Unexpected<Error>(file.error());
  TextFile result;
  result.machine_ = &machine;
  result.file_ = std::move(*file);
  result.path_ = path;
  return result;
}

std::string_view TextFile::read(TextBuffer& buffer) noexcept {
  const auto count = file_->read(buffer);
  if (count > 0) [[likely]] {
    std::string_view text(buffer.data(), static_cast<std::size_t>(count));
    // What fills the buffer may end within a number.
    if (text.size() == buffer.size()) text = text.substr(0, text.rfind('\n') + 1);
    if (!text.empty()) return text;
    note(malformed);
    return {};
  }
  note(count < 0 ? static_cast<int>(-count) : malformed);
  if (const auto now = machine_->now().ns; now >= next_reopen_ns_) {
    next_reopen_ns_ = now + reopen_pause_ns;
    (void)file_->reopen();
  }
  return {};
}

void TextFile::note(int fault) noexcept { std::atomic_ref(untold_).store(fault, std::memory_order_relaxed); }
void TextFile::note_malformed() noexcept { note(malformed); }

std::optional<Error> TextFile::take_fault() {
  const int fault = std::atomic_ref(untold_).exchange(0, std::memory_order_relaxed);
  if (fault == 0) return std::nullopt;
  if (fault > 0) return error_from_errno(fault, path_, "cannot read");
  return Error{ErrorCode::malformed, "is empty, or does not hold the numbers that it should", path_, {}};
}

bool TextSensorBuilder::add(const std::string& path, std::vector<TextField> fields, const std::string& remedy) {
  const auto none = [&](const Error& error) {
    unavailable_.push_back(
        {fields.front().channel.name, path + ": " + error.what, remedy.empty() ? error.fix : remedy});
    return false;
  };
  auto file = TextFile::open(machine_, path);
  if (!file) return none(file.error());
  TextBuffer buffer;
  const auto text = file->read(buffer);
  if (text.empty()) return none(file->take_fault().value_or(Error{ErrorCode::malformed, "is empty", path, {}}));
  Text kept{std::move(*file), {}};
  for (auto& field : fields) {
    if (!field.value(text)) {
      unavailable_.push_back({field.channel.name, path + ": does not tell it, or not as a number", remedy});
      continue;
    }
    field.channel.id = {static_cast<std::uint32_t>(channels_.size())};
    if (field.channel.device.empty()) field.channel.device = path;
    channels_.push_back(std::move(field.channel));
    kept.values.push_back(std::move(field.value));
  }
  if (kept.values.empty()) return false;
  texts_.push_back(std::move(kept));
  return true;
}

Probe TextSensorBuilder::finish(LaneKind lane) {
  Probe probe;
  if (!channels_.empty()) probe.sensor = std::make_unique<TextSensor>(lane, std::move(channels_), std::move(texts_));
  probe.unavailable = std::move(unavailable_);
  return probe;
}

std::optional<std::int64_t> number_of_line(std::string_view text, std::string_view key,
                                           std::string_view ends_with) noexcept {
  while (!text.empty()) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    if (line.starts_with(key) && line.size() > key.size() && (is_blank(line[key.size()]) || key.back() == '=')) {
      line.remove_prefix(key.size());
      skip_blanks(line);
      if (line.empty()) return std::nullopt;
      const auto value = leading_number(line);
      if (!value || line != ends_with) return std::nullopt;
      return value;
    }
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return std::nullopt;
}

std::optional<std::int64_t> number_in_line(std::string_view line, std::size_t index) noexcept {
  line = line.substr(0, line.find('\n'));
  for (std::size_t i = 0;; ++i) {
    skip_blanks(line);
    if (line.empty()) return std::nullopt;
    if (i < index) {
      while (!line.empty() && !is_blank(line.front())) line.remove_prefix(1);
      continue;
    }
    const auto value = leading_number(line);
    if (!value || (!line.empty() && !is_blank(line.front()))) return std::nullopt;
    return value;
  }
}

}  // namespace prony
