// KFACPreconditioner: an approximation of (F + damping)^-1, layer by layer (kronecker_block.hpp). One of the places
// where a network meets a distribution.
//
// z_bar is the cotangent of log pi(a_n | s_n), the score: the actions are samples of the policy, so E[z_bar z_bar^T] is
// the Fisher matrix of z for every distribution, and no random numbers are drawn.
#pragma once

#include <algorithm>
#include <mutex>
#include <vector>

#include "../distributions/distribution.hpp"
#include "../network/linearization.hpp"
#include "../parallel/fork_safe_mutex.hpp"
#include "../parallel/slot_sum.hpp"
#include "../solvers/linear_operator.hpp"
#include "kronecker_block.hpp"

namespace trpo_fast {

template <class Scalar>
class KFACPreconditioner final : public LinearOperator {
 public:
  KFACPreconditioner(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                     ConstVectorView<Scalar> theta,    // (P,)
                     const Inputs<Scalar>& inputs,     // N rows of normalised observations
                     ConstMatrixView<Scalar> actions,  // (N, A)
                     double damping, int n_threads)
      : n_threads_(n_threads) {
    check_actions(distribution, actions);
    for (Index j = 0; j < network.num_nodes(); ++j) {
      const Layer<Scalar>& layer = network.layer(j);
      const KroneckerBlock block(layer.affine_map());
      layers_.push_back({block, true, num_params_, layer.num_params(), num_moments_});
      num_params_ += layer.num_params();
      num_moments_ += padded<Scalar>(block.template num_moments<Scalar>());
    }
    const Vector<double> moments = sum_moments(network, distribution, theta, inputs, actions);
    const Index n_counted = actions.rows() - inputs.sequences.num_padding;
    for_each_layer([&](LayerPart& layer) {
      layer.is_identity = !layer.block.template invert<Scalar>(moments.data() + layer.first_moment, n_counted, damping);
    });
  }

  Index size() const override { return num_params_; }

  // Layers with parameters whose block is the identity: they have no affine map, or moments that cannot be inverted.
  std::vector<Index> identity_layers() const {
    std::vector<Index> layers;
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      if (layers_[l].is_identity && layers_[l].num_params > 0) layers.push_back(static_cast<Index>(l));
    }
    return layers;
  }

  void multiply(const double* v, double* out) override {
    const std::lock_guard<ForkSafeMutex> one_product_at_a_time(mutex_);
    for_each_layer([&](LayerPart& layer) {
      const double* from = v + layer.first_param;
      if (layer.is_identity) {
        std::copy(from, from + layer.num_params, out + layer.first_param);
      } else {
        layer.block.multiply(from, out + layer.first_param);
      }
    });
  }

 private:
  struct LayerPart {
    KroneckerBlock block;
    bool is_identity;
    Index first_param;
    Index num_params;
    Index first_moment;
  };

  // Scratch of one thread
  struct Workspace {
    explicit Workspace(const Linearization<Scalar>& at)
        : cotangents(at),
          packed_bar(Vector<Scalar>::Zero(at.network().packed_size())),
          patches(kBlockRows, largest_patch(at.network())) {}
    typename Linearization<Scalar>::Workspace cotangents;
    Vector<Scalar> packed_bar;  // vjp writes it; not read here
    PaddedMatrix<Scalar> patches;
  };

  // The moments of all layers, summed over the rows
  Vector<double> sum_moments(const Network<Scalar>& network, const Distribution<Scalar>& distribution,
                             ConstVectorView<Scalar> theta, const Inputs<Scalar>& inputs,
                             ConstMatrixView<Scalar> actions) const {
    const Linearization<Scalar> at(network, theta.data(), inputs, n_threads_);
    std::vector<Workspace> workspaces(static_cast<std::size_t>(n_threads_), Workspace(at));
    const Vector<double> ones = Vector<double>::Ones(at.blocks().block_rows());
    SlotSum<Scalar> sum(num_moments_, at.blocks(), num_partials(num_moments_, n_threads_));
    return sum.run(n_threads_, [&](Rows rows, int thread, Scalar* moments) {
      Workspace& workspace = workspaces[static_cast<std::size_t>(thread)];
      const Panel<Scalar> phi_bar = workspace.cotangents.phi(rows.size());
      distribution.log_prob_vjp(at.output(rows), panel(block(actions, rows)), {ones.data(), rows.size()}, phi_bar);
      at.clear_padding(rows, phi_bar);
      const auto add = [&](Index j, ConstPanel<Scalar> input, ConstPanel<Scalar> y_bar) {
        at.for_each_counted(rows, [&](Rows run) {
          const Index first = run.begin - rows.begin;
          add_moments(network.layer(j), layers_[static_cast<std::size_t>(j)], row_range(input, first, run.size()),
                      row_range(y_bar, first, run.size()), workspace, moments);
        });
      };
      at.load(rows, workspace.cotangents).vjp(phi_bar, workspace.packed_bar.data(), add);
    });
  }

  static void add_moments(const Layer<Scalar>& layer, const LayerPart& part, ConstPanel<Scalar> x,
                          ConstPanel<Scalar> y_bar, Workspace& workspace, Scalar* moments) {
    const AffineMap map = layer.affine_map();
    if (map.locations == 0) return part.block.add(x, y_bar, moments + part.first_moment);
    for (Index n = 0; n < x.rows(); ++n) {
      for_each_piece({0, map.locations}, [&](Rows at) {
        const Panel<Scalar> patches = columns(workspace.patches.panel(0, at.size()), 0, map.inputs);
        layer.patches(x.data() + n * x.outerStride(), at.begin, patches);
        const ConstPanel<Scalar> z_bar(y_bar.data() + n * y_bar.outerStride() + at.begin * map.outputs, at.size(),
                                       map.outputs, Eigen::OuterStride<>(map.outputs));
        part.block.add(view(patches), z_bar, moments + part.first_moment);
      });
    }
  }

  static Index largest_patch(const Network<Scalar>& network) {
    Index size = 0;
    for (Index j = 0; j < network.num_nodes(); ++j) {
      const AffineMap map = network.layer(j).affine_map();
      if (map.locations > 0) size = (std::max)(size, map.inputs);
    }
    return size;
  }

  // f(layer) for every layer, in any order, on several threads
  template <class Function>
  void for_each_layer(Function&& f) {
    ThreadPool::instance().run(static_cast<Index>(layers_.size()), n_threads_,
                               [&](Index l, int /*thread*/) { f(layers_[static_cast<std::size_t>(l)]); });
  }

  int n_threads_;
  Index num_params_ = 0;   // P
  Index num_moments_ = 0;  // of all layers
  std::vector<LayerPart> layers_;
  ForkSafeMutex mutex_;
};

}  // namespace trpo_fast
