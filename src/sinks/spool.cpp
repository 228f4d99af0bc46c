#include "sinks/spool.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/text.hpp"
#include "sinks/file_writing.hpp"

namespace prony {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t segment_bytes = 64 * 1024;  // what may come again after a kill, and is given up at once
constexpr std::size_t head_limit = std::size_t{16} << 20, number_digits = 20;
constexpr const char* ending = ".frames";
constexpr const char* reason_file = "/why.txt";

std::optional<std::uint64_t> number_of(const std::string& name) {
  if (name.size() != number_digits + std::string_view(ending).size() || !name.ends_with(ending)) return std::nullopt;
  return parse_u64(std::string_view(name).substr(0, number_digits));
}

// Whole lines from `offset` on, as many as fit, one at least; nullopt: there is none, or it cannot be read.
std::optional<std::string> lines_at(const std::string& path, std::uint64_t offset, std::size_t most) {
  const auto file = Fd::open(path, O_RDONLY);
  if (!file) return std::nullopt;
  std::string text;
  for (std::size_t wanted = most; text.size() < wanted;) {
    const std::size_t before = text.size();
    text.resize(wanted);
    const auto got = ::pread(file->get(), text.data() + before, wanted - before, static_cast<off_t>(offset + before));
    text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(0, got)));
    if (got <= 0) break;
    if (text.size() == wanted && text.find('\n') == std::string::npos && wanted < head_limit) wanted *= 2;
  }
  const std::size_t end = text.rfind('\n');
  if (end == std::string::npos) return std::nullopt;
  text.resize(end + 1);
  return text;
}

// Whole, though it could not be read just now (no descriptor left, an error of the disk).
bool is_there(const std::string& path, std::uint64_t size) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) return errno != ENOENT && errno != ENOTDIR;
  return static_cast<std::uint64_t>(facts.st_size) >= size;
}

Result<void> make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return failed_at(path, "cannot make the buffer's folder");
  return {};
}

}  // namespace

std::string Spool::path(const Stream& stream, std::uint64_t first) {
  std::string digits = std::to_string(first);
  digits.insert(0, number_digits - digits.size(), '0');
  return stream.place + "/" + digits + ending;
}

bool Spool::active(const Stream& stream, const Segment& segment) const {
  return file_.valid() && &stream == &streams_.back() && segment.first == stream.segments.back().first;
}

Result<std::unique_ptr<Spool>> Spool::open(std::string folder, std::uint64_t bound_bytes, const std::string& stream,
                                           const std::string& head) {
  std::unique_ptr<Spool> spool(new Spool());
  spool->folder_ = std::move(folder);
  spool->bound_ = std::max(bound_bytes, least_bound);
  if (auto begun = spool->begin(stream, head); !begun) return Unexpected<Error>(begun.error());
  return spool;
}

// The head gets its lock before it gets its name: nobody takes over what is only beginning.
Result<void> Spool::begin(const std::string& stream, const std::string& head) {
  if (auto made = make_folder(folder_); !made) return made;
  adopt_all(aside_folder(), true, stream);
  adopt_all(folder_, false, stream);
  Stream own;
  own.name = stream;
  own.head = head;
  own.place = folder_ + "/" + stream;
  const std::string& place = own.place;
  if (auto made = make_folder(place); !made) return made;
  auto file = Fd::open(place + "/head.new", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!file) return Unexpected<Error>(file.error());
  (void)::flock(file->get(), LOCK_EX | LOCK_NB);
  if (::write(file->get(), head.data(), head.size()) != static_cast<ssize_t>(head.size()) ||
      ::fdatasync(file->get()) != 0 || ::rename((place + "/head.new").c_str(), (place + "/head").c_str()) != 0) {
    const Error error = error_from_errno(errno, place, "the buffer cannot be begun");
    ::unlink((place + "/head.new").c_str());
    ::rmdir(place.c_str());
    return Unexpected<Error>(error);
  }
  if (const auto opened = Fd::open(place, O_RDONLY | O_DIRECTORY); opened) (void)::fsync(opened->get());
  own.lock = std::move(*file);
  streams_.push_back(std::move(own));
  return {};
}

void Spool::adopt_all(const std::string& folder, bool aside, const std::string& own) {
  std::vector<std::pair<fs::file_time_type, std::string>> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    std::error_code ignored;
    if (name != own && entry.is_directory(ignored))
      names.emplace_back(fs::last_write_time(entry.path() / "head", ignored), name);
  }
  std::ranges::sort(names);
  for (const auto& [time, name] : names) {
    auto stream = adopt(folder + "/" + name, name);
    if (!stream) continue;
    stream->aside = aside;
    for (const Segment& segment : stream->segments) {
      total_ += segment.size;
      adopted_ += aside ? 0 : segment.frames;
    }
    if (stream->segments.empty())
      remove_empty(*stream);
    else
      streams_.push_back(std::move(*stream));
  }
}

