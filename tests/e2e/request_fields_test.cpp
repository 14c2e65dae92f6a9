// Every row of the table of request fields at the command line: its flag, its variable, its key in
// the recipe and its name in messages. A new row is tested without a line here.
#include "pipeline/request/request_fields.h"

#include "e2e/cli_fixture.h"

namespace mxvideo::test {
namespace {

using pipeline::request_fields;
using pipeline::RequestField;

std::string flag_of(const std::string& name) {
  std::string flag = "--" + name;
  std::ranges::replace(flag, '_', '-');
  return flag;
}

std::string variable_of(const std::string& name) {
  std::string variable = "MXVIDEO_" + name;
  std::ranges::transform(variable, variable.begin(),
                         [](unsigned char c) { return std::toupper(c); });
  return variable;
}

// What the command line refuses while it reads; empty: it takes every text.
struct Refused {
  std::string operator()(std::string pipeline::RequestForm::*) const { return ""; }
  std::string operator()(std::optional<std::string> pipeline::RequestForm::*) const { return ""; }
  std::string operator()(const pipeline::ListField&) const { return ""; }
  std::string operator()(const auto&) const { return "x"; }
};

class RequestFieldsTest : public CliTest {};

TEST_F(RequestFieldsTest, EveryFieldHasItsFlagsAndItsVariable) {
  const std::string help = run({"generate", "--help"}).out;
  for (const RequestField& field : request_fields()) {
    std::string names = field.letter == 0 ? "" : std::string{'-', field.letter, ','};
    names += flag_of(field.name);
    for (const std::string& alias : field.aliases) names += ",--" + alias;
    EXPECT_NE(help.find("\n  " + names + " "), std::string::npos) << names;
    EXPECT_NE(help.find("[" + variable_of(field.name) + "]"), std::string::npos) << field.name;
  }
}

TEST_F(RequestFieldsTest, EveryFieldIsNamedInMessages) {
  int refused = 0;
  for (const RequestField& field : request_fields()) {
    const std::string wrong = std::visit(Refused(), field.value);
    if (wrong.empty()) continue;
    ++refused;
    const std::string flag = flag_of(field.name);
    const Arguments request = generate("t2v-a14b", {"--seed", "7"});
    Arguments given = {"generate", flag, wrong};
    expect_failure(run(given), 2, flag);
    for (const std::string& alias : field.aliases) {
      given[1] = "--" + alias;
      expect_failure(run(given), 2, flag);
    }
    ProcessOptions options = command({"generate"});
    options.environment[variable_of(field.name)] = wrong;
    expect_failure(run_process(options), 2, "the environment's " + variable_of(field.name));
    if (field.minimum == field.maximum || field.letter != 0) continue;
    const int64_t beyond = static_cast<int64_t>(field.maximum) + 1;
    expect_failure(run(generate("t2v-a14b", {flag, std::to_string(beyond)})), 2, flag);
  }
  EXPECT_GT(refused, 10);
}

TEST_F(RequestFieldsTest, EveryFieldIsInTheRecipe) {
  const Arguments extra = {"-i",
                           picture().string(),
                           "--fit",
                           "contain",
                           "--kernel",
                           "matmul=reference",
                           "-o",
                           "v.y4m",
                           "--report",
                           "r.json",
                           "--quantization",
                           "mxfp8",
                           "--text-encoder-quantization",
                           "mxfp8"};
  expect_success(run(generate("i2v-a14b", extra)));
  const nlohmann::json report = read_json(work() / "r.json");
  for (const RequestField& field : request_fields()) {
    if (field.recipe.empty() || field.name.starts_with("transformer")) continue;
    EXPECT_TRUE(report.contains(nlohmann::json::json_pointer(field.recipe))) << field.recipe;
  }
}

}  // namespace
}  // namespace mxvideo::test
