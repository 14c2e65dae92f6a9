// Names and quantities in messages.
#include "base/text/nearest_name.h"

#include <gtest/gtest.h>

#include "base/text/format.h"

namespace mxvideo {
namespace {

// Values of the literature: Wikipedia, "Damerau-Levenshtein distance", optimal string alignment.
TEST(EditDistance, CountsEdits) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("CA", "ABC"), 3u);
  EXPECT_EQ(edit_distance("saturday", "sunday"), 3u);
  EXPECT_EQ(edit_distance("mxpf8", "mxfp8"), 1u) << "a swap is one edit";
  EXPECT_EQ(edit_distance("NUM_FRAMES", "num-frames"), 0u);
}

TEST(GlobDistance, TakesWildcardsForNothing) {
  EXPECT_EQ(glob_distance("blocks.*.attn1.*", "blocks.0.attn1.to_q"), 0u);
  EXPECT_EQ(glob_distance("block.*.attn1.to_q", "blocks.10.attn1.to_q"), 1u);
  EXPECT_EQ(glob_distance("*", "anything"), 0u);
  EXPECT_EQ(glob_distance("a?c", "abc"), 0u);
  EXPECT_EQ(glob_distance("", "abc"), 3u);
  EXPECT_EQ(nearest_to_glob("block.1.*", {"blocks.0.attn1.to_q", "blocks.1.attn1.to_q"}),
            "blocks.1.attn1.to_q");
}

TEST(NearestName, FindsWhatWasMeant) {
  const std::vector<std::string> flags = {"--num-frames", "--num-inference-steps", "--seed",
                                          "--prompt", "--negative-prompt"};
  EXPECT_EQ(nearest_name("--promt", flags), "--prompt");
  EXPECT_EQ(nearest_name("--sede", flags), "--seed");
  EXPECT_EQ(nearest_name("--num_frames", flags), "--num-frames");
  EXPECT_EQ(nearest_name("--num-inference", flags), "--num-inference-steps") << "a beginning";
  EXPECT_EQ(nearest_name("frames", flags), "--num-frames") << "a word";
  EXPECT_EQ(nearest_name("--frames", flags), "--num-frames");
  EXPECT_EQ(nearest_name("--xyzzy", flags), "");
  EXPECT_EQ(nearest_name("", flags), "");
  EXPECT_EQ(did_you_mean("--promt", flags), "; did you mean '--prompt'?");
  EXPECT_EQ(did_you_mean("--xyzzy", flags), "");
}

TEST(NearestName, AnyCaseIsTheSameName) {
  const std::vector<std::string> names = {"none", "mxfp8"};
  EXPECT_EQ(find_any_case("MXFP8", names), "mxfp8");
  EXPECT_EQ(find_any_case("None", names), "none");
  EXPECT_EQ(find_any_case("mxfp", names), "");
  EXPECT_EQ(join_names({"a", "b", "c"}), "a, b or c");
  EXPECT_EQ(join_names({"a"}), "a");
}

TEST(Format, BytesAreBinary) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.0 KiB");
  EXPECT_EQ(format_bytes(12'897'485), "12.3 MiB");
  EXPECT_EQ(format_bytes(int64_t{3} << 29), "1.50 GiB");
  EXPECT_EQ(format_bytes(int64_t{5} << 40), "5.00 TiB");
  EXPECT_EQ(format_byte_rate(2.0 * (1 << 30)), "2.00 GiB/s");
}

TEST(Format, CountsAndDurations) {
  EXPECT_EQ(count_of(1, "step"), "1 step");
  EXPECT_EQ(count_of(0, "step"), "0 steps");
  EXPECT_EQ(count_of(2, "entry", "entries"), "2 entries");
  EXPECT_EQ(format_duration(31.4), "00:31");
  EXPECT_EQ(format_duration(3723), "1:02:03");
}

}  // namespace
}  // namespace mxvideo
