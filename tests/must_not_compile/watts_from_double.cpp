#include "model/units.hpp"

#ifdef DEFECT
prony::Watts power = 12.5;
#else
prony::Watts power{12.5};
#endif
