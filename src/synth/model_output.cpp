#include "synth/model_output.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

namespace prony {

namespace {

constexpr std::size_t buffer_bytes = std::size_t{1} << 20;

}  // namespace

Result<SynthOutput> SynthOutput::open(const std::string& path, bool replace) {
  struct stat status{};
  const bool there = ::stat(path.c_str(), &status) == 0;
  if (there && !S_ISREG(status.st_mode))  // the finished file is renamed onto its place: a device would be gone
    return fail(ErrorCode::usage, "this is no regular file", path, "Name another file.");
  if (!replace && there)
    return fail(ErrorCode::usage, "the file exists already", path,
                "Name another file, or replace this one with --force.");
  SynthOutput out;
  out.path_ = path;
  out.temporary_ = path + ".partial-" + std::to_string(::getpid());
  auto fd = Fd::open(out.temporary_, O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (!fd) {
    fd.error().where = path;
    if (fd.error().fix.empty()) fd.error().fix = "choose a file in a folder that exists and that you may write";
    out.temporary_.clear();
    return Unexpected<Error>(fd.error());
  }
  out.fd_ = std::move(*fd);
  out.buffer_.reserve(buffer_bytes + 64);
  return out;
}

SynthOutput::SynthOutput(SynthOutput&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      buffer_(std::move(other.buffer_)),
      fd_(std::move(other.fd_)),
      written_(other.written_) {}

SynthOutput::~SynthOutput() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Result<void> SynthOutput::put(std::string_view bytes) {
  buffer_.append(bytes);
  written_ += bytes.size();
  return buffer_.size() < buffer_bytes ? Result<void>{} : flush();
}

Result<void> SynthOutput::zeros_up_to(std::uint64_t position) {
  return put(std::string(static_cast<std::size_t>(position - written_), '\0'));
}

Result<void> SynthOutput::finish() {
  if (auto done = flush(); !done) return done;
  // Some file systems tell of a full disk only here.
  if (::close(fd_.release()) != 0) return Unexpected<Error>(explain(errno));
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return Unexpected<Error>(explain(errno));
  temporary_.clear();
  return {};
}

Error SynthOutput::explain(int error) const {
  Error what = error_from_errno(error, path_, "cannot write the model");
  if (what.code == ErrorCode::full)
    what.fix = "free some space or name a file on another disk; nothing was left behind";
  return what;
}

Result<void> SynthOutput::flush() {
  std::size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t got = ::write(fd_.get(), buffer_.data() + done, buffer_.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Unexpected<Error>(explain(errno));
    done += static_cast<std::size_t>(got);
  }
  buffer_.clear();
  return {};
}

}  // namespace prony
