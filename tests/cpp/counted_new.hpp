// operator new, counted.
#pragma once

namespace trpo_fast::tests {

long count_of_new();  // calls so far, by any thread

}  // namespace trpo_fast::tests
