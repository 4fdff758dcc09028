// Where members of a team go that share a core, that their affinity stays what it was, and what they know of the main
// thread.
#include "../../cpu/team.h"

#include <omp.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "../../cpu/main_thread.h"
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
  const int all = omp_get_max_threads();
  omp_set_num_threads(threads);
  cpu::Team().look(true);
  omp_set_num_threads(all);
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

void checkMainThread() {
  const cpu::MainThread main;
  std::atomic<bool> ran{false}, slept{false}, asked{false};
  std::thread other([&] {
    const auto until = [&](bool runnable) {
      const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
      while (main.isRunnable() != runnable && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
      return main.isRunnable() == runnable;
    };
    ran = until(true);
    asked = true;
    slept = until(false);
  });
  while (!asked) continue;
  other.join();
  expectTrue("the main thread is runnable while it computes", ran);
  expectTrue("the main thread is not runnable while it waits", slept);
}

}  // namespace

void testTeam() {
  expectPlaces("apart", {3, 1}, cpus({0, 1, 2, 3}), {-1, -1});
  expectPlaces("one shared core", {1, 1}, cpus({0, 1}), {-1, 0});
  expectPlaces("two at a time", {2, 2, 2, 5}, cpus({0, 2, 4, 5, 7}), {-1, 0, 4, -1});
  expectPlaces("only what is allowed", {1, 1}, cpus({1, 6}), {-1, 6});
  expectPlaces("nothing free", {0, 0, 1}, cpus({0, 1}), {-1, -1, -1});
  checkAffinity();
  checkMainThread();
}

}  // namespace heddle::test
