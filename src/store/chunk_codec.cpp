#include "store/chunk_codec.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <optional>

#include "store/packed_bytes.hpp"

namespace prony {
namespace {

using namespace packed;

constexpr std::uint8_t chunk_version = 1;
constexpr std::size_t largest_chunk_content = (chunk_readings_limit * 8) + (std::size_t{1} << 23);
// A run of bytes of one character gets its own compressed block (and so its own Huffman table) only from this length
// on.
constexpr std::size_t own_block_bytes = 1024;

// How a column's numbers are foretold; what is stored is what the foretelling missed.
enum class Predictor : std::uint8_t {
  line,   // base × index: a grid, or a value that hovers
  step,   // the last number + base: a counter that grows evenly
  slope,  // the last number + the last step: anything that bends slowly
};

struct Column {
  std::uint64_t first = 0;    // the first number
  std::uint64_t divisor = 0;  // greatest common divisor of all steps; 0: the column is constant
  Predictor predictor = Predictor::line;
  std::uint64_t base = 0;
  std::uint8_t planes = 0;               // bytes that the largest residual takes
  std::vector<std::uint64_t> residuals;  // of the 2nd … last number, zigzag
};

std::uint64_t magnitude(std::uint64_t step) noexcept { return (step >> 63) != 0 ? 0 - step : step; }

// Signed division by a divisor that is known to go into it.
std::uint64_t divide(std::uint64_t step, std::uint64_t divisor) noexcept {
  return (step >> 63) != 0 ? 0 - ((0 - step) / divisor) : step / divisor;
}

std::vector<std::uint64_t> residuals_of(Predictor predictor, std::uint64_t base,
                                        const std::vector<std::uint64_t>& steps) {
  std::vector<std::uint64_t> out(steps.size());
  std::uint64_t sum = 0, line = 0, last = base;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    sum += steps[i];
    line += base;
    const auto foretold = predictor == Predictor::line   ? sum - line
                          : predictor == Predictor::step ? steps[i] - base
                                                         : steps[i] - last;
    last = steps[i];
    out[i] = zigzag(foretold);
  }
  return out;
}

std::uint64_t cost_bits(const std::vector<std::uint64_t>& residuals) noexcept {
  std::uint64_t cost = 0;
  for (const auto residual : residuals) cost += static_cast<std::uint64_t>(std::bit_width(residual));
  return cost;
}

Column make_column(std::span<const std::int64_t> values) {
  Column column;
  column.first = bits(values[0]);
  std::vector<std::uint64_t> steps(values.size() - 1);
  for (std::size_t i = 1; i < values.size(); ++i) {
    steps[i - 1] = bits(values[i]) - bits(values[i - 1]);
    if (column.divisor != 1) column.divisor = std::gcd(column.divisor, magnitude(steps[i - 1]));
  }
  if (column.divisor == 0) return column;
  if (column.divisor != 1)
    for (auto& step : steps) step = divide(step, column.divisor);
  const auto sum = number(std::accumulate(steps.begin(), steps.end(), std::uint64_t{0}));
  auto sorted = steps;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end(),
                   [](std::uint64_t a, std::uint64_t b) { return number(a) < number(b); });
  // The median, not the mean, foretells the step: one wrap or one missed tick must not spoil the whole column.
  const std::array<std::pair<Predictor, std::uint64_t>, 3> candidates{
      {{Predictor::line, bits(sum / static_cast<std::int64_t>(steps.size()))},
       {Predictor::step, *middle},
       {Predictor::slope, steps[0]}}};
  std::optional<std::uint64_t> best;
  for (const auto& [predictor, base] : candidates) {
    auto residuals = residuals_of(predictor, base, steps);
    const auto cost = cost_bits(residuals);
    if (best && *best <= cost) continue;
    best = cost;
    column.predictor = predictor;
    column.base = base;
    column.residuals = std::move(residuals);
  }
  std::uint64_t all = 0;
  for (const auto residual : column.residuals) all |= residual;
  column.planes = static_cast<std::uint8_t>((std::bit_width(all) + 7) / 8);
  return column;
}

