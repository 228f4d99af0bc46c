#include "statistics/distributions.hpp"

#include <boost/math/distributions/non_central_t.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/special_functions/gamma.hpp>

#include <algorithm>

namespace prony::statistics {

namespace {

namespace policies = boost::math::policies;
// Nothing is thrown; double stays double, where a long one would have other digits on other processors.
using Policy =
    policies::policy<policies::domain_error<policies::ignore_error>, policies::pole_error<policies::ignore_error>,
                     policies::overflow_error<policies::ignore_error>,
                     policies::evaluation_error<policies::ignore_error>, policies::promote_double<false>>;
using Student = boost::math::students_t_distribution<double, Policy>;
using Noncentral = boost::math::non_central_t_distribution<double, Policy>;
using Normal = boost::math::normal_distribution<double, Policy>;

}  // namespace

double student_t_quantile(double p, double degrees) { return boost::math::quantile(Student(degrees), p); }
double student_t_below(double t, double degrees) { return boost::math::cdf(Student(degrees), t); }
double normal_quantile(double p) { return boost::math::quantile(Normal(), p); }
double normal_below(double z) { return boost::math::cdf(Normal(), z); }

double t_test_power(double standard_errors, double degrees, double level) {
  const double critical = student_t_quantile((1 + level) / 2, degrees);
  // Far away the mean's own scatter is nothing beside the shift: what is left is that of the standard error.
  if (standard_errors > 30) {
    const double shortened = standard_errors / critical;
    return boost::math::gamma_p(degrees / 2, degrees / 2 * shortened * shortened, Policy());
  }
  const Noncentral shifted(degrees, standard_errors);
  const double above = boost::math::cdf(boost::math::complement(shifted, critical));
  return std::clamp(above + boost::math::cdf(shifted, -critical), 0.0, 1.0);
}

}  // namespace prony::statistics
