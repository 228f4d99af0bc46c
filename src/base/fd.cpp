#include "base/fd.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace prony {

void Fd::reset() noexcept {
  if (fd_ >= 0) ::close(fd_);  // EIO at close loses nothing that this program can still repair
  fd_ = -1;
}

Result<Fd> Fd::open(const std::string& path, int flags, unsigned mode) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return Unexpected<Error>(error_from_errno(errno, path, "cannot open"));
  return Fd(fd);
}

long read_from_start(const Fd& fd, void* buffer, std::size_t bytes) noexcept {
  // Where an offset is two registers, which two differs from machine to machine: the C library knows.
  if constexpr (sizeof(long) < sizeof(std::int64_t)) return static_cast<long>(::pread(fd.get(), buffer, bytes, 0));
  return ::syscall(SYS_pread64, fd.get(), buffer, bytes, 0L);
}

void Mapping::reset() noexcept {
  if (data_ != nullptr) ::munmap(data_, size_);
  data_ = nullptr;
  size_ = 0;
}

Result<Mapping> Mapping::map(const Fd& fd, std::size_t size, bool writable) {
  const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void* data = ::mmap(nullptr, size, protection, MAP_SHARED, fd.get(), 0);
  if (data == MAP_FAILED) return Unexpected<Error>(error_from_errno(errno, {}, "cannot map"));
  Mapping mapping;
  mapping.data_ = data;
  mapping.size_ = size;
  return mapping;
}

DynLib::~DynLib() {
  if (handle_ != nullptr) ::dlclose(handle_);
}

Result<DynLib> DynLib::open(const std::string& soname) {
  void* handle = ::dlopen(soname.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* reason = ::dlerror();
    return fail(ErrorCode::absent, reason != nullptr ? reason : "cannot open library", soname);
  }
  DynLib library;
  library.handle_ = handle;
  return library;
}

void* DynLib::symbol(const char* name) const noexcept { return handle_ == nullptr ? nullptr : ::dlsym(handle_, name); }

}  // namespace prony