// nullopt: its writer lives, or it is no stream.
std::optional<Spool::Stream> Spool::adopt(const std::string& place, const std::string& name) {
  auto head = Fd::open(place + "/head", O_RDWR | O_NOFOLLOW);
  if (!head || ::flock(head->get(), LOCK_EX | LOCK_NB) != 0) return std::nullopt;
  struct stat facts{};
  if (::fstat(head->get(), &facts) != 0 || facts.st_nlink == 0) return std::nullopt;  // somebody has just ended it
  auto text = read_whole_file(place + "/head", head_limit);
  if (!text) return std::nullopt;
  Stream stream;
  stream.name = name;
  stream.place = place;
  stream.head = std::move(*text);
  stream.lock = std::move(*head);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(place, error)) {
    const auto first = number_of(entry.path().filename().string());
    if (!first) continue;
    const auto content = read_whole_file(entry.path().string(), head_limit);
    if (!content) continue;
    const std::size_t end = content->rfind('\n');
    const std::uint64_t whole = end == std::string::npos ? 0 : end + 1;
    if (whole != content->size()) (void)::truncate(entry.path().c_str(), static_cast<off_t>(whole));
    if (whole == 0) {
      ::unlink(entry.path().c_str());
      continue;
    }
    stream.segments.push_back({*first, whole, 0, static_cast<std::uint64_t>(std::ranges::count(*content, '\n'))});
  }
  std::ranges::sort(stream.segments, {}, &Segment::first);
  return stream;
}

void Spool::remove_empty(Stream& stream) const {
  ::unlink((stream.place + "/head").c_str());
  ::unlink((stream.place + reason_file).c_str());
  ::rmdir(stream.place.c_str());
}

Spool::~Spool() {
  for (Stream& stream : streams_)
    if (std::ranges::all_of(stream.segments, [](const Segment& s) { return s.frames == 0; })) {
      for (const Segment& segment : stream.segments) ::unlink(path(stream, segment.first).c_str());
      remove_empty(stream);
    }
  ::rmdir(aside_folder().c_str());  // where somebody has emptied it
}

void Spool::remove(Stream& stream, std::deque<Segment>::iterator segment) {
  if (active(stream, *segment)) file_.reset();
  ::unlink(path(stream, segment->first).c_str());
  total_ -= segment->size;
  stream.segments.erase(segment);
}

bool Spool::give_up_oldest(bool aside) {
  for (Stream& stream : streams_) {
    if (stream.aside != aside) continue;
    const auto oldest = std::ranges::find_if(stream.segments, [&](const Segment& s) {
      return handed_out_ != std::pair(stream.name, s.first) && !active(stream, s);
    });
    if (oldest == stream.segments.end()) continue;
    stream.lost += oldest->frames;
    lost_ += oldest->frames;
    remove(stream, oldest);
    return true;
  }
  return false;
}

Result<void> Spool::make_room(std::uint64_t bytes) {
  while (total_ + bytes > bound_)
    if (!give_up_oldest(true) && !give_up_oldest(false))
      return fail(ErrorCode::full, "the buffer has no room for this frame", folder_, "buffer-size=64MB");
  return {};
}

Result<void> Spool::open_segment(std::uint64_t number) {
  Stream& own = streams_.back();
  auto file = Fd::open(path(own, number), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW, 0600);
  if (!file) return Unexpected<Error>(file.error());
  own.segments.push_back({number, 0, 0, 0});
  file_ = std::move(*file);
  return {};
}

Result<void> Spool::append(std::uint64_t number, std::string_view line, Instant now) {
  const std::scoped_lock lock(mutex_);
  const std::string text = std::string(line) + "\n";
  if (file_.valid() && streams_.back().segments.back().size + text.size() > segment_bytes) {
    (void)::fdatasync(file_.get());
    file_.reset();
  }
  if (auto room = make_room(text.size()); !room) return room;
  if (!file_.valid())
    if (auto opened = open_segment(number); !opened) return opened;
  Segment& segment = streams_.back().segments.back();
  const auto put = ::write(file_.get(), text.data(), text.size());
  if (put != static_cast<ssize_t>(text.size())) {  // never half a line
    const int code = put < 0 ? errno : ENOSPC;
    if (put > 0) (void)::ftruncate(file_.get(), static_cast<off_t>(segment.size));
    const std::string where = path(streams_.back(), segment.first);
    if (segment.size == 0) {  // nobody may find it there when its number comes again
      file_.reset();
      ::unlink(where.c_str());
      streams_.back().segments.pop_back();
    }
    return Unexpected<Error>(error_from_errno(code, where, "the frame cannot be kept"));
  }
  segment.size += text.size();
  segment.frames += 1;
  total_ += text.size();
  if (!synced_) synced_ = now;
  if (now.ns - synced_->ns >= sync_every_ns) {
    (void)::fdatasync(file_.get());
    synced_ = now;
  }
  return {};
}

