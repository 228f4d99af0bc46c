#include "app/machine_peaks.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "app/beside.hpp"
#include "app/common.hpp"
#include "app/kept.hpp"
#include "app/write_file.hpp"
#include "base/spawn.hpp"
#include "base/state_file.hpp"
#include "base/text.hpp"
#include "reports/figures.hpp"

namespace prony::app {

namespace {

constexpr std::size_t largest_peaks_file = std::size_t{1} << 16;
constexpr const char* peaks_kind = "peaks";
constexpr double each_loop_s = 1;
constexpr int longest_silence_ms = 120'000;  // a busy machine is slow, a hanging one is not waited for

Error with_place(Error error, std::string where) {
  error.where = std::move(where);
  return error;
}

// All that it prints; nullopt: it was silent for too long.
Result<std::string> output_of(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    pollfd waiting{fd, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, longest_silence_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return fail(ErrorCode::unavailable, "the benchmark gave no answer", "prony-peaks");
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Unexpected<Error>(error_from_errno(errno, "prony-peaks"));
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > largest_peaks_file)
      return fail(ErrorCode::malformed, "the benchmark does not end", "prony-peaks");
  }
}

Result<calibrate::MachinePeaks> run_benchmark(std::int32_t threads) {
  const auto program = find_beside_or_in_path("prony-peaks");
  if (!program)
    return fail(ErrorCode::absent, "the program that measures the machine is not installed", "prony-peaks",
                "It is built with prony and stands beside it:  make build");
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Unexpected<Error>(error_from_errno(errno, "pipe"));
  const Fd from(ends[0]);
  Fd to(ends[1]);
  SpawnOptions spawned;
  spawned.arguments = {*program, std::to_string(threads), format_number(each_loop_s)};
  spawned.stdout_fd = to.get();
  spawned.die_with_parent = true;
  auto child = spawn(spawned);
  if (!child) return Unexpected<Error>(child.error());
  to = Fd();
  const auto text = output_of(from.get());
  if (!text) child->signal(SIGKILL);
  const auto ended = child->wait();
  if (!text) return Unexpected<Error>(text.error());
  if (!ended) return Unexpected<Error>(ended.error());
  if (*ended && (*ended)->shell_code() != 0)
    return fail(ErrorCode::unavailable,
                (*ended)->signal != 0 ? "the benchmark was ended by signal " + std::to_string((*ended)->signal)
                                      : "the benchmark failed with exit code " + std::to_string((*ended)->code),
                "prony-peaks", "It needs about 0.4 GB of memory, or twelve times the last-level cache.");
  return calibrate::peaks_from_text(*text);
}

Result<std::filesystem::path> peaks_file(const Manifest& facts) {
  auto path = kept_file(facts, peaks_kind);
  if (path.empty())
    return fail(ErrorCode::absent, "there is no place to keep what is measured", "HOME", "Set HOME or XDG_STATE_HOME.");
  return path;
}

Result<Manifest> facts_of_this_machine(std::int64_t* wall_ns) {
  auto machine = open_machine({});
  if (!machine) return Unexpected<Error>(machine.error());
  if (wall_ns != nullptr) *wall_ns = (*machine)->anchor().wall_ns;
  return facts_for_kept(**machine, {});
}

std::string rate_words(double value, const char* unit) {
  const bool tera = value >= 999.5e9;
  return figures::significant(value / (tera ? 1e12 : 1e9), 3) + (tera ? " T" : " G") + unit;
}

std::string rate_line(const char* name, const calibrate::Rate& rate, const char* unit, const std::string& what) {
  std::string label = " " + std::string(name);
  label.resize(12, ' ');
  return label + rate_words(rate.best, unit) + " · best of " + std::to_string(rate.repetitions) + ", middle " +
         rate_words(rate.median, unit) + "\n            " + what + "\n";
}

std::string peaks_words(const calibrate::MachinePeaks& peaks, const std::string& path) {
  std::string text = printable(peaks.machine, 120) + "\n\n";
  text += rate_line("computing", peaks.flop, "FLOP/s",
                    "multiply-adds of 32-bit numbers (" + printable(peaks.instructions, 20) + "), each 2 FLOP");
  text += rate_line("reading", peaks.read, "B/s",
                    "an array of " + figures::bytes(static_cast<double>(peaks.array_bytes)) + ", summed up");
  text += rate_line("triad", peaks.triad, "B/s", "a = b + s · c, 24 bytes an element as STREAM counts them");
  text += "\n peaks      " + rate_words(peaks.flop.best, "FLOP/s") + " and " + rate_words(peaks.bytes_per_s(), "B/s") +
          ": " + calibrate::words_of(peaks) + "\n";
  if (peaks.arrays_small())
    text += " WARNING    the arrays are less than four times the last-level cache (" +
            figures::bytes(static_cast<double>(*peaks.cache_bytes)) +
            "): a part may have been read\n            from it; more free memory makes them larger\n";
  if (peaks.unsteady())
    text +=
        " WARNING    the repetitions differ: other programs took a part of the machine, and the peaks may be too "
        "low;\n            close them and measure again\n";
  return text + " kept       " + path +
         "\n            used by `prony inspect` and `prony llm`; --forget-machine ends that\n";
}

}  // namespace

