#include "store/packed_bytes.hpp"

#include <zstd.h>

#include <memory>
#include <string>

namespace prony::packed {
namespace {

// The planes hold noise and zeros: a higher level gains under 2 % and costs three times as much.
constexpr int zstd_level = 1;

struct FreeCompressor {
  void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
};

Error compression_error(std::size_t code) {
  return Error{ErrorCode::unavailable, std::string("compression failed: ") + ZSTD_getErrorName(code), "chunk", {}};
}

}  // namespace

void put_varint(ByteVector& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<std::uint8_t>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<std::uint8_t>(value));
}

Unexpected<Error> damaged(std::string_view what) {
  return fail(ErrorCode::malformed, "damaged chunk: " + std::string(what), "chunk");
}

Result<std::vector<std::byte>> compress(const ByteVector& content, std::span<const std::size_t> cuts) {
  const std::unique_ptr<ZSTD_CCtx, FreeCompressor> context(ZSTD_createCCtx());
  if (!context) return fail(ErrorCode::unavailable, "no memory for the compressor", "chunk");
  for (const auto& [parameter, value] :
       {std::pair{ZSTD_c_compressionLevel, zstd_level}, std::pair{ZSTD_c_checksumFlag, 1}}) {
    const auto set = ZSTD_CCtx_setParameter(context.get(), parameter, value);
    if (ZSTD_isError(set) != 0) return Unexpected<Error>(compression_error(set));
  }
  const auto pledged = ZSTD_CCtx_setPledgedSrcSize(context.get(), content.size());
  if (ZSTD_isError(pledged) != 0) return Unexpected<Error>(compression_error(pledged));
  std::vector<std::byte> out(ZSTD_compressBound(content.size()) + 16 * (cuts.size() + 1));
  ZSTD_outBuffer output{out.data(), out.size(), 0};
  std::size_t from = 0;
  for (std::size_t c = 0; c <= cuts.size(); ++c) {
    const auto last = c == cuts.size();
    const auto to = last ? content.size() : cuts[c];
    ZSTD_inBuffer input{content.data() + from, to - from, 0};
    std::size_t left = 1;
    while (left != 0) {
      left = ZSTD_compressStream2(context.get(), &output, &input, last ? ZSTD_e_end : ZSTD_e_flush);
      if (ZSTD_isError(left) != 0) return Unexpected<Error>(compression_error(left));
      if (left != 0 && output.pos == output.size) {
        out.resize(out.size() * 2);
        output.dst = out.data();
        output.size = out.size();
      }
    }
    from = to;
  }
  out.resize(output.pos);
  return out;
}

Result<ByteVector> decompress(std::span<const std::byte> bytes, std::size_t limit) {
  const auto size = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR) return damaged("no zstd frame");
  if (size > limit) return damaged("it claims to be larger than a chunk can be");
  ByteVector content(static_cast<std::size_t>(size));
  const auto got = ZSTD_decompress(content.data(), content.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(got) != 0) return damaged(ZSTD_getErrorName(got));
  if (got != content.size()) return damaged("shorter than it says");
  return content;
}

std::optional<std::uint8_t> Reader::byte() noexcept {
  if (at_ >= content_.size()) return std::nullopt;
  return content_[at_++];
}

std::optional<std::uint64_t> Reader::varint() noexcept {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto next = byte();
    if (!next) return std::nullopt;
    if (shift == 63 && *next > 1) return std::nullopt;
    value |= static_cast<std::uint64_t>(*next & 0x7f) << shift;
    if (*next < 0x80) return value;
  }
  return std::nullopt;
}

std::optional<std::span<const std::uint8_t>> Reader::take(std::size_t count) noexcept {
  if (content_.size() - at_ < count) return std::nullopt;
  const std::span<const std::uint8_t> taken(content_.data() + at_, count);
  at_ += count;
  return taken;
}

}  // namespace prony::packed
