// The program of output_directory_fault_test: writes a small directory of every kind of file that
// OutputDirectory knows. usage: write_directory TARGET JOB INPUT [overwrite]
// Exit status 0: committed; 1: an Error, on standard error; 2: anything else.
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "base/error.h"
#include "checkpoint/safetensors_writer.h"
#include "convert/output/output_directory.h"

namespace mxvideo {
namespace {

void write_tensors(convert::OutputDirectory* output, const std::string& name,
                   const std::string& job) {
  if (output->reusable(name)) return;
  checkpoint::SafetensorsWriter writer(
      output->path_of(name), {{"weight", DType::kF32, {64, 8}}, {"scale", DType::kU8, {64}}},
      {{"job", job}});
  const std::vector<std::byte> bytes(1024, static_cast<std::byte>(job.front()));
  writer.write("weight", 1024, bytes);
  writer.write("scale", 0, std::span(bytes).first(64));
  writer.write("weight", 0, bytes);
  writer.commit();
  output->finished(name, {{"layers", 2}});
}

void run(const std::vector<std::string>& arguments) {
  const std::string& job = arguments.at(1);
  const std::string& input = arguments.at(2);
  convert::OutputDirectory output({.path = arguments.at(0),
                                   .job = job,
                                   .inputs = {input},
                                   .bytes_needed = 8192,
                                   .overwrite = arguments.size() > 3});
  write_tensors(&output, "transformer/one.safetensors", job);
  write_tensors(&output, "transformer_2/two.safetensors", job);
  output.add_file("vae/linked", input, false);
  output.add_file("vae/copied", input, true);
  output.write_text("config.json", "{\"job\": \"" + job + "\"}");
  output.commit({{"job", job}});
}

}  // namespace
}  // namespace mxvideo

int main(int argc, char** argv) {
  try {
    mxvideo::run({argv + 1, argv + argc});
    return 0;
  } catch (const mxvideo::Error& error) {
    std::cerr << mxvideo::code_name(error.code()) << ": " << error.what() << "\n";
    return 1;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
