// Move-only owners of what the kernel hands out: Fd (a descriptor), Mapping (mmap), DynLib (dlopen).
// Thread promise: one owner at a time; the handles themselves may be used from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/result.hpp"

namespace prony {

class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool valid() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept;

  // open(2) with O_CLOEXEC added.
  [[nodiscard]] static Result<Fd> open(const std::string& path, int flags, unsigned mode = 0);

 private:
  int fd_ = -1;
};

// pread(2) from offset 0 without what the C library adds to it in a program with threads: its pread is a point where a
// thread can be cancelled, and saying so costs two locked instructions a call. For kept-open files on a tick. Bytes
// read, or -1 with errno.
[[nodiscard]] long read_from_start(const Fd& fd, void* buffer, std::size_t bytes) noexcept;

class Mapping {
 public:
  Mapping() noexcept = default;
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    if (this != &other) {
      reset();
      data_ = std::exchange(other.data_, nullptr);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { reset(); }

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {static_cast<std::byte*>(data_), size_}; }
  [[nodiscard]] bool valid() const noexcept { return data_ != nullptr; }
  void reset() noexcept;

  // Shared mapping of the first `size` bytes of `fd`.
  [[nodiscard]] static Result<Mapping> map(const Fd& fd, std::size_t size, bool writable);

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

class DynLib {
 public:
  DynLib() noexcept = default;
  DynLib(DynLib&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  DynLib& operator=(DynLib&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  DynLib(const DynLib&) = delete;
  DynLib& operator=(const DynLib&) = delete;
  ~DynLib();

  [[nodiscard]] static Result<DynLib> open(const std::string& soname);
  [[nodiscard]] void* symbol(const char* name) const noexcept;  // nullptr: not in this library

 private:
  void* handle_ = nullptr;
};

}  // namespace prony