// The column's numbers again; `residuals` holds `values.size() − 1` numbers, or none for a constant column.
void restore(const Column& column, std::vector<std::int64_t>& values) {
  std::uint64_t whole = 0, line = 0, last = column.base;
  values[0] = number(column.first);
  for (std::size_t i = 1; i < values.size(); ++i) {
    const auto missed = column.residuals.empty() ? 0 : unzigzag(column.residuals[i - 1]);
    line += column.base;
    switch (column.predictor) {
      case Predictor::line: whole = line + missed; break;
      case Predictor::step: whole += column.base + missed; break;
      case Predictor::slope:
        last += missed;
        whole += last;
        break;
    }
    values[i] = number(column.first + column.divisor * whole);
  }
}

// A gap's number means nothing: it is replaced by its neighbour's, which costs nothing to store.
std::vector<std::int64_t> without_gaps(std::span<const std::int64_t> raws, std::span<const Quality> qualities) {
  std::vector<std::int64_t> values(raws.begin(), raws.end());
  std::int64_t last = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (qualities[i] != Quality::gap) {
      last = values[i];
      break;
    }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (qualities[i] == Quality::gap) values[i] = last;
    last = values[i];
  }
  return values;
}

void put_column_head(ByteVector& out, const Column& column) {
  put_varint(out, zigzag(column.first));
  put_varint(out, column.divisor);
  if (column.divisor == 0) return;
  out.push_back(static_cast<std::uint8_t>(column.predictor));
  put_varint(out, zigzag(column.base));
  out.push_back(column.planes);
}

void put_qualities(ByteVector& out, std::span<const Quality> qualities) {
  std::size_t i = 0;
  while (i < qualities.size()) {
    std::size_t end = i;
    while (end < qualities.size() && qualities[end] == qualities[i]) ++end;
    put_varint(out, ((end - i) << 2) | static_cast<std::uint64_t>(qualities[i]));
    i = end;
  }
}

bool read_column_head(Reader& reader, Column& column) {
  const auto first = reader.varint();
  const auto divisor = reader.varint();
  if (!first || !divisor) return false;
  column.first = unzigzag(*first);
  column.divisor = *divisor;
  if (column.divisor == 0) return true;
  const auto predictor = reader.byte();
  const auto base = reader.varint();
  const auto planes = reader.byte();
  if (!predictor || !base || !planes || *predictor > 2 || *planes > 8) return false;
  column.predictor = static_cast<Predictor>(*predictor);
  column.base = unzigzag(*base);
  column.planes = *planes;
  return true;
}

bool read_qualities(Reader& reader, std::span<Quality> qualities) {
  std::size_t filled = 0;
  while (filled < qualities.size()) {
    const auto run = reader.varint();
    if (!run || (*run & 3) > 2) return false;
    const auto length = *run >> 2;
    if (length == 0 || length > qualities.size() - filled) return false;
    std::fill_n(qualities.begin() + static_cast<std::ptrdiff_t>(filled), length, static_cast<Quality>(*run & 3));
    filled += static_cast<std::size_t>(length);
  }
  return true;
}

bool read_planes(Reader& reader, std::vector<Column>& columns, std::size_t residuals) {
  for (unsigned plane = 0; plane < 8; ++plane)
    for (auto& column : columns) {
      if (column.planes <= plane) continue;
      const auto bytes = reader.take(residuals);
      if (!bytes) return false;
      column.residuals.resize(residuals);
      for (std::size_t i = 0; i < residuals; ++i)
        column.residuals[i] |= static_cast<std::uint64_t>((*bytes)[i]) << (8 * plane);
    }
  return true;
}

TickBlock assemble(GroupId group, std::vector<Column>& columns, const std::vector<Quality>& qualities,
                   std::size_t ticks) {
  const auto channels = columns.size() - 2;
  std::vector<std::vector<std::int64_t>> values(columns.size(), std::vector<std::int64_t>(ticks));
  for (std::size_t c = 0; c < columns.size(); ++c) {
    restore(columns[c], values[c]);
    columns[c].residuals = {};
  }
  TickBlock block(group, channels, ticks);
  std::vector<Reading> readings(channels);
  for (std::size_t t = 0; t < ticks; ++t) {
    for (std::size_t c = 0; c < channels; ++c) {
      const auto quality = qualities[c * ticks + t];
      readings[c] = {quality == Quality::gap ? 0 : values[c + 2][t], quality};
    }
    block.push({values[0][t]}, {number(bits(values[0][t]) + bits(values[1][t]))}, readings);
  }
  return block;
}

}  // namespace

