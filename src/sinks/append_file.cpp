#include "sinks/append_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "base/text.hpp"
#include "sinks/file_writing.hpp"

namespace prony {

namespace {

constexpr std::int64_t turn_again_after_ns = 60'000'000'000;
constexpr std::size_t header_limit = std::size_t{1} << 20;

// "out.csv" → "out", ".csv": between the two goes the time at which a file was turned over.
std::pair<std::string, std::string> stem_and_ending(const std::string& path) {
  const std::filesystem::path whole(path);
  return {(whole.parent_path() / whole.stem()).string(), whole.extension().string()};
}

// Where its first line was written: the birth of the file, where the file system keeps it.
std::int64_t birth_ns(int fd, std::int64_t otherwise) {
  struct statx facts{};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &facts) != 0 || (facts.stx_mask & STATX_BTIME) == 0) return otherwise;
  return static_cast<std::int64_t>(facts.stx_btime.tv_sec) * 1'000'000'000 + facts.stx_btime.tv_nsec;
}

// Offset behind the last line end; 0: there is none.
Result<std::uint64_t> end_of_last_line(int fd, std::uint64_t size, const std::string& path) {
  std::array<char, 65536> part{};
  for (std::uint64_t end = size; end > 0;) {
    const std::uint64_t begin = end > part.size() ? end - part.size() : 0;
    const auto got = ::pread(fd, part.data(), static_cast<std::size_t>(end - begin), static_cast<off_t>(begin));
    if (got < 0) return failed_at(path, "its end cannot be read");
    const std::string_view text(part.data(), static_cast<std::size_t>(got));
    if (const std::size_t at = text.rfind('\n'); at != std::string_view::npos) return begin + at + 1;
    end = begin;
  }
  return std::uint64_t{0};
}

}  // namespace

Result<TurnOver> turn_over_of(const SinkSpec& spec) {
  static constexpr std::array<std::string_view, 3> known{"rotate-size", "rotate-every", "keep"};
  if (auto sound = check_options(spec, known); !sound) return Unexpected<Error>(sound.error());
  TurnOver turn;
  const std::string where = "--sink " + spec.text;
  for (const auto& [name, value] : spec.options) {
    if (name == "rotate-size") {
      turn.bytes = parse_bytes(value);
      if (!turn.bytes)
        return fail(ErrorCode::usage, "'" + printable(value, 40) + "' is not a size", where, "Write rotate-size=10MB");
    } else if (name == "rotate-every") {
      const auto ns = parse_duration_ns(value);
      if (!ns || *ns < 1'000'000'000)
        return fail(ErrorCode::usage, "'" + printable(value, 40) + "' is not a time of 1s or more", where,
                    "Write rotate-every=1h");
      turn.age = Duration{*ns};
    } else {
      turn.keep = parse_u64(value);
      if (!turn.keep)
        return fail(ErrorCode::usage, "'" + printable(value, 40) + "' is not a number of files", where, "keep=7");
    }
  }
  return turn;
}

Result<AppendFile> AppendFile::open(std::string path, std::string header, std::string family, std::string line_end,
                                    TurnOver turn_over, std::int64_t wall_ns) {
  AppendFile file;
  file.path_ = std::move(path);
  file.header_ = std::move(header);
  file.family_ = std::move(family);
  file.line_end_ = std::move(line_end);
  file.turn_over_ = turn_over;
  if (auto opened = file.open_file(wall_ns); !opened) return Unexpected<Error>(opened.error());
  return file;
}

Result<void> AppendFile::open_file(std::int64_t wall_ns) {
  auto opened = open_and_begin(wall_ns);
  if (!opened) fd_.reset();  // a file without its header gets no rows
  return opened;
}

Result<void> AppendFile::open_and_begin(std::int64_t wall_ns) {
  bytes_ = 0;
  began_ns_ = synced_ns_ = wall_ns;
  if (is_stdout()) {
    fd_ = Fd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
    if (!fd_.valid()) return failed_at("standard output", "it is not open");
    return put(header_ + line_end_);
  }
  const std::filesystem::path parent = std::filesystem::path(path_).parent_path();
  std::error_code made;
  if (!parent.empty()) std::filesystem::create_directories(parent, made);
  auto fd = Fd::open(path_, O_RDWR | O_CREAT | O_APPEND, 0644);
  if (!fd) return Unexpected<Error>(fd.error());
  fd_ = std::move(*fd);
  struct stat facts{};
  if (::fstat(fd_.get(), &facts) != 0) return failed_at(path_, "it cannot be looked at");
  if (!S_ISREG(facts.st_mode)) return put(header_ + line_end_);  // a pipe: nothing to mend and nothing to turn over
  if (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0)
    return fail(ErrorCode::usage, "somebody else writes this file", path_, "Give every monitor a file of its own.");
  bytes_ = static_cast<std::uint64_t>(facts.st_size);
  if (bytes_ == 0) return put(header_ + line_end_);
  return mend(wall_ns);
}

// What was there before: ours with the same columns goes on, with others it is turned over, anything else is refused.
Result<void> AppendFile::mend(std::int64_t wall_ns) {
  const std::uint64_t size = bytes_;
  const auto whole = end_of_last_line(fd_.get(), size, path_);
  if (!whole) return Unexpected<Error>(whole.error());
  std::string first(static_cast<std::size_t>(std::min<std::uint64_t>(size, header_limit)), '\0');
  const auto got = ::pread(fd_.get(), first.data(), first.size(), 0);
  if (got < 0) return failed_at(path_, "its first line cannot be read");
  first.resize(static_cast<std::size_t>(got));
  const bool torn_header = *whole == 0 && (header_ + line_end_).starts_with(first);
  if (!torn_header && (*whole == 0 || !first.starts_with(family_)))
    return fail(ErrorCode::usage, "the file is there and is not one that this sink wrote", path_,
                "Give another name; nothing in it was changed.");
  if (*whole < size) {
    if (::ftruncate(fd_.get(), static_cast<off_t>(*whole)) != 0) return failed_at(path_, "its torn end stays");
    notes_.push_back("cut a torn last line of " + std::to_string(size - *whole) + " bytes off " + path_);
    bytes_ = *whole;
  }
  if (bytes_ == 0) return put(header_ + line_end_);
  began_ns_ = std::min(wall_ns, birth_ns(fd_.get(), wall_ns));
  if (first.starts_with(header_ + line_end_)) return {};
  notes_.push_back("the columns of " + path_ + " were others: it was turned over, and a new one begun");
  return turn(wall_ns);
}

// All of `text` or nothing of it.
Result<void> AppendFile::put(std::string_view text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const auto wrote = ::write(fd_.get(), text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      Error error = error_from_errno(wrote == 0 ? ENOSPC : errno, is_stdout() ? "standard output" : path_);
      error.what = "the line could not be written: " + error.what;
      if (done > 0 && !is_stdout()) (void)::ftruncate(fd_.get(), static_cast<off_t>(bytes_));
      return Unexpected<Error>(std::move(error));
    }
    done += static_cast<std::size_t>(wrote);
  }
  bytes_ += text.size();
  return {};
}

