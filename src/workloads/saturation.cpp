#include "workloads/saturation.hpp"

#include <algorithm>
#include <cmath>

#include "model/metrics.hpp"

namespace prony {

void Saturation::Line::add(double at, double value) {
  if (count == 0) {
    x0 = first = last = at;
    y0 = value;
  }
  ++count;
  first = std::min(first, at);
  last = std::max(last, at);
  x += at - x0;
  y += value - y0;
  xx += (at - x0) * (at - x0);
  xy += (at - x0) * (value - y0);
  yy += (value - y0) * (value - y0);
}

bool Saturation::Line::grows() const {
  if (count < least) return false;
  const auto n = static_cast<double>(count);
  const double sxx = xx - x * x / n, sxy = xy - x * y / n, syy = yy - y * y / n;
  if (sxx <= 0) return false;
  const double slope = sxy / sxx;
  const double error = std::sqrt(std::max(0.0, syy - slope * sxy) / (n - 2) / sxx);
  const double grown = slope * (last - first), mean = y0 + y / n;
  return slope - metrics::student_t_975(std::min<std::size_t>(count - 2, 1000)) * error > 0 && grown > mean;
}

void Saturation::add(double at_s, double under_way, double ttft_s) {
  under_way_.add(at_s, under_way);
  ttft_.add(at_s, ttft_s);
}

bool Saturation::over() const { return under_way_.grows() && ttft_.grows(); }

}  // namespace prony
