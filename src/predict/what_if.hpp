// A network as it would be with another batch, image, number type or width. Shapes are carried from layer to layer, as
// the data goes; costs follow from them. What cannot be carried through rightly (which way a pooling rounds, tokens
// where channels were meant, a map that no layer makes) is refused with the layer's name, never guessed. Pure. Units:
// as of Layer.
#pragma once

#include <string>

#include "base/result.hpp"
#include "predict/layer.hpp"

namespace prony::predict {

struct WhatIf {
  double batch = 0;       // the batch that it shall have; 0: as it is
  double resolution = 0;  // height of the first layer's input; width goes along
  double width = 0;       // factor of channels between the first layer with weights and the last
  std::string dtype;
  double threads = 0;
  [[nodiscard]] bool any() const noexcept;
};
// Errors: usage (out of range; a change that this network's layers do not carry through); it is then as it was. What
// was assumed is in its remarks.
[[nodiscard]] Result<void> change(NetworkToPredict& network, const WhatIf& what_if);

}  // namespace prony::predict
