#include "model/units.hpp"

#ifdef DEFECT
auto sum = prony::Joules(1) + prony::Watts(1);
#else
auto sum = prony::Joules(1) + prony::Watts(1) * prony::Seconds(1);
#endif
