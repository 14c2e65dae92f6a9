// Measuring clips that other code drew: every scene in every kind of damage must read as what was
// drawn, and what is not there must not be seen.
#include "evaluation/drawn_clips/clip_content.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "evaluation/evaluation_test_support.h"

namespace mxvideo::evaluation {
namespace {

const GoldenClips& golden() {
  static const GoldenClips kClips = read_golden_clips();
  return kClips;
}

ClipContent measure(const GoldenClip& clip) {
  return measure_clip(clip.video, golden().colors, golden().backgrounds);
}

// What a position of the golden means for the measured row and column.
std::string position_of(const ClipContent& content, const std::string& expected) {
  if (expected == "on the left" || expected == "on the right") return "on the " + content.column;
  return (content.row == "middle" ? "in the " : "at the ") + content.row;
}

void expect_content(const GoldenClip& clip) {
  const ClipContent content = measure(clip);
  EXPECT_EQ(content.shape, clip.shape) << clip.file;
  EXPECT_EQ(content.color, clip.color) << clip.file;
  EXPECT_EQ(content.background, clip.background) << clip.file;
  EXPECT_EQ(content.direction, clip.direction) << clip.file;
  if (clip.position.empty()) {
    EXPECT_EQ(content.row + content.column, "") << clip.file;
  } else if (clip.position == "in the middle") {
    const bool vertical = clip.direction == "up" || clip.direction == "down";
    EXPECT_EQ(vertical ? content.column : content.row, "middle") << clip.file;
  } else {
    EXPECT_EQ(position_of(content, clip.position), clip.position) << clip.file;
  }
}

size_t expect_kind(const std::string& kind) {
  size_t count = 0;
  for (const GoldenClip& clip : golden().clips) {
    if (clip.kind != kind) continue;
    ++count;
    expect_content(clip);
  }
  return count;
}

TEST(ClipContent, ReadsDrawnScenes) { EXPECT_EQ(expect_kind("drawn"), 24u); }

TEST(ClipContent, ReadsBlurredNoisyAndShiftedScenes) { EXPECT_EQ(expect_kind("damaged"), 24u); }

TEST(ClipContent, SeesNothingThatIsNotThere) { EXPECT_EQ(expect_kind("negative"), 13u); }

TEST(ClipContent, MeasuresTheBackground) {
  EXPECT_EQ(expect_kind("measured"), 2u);
  for (const GoldenClip& clip : golden().clips) {
    const ClipContent content = measure(clip);
    if (clip.flicker) {
      EXPECT_NEAR(content.flicker, *clip.flicker, 0.001) << clip.file;
    }
    if (clip.constancy) {
      // The golden takes the shape off the background, the measurement what is near it, too.
      EXPECT_NEAR(content.background_constancy, *clip.constancy, 0.5) << clip.file;
    }
    if (clip.kind == "drawn") {
      EXPECT_EQ(content.flicker, 0) << clip.file;
      EXPECT_EQ(content.background_constancy, 100) << clip.file;
    }
  }
}

TEST(ClipContent, GoldensCoverEveryValue) {
  std::map<std::string, std::set<std::string>> seen;
  for (const GoldenClip& clip : golden().clips) {
    if (clip.kind != "drawn") continue;
    seen["shape"].insert(clip.shape);
    seen["color"].insert(clip.color + " on " + clip.background);
    seen["direction"].insert(clip.shape + " " + clip.direction);
    seen["position"].insert(clip.position);
  }
  EXPECT_EQ(seen["shape"].size(), 4u);
  EXPECT_EQ(seen["color"].size(), 24u);
  EXPECT_EQ(seen["direction"].size(), 16u);
  EXPECT_EQ(seen["position"].size(), 5u);
}

TEST(ClipContent, MeasuresTinyFrames) {
  for (const int64_t side : {1, 2, 3}) {
    const media::RgbVideo video{
        .frames = 2,
        .size = {.height = side, .width = 4 - side},
        .pixels = std::vector<uint8_t>(static_cast<size_t>(2 * side * (4 - side) * 3), 200)};
    EXPECT_EQ(measure_clip(video, golden().colors, golden().backgrounds).shape, "");
  }
}

}  // namespace
}  // namespace mxvideo::evaluation