Result<void> AppendFile::turn(std::int64_t wall_ns) {
  const auto [stem, ending] = stem_and_ending(path_);
  std::string aside = stem + "." + compact_utc(wall_ns) + "Z" + ending;
  std::error_code ignored;
  for (int n = 2; std::filesystem::exists(aside, ignored); ++n)
    aside = stem + "." + compact_utc(wall_ns) + "Z-" + std::to_string(n) + ending;
  (void)::fdatasync(fd_.get());
  if (::rename(path_.c_str(), aside.c_str()) != 0) return failed_at(path_, "it could not be turned over");
  fd_.reset();
  auto opened = open_file(wall_ns);
  forget_old();
  return opened;
}

// Names sort by time.
void AppendFile::forget_old() {
  if (!turn_over_.keep) return;
  const auto [stem, ending] = stem_and_ending(path_);
  const std::string begin = std::filesystem::path(stem).filename().string() + ".";
  std::filesystem::path folder = std::filesystem::path(path_).parent_path();
  if (folder.empty()) folder = ".";
  std::vector<std::filesystem::path> old;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    const bool ours = name.size() >= begin.size() + 16 + ending.size() && name.starts_with(begin) &&
                      name.ends_with(ending) && name[begin.size() + 8] == 'T' && name[begin.size() + 15] == 'Z';
    if (ours) old.push_back(entry.path());
  }
  std::ranges::sort(old);
  while (old.size() > *turn_over_.keep) {
    std::filesystem::remove(old.front(), error);
    old.erase(old.begin());
  }
}

Result<void> AppendFile::append(std::string_view line, std::int64_t wall_ns) {
  if (!fd_.valid())  // turned over, and the new one could not be opened: the disk may have room by now
    if (auto opened = open_file(wall_ns); !opened) return opened;
  buffer_.assign(line);
  buffer_ += line_end_;
  const bool holds_rows = bytes_ > header_.size() + line_end_.size();
  const bool large = turn_over_.bytes && bytes_ + buffer_.size() > *turn_over_.bytes;
  const bool old = turn_over_.age && wall_ns - began_ns_ >= turn_over_.age->ns;
  if (!is_stdout() && holds_rows && (large || old) && wall_ns >= turn_again_ns_) {
    auto turned = turn(wall_ns);
    if (!turned && !fd_.valid()) return turned;
    if (!turned) {  // the rows go on in the file that there is
      notes_.push_back(turned.error().what + ": " + path_ + " goes on");
      turn_again_ns_ = wall_ns + turn_again_after_ns;
    }
  }
  if (auto written = put(buffer_); !written) return written;
  if (!is_stdout() && wall_ns - synced_ns_ >= sync_every_ns) {
    (void)::fdatasync(fd_.get());
    synced_ns_ = wall_ns;
  }
  return {};
}

Result<void> AppendFile::close() {
  if (fd_.valid() && !is_stdout()) (void)::fdatasync(fd_.get());
  fd_.reset();
  return {};
}

std::vector<std::string> AppendFile::take_notes() { return std::exchange(notes_, {}); }

}  // namespace prony
