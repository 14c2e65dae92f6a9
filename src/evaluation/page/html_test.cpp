#include "evaluation/page/html.h"

#include <gtest/gtest.h>

#include <string>

#include "evaluation/page/contact_sheet.h"

namespace mxvideo::evaluation {
namespace {

TEST(EscapeHtml, LeavesNoMarkup) {
  EXPECT_EQ(escape_html("<b>&\"'"), "&lt;b&gt;&amp;&quot;&#39;");
  EXPECT_EQ(escape_html("]]><!--"), "]]&gt;&lt;!--");
}

TEST(EscapeHtml, KeepsTextWholeAndShowsBytesThatAreNone) {
  EXPECT_EQ(escape_html("none"), "none");
  EXPECT_EQ(escape_html("ein Bär 画"), "ein Bär 画");
  EXPECT_EQ(escape_html(std::string("a\0\x1b\xff", 4)), "a\\x00\\x1b\\xff");
  const std::string text(100000, '\x01');
  EXPECT_EQ(escape_html(text).size(), 4 * text.size());
}

TEST(InlineImage, HoldsTheBytes) {
  // Vectors of RFC 4648.
  EXPECT_EQ(inline_image("image/png", std::string_view("fooba"), "a <pic>"),
            "<img alt=\"a &lt;pic&gt;\" src=\"data:image/png;base64,Zm9vYmE=\"/>");
  EXPECT_EQ(inline_image("x", std::string_view("foobar"), ""),
            "<img alt=\"\" src=\"data:x;base64,Zm9vYmFy\"/>");
  EXPECT_EQ(inline_image("x", std::string_view(""), ""), "<img alt=\"\" src=\"data:x;base64,\"/>");
}

TEST(InlineImage, LargeOnesAreOnePieceOfBase64) {
  const std::string bytes(7 << 20, 'a');
  const std::string image = inline_image("x", std::string_view(bytes), "");
  const size_t begin = image.find(',') + 1;
  EXPECT_EQ(image.find('='), image.find("=\""));  // of alt=""; no padding before the end
  EXPECT_EQ(image.substr(begin, 8), "YWFhYWFh");
  EXPECT_EQ(image.size() - begin - 3, (bytes.size() + 2) / 3 * 4);
}

TEST(SheetFrames, AreSpreadFromFirstToLast) {
  EXPECT_EQ(sheet_frames(1), (std::vector<int64_t>{0}));
  EXPECT_EQ(sheet_frames(5), (std::vector<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(sheet_frames(17), (std::vector<int64_t>{0, 3, 6, 10, 13, 16}));
}

TEST(DifferencePicture, IsMultipliedAndClamped) {
  const std::vector<uint8_t> reference = {10, 20, 0}, actual = {12, 20, 255};
  EXPECT_EQ(difference_picture(reference, actual), (std::vector<uint8_t>{16, 0, 255}));
}

}  // namespace
}  // namespace mxvideo::evaluation