std::optional<SpoolBatch> Spool::peek(std::size_t most_bytes, std::uint64_t most_frames,
                                      const std::set<std::string>& but) {
  const std::scoped_lock lock(mutex_);
  handed_out_.reset();
  for (Stream& stream : streams_) {
    if (stream.aside || but.contains(stream.name)) continue;
    for (auto segment = stream.segments.begin(); segment != stream.segments.end();) {
      if (segment->frames == 0) {
        ++segment;
        continue;
      }
      auto lines = lines_at(path(stream, segment->first), segment->read, most_bytes);
      if (!lines && is_there(path(stream, segment->first), segment->size)) return std::nullopt;  // not now
      if (!lines) {  // somebody took the file away: what was in it is lost, and said to be
        stream.lost += segment->frames;
        lost_ += segment->frames;
        if (active(stream, *segment)) file_.reset();
        total_ -= segment->size;
        segment = stream.segments.erase(segment);
        continue;
      }
      SpoolBatch batch{stream.name, stream.head, {}, 0, stream.lost, segment->first, segment->read};
      std::size_t end = 0;
      for (; batch.frames < most_frames && end < lines->size(); ++batch.frames) end = lines->find('\n', end) + 1;
      lines->resize(end);
      batch.lines = std::move(*lines);
      batch.end += end;
      handed_out_ = {stream.name, segment->first};
      return batch;
    }
  }
  return std::nullopt;
}

void Spool::give_back() {
  const std::scoped_lock lock(mutex_);
  handed_out_.reset();
}

void Spool::finish(const SpoolBatch& batch, bool taken) {
  const std::scoped_lock lock(mutex_);
  handed_out_.reset();
  const auto stream = std::ranges::find(streams_, batch.stream, &Stream::name);
  if (stream == streams_.end()) return;
  const auto segment = std::ranges::find(stream->segments, batch.segment, &Segment::first);
  if (segment == stream->segments.end()) return;
  const std::uint64_t frames = std::min(batch.frames, segment->frames);
  segment->read = batch.end;
  segment->frames -= frames;
  if (!taken) {
    stream->lost += frames;
    lost_ += frames;
  }
  // The file in use goes when it is worth it: not one file for each frame.
  if (segment->frames == 0 && (!active(*stream, *segment) || segment->size >= segment_bytes / 2))
    remove(*stream, segment);
  if (stream->segments.empty() && &*stream != &streams_.back()) {
    remove_empty(*stream);
    streams_.erase(stream);
  }
}

void Spool::done(const SpoolBatch& batch) { finish(batch, true); }
void Spool::refuse(const SpoolBatch& batch) { finish(batch, false); }

std::uint64_t Spool::set_aside(const std::string& stream, const std::string& why) {
  const std::scoped_lock lock(mutex_);
  handed_out_.reset();
  const auto found = std::ranges::find(streams_, stream, &Stream::name);
  if (found == streams_.end() || found->aside) return 0;
  if (auto file = Fd::open(found->place + reason_file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600); file)
    (void)!::write(file->get(), (why + "\n").data(), why.size() + 1);
  // Where it cannot be moved it stays where it is, and the next monitor meets the same answer.
  const std::string place = aside_folder() + "/" + stream;
  if (make_folder(aside_folder()) && ::rename(found->place.c_str(), place.c_str()) == 0) found->place = place;
  found->aside = true;
  std::uint64_t frames = 0;
  for (const Segment& segment : found->segments) frames += segment.frames;
  return frames;
}

std::uint64_t Spool::sum(bool aside, std::uint64_t (*of)(const Segment&)) const {
  const std::scoped_lock lock(mutex_);
  std::uint64_t sum = 0;
  for (const Stream& stream : streams_)
    if (stream.aside == aside)
      for (const Segment& segment : stream.segments) sum += of(segment);
  return sum;
}

std::uint64_t Spool::waiting_bytes() const {
  return sum(false, [](const Segment& s) { return s.size - s.read; });
}
std::uint64_t Spool::waiting_frames() const {
  return sum(false, [](const Segment& s) { return s.frames; });
}
std::uint64_t Spool::aside_frames() const {
  return sum(true, [](const Segment& s) { return s.frames; });
}

std::uint64_t Spool::lost_frames() const {
  const std::scoped_lock lock(mutex_);
  return lost_;
}

std::uint64_t Spool::adopted_frames() const {
  const std::scoped_lock lock(mutex_);
  return adopted_;
}

}  // namespace prony
