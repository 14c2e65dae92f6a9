#include "device/arena.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "device/dry_device.h"

namespace mxvideo {
namespace {

TEST(Placement, TakesTheSmallestGapThatFits) {
  Placement placement;
  EXPECT_EQ(placement.take(100), 0);
  EXPECT_EQ(placement.take(10), 100);
  EXPECT_EQ(placement.take(30), 110);
  EXPECT_EQ(placement.take(10), 140);
  placement.give_back(0, 100);
  placement.give_back(110, 30);
  EXPECT_EQ(placement.take(30), 110);
  EXPECT_EQ(placement.take(40), 0);
  EXPECT_EQ(placement.take(61), 150);
  EXPECT_EQ(placement.extent(), 211);
}

TEST(Placement, JoinsWhatLiesSideBySide) {
  Placement placement;
  for (int64_t offset : {0, 10, 20, 30}) EXPECT_EQ(placement.take(10), offset);
  placement.give_back(0, 10);
  placement.give_back(20, 10);
  placement.give_back(10, 10);
  EXPECT_EQ(placement.take(30), 0);
  placement.give_back(30, 10);
  EXPECT_EQ(placement.take(12), 30);
  EXPECT_EQ(placement.extent(), 42);
}

// Against a list of all pieces.
TEST(Placement, PiecesNeverOverlapAndNothingIsLost) {
  Placement placement;
  std::mt19937 random(7);
  std::map<int64_t, int64_t> pieces;
  int64_t highest = 0;
  for (int i = 0; i < 3000; ++i) {
    if (pieces.empty() || random() % 5 < 3) {
      const auto bytes = static_cast<int64_t>(1 + random() % 50);
      const int64_t offset = placement.take(bytes);
      const auto after = pieces.lower_bound(offset);
      EXPECT_TRUE(after == pieces.end() || offset + bytes <= after->first);
      EXPECT_TRUE(after == pieces.begin() ||
                  std::prev(after)->first + std::prev(after)->second <= offset);
      pieces.emplace(offset, bytes);
      highest = std::max(highest, offset + bytes);
    } else {
      auto piece = pieces.begin();
      std::advance(piece, random() % pieces.size());
      placement.give_back(piece->first, piece->second);
      pieces.erase(piece);
    }
  }
  EXPECT_EQ(placement.extent(), highest);
  for (const auto& [offset, bytes] : pieces) placement.give_back(offset, bytes);
  EXPECT_EQ(placement.take(highest), 0);
}

TEST(Arena, APlanTakesNothingAndTellsWhatItsLikeTakes) {
  DryDevice dry;
  Arena plan(dry);
  { const Buffer one(plan, 1000), two(plan, 24); }
  const Buffer three(plan, 1100);
  EXPECT_EQ(dry.peak_allocated_bytes(), 0);
  EXPECT_EQ(plan.extent(), 1152);  // whole cache lines

  const int64_t before = cpu_device().allocated_bytes();
  Arena arena(cpu_device(), plan.extent());
  { const Buffer one(arena, 1000), two(arena, 24); }
  const Buffer again(arena, 1100);
  EXPECT_EQ(cpu_device().allocated_bytes() - before, plan.extent());
  EXPECT_EQ(arena.beyond_plan(), 0);
}

TEST(Arena, WhatWasNotPlannedComesFromTheDevice) {
  Arena arena(cpu_device(), 128);
  const int64_t before = cpu_device().allocated_bytes();
  {
    const Buffer planned(arena, 100), more(arena, 100);
    EXPECT_EQ(cpu_device().allocated_bytes() - before, 100);
    EXPECT_EQ(arena.beyond_plan(), 100);
    EXPECT_EQ(&more.device(), &cpu_device());
  }
  EXPECT_EQ(cpu_device().allocated_bytes(), before);
  const Buffer all(arena, 128);
  EXPECT_EQ(cpu_device().allocated_bytes(), before);
}

}  // namespace
}  // namespace mxvideo
