// Images made smaller: the bounds of every access, for the sanitizers, and the mean of a constant image.
#include <vector>

#include "check.hpp"
#include "trpo_fast/area_resize.hpp"

namespace trpo_fast::tests {
namespace {

TEST(a_constant_image_stays_constant) {
  for (const Index height : {1, 2, 7, 52, 210}) {
    for (const Index width : {1, 3, 16, 17, 160}) {
      for (Index out_height = 1; out_height <= height; out_height += 1 + height / 9) {
        for (Index out_width = 1; out_width <= width; out_width += 1 + width / 9) {
          const std::vector<std::uint8_t> image(static_cast<std::size_t>(height * width), 201);
          std::vector<std::uint8_t> out(static_cast<std::size_t>(out_height * out_width));
          AreaResize(height, width, out_height, out_width).apply(image.data(), image.data(), out.data());
          for (const std::uint8_t pixel : out) CHECK(pixel == 201, "height", height, "width", width);
        }
      }
    }
  }
}

}  // namespace
}  // namespace trpo_fast::tests
