#include "attribute/plan.hpp"

#include <algorithm>
#include <cmath>

namespace prony::attribution {

std::size_t Plan::index_of(std::int64_t ns) const {
  return static_cast<std::size_t>(std::lower_bound(fixed.begin(), fixed.end(), ns) - fixed.begin());
}

namespace {

constexpr unsigned flag_timed = 1, flag_strict = 2, flag_averaged = 4, flag_known = 8;

std::uint8_t flags_of(const Point& point) {
  return static_cast<std::uint8_t>((point.timed ? flag_timed : 0U) | (point.strict ? flag_strict : 0U) |
                                   (point.averaged ? flag_averaged : 0U) | (point.known ? flag_known : 0U));
}

template <class T>
void put_in(std::vector<T>& column, std::size_t index, T value, std::size_t size, std::size_t expected) {
  if (column.empty()) {
    if (value == T{} && !std::signbit(static_cast<double>(value))) return;
    column.reserve(std::max(size, expected));
    column.resize(size);
  }
  column[index] = value;
}

template <class T>
T in_column(const std::vector<T>& column, std::size_t index) {
  return column.empty() ? T{} : column[index];
}

}  // namespace

void Points::push_back(const Point& point) {
  if (flags_.empty()) flags_.reserve(expected_);
  flags_.push_back(0);
  for (Column* column : {&value_, &edge_low_, &edge_high_, &spread_low_, &spread_high_, &sigma_, &rate_,
                         &phase_sigma_s_, &period_error_s_, &edge_width_, &least_, &most_})
    if (!column->empty()) column->push_back(0);
  if (!segment_.empty()) segment_.push_back(0);
  set(flags_.size() - 1, point);
}

void Points::set(std::size_t index, const Point& point) {
  const auto keep = [&](auto& column, auto value) { put_in(column, index, value, flags_.size(), expected_); };
  flags_[index] = flags_of(point);
  keep(value_, point.value);
  keep(edge_low_, point.edge_low);
  keep(edge_high_, point.edge_high);
  keep(spread_low_, point.spread_low);
  keep(spread_high_, point.spread_high);
  keep(sigma_, point.sigma);
  keep(rate_, point.rate);
  keep(phase_sigma_s_, point.phase_sigma_s);
  keep(period_error_s_, point.period_error_s);
  keep(edge_width_, point.edge_width);
  keep(least_, point.least);
  keep(most_, point.most);
  keep(segment_, point.segment);
}

Point Points::operator[](std::size_t index) const {
  const unsigned flags = flags_[index];
  Point point;
  point.value = in_column(value_, index);
  point.edge_low = in_column(edge_low_, index);
  point.edge_high = in_column(edge_high_, index);
  point.spread_low = in_column(spread_low_, index);
  point.spread_high = in_column(spread_high_, index);
  point.sigma = in_column(sigma_, index);
  point.timed = (flags & flag_timed) != 0;
  point.segment = in_column(segment_, index);
  point.rate = in_column(rate_, index);
  point.phase_sigma_s = in_column(phase_sigma_s_, index);
  point.period_error_s = in_column(period_error_s_, index);
  point.edge_width = in_column(edge_width_, index);
  point.strict = (flags & flag_strict) != 0;
  point.averaged = (flags & flag_averaged) != 0;
  point.least = in_column(least_, index);
  point.most = in_column(most_, index);
  point.known = (flags & flag_known) != 0;
  return point;
}

void Instants::start(std::int64_t first_ns) {
  const std::int64_t from = std::max(first_ns, plan_->grid_begin_ns);
  std::int64_t grid = from / plan_->step_ns * plan_->step_ns;
  if (grid < from) grid += plan_->step_ns;
  grid_first_ns_ = grid;
  next_grid_ns_ = grid <= plan_->grid_end_ns ? grid : never;
  update();
}

void Instants::update() { next_ = std::min(next_grid_ns_, next_fixed()); }

void Instants::answer(const Point& point) {
  const std::int64_t at = next_;
  if (next_fixed() == at) points_.push_back(point);
  if (next_grid_ns_ == at) {
    grid_.push_back(point.value);
    next_grid_ns_ = at + plan_->step_ns <= plan_->grid_end_ns ? at + plan_->step_ns : never;
  }
  update();
}

double Instants::grid(std::int64_t ns) const {
  if (ns < grid_first_ns_) return 0;
  const auto index = static_cast<std::size_t>((ns - grid_first_ns_) / plan_->step_ns);
  return index < grid_.size() ? grid_[index] : final_value_;
}

}  // namespace prony::attribution
