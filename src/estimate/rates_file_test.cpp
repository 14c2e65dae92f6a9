// Rates survive in their file, and a file that is of no use is said to be.
#include "estimate/rates_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/file/atomic_file.h"
#include "support/test_support.h"

namespace mxvideo::estimate {
namespace {

namespace fs = std::filesystem;

const Machine kMachine = {
    .device = "cpu", .cpu = "EPYC", .features = "avx2", .threads = 2, .program = "1.0"};

class RatesFileTest : public testing::Test {
 protected:
  static KeptRates some(double seconds, const std::string& key = "product fast a") {
    KeptRates kept;
    kept.rates.set(key, {.seconds = seconds, .spread = 0.125});
    kept.measured = "2026-11-29";
    return kept;
  }

  test::TemporaryDirectory scratch_;
  fs::path path_ = scratch_.path() / "cache" / "mxvideo" / "rates.json";
};

TEST_F(RatesFileTest, IsReadAsItWasWritten) {
  EXPECT_EQ(write_rates(path_, kMachine, some(0.1)), "");
  const KeptRates kept = read_rates(path_, kMachine);
  EXPECT_EQ(kept.measured, "2026-11-29");
  EXPECT_TRUE(kept.notes.empty());
  ASSERT_TRUE(kept.rates.find("product fast a"));
  EXPECT_EQ(kept.rates.find("product fast a")->seconds, 0.1);
  EXPECT_EQ(kept.rates.find("product fast a")->spread, 0.125);
  EXPECT_EQ(kept.rates.all().size(), 1U);
}

TEST_F(RatesFileTest, ThatIsNotThereIsNoNews) {
  const KeptRates kept = read_rates(path_, kMachine);
  EXPECT_TRUE(kept.rates.all().empty());
  EXPECT_TRUE(kept.notes.empty());
}

TEST_F(RatesFileTest, HasEachMachineAndThreadCountForItself) {
  Machine more = kMachine, other = kMachine;
  more.threads = 7;
  other.cpu = "Xeon";
  EXPECT_EQ(write_rates(path_, kMachine, some(1)), "");
  EXPECT_EQ(write_rates(path_, more, some(2)), "");
  EXPECT_TRUE(read_rates(path_, other).rates.all().empty());
  EXPECT_EQ(write_rates(path_, other, some(3)), "");
  EXPECT_EQ(write_rates(path_, more, some(4)), "");
  EXPECT_EQ(read_rates(path_, kMachine).rates.find("product fast a")->seconds, 1);
  EXPECT_EQ(read_rates(path_, more).rates.find("product fast a")->seconds, 4);
  EXPECT_EQ(read_rates(path_, other).rates.find("product fast a")->seconds, 3);
}

TEST_F(RatesFileTest, OfAnotherVersionIsNotUsedAndSaysSo) {
  EXPECT_EQ(write_rates(path_, kMachine, some(1)), "");
  Machine next = kMachine;
  next.program = "1.1";
  const KeptRates kept = read_rates(path_, next);
  EXPECT_TRUE(kept.rates.all().empty());
  ASSERT_EQ(kept.notes.size(), 1U);
  EXPECT_NE(kept.notes[0].find("version 1.0"), std::string::npos) << kept.notes[0];
  EXPECT_EQ(write_rates(path_, next, some(2)), "");
  EXPECT_TRUE(read_rates(path_, next).notes.empty());
  EXPECT_TRUE(read_rates(path_, kMachine).rates.all().empty());
}

TEST_F(RatesFileTest, ThatIsDamagedIsNotUsedAndSaysSo) {
  EXPECT_EQ(write_rates(path_, kMachine, some(0.5)), "");
  const std::string whole = read_file(path_, 1 << 20);
  const auto damaged = [&](const std::string& from, const std::string& to) {
    std::string text = whole;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  for (const std::string& text :
       {std::string(), whole.substr(0, whole.size() / 2), damaged("0.5", "-0.5"),
        damaged("0.5", "\"fast\""), damaged("\"threads\": 2", "\"threads\": 0"),
        damaged("\"format\": 1", "\"format\": 2"), damaged("\"measured\"", "\"remembered\"")}) {
    std::ofstream(path_, std::ios::trunc) << text;
    const KeptRates kept = read_rates(path_, kMachine);
    EXPECT_TRUE(kept.rates.all().empty()) << text;
    ASSERT_EQ(kept.notes.size(), 1U) << text;
    EXPECT_NE(kept.notes[0].find(path_.string()), std::string::npos) << kept.notes[0];
  }
  EXPECT_EQ(write_rates(path_, kMachine, some(2)), "");
  EXPECT_EQ(read_rates(path_, kMachine).rates.find("product fast a")->seconds, 2);
}

TEST_F(RatesFileTest, ThatCannotBeWrittenIsToldAndNotFatal) {
  std::ofstream(scratch_.path() / "cache") << "a file where the directory should be";
  const std::string failure = write_rates(path_, kMachine, some(1));
  EXPECT_NE(failure.find(path_.parent_path().string()), std::string::npos) << failure;
}

}  // namespace
}  // namespace mxvideo::estimate
