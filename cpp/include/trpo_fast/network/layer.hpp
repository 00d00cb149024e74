// Layer: y = f(x; theta_l) on a block of rows, with its derivatives. Const and stateless: parameters are an argument.
//
// Parameters, their tangents and their cotangents are in a packed order that the layer chooses; its vjp may read a
// second, reverse copy of the parameters. Both are computed once per theta. Rows are padded (padded_matrix.hpp).
#pragma once

#include "../sequences.hpp"
#include "../types.hpp"

namespace trpo_fast {

// A layer on a block of rows. forward() writes y and cache, and last states if they are asked for; a const LayerBlock,
// which jvp() and vjp() take, is read only, but for scratch.
template <class Scalar>
struct LayerBlock {
  const Scalar* packed;                                           // (packed_size,)
  const Scalar* reverse;                                          // (reverse_size,); forward() does not read it
  ConstPanel<Scalar> x;                                           // (B, input_size)
  Panel<Scalar> y;                                                // (B, output_size)
  Panel<Scalar> cache;                                            // (B, cache_size)
  SequenceBlock<Scalar> sequence{};                               // of a layer with a state
  Panel<Scalar> scratch{nullptr, 0, 0, Eigen::OuterStride<>(0)};  // (B, scratch_size); forward() has none
};

// The affine map in a layer, z = x W^T + b: theta_l is W (outputs, inputs) row-major, then b (outputs). It reads the
// first `inputs` columns of x, and vjp leaves z_bar in the last `outputs` columns of y_bar.
//
// A convolution applies the map at several locations, to patches of x, which Layer::patches() makes; y_bar is then
// z_bar at one location after the other.
struct AffineMap {
  Index inputs;
  Index outputs;
  Index locations = 0;  // 0: there are no patches
};

template <class Scalar>
class Layer {
 public:
  virtual ~Layer() = default;

  virtual Index input_size() const = 0;
  virtual Index output_size() const = 0;
  virtual Index num_params() const = 0;  // P_l
  // No outputs: the layer has no such map.
  virtual AffineMap affine_map() const { return {0, 0}; }
  // The map's inputs at the locations first, first + 1, ... of a row x, where it has locations
  virtual void patches(const Scalar* /*x*/, Index /*first*/, Panel<Scalar> /*out*/) const {}
  // Columns stored in addition to y where the derivative is not a function of y alone.
  virtual Index cache_size() const { return 0; }
  // Columns of memory that jvp and vjp need for each row
  virtual Index scratch_size() const { return 0; }
  // Numbers that a row passes to the next one of its lane; the layer's blocks have sequences, unless it is 0.
  virtual Index state_size() const { return 0; }

  virtual Index packed_size() const = 0;
  // order[i] = the place of parameter i in the packed order; all other places are padding, and 0.
  virtual void packed_order(std::int32_t* order) const = 0;  // (P_l,)

  virtual Index reverse_size() const { return 0; }
  virtual void pack_reverse(const Scalar* /*packed*/, Scalar* /*reverse*/) const {}

  // y = f(x; theta), and the cache
  virtual void forward(LayerBlock<Scalar>& at) const = 0;

  // dy = d_x f dx + d_theta f dtheta.   dx without data means zero (x is the network's input).
  virtual void jvp(const LayerBlock<Scalar>& at,
                   const Scalar* dpacked,  // (packed_size,)
                   ConstPanel<Scalar> dx,  // (B, input_size) or no data
                   Panel<Scalar> dy        // (B, output_size)
  ) const = 0;

  // x_bar = (d_x f)^T y_bar;   packed_bar += (d_theta f)^T y_bar.
  // y_bar is overwritten; x_bar without data is not computed.
  virtual void vjp(const LayerBlock<Scalar>& at,
                   Panel<Scalar> y_bar,  // (B, output_size)
                   Panel<Scalar> x_bar,  // (B, input_size) or no data
                   Scalar* packed_bar    // (packed_size,)
  ) const = 0;
};

}  // namespace trpo_fast
