// SequenceRows: Sequences as a Python object, which has copies of its arrays.
#pragma once

#include <string>

#include "arrays.hpp"
#include "trpo_fast/sequences.hpp"

namespace trpo_fast::core {

template <class Scalar>
class SequenceRows {
 public:
  SequenceRows(Index lanes, Index length, const py::object& starts, const py::object& states, const py::object& padding)
      : starts_(copied<std::uint8_t>(checked_array<std::uint8_t>(starts, "starts", {kAnySize}))),
        num_rows_(starts_.size()) {
    checked_size(checked_size(lanes, "lanes") * checked_size(length, "length"), "lanes * length");
    if (num_rows_ % length != 0) {
      throw py::value_error("starts: expected whole lanes of " + std::to_string(length) + " rows, got " +
                            std::to_string(num_rows_) + " rows");
    }
    states_ = copied<Scalar>(checked_array<Scalar>(states, "states", {num_rows_ / length, kAnySize}));
    view_ = {lanes, length, static_cast<const std::uint8_t*>(starts_.data()),
             static_cast<const Scalar*>(states_.data()), states_.shape(1)};
    if (padding.is_none()) return;
    padding_ = copied<std::uint8_t>(checked_array<std::uint8_t>(padding, "padding", {num_rows_}));
    view_.padding = static_cast<const std::uint8_t*>(padding_.data());
    for (Index row = 0; row < num_rows_; ++row) view_.num_padding += view_.is_padding(row) ? 1 : 0;
    if (view_.num_padding == num_rows_) throw py::value_error("padding: expected a row that is 0, got none");
  }

  Index num_rows() const { return num_rows_; }
  // Of the arrays as they were when they were checked
  const Sequences<Scalar>& view() const { return view_; }

 private:
  template <class T>
  static py::array copied(const py::array& given) {
    return py::array_t<T>(std::vector<py::ssize_t>(given.shape(), given.shape() + given.ndim()),
                          static_cast<const T*>(given.data()));
  }

  py::array starts_;
  Index num_rows_;
  py::array states_;
  py::array padding_;
  Sequences<Scalar> view_{};
};

}  // namespace trpo_fast::core
