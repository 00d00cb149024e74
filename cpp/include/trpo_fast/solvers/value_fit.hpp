// ValueFit: epochs of minibatch Adam on the critic's squared error, in one call.
#pragma once

#include <algorithm>
#include <cmath>

#include "../network/linearization.hpp"
#include "../objectives/squared_error.hpp"
#include "adam.hpp"

namespace trpo_fast {

// Initial state of Adam, each vector (P,).
template <class Scalar>
struct AdamState {
  ConstVectorView<Scalar> theta;
  ConstVectorView<Scalar> first_moment;
  ConstVectorView<Scalar> second_moment;
  std::int64_t n_steps;
};

template <class Scalar>
class ValueFit {
 public:
  // order holds n_epochs * N row numbers, drawn by the caller. Each batch_size consecutive ones of an epoch are a
  // minibatch.
  ValueFit(const Network<Scalar>& network,
           const Inputs<Scalar>& inputs,         // N rows of normalised observations
           ConstVectorView<Scalar> targets,      // (N,)
           ConstMatrixView<std::int64_t> order,  // (n_epochs, N)
           Index batch_size, const AdamOptions& options, const AdamState<Scalar>& state)
      : network_(network),
        x_(inputs.x),
        images_(inputs.images),
        owner_(inputs.owner),
        targets_(targets),
        order_(order),
        batch_size_((std::min)(batch_size, inputs.x.rows())),
        options_(options),
        n_steps_(state.n_steps),
        picked_(pick_planes(images_)),
        at_(network, RowBlocks(kBlockRows), views_of(picked_, images_)),
        workspace_(at_),
        gradient_(network.packed_size()),
        first_moment_(Vector<Scalar>::Zero(network.packed_size())),
        second_moment_(Vector<Scalar>::Zero(network.packed_size())) {
    network.pack(state.theta.data(), at_.packed().data());
    network.pack(state.first_moment.data(), first_moment_.data());
    network.pack(state.second_moment.data(), second_moment_.data());
  }

  // All steps. poll() is called before each, and may throw to stop the fit.
  template <class Poll>
  void run(Poll&& poll) {
    for (Index epoch = 0; epoch < order_.rows(); ++epoch) {
      loss_ = 0.0;
      for (Index begin = 0; begin < x_.rows(); begin += batch_size_) {
        poll();
        step(order_.row(epoch).data() + begin, (std::min)(batch_size_, x_.rows() - begin));
      }
      loss_ /= double(x_.rows());
    }
  }

  double loss() const {
    return loss_;
  }  // mean squared error over the last epoch, each minibatch evaluated before its step
  bool finite() const {
    return std::isfinite(loss_) && at_.packed().allFinite() && first_moment_.allFinite() && second_moment_.allFinite();
  }
  std::int64_t n_steps() const { return n_steps_; }
  void read(VectorView<Scalar> theta, VectorView<Scalar> first_moment, VectorView<Scalar> second_moment) const {
    network_.unpack(at_.packed().data(), theta.data());
    network_.unpack(first_moment_.data(), first_moment.data());
    network_.unpack(second_moment_.data(), second_moment.data());
  }

 private:
  using PlaneNumbers = std::vector<std::int32_t>;

  // Memory for the plane numbers of a block of a minibatch, (kBlockRows, channels) for each image
  static std::vector<PlaneNumbers> pick_planes(const std::vector<Images>& images) {
    std::vector<PlaneNumbers> picked;
    for (const Images& of : images) picked.emplace_back(static_cast<std::size_t>(kBlockRows * of.channels), kZeroPlane);
    return picked;
  }
  // The same images with these plane numbers
  static std::vector<Images> views_of(const std::vector<PlaneNumbers>& picked, std::vector<Images> images) {
    for (std::size_t k = 0; k < images.size(); ++k) {
      images[k].index = picked[k].data();
      images[k].num_rows = kBlockRows;
    }
    return images;
  }

  // One minibatch, block by block: forward, error, backward; then Adam.
  void step(const std::int64_t* rows, Index count) {
    at_.pack_reverse();
    gradient_.setZero();
    const Scalar scale = Scalar(1) / static_cast<Scalar>(count);
    for_each_piece({0, count}, [&](Rows batch_rows) {
      const Rows block{0, batch_rows.size()};
      Scalar targets[kBlockRows];
      for (Index i = 0; i < block.end; ++i) {
        const Index row = rows[batch_rows.begin + i];
        at_.input({i, i + 1}) = x_.row(row);
        for (std::size_t k = 0; k < images_.size(); ++k) {
          const Index channels = images_[k].channels;
          std::copy_n(images_[k].index + row * channels, channels, picked_[k].data() + i * channels);
        }
        targets[i] = targets_[row];
      }
      const auto loaded = at_.forward(block, workspace_);
      const Panel<Scalar> value_bar = workspace_.phi(block.size());
      loss_ += squared_error<Scalar>(at_.output(block), targets, scale, value_bar);
      loaded.vjp(value_bar, gradient_.data());
    });
    adam_step(options_, ++n_steps_, gradient_, first_moment_, second_moment_, at_.packed());
  }

  const Network<Scalar>& network_;
  RowMatrix<Scalar> x_;  // copies: the fit may outlive the call that started it
  std::vector<Images> images_;
  std::shared_ptr<const void> owner_;  // of what the images are views of
  Vector<Scalar> targets_;
  RowMatrix<std::int64_t> order_;
  Index batch_size_;
  AdamOptions options_;
  std::int64_t n_steps_;
  double loss_ = 0.0;
  std::vector<PlaneNumbers> picked_;  // what at_ reads
  Linearization<Scalar> at_;          // of one block of a minibatch
  typename Linearization<Scalar>::Workspace workspace_;
  Vector<Scalar> gradient_;  // these three vectors are in packed order, as at_.packed()
  Vector<Scalar> first_moment_;
  Vector<Scalar> second_moment_;
};

}  // namespace trpo_fast
