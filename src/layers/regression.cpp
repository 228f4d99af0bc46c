#include "layers/regression.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "base/text.hpp"
#include "layers/small_algebra.hpp"

namespace prony::layers {

namespace {

constexpr std::size_t draws = 240;
constexpr std::uint64_t draw_seed = 20241220;
constexpr double nothing = 1e-11;  // of the largest eigenvalue: below it a column is a sum of others

struct Sums {
  explicit Sums(std::size_t columns) : products(columns), with_y(columns) {}
  void add(const std::vector<double>& row, double y) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (row[i] == 0) continue;
      for (std::size_t j = 0; j <= i; ++j) products.at(i, j) += row[i] * row[j];
      with_y[i] += row[i] * y;
    }
  }
  void add(const Sums& other) {
    for (std::size_t i = 0; i < products.values.size(); ++i) products.values[i] += other.products.values[i];
    for (std::size_t i = 0; i < with_y.size(); ++i) with_y[i] += other.with_y[i];
  }
  void clear() {
    std::ranges::fill(products.values, 0.0);
    std::ranges::fill(with_y, 0.0);
  }
  void mirror() {
    for (std::size_t i = 0; i < products.size; ++i)
      for (std::size_t j = 0; j < i; ++j) products.at(j, i) = products.at(i, j);
  }
  SquareMatrix products;
  std::vector<double> with_y;
};

class Rows {
 public:
  explicit Rows(const Occupancy& occupancy) : occupancy_(occupancy), row_(occupancy.layers + 1) {
    for (std::size_t i = 0; i < occupancy.windows() && !idle_; ++i) idle_ = share_left(i) > 1e-9;
    if (!idle_) row_.resize(occupancy.layers);
  }
  [[nodiscard]] bool has_idle() const { return idle_; }
  [[nodiscard]] std::size_t columns() const { return row_.size(); }
  const std::vector<double>& at(std::size_t window) {
    const auto from = occupancy_.shares.begin() + static_cast<std::ptrdiff_t>(window * occupancy_.layers);
    std::copy(from, from + static_cast<std::ptrdiff_t>(occupancy_.layers), row_.begin());
    if (idle_) row_.back() = share_left(window);
    return row_;
  }

 private:
  [[nodiscard]] double share_left(std::size_t window) const {
    double left = 1;
    for (std::size_t i = 0; i < occupancy_.layers; ++i) left -= occupancy_.shares[window * occupancy_.layers + i];
    return std::max(0.0, left);
  }
  const Occupancy& occupancy_;
  bool idle_ = false;
  std::vector<double> row_;
};

struct Told {
  std::size_t rank = 0;
  double condition = 0;
};
Told rank_of(const SquareMatrix& products) {
  SquareMatrix scaled = products;
  for (std::size_t i = 0; i < scaled.size; ++i)
    for (std::size_t j = 0; j < scaled.size; ++j) {
      const double length = std::sqrt(products.at(i, i) * products.at(j, j));
      scaled.at(i, j) = length > 0 ? products.at(i, j) / length : 0;
    }
  const std::vector<double> values = symmetric_eigenvalues(scaled);
  Told told;
  for (const double value : values) told.rank += value > nothing * values.back();
  told.condition = std::sqrt(values.back() / std::max(values.front(), nothing * values.back()));
  return told;
}

Interval95 interval_of(std::vector<double>& drawn, double ordinary, double value, double widen) {
  std::ranges::sort(drawn);
  const std::size_t tail = drawn.size() / 40;
  const double low = ordinary + (drawn[tail] - ordinary) * widen;
  const double high = ordinary + (drawn[drawn.size() - 1 - tail] - ordinary) * widen;
  return {value, std::min(value, std::max(0.0, low)), std::max(value, high)};
}

}  // namespace

