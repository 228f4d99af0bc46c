// Units are types: J + W does not compile, J / s is W, V × A is W.
// A Quantity holds one double in SI base multiples of its unit. Thread promise: plain value.
#pragma once

#include <compare>

namespace prony {

// Exponents of energy (J), time (s), data (byte), temperature (°C, differences only), electric charge (C).
struct Dimension {
  int energy = 0;
  int time = 0;
  int data = 0;
  int temperature = 0;
  int charge = 0;
  constexpr bool operator==(const Dimension&) const = default;
};

constexpr Dimension operator+(Dimension a, Dimension b) {
  return {a.energy + b.energy, a.time + b.time, a.data + b.data, a.temperature + b.temperature, a.charge + b.charge};
}
constexpr Dimension operator-(Dimension a, Dimension b) {
  return {a.energy - b.energy, a.time - b.time, a.data - b.data, a.temperature - b.temperature, a.charge - b.charge};
}

template <Dimension D>
class Quantity {
 public:
  constexpr Quantity() = default;
  constexpr explicit Quantity(double value) : value_(value) {}
  [[nodiscard]] constexpr double value() const { return value_; }

  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity& operator+=(Quantity other) {
    value_ += other.value_;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity other) {
    value_ -= other.value_;
    return *this;
  }
  constexpr Quantity operator-() const { return Quantity(-value_); }

 private:
  double value_ = 0;
};

template <Dimension D>
constexpr Quantity<D> operator+(Quantity<D> a, Quantity<D> b) {
  return Quantity<D>(a.value() + b.value());
}
template <Dimension D>
constexpr Quantity<D> operator-(Quantity<D> a, Quantity<D> b) {
  return Quantity<D>(a.value() - b.value());
}
template <Dimension D>
constexpr Quantity<D> operator*(double k, Quantity<D> a) {
  return Quantity<D>(k * a.value());
}
template <Dimension D>
constexpr Quantity<D> operator*(Quantity<D> a, double k) {
  return Quantity<D>(k * a.value());
}
template <Dimension D>
constexpr Quantity<D> operator/(Quantity<D> a, double k) {
  return Quantity<D>(a.value() / k);
}
template <Dimension A, Dimension B>
constexpr auto operator*(Quantity<A> a, Quantity<B> b) {
  return Quantity<A + B>(a.value() * b.value());
}
template <Dimension A, Dimension B>
constexpr auto operator/(Quantity<A> a, Quantity<B> b) {
  if constexpr (A == B) {
    return a.value() / b.value();
  } else {
    return Quantity<A - B>(a.value() / b.value());
  }
}

using Joules = Quantity<Dimension{.energy = 1}>;
using Seconds = Quantity<Dimension{.time = 1}>;
using Watts = Quantity<Dimension{.energy = 1, .time = -1}>;
using Hertz = Quantity<Dimension{.time = -1}>;
using Bytes = Quantity<Dimension{.data = 1}>;
using Celsius = Quantity<Dimension{.temperature = 1}>;
using Coulombs = Quantity<Dimension{.charge = 1}>;
using Amperes = Quantity<Dimension{.time = -1, .charge = 1}>;
using Volts = Quantity<Dimension{.energy = 1, .charge = -1}>;

}  // namespace prony
