// Images made smaller.
#pragma once

#include <cstdint>
#include <memory>

#include "arrays.hpp"

namespace trpo_fast {
class AreaResize;
}  // namespace trpo_fast

namespace trpo_fast::core {

Index max_resized_pixels();

class AreaResize {
 public:
  AreaResize(Index in_height, Index in_width, Index out_height, Index out_width);
  Index in_height() const;
  Index in_width() const;
  Index out_height() const;
  Index out_width() const;
  void apply(const std::uint8_t* first,   // (in_height, in_width)
             const std::uint8_t* second,  // the same
             std::uint8_t* out            // (out_height, out_width)
  ) const;

 private:
  std::shared_ptr<const trpo_fast::AreaResize> kernel_;
};

}  // namespace trpo_fast::core
