// fakesysfs: a FUSE mount that serves a sysfs-like tree whose values follow power curves with a closed-form integral,
// so that what a meter should have measured between any two instants is known exactly: MOUNT/truth/NAME/BEGIN-END says
// it, and truth.py computes it once more on its own.
//
// Counters and gauges behave as real ones do: they are renewed at their update period (with a phase and jitter), step
// by their quantum, average, and wrap. Faults are switched at run time by writing "NAME FAULT" into MOUNT/control.
// Every reading is a function of CLOCK_MONOTONIC alone, so two readers see the same world (but for `torn`). Reads are
// direct_io: what pread gives is computed at that read. One thread; ends and unmounts on SIGTERM, SIGINT, or when its
// parent dies.
#define FUSE_USE_VERSION 35
#include <fuse3/fuse.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "fake_tree.hpp"

namespace {

using prony::rigs::Fault;
using prony::rigs::Node;
using prony::rigs::Tree;

constexpr const char* help =
    "usage: fakesysfs MOUNT [--zone \"KEY=VALUE …\"] [--hwmon …] [--thermal …] [--supply …]…\n";
constexpr const char* help_end =
    "  without any: one socket (package-0, core, dram) and one board with power and energy\n"
    "Prints \"ready\" when the tree is mounted; describes itself in MOUNT/truth.json; the true joules between two "
    "instants\n"
    "of CLOCK_MONOTONIC (ns) are in MOUNT/truth/NAME/BEGIN-END; faults: see MOUNT/control\n";

std::int64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

Tree& tree() { return *static_cast<Tree*>(fuse_get_context()->private_data); }
std::string& text_of(fuse_file_info* info) { return *reinterpret_cast<std::string*>(info->fh); }

int on_getattr(const char* path, struct stat* out, fuse_file_info* /*info*/) {
  const auto* node = tree().find(path);
  if (node == nullptr && !tree().answer(path)) return -ENOENT;
  *out = {};
  out->st_nlink = 1;
  const auto shape = node == nullptr ? Node::Shape::file : node->shape;
  if (shape == Node::Shape::directory) out->st_mode = S_IFDIR | 0555;
  if (shape == Node::Shape::link) out->st_mode = S_IFLNK | 0777;
  if (shape == Node::Shape::file) {
    out->st_mode = S_IFREG | (std::string_view(path) == "/control" ? 0666 : 0444);
    out->st_size = 4096;
  }
  return 0;
}

int on_readlink(const char* path, char* buffer, std::size_t size) {
  const auto* node = tree().find(path);
  if (node == nullptr || node->shape != Node::Shape::link) return -EINVAL;
  std::snprintf(buffer, size, "%s", node->target.c_str());
  return 0;
}

int on_readdir(const char* path, void* buffer, fuse_fill_dir_t fill, off_t /*offset*/, fuse_file_info* /*info*/,
               fuse_readdir_flags /*flags*/) {
  const auto* node = tree().find(path);
  if (node == nullptr) return -ENOENT;
  const std::string folder = std::string_view(path) == "/" ? "/" : std::string(path) + "/";
  for (const auto& name : node->entries)
    if (tree().find(folder + name) != nullptr) fill(buffer, name.c_str(), nullptr, 0, fuse_fill_dir_flags(0));
  return 0;
}

int on_open(const char* path, fuse_file_info* info) {
  const auto* node = tree().find(path);
  if (node == nullptr && !tree().answer(path)) return -ENOENT;
  if (node != nullptr && node->domain != nullptr && node->domain->fault == Fault::denied) return -EACCES;
  info->direct_io = 1;
  info->fh = reinterpret_cast<std::uint64_t>(new std::string);
  return 0;
}
int on_release(const char* /*path*/, fuse_file_info* info) {
  delete &text_of(info);
  return 0;
}

// As in sysfs: a read from the start renews the text, a read further on goes on in the same text.
int on_read(const char* path, char* buffer, std::size_t size, off_t offset, fuse_file_info* info) {
  const auto* node = tree().find(path);
  auto& text = text_of(info);
  if (node != nullptr) {
    if (offset == 0) {
      text = node->text(tree().since_zero(monotonic_ns()));
      int error = 0;
      if (node->domain != nullptr) node->domain->spoil(text, error);
      if (error != 0) return error;
    }
  } else {
    const auto answer = tree().answer(path);
    if (!answer) return -ENODEV;  // vanished while kept open: what sysfs says of a device that left
    text = *answer;
  }
  if (static_cast<std::size_t>(offset) >= text.size()) return 0;
  const auto length = std::min(size, text.size() - static_cast<std::size_t>(offset));
  std::memcpy(buffer, text.data() + offset, length);
  return static_cast<int>(length);
}

int on_write(const char* path, const char* data, std::size_t size, off_t /*offset*/, fuse_file_info* /*info*/) {
  if (std::string_view(path) != "/control") return -EACCES;
  const int error = tree().command({data, size}, monotonic_ns());
  return error != 0 ? -error : static_cast<int>(size);
}
int on_truncate(const char* path, off_t /*size*/, fuse_file_info* /*info*/) {
  return std::string_view(path) == "/control" ? 0 : -EACCES;
}
// Nothing may be served from a cache: a fault must be seen at the next read, a vanished file at the next look-up.
void* on_init(fuse_conn_info* /*connection*/, fuse_config* config) {
  config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
  config->direct_io = 1;
  return fuse_get_context()->private_data;
}

int serve(Tree& world, const char* mount) {
  fuse_operations operations{};
  operations.init = on_init;
  operations.getattr = on_getattr;
  operations.readlink = on_readlink;
  operations.readdir = on_readdir;
  operations.open = on_open;
  operations.read = on_read;
  operations.release = on_release;
  operations.write = on_write;
  operations.truncate = on_truncate;

  char name[] = "fakesysfs", option[] = "-o", value[] = "allow_other,fsname=fakesysfs";
  // Only root may let others in unless the system's fuse.conf says so; an ordinary user's own tests need nobody else.
  char own[] = "fsname=fakesysfs";
  char* arguments[] = {name, option, geteuid() == 0 ? value : own, nullptr};
  fuse_args args = FUSE_ARGS_INIT(3, arguments);
  fuse* session = fuse_new(&args, &operations, sizeof operations, &world);
  if (session == nullptr || fuse_mount(session, mount) != 0) {
    std::fprintf(stderr, "fakesysfs: cannot mount at %s: is /dev/fuse there and allowed?\n", mount);
    return 1;
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // a test that dies takes the mount with it
  int status = 1;
  if (fuse_set_signal_handlers(fuse_get_session(session)) == 0) {
    std::puts("ready");
    std::fflush(stdout);
    status = fuse_loop(session) < 0 ? 1 : 0;
    fuse_remove_signal_handlers(fuse_get_session(session));
  }
  fuse_unmount(session);
  fuse_destroy(session);
  fuse_opt_free_args(&args);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  Tree world(monotonic_ns());
  if (argc < 2 || argv[1][0] == '-') {
    std::fprintf(stderr, "%s%s%s", help, prony::rigs::domain_help, help_end);
    return 2;
  }
  if (const auto built = world.build({argv + 2, argv + argc}); !built) {
    const auto& error = built.error();
    std::fprintf(stderr, "fakesysfs: %s: %s\n%s\n%s%s%s", error.where.c_str(), error.what.c_str(), error.fix.c_str(),
                 help, prony::rigs::domain_help, help_end);
    return 2;
  }
  return serve(world, argv[1]);
}
