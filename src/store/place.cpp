#include "store/place.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <vector>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "store/span_consumer.hpp"

namespace prony {
namespace {

constexpr std::uint64_t least_free_bytes = 8ULL << 20;

std::string first_line(const std::string& path) {
  const auto text = read_whole_file(path, 4096);
  return text ? std::string(trim(*text)) : std::string();
}

std::uint64_t start_ticks_of(std::int64_t pid) {
  const auto text = first_line("/proc/" + std::to_string(pid) + "/stat");
  const auto after_name = text.rfind(')');  // the name may hold anything, brackets and blanks too
  if (after_name == std::string::npos || after_name + 2 > text.size()) return 0;
  const auto fields = split(std::string_view(text).substr(after_name + 2), ' ');
  constexpr std::size_t start_time = 19;  // field 22, counted from field 3
  return fields.size() > start_time ? parse_u64(fields[start_time]).value_or(0) : 0;
}

Result<void> make_parents(const std::filesystem::path& folder) {
  std::error_code error;
  if (folder.empty() || std::filesystem::is_directory(folder, error)) return {};
  std::filesystem::create_directories(folder, error);
  if (!error) return {};
  auto problem = error_from_errno(error.value(), folder.string(), "cannot make the folder");
  problem.fix = "choose another place with --out";
  return Unexpected<Error>(std::move(problem));
}

Result<void> check_room(const std::filesystem::path& folder) {
  struct statvfs status{};
  if (::statvfs(folder.empty() ? "." : folder.c_str(), &status) != 0)
    return {};  // cannot be told: the writes will show
  const auto free = static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
  const bool read_only = (status.f_flag & ST_RDONLY) != 0;  // what opening the file will say, and it matters more
  if (status.f_blocks == 0 || read_only || free >= least_free_bytes) return {};
  return fail(ErrorCode::full,
              "only " + std::to_string(free >> 10) + " KiB are free, a Run needs " +
                  std::to_string(least_free_bytes >> 20) + " MiB to begin with",
              folder.string(), "free some space, or record to another disk with --out");
}

}  // namespace

std::filesystem::path companion(const std::filesystem::path& path, const char* suffix) {
  auto name = path;
  name += suffix;
  return name;
}

namespace {

constexpr int most_numbers = 100'000;
constexpr std::array<const char*, 4> companions{"-wal", "-shm", "-journal", ".spans"};

Error not_here(Error error) {
  error.what = "cannot record here: " + error.what;
  error.fix = "choose a folder that can be written with --out";
  return error;
}

Result<void> take_away(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::remove(path, error) || !error) return {};
  return Unexpected<Error>(not_here(error_from_errno(error.value(), path.string(), "")));
}

bool is_taken(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(std::filesystem::symlink_status(path, error));
}

Result<void> may_be_replaced(const std::filesystem::path& path) {
  if (SpanConsumer::locked(companion(path, ".spans")))
    return fail(ErrorCode::usage, "another Prony records to this file now", path.string(), "choose another name");
  return {};
}

}  // namespace

Result<std::filesystem::path> make_place(const std::filesystem::path& wanted, IfExists if_exists) {
  std::error_code error;
  if (wanted.filename().empty()) return fail(ErrorCode::usage, "this is a folder, not a file name", wanted.string());
  if (auto made = make_parents(wanted.parent_path()); !made) return Unexpected<Error>(made.error());
  if (std::filesystem::is_directory(wanted, error)) return fail(ErrorCode::usage, "this is a folder", wanted.string());
  // A device, a pipe or a socket is never taken away, whoever asks: as root `--out /dev/null` would take it from all.
  const auto there = std::filesystem::status(wanted, error);
  if (std::filesystem::exists(there) && !std::filesystem::is_regular_file(there))
    return fail(ErrorCode::usage, "this is no regular file", wanted.string(), "choose another name");
  const bool replaces = if_exists == IfExists::replace && is_taken(wanted);
  if (replaces)
    if (auto may = may_be_replaced(wanted); !may) return Unexpected<Error>(may.error());
  if (auto room = check_room(wanted.parent_path()); !room) return Unexpected<Error>(room.error());
  if (replaces)
    if (auto taken = take_away(wanted); !taken) return Unexpected<Error>(taken.error());
  auto path = wanted;
  for (int number = 2;; ++number) {  // whoever makes the file has it: looking first would be another's chance
    const auto file = Fd::open(path.string(), O_RDWR | O_CREAT | O_EXCL, 0644);
    if (file) break;
    if (!is_taken(path)) return Unexpected<Error>(not_here(file.error()));
    if (if_exists != IfExists::number || number > most_numbers)
      return fail(ErrorCode::usage, "exists already", path.string(),
                  "choose another name, or overwrite it with --force");
    path.replace_filename(wanted.stem().string() + "-" + std::to_string(number) + wanted.extension().string());
  }
  for (const char* suffix : companions)  // of a Run that is no more
    if (auto taken = take_away(companion(path, suffix)); !taken) {
      std::filesystem::remove(path, error);
      return Unexpected<Error>(taken.error());
    }
  return path;
}

bool on_network(const std::filesystem::path& path) {
  struct statfs status{};
  if (::statfs(path.c_str(), &status) != 0) return true;  // not known: the careful way
  constexpr std::array<std::uint64_t, 14> remote{NFS_SUPER_MAGIC,
                                                 SMB_SUPER_MAGIC,
                                                 0xff534d42 /* CIFS */,
                                                 0xfe534d42 /* SMB2 */,
                                                 V9FS_MAGIC,
                                                 FUSE_SUPER_MAGIC,
                                                 AFS_SUPER_MAGIC,
                                                 CODA_SUPER_MAGIC,
                                                 CEPH_SUPER_MAGIC,
                                                 NCP_SUPER_MAGIC,
                                                 0x0bd00bd0 /* Lustre */,
                                                 0x47504653 /* GPFS */,
                                                 0x19830326 /* BeeGFS */,
                                                 0x01161970 /* GFS2 */};
  for (const auto magic : remote)
    if (static_cast<std::uint32_t>(status.f_type) == magic) return true;
  return false;
}

Identity own_identity() {
  Identity identity;
  std::array<char, HOST_NAME_MAX + 1> host{};
  if (::gethostname(host.data(), host.size() - 1) == 0) identity.host = host.data();
  identity.boot_id = first_line("/proc/sys/kernel/random/boot_id");
  identity.pid = ::getpid();
  identity.start_ticks = start_ticks_of(identity.pid);
  return identity;
}

bool is_alive(const Identity& identity) {
  if (identity.pid <= 0 || identity.start_ticks == 0) return false;
  return identity.boot_id == first_line("/proc/sys/kernel/random/boot_id") &&
         start_ticks_of(identity.pid) == identity.start_ticks;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;  // a leftover in /tmp is no reason to fail
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Result<TemporaryFolder> TemporaryFolder::make() {
  std::error_code error;
  const auto base = std::filesystem::temp_directory_path(error);
  auto name = ((error ? std::filesystem::path("/tmp") : base) / "prony-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    return Unexpected<Error>(error_from_errno(errno, name, "cannot make a temporary folder"));
  TemporaryFolder folder;
  folder.path_ = name;
  return folder;
}

}  // namespace prony
