// Where members of a team go that share a core, and that their affinity stays what it was.
#include "../../cpu/team.h"

#include <omp.h>

#include "families.h"
#include "kernel_test.h"

namespace heddle::test {
namespace {

cpu_set_t cpus(std::initializer_list<size_t> list) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const size_t cpu : list) CPU_SET(cpu, &set);
  return set;
}

void expectPlaces(const std::string& what, std::vector<int> places, const cpu_set_t& allowed,
                  const std::vector<int>& expected) {
  for (size_t member = 0; member < places.size(); member++) {
    const int found = cpu::betterPlace(member, places, allowed).value_or(-1);
    expectTrue(what + ", member " + std::to_string(member) + ": " + std::to_string(found), found == expected[member]);
  }
}

void checkAffinity() {
  cpu_set_t before, after;
  sched_getaffinity(0, sizeof before, &before);
  const int threads = std::min(CPU_COUNT(&before), 4);
  cpu::Team team;
  team.resize(threads);
  team.spread();
  bool same = true;
#pragma omp parallel num_threads(threads) reduction(&& : same)
  {
    cpu_set_t own;
    sched_getaffinity(0, sizeof own, &own);
    same = CPU_EQUAL(&own, &before);
  }
  sched_getaffinity(0, sizeof after, &after);
  expectTrue("spread: every member may go where it could before", same && CPU_EQUAL(&before, &after));
}

}  // namespace

void testTeam() {
  expectPlaces("apart", {3, 1}, cpus({0, 1, 2, 3}), {-1, -1});
  expectPlaces("one shared core", {1, 1}, cpus({0, 1}), {-1, 0});
  expectPlaces("two at a time", {2, 2, 2, 5}, cpus({0, 2, 4, 5, 7}), {-1, 0, 4, -1});
  expectPlaces("only what is allowed", {1, 1}, cpus({1, 6}), {-1, 6});
  expectPlaces("nothing free", {0, 0, 1}, cpus({0, 1}), {-1, -1, -1});
  checkAffinity();
}

}  // namespace heddle::test
