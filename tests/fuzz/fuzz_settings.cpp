// parts: app
// Any text as a configuration file, and what its values are parsed into: durations, temperatures, shares. The user gets
// an error that names the file, or settings that all lie within what the options allow.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "app/common.hpp"
#include "app/control.hpp"
#include "base/text.hpp"

namespace {

using namespace prony;
using namespace prony::app;

void check_values(const RecordOptions& options) {
  constexpr Duration least = milliseconds(1), most = milliseconds(60'000);
  for (const std::string* text : {&options.interval, &options.baseline})
    if (const auto duration = duration_setting(*text, "interval", least, most))
      if (*duration < least || *duration > most) std::abort();
  if (const auto celsius = temperature_setting(options.max_temp, "max-temp"))
    if (!std::isfinite(*celsius) || *celsius < 0 || *celsius > 150) std::abort();
  if (const auto share = share_setting(options.budget, "budget"))
    if (!std::isfinite(*share) || *share <= 0 || *share > 1) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string path = "/dev/shm/prony-fuzz-settings-" + std::to_string(::getpid());
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || ::write(fd, data, size) != static_cast<ssize_t>(size)) std::abort();
  ::close(fd);
  CLI::App app;
  RecordOptions options;
  Settings settings;
  add_record_options(app, options, settings);
  const auto resolved = settings.resolve(path, config_keys());
  if (!resolved && (resolved.error().what.empty() || !resolved.error().where.starts_with(path))) std::abort();
  if (!resolved) (void)error_text(resolved.error());
  if (resolved) check_values(options);
  for (const Fact& fact : settings.facts())
    if (fact.origin != "default" && fact.origin != "file") std::abort();
  // The same text as one value: what an environment variable or a flag can hold.
  const std::string word(reinterpret_cast<const char*>(data), size);
  options.interval = options.baseline = options.max_temp = options.budget = word;
  check_values(options);
  if (file_name_word(word).find('/') != std::string::npos || file_name_word(word).empty()) std::abort();
  ::unlink(path.c_str());
  return 0;
}
