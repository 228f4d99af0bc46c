#include "layers/byte_source.hpp"

#include <string>

namespace prony::layers {

Result<bool> LineReader::next(std::string_view& line) {
  std::size_t looked = 0;
  while (true) {
    const char* from = buffer_.data() + begin_;
    const std::size_t there = end_ - begin_;
    if (const void* found = std::memchr(from + looked, '\n', there - looked)) {
      const auto bytes = static_cast<std::size_t>(static_cast<const char*>(found) - from);
      line = {from, bytes};
      begin_ += bytes + 1;
      ended_ = true;
      break;
    }
    looked = there;
    if (at_end_) {
      if (there == 0) return false;
      line = {from, there};
      begin_ = end_;
      ended_ = false;
      break;
    }
    if (there > longest)
      return fail(ErrorCode::malformed, "line " + std::to_string(number_ + 1) + " is longer than 64 KiB");
    if (begin_ > 0) {
      std::memmove(buffer_.data(), from, there);
      begin_ = 0;
      end_ = there;
    }
    const auto got = source_.read(buffer_.data() + end_, buffer_.size() - end_);
    if (!got) return Unexpected<Error>(got.error());
    if (*got == 0) at_end_ = true;
    end_ += *got;
  }
  ++number_;
  if (line.ends_with('\r')) line.remove_suffix(1);
  return true;
}

}  // namespace prony::layers
