// Progress on standard error: a redrawn line on a terminal, lines elsewhere, JSON on request.
#include <sstream>

#include "e2e/cli_fixture.h"

namespace mxvideo::test {
namespace {

class ProgressTest : public CliTest {
 protected:
  ProcessOptions options(const std::string& style) const {
    return command(generate("t2v-a14b", {"--progress", style, "--output", "v.mp4", "--overwrite"}));
  }
  // On a terminal of 80 columns that knows colours.
  ProcessOptions terminal(const std::string& style) const {
    ProcessOptions result = options(style);
    result.terminal = true;
    result.environment["TERM"] = "xterm-256color";
    return result;
  }
  static std::string errors_of(const ProcessOptions& options) {
    const ProcessResult result = run_process(options);
    expect_success(result);
    EXPECT_EQ(result.out, "v.mp4\n");
    return result.err;
  }
  static bool has(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  }
};

TEST_F(ProgressTest, PlainLinesElsewhere) {
  const std::string text = errors_of(options("auto"));
  EXPECT_FALSE(has(text, "\x1b")) << text;
  EXPECT_FALSE(has(text, "\r")) << text;
  for (const char* line : {"\nload text encoder 1/1  ", "\ndenoise 2/2 steps  ",
                           "\ndecode 5/5 frames  ", "\nwrite video 1/1  "}) {
    EXPECT_TRUE(has(text, line)) << line;
  }
}

// Numbers stay whole where the line is short; the bar goes first, then the words.
TEST_F(ProgressTest, NumbersSurviveANarrowTerminal) {
  for (const unsigned short columns : {60, 40, 30}) {
    ProcessOptions narrow = terminal("auto");
    narrow.columns = columns;
    narrow.environment["NO_COLOR"] = "1";
    const std::string text = errors_of(narrow);
    int steps = 0;
    for (size_t at = text.find("\r\x1b[K"); at != std::string::npos;) {
      const size_t begin = at + 4;
      at = text.find("\r\x1b[K", begin);
      const std::string line =
          text.substr(begin, std::min(text.find_first_of("\r\n", begin), at) - begin);
      EXPECT_LT(line.size(), columns) << line;
      if (line.find("1/2") == std::string::npos || !line.starts_with("de")) continue;
      ++steps;
      EXPECT_TRUE(has(line, "00:0")) << line;
      EXPECT_TRUE(has(line, " +00:0")) << line;
      EXPECT_TRUE(has(line, " s")) << line;
    }
    EXPECT_GE(steps, 1) << text;
    EXPECT_EQ(has(text, "##"), columns > 40) << "the bar goes first";
  }
}

TEST_F(ProgressTest, QuietPrintsTheResultOnly) {
  EXPECT_EQ(errors_of(command(
                generate("t2v-a14b", {"--quiet", "--progress", "none", "--output", "v.mp4"}))),
            "");
  const ProcessResult shown = run(generate("t2v-a14b", {"--quiet", "--progress", "plain"}));
  EXPECT_EQ(shown.exit_code, 2);
  EXPECT_TRUE(has(shown.err, "--quiet shows no progress, --progress plain does")) << shown.err;
}

TEST_F(ProgressTest, SummarySpeaksOfQuantizationOnlyWhereThereIsSome) {
  const Arguments plain = {"--output", "v.mp4", "--report", "r.json"};
  const std::string none = errors_of(command(generate("t2v-a14b", plain)));
  EXPECT_FALSE(has(none, "layers quantized")) << none;
  EXPECT_TRUE(has(none, "\npeak memory ")) << none;
  EXPECT_TRUE(has(none, "; total time ")) << none;
  EXPECT_GT(read_json(work() / "r.json").at("total_seconds"), 0);
  const std::string mx = errors_of(command(
      generate("t2v-a14b", {"--output", "v.mp4", "--overwrite", "--quantization", "mxfp8"})));
  EXPECT_TRUE(has(mx, " linear layers quantized; transformer weights ")) << mx;
}

TEST_F(ProgressTest, ColourIsNotForcedIntoPlainLines) {
  ProcessOptions forced = options("auto");
  forced.environment["CLICOLOR_FORCE"] = "1";
  EXPECT_FALSE(has(errors_of(forced), "\x1b"));
}

TEST_F(ProgressTest, PlainOnATerminal) {
  const std::string text = errors_of(terminal("plain"));
  EXPECT_FALSE(has(text, "\x1b")) << text;
  EXPECT_TRUE(has(text, "denoise 2/2"));
}

TEST_F(ProgressTest, NoneKeepsTheSeedAndTheSummary) {
  const std::string text = errors_of(options("none"));
  EXPECT_FALSE(has(text, "denoise"));
  EXPECT_TRUE(has(text, "seed 7"));
  EXPECT_TRUE(has(text, "\npeak memory ")) << text;
}

TEST_F(ProgressTest, EveryLineOfJsonIsJson) {
  std::istringstream lines(errors_of(options("json")));
  int steps = 0, notices = 0;
  double seconds = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto entry = nlohmann::json::parse(line);
    if (entry.contains("notice")) {
      ++notices;
      continue;
    }
    EXPECT_LE(entry.at("done"), entry.at("total"));
    EXPECT_GE(entry.at("seconds"), 0);
    if (entry.at("phase") != "denoise" || entry.contains("part")) continue;
    ++steps;
    EXPECT_EQ(entry.contains("eta_seconds"), entry.at("done") > 0);
    // Loading the second expert in between does not start the phase's clock again.
    EXPECT_GE(entry.at("seconds").get<double>(), seconds);
    seconds = entry.at("seconds");
  }
  EXPECT_EQ(steps, 4);    // 0 and 1 of 2; after the other expert is loaded, 1 and 2
  EXPECT_EQ(notices, 3);  // request, how long it takes, summary
}

TEST_F(ProgressTest, BarRedrawsOneLine) {
  const std::string text = errors_of(terminal("auto"));
  EXPECT_TRUE(has(text,
                  "\r\x1b[K"
                  "denoise"))
      << text;
  EXPECT_TRUE(has(text, "\x1b[36m")) << "colour";
  // One line for each of: request, how long it takes, text encoder, prompt, first expert, first
  // step, second expert, second step, decode, write, summary.
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 11) << text;
  // A bar wider than the terminal could not be redrawn.
  std::string visible;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\x1b') {
      visible += text[i] == '\r' ? '\n' : text[i];
      continue;
    }
    while (i < text.size() && !std::isalpha(static_cast<unsigned char>(text[i]))) ++i;
  }
  std::istringstream lines(visible);
  int bars = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(" [") == std::string::npos) continue;
    ++bars;
    EXPECT_LT(line.size(), 80u) << line;
  }
  EXPECT_GE(bars, 12);
}

TEST_F(ProgressTest, NoColorWins) {
  ProcessOptions plain = terminal("auto");
  plain.environment["NO_COLOR"] = "1";
  plain.environment["CLICOLOR_FORCE"] = "1";
  const std::string text = errors_of(plain);
  EXPECT_FALSE(has(text, "\x1b[36m")) << text;
  EXPECT_TRUE(has(text, "\r\x1b[K")) << "still one redrawn line";
}

TEST_F(ProgressTest, DumbTerminalGetsNoColour) {
  ProcessOptions dumb = terminal("bar");
  dumb.environment["TERM"] = "dumb";
  EXPECT_FALSE(has(errors_of(dumb), "\x1b[36m"));
}

// The error stands on a line of its own, not behind a bar.
TEST_F(ProgressTest, BarIsClosedBeforeAnError) {
  ProcessOptions failing = terminal("auto");
  failing.file_size_limit = 1100;
  const ProcessResult result = run_process(failing);
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_TRUE(has(result.err, "\nmxvideo: io: v.mp4: cannot write")) << result.err;
}

}  // namespace
}  // namespace mxvideo::test
