// PowerCurve: power as a function of time whose integral is known in closed form, so that what a meter should have
// found between any two instants is known exactly. The simulated machines, the FUSE rig and the tests share it. Units:
// watts, joules, nanoseconds since the curve's own start (negative times are before it; periodic shapes go on there;
// times stay below 2^62 ns, a century and a half).
// Thread promise: a curve never changes after parse(); everything is const, and nothing but parse() and text()
// allocates. Errors of parse(): usage, with the shapes there are. Accuracy: sums are kept in two doubles, so that a
// difference of two energies is right to far less than a microjoule after years at kilowatts; times stay integers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/time.hpp"
#include "model/units.hpp"

namespace prony {

// A sum of joules in two doubles, high + low, |low| ≤ half a step of high ("double-double", T. J. Dekker 1971).
struct ExactJoules {
  double high = 0;
  double low = 0;

  void add(double joules) noexcept;
  // Adds power × length without rounding the product.
  void add_product(double watts, std::int64_t length_ns) noexcept;
  [[nodiscard]] Joules value() const noexcept { return Joules(high + low); }
  // Whole quanta of `quantum_j` in it (rounded down); `offset_j` is added first. Exact below 2^53, capped at 2^63.
  [[nodiscard]] std::int64_t quanta(double quantum_j, double offset_j = 0) const noexcept;
};
[[nodiscard]] ExactJoules operator-(const ExactJoules& a, const ExactJoules& b) noexcept;

class PowerCurve {
 public:
  // Terms, added with '+':
  //   constant:W                       sine:MEAN,AMPLITUDE,PERIOD_S[,PHASE]    (phase in periods, 0…1)
  //   square:LOW,HIGH,PERIOD_S[,DUTY]  (begins high, for DUTY of the period; default 0.5)
  //   steps:0=W,T2=W,…[,repeat=S]      (from second T on W; the last one stays, or all repeat every S seconds)
  //   noise:SEED,MEAN,AMPLITUDE,CELL_S (another power in every cell, from a hash; every 16 cells sum to the mean)
  // No sum may ever be below 0 W.
  [[nodiscard]] static Result<PowerCurve> parse(std::string_view text);
  [[nodiscard]] static PowerCurve constant(Watts watts);

  // This curve times a factor ≥ 0: a core's share of its package, for example.
  [[nodiscard]] PowerCurve scaled(double factor) const;
  [[nodiscard]] PowerCurve plus(const PowerCurve& other) const;

  [[nodiscard]] Watts watts(Duration t) const noexcept;
  // From 0 to t; negative for t < 0.
  [[nodiscard]] ExactJoules joules(Duration t) const noexcept;
  [[nodiscard]] Joules joules(Duration from, Duration to) const noexcept;
  // Nothing in [from, to] is below or above. Exact for one term; for sums they are what the terms' extremes add up to,
  // and for noise over more than 4096 cells what it could reach.
  [[nodiscard]] Watts least(Duration from, Duration to) const noexcept;
  [[nodiscard]] Watts most(Duration from, Duration to) const noexcept;
  // What parse() was given, in its own words: parse(text()) is the same curve.
  [[nodiscard]] std::string text() const;

 private:
  enum class Shape : std::uint8_t { constant, sine, square, steps, noise };
  struct Step {
    std::int64_t begin_ns = 0;
    double watts = 0;
  };
  struct Term {
    Shape shape = Shape::constant;
    double base_w = 0;            // constant: W; sine, noise: mean; square: low
    double amplitude_w = 0;       // sine, noise: amplitude; square: high − low
    std::int64_t period_ns = 0;   // noise: cell; steps: repeat, 0 = never
    double phase = 0;             // sine: in periods
    double high_w = 0, duty = 0;  // square, as they were given
    std::int64_t high_ns = 0;     // square
    std::uint64_t seed = 0;       // noise
    std::vector<Step> steps;

    [[nodiscard]] double watts(std::int64_t t_ns) const noexcept;
    void add_joules(ExactJoules& sum, std::int64_t t_ns) const noexcept;
    // sign +1: the most, −1: the least.
    [[nodiscard]] double extreme(std::int64_t from_ns, std::int64_t to_ns, int sign) const noexcept;
    [[nodiscard]] double cell_watts(std::int64_t cell) const noexcept;
    [[nodiscard]] double step_watts(std::int64_t rest_ns) const noexcept;
    [[nodiscard]] std::string text() const;
  };
  [[nodiscard]] static Result<Term> parse_term(std::string_view text);
  [[nodiscard]] static Result<void> parse_steps(std::string_view list, std::string_view whole, Term& term);

  std::vector<Term> terms_;
};

// A well-mixed 64-bit hash of two numbers. Source: SplitMix64, S. Vigna 2015, public domain.
[[nodiscard]] std::uint64_t mixed_hash(std::uint64_t seed, std::uint64_t index) noexcept;

}  // namespace prony
