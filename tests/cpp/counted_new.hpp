// operator new, counted. Without Eigen: tests of the runtime count it, too.
#pragma once

namespace trpo_fast::tests {

long count_of_new();  // calls so far, by any thread

}  // namespace trpo_fast::tests
