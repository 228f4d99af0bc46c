#include "attribute/plan.hpp"

#include <algorithm>

namespace prony::attribution {

std::size_t Plan::index_of(std::int64_t ns) const {
  return static_cast<std::size_t>(std::lower_bound(fixed.begin(), fixed.end(), ns) - fixed.begin());
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