Result<std::vector<std::byte>> encode_chunk(const TickBlock& block, std::size_t first, std::size_t ticks) {
  const auto columns_wanted = block.channels() + 2;
  if (ticks == 0 || first > block.ticks() || ticks > block.ticks() - first)
    return fail(ErrorCode::usage, "these ticks are not in the block", "chunk");
  if (ticks > chunk_ticks_limit || block.channels() > chunk_channels_limit ||
      ticks * columns_wanted > chunk_readings_limit)
    return fail(ErrorCode::usage, "more ticks than one chunk holds", "chunk");
  std::vector<Column> columns;
  columns.reserve(columns_wanted);
  const auto begins = block.begins().subspan(first, ticks);
  const auto ends = block.ends().subspan(first, ticks);
  std::vector<std::int64_t> widths(ticks);
  for (std::size_t t = 0; t < ticks; ++t) widths[t] = number(bits(ends[t]) - bits(begins[t]));
  columns.push_back(make_column(begins));
  columns.push_back(make_column(widths));
  for (std::size_t c = 0; c < block.channels(); ++c)
    columns.push_back(
        make_column(without_gaps(block.raws(c).subspan(first, ticks), block.qualities(c).subspan(first, ticks))));

  ByteVector content{chunk_version};
  put_varint(content, block.group().value);
  put_varint(content, ticks);
  put_varint(content, block.channels());
  for (const auto& column : columns) put_column_head(content, column);
  for (std::size_t c = 0; c < block.channels(); ++c) put_qualities(content, block.qualities(c).subspan(first, ticks));
  std::vector<std::size_t> cuts;
  for (unsigned plane = 0; plane < 8; ++plane) {
    for (const auto& column : columns) {
      if (column.planes <= plane) continue;
      if (content.size() - (cuts.empty() ? 0 : cuts.back()) >= own_block_bytes) cuts.push_back(content.size());
      for (const auto residual : column.residuals)
        content.push_back(static_cast<std::uint8_t>(residual >> (8 * plane)));
    }
  }
  return compress(content, cuts);
}

Result<TickBlock> decode_chunk(std::span<const std::byte> bytes) {
  auto content = decompress(bytes, largest_chunk_content);
  if (!content) return Unexpected<Error>(content.error());
  Reader reader(*content);
  const auto version = reader.byte();
  const auto group = reader.varint();
  const auto ticks = reader.varint();
  const auto channels = reader.varint();
  if (!version || *version != chunk_version || !group || *group > 0xffffffffU)
    return damaged("its head is not a chunk's");
  if (!ticks || *ticks == 0 || *ticks > chunk_ticks_limit || !channels || *channels > chunk_channels_limit ||
      *ticks * (*channels + 2) > chunk_readings_limit)
    return damaged("it claims more ticks than a chunk can hold");
  std::vector<Column> columns(static_cast<std::size_t>(*channels) + 2);
  for (auto& column : columns)
    if (!read_column_head(reader, column)) return damaged("a column's head is cut or false");
  std::vector<Quality> qualities(static_cast<std::size_t>(*channels * *ticks));
  const auto ticks_of_one = static_cast<std::size_t>(*ticks);
  for (std::size_t c = 0; c < *channels; ++c)
    if (!read_qualities(reader, std::span(qualities).subspan(c * ticks_of_one, ticks_of_one)))
      return damaged("its qualities are cut or false");
  if (!read_planes(reader, columns, static_cast<std::size_t>(*ticks) - 1)) return damaged("its numbers are cut");
  if (!reader.at_end()) return damaged("something follows its end");
  return assemble(GroupId{static_cast<std::uint32_t>(*group)}, columns, qualities, static_cast<std::size_t>(*ticks));
}

}  // namespace prony
