#include "area_resize.hpp"

#include "trpo_fast/area_resize.hpp"

namespace trpo_fast::core {

Index max_resized_pixels() { return trpo_fast::AreaResize::kMaxPixels; }

AreaResize::AreaResize(Index in_height, Index in_width, Index out_height, Index out_width)
    : kernel_(std::make_shared<const trpo_fast::AreaResize>(in_height, in_width, out_height, out_width)) {}

Index AreaResize::in_height() const { return kernel_->rows().n_in(); }
Index AreaResize::in_width() const { return kernel_->columns().n_in(); }
Index AreaResize::out_height() const { return kernel_->rows().n_out(); }
Index AreaResize::out_width() const { return kernel_->columns().n_out(); }

void AreaResize::apply(const std::uint8_t* first, const std::uint8_t* second, std::uint8_t* out) const {
  kernel_->apply(first, second, out);
}

}  // namespace trpo_fast::core
