// The axis that the inner loop runs along.
#include "../../core/walk.h"

#include "core_test.h"

namespace heddle::test {

void testWalks() {
  const auto accesses = [](size_t loads) {
    std::vector<Access> all(loads, {Access::Kind::load, 0, 0, 4});
    all.push_back({Access::Kind::store, 0, 0, 4});
    return all;
  };
  // x[64,4096] and four numbers per channel, as a batch norm has them: few elements, however many operands.
  const Axis channels{64, false, {4096, 1, 1, 1, 1, 4096}}, positions{4096, false, {1, 0, 0, 0, 0, 1}};
  expect(innermostAxis({channels, positions}, accesses(5)) == 1, "the loop runs along the large operands");
  expect(innermostAxis({positions, channels}, accesses(5)) == 0, "in whichever order the axes come");
  // Two that are transposed to what is stored.
  const Axis rows{512, false, {1, 1, 512}}, columns{512, false, {512, 512, 1}};
  expect(innermostAxis({rows, columns}, accesses(2)) == 0, "of equally large ones the more count");
}

}  // namespace heddle::test