Result<double> rate_setting(const std::string& text, std::string_view option, std::string_view unit) {
  constexpr std::string_view prefixes = "kMGTPE";
  std::string_view number = trim(text);
  if (number.ends_with(unit)) number.remove_suffix(unit.size());
  number = trim(number);
  double factor = 1;
  if (!number.empty())
    if (const std::size_t prefix = prefixes.find(number.back()); prefix != std::string_view::npos) {
      for (std::size_t i = 0; i <= prefix; ++i) factor *= 1000;
      number.remove_suffix(1);
    }
  const auto value = parse_finite(number);
  if (!value || !(*value * factor >= 1) || *value * factor > 1e24)
    return fail(ErrorCode::usage, "'" + printable(text, 40) + "' is no rate", std::string(option),
                "Write it like 312T or 312T" + std::string(unit) + "; k, M, G, T, P and E are powers of 1000.");
  return *value * factor;
}

Result<calibrate::MachinePeaks> kept_peaks(const Manifest& facts) {
  const auto path = kept_file(facts, peaks_kind);
  const auto text = path.empty() ? Result<std::string>(fail(ErrorCode::absent, "no place"))
                                 : read_whole_file(path.string(), largest_peaks_file);
  if (!text) return fail(ErrorCode::absent, "no peaks of this machine are kept");
  auto peaks = calibrate::peaks_from_text(*text);
  if (!peaks) return Unexpected<Error>(with_place(peaks.error(), path.string()));
  if (peaks->machine != machine_words(facts))
    return fail(ErrorCode::unavailable,
                "the kept peaks are of another machine: " + printable(peaks->machine, 120) + " then, " +
                    machine_words(facts) + " now",
                path.string(), "`prony inspect --measure-machine` measures them again.");
  return peaks;
}

int measure_machine(const PeaksOptions& options) {
  std::int64_t wall_ns = 0;
  const auto facts = facts_of_this_machine(&wall_ns);
  if (!facts) return failed(facts.error());
  const auto path = peaks_file(*facts);
  if (!path) return failed(path.error());
  auto peaks = run_benchmark(options.threads);
  if (!peaks) return failed(peaks.error());
  peaks->taken_wall_ns = wall_ns;
  peaks->machine = machine_words(*facts);
  if (auto saved = replace_state_file(*path, calibrate::to_text(*peaks), "what was measured"); !saved)
    return failed(saved.error());
  return print_result(options.json ? calibrate::to_text(*peaks) : peaks_words(*peaks, path->string()));
}

int forget_machine() {
  const auto facts = facts_of_this_machine(nullptr);
  if (!facts) return failed(facts.error());
  const auto path = peaks_file(*facts);
  if (!path) return failed(path.error());
  std::error_code trouble;
  const bool was = std::filesystem::remove(*path, trouble);
  if (trouble) return failed(error_from_errno(trouble.value(), path->string(), "cannot forget the machine's peaks"));
  return print_result(was ? "forgotten: " + path->string() + "\n" : "no peaks of this machine were kept\n");
}

}  // namespace prony::app