Expected<Regression, std::string> regress(const Occupancy& occupancy) {
  const std::size_t windows = occupancy.windows();
  if (occupancy.layers == 0 || occupancy.shares.size() != occupancy.layers * windows)
    return Unexpected<std::string>("no layers, or a window without its shares");
  Rows rows(occupancy);
  const std::size_t columns = rows.columns();
  if (windows < windows_per_column * columns)
    return Unexpected<std::string>("not resolvable: " + std::to_string(windows) + " readings for " +
                                   std::to_string(columns) + " powers, needs " +
                                   std::to_string(windows_per_column * columns));
  // Blocks of neighbouring windows, so that what they have in common stays together.
  // Many more blocks than columns: too few say too little of how far figures scatter.
  const auto longest = static_cast<std::size_t>(std::cbrt(static_cast<double>(windows)));
  const std::size_t length = std::clamp<std::size_t>(windows / (10 * columns), 1, std::max<std::size_t>(longest, 1));
  std::vector<Sums> blocks;
  Sums all(columns);
  for (std::size_t i = 0; i < windows; ++i) {
    if (i % length == 0) blocks.emplace_back(columns);
    blocks.back().add(rows.at(i), occupancy.watts[i]);
  }
  for (const Sums& block : blocks) all.add(block);
  all.mirror();
  const Told told = rank_of(all.products);
  if (told.rank < columns)
    return Unexpected<std::string>("not resolvable: layers come in the same mix in every window (rank " +
                                   std::to_string(told.rank) + " of " + std::to_string(columns) +
                                   "); needs runs in which some of them are left out");
  std::vector<std::size_t> every(columns);
  std::iota(every.begin(), every.end(), std::size_t{0});
  const auto ordinary = solve_symmetric(all.products, all.with_y, every);
  if (!ordinary) return Unexpected<std::string>("not resolvable: the windows do not tell the layers apart");
  const std::vector<double> value = non_negative(all.products, all.with_y);
  std::vector<std::vector<double>> drawn(columns);
  std::mt19937_64 random(draw_seed);
  Sums sums(columns);
  for (std::size_t draw = 0; draw < draws; ++draw) {
    sums.clear();
    for (std::size_t i = 0; i < blocks.size(); ++i)
      sums.add(blocks[static_cast<std::size_t>(random() % blocks.size())]);
    sums.mirror();
    const auto solved = solve_symmetric(sums.products, sums.with_y, every);
    for (std::size_t i = 0; solved && i < columns; ++i) drawn[i].push_back((*solved)[i]);
  }
  if (drawn.front().size() < draws / 2)
    return Unexpected<std::string>("not resolvable: without some of the windows the rest do not tell the layers apart");
  Regression out;
  out.rank = told.rank;
  out.columns = columns;
  out.windows = windows;
  out.condition = told.condition;
  double squares = 0;
  for (std::size_t i = 0; i < windows; ++i) {
    const std::vector<double>& row = rows.at(i);
    const double rest = occupancy.watts[i] - std::inner_product(row.begin(), row.end(), ordinary->begin(), 0.0);
    squares += rest * rest;
  }
  out.residual_w = std::sqrt(squares / static_cast<double>(windows - columns));
  // A fit leaves less over than there is noise, so what is drawn anew from it scatters too little: by as many blocks as
  // there are columns.
  const auto pieces = static_cast<double>(blocks.size());
  const double widen = std::sqrt(pieces / (pieces - static_cast<double>(columns)));
  for (std::size_t i = 0; i < occupancy.layers; ++i) {
    RegressedLayer layer{interval_of(drawn[i], (*ordinary)[i], value[i], widen), false};
    const double above_idle = value[i] - (rows.has_idle() ? value.back() : 0);
    layer.resolved = above_idle > 0 && (layer.gross_w.high - layer.gross_w.low) / 2 <= narrow_enough * above_idle;
    out.layers.push_back(layer);
  }
  if (rows.has_idle()) out.idle_w = interval_of(drawn.back(), ordinary->back(), value.back(), widen);
  return out;
}

}  // namespace prony::layers
