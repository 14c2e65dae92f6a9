#include "bench/model/load_bench.h"

#include "base/parallel.h"
#include "base/system/memory_usage.h"
#include "bench/model/loaded_transformer.h"

namespace mxvideo::bench {

Json bench_load(const LoadBench& request, const BenchOptions& options) {
  options.say("load: preparing the checkpoint");
  const ModelDirectory directory = ModelDirectory::transformer(request.location, request.layers);
  const double copy = roofs().copy_bytes_per_second;
  LoadedTransformer loaded;
  trim_heap();
  reset_peak_resident_bytes();
  options.say("load: loading with scheme " + request.scheme);
  const auto release = [&] { loaded = {}; };
  const auto load = [&] { loaded = load_transformer(directory, request.scheme); };
  const double seconds = time_in_turns({release, load}, options.timing()).back();
  const auto bytes = static_cast<double>(loaded.report.checkpoint_bytes);
  Json json = {{"op", "load"},
               {"scheme", request.scheme},
               {"layers", loaded.model->config().num_layers},
               {"threads", num_threads()},
               {"bytes_read", loaded.report.checkpoint_bytes},
               {"seconds_median", figure(seconds)},
               {"bytes_per_second", figure(bytes / seconds)},
               {"roof", "copy"},
               {"roof_fraction", figure(bytes / seconds / copy)},
               {"peak_rss_bytes", byte_figure(peak_resident_bytes())},
               {"weight_bytes", byte_figure(loaded.model->weight_bytes())}};
  add_state(json, {});
  return json;
}

}  // namespace mxvideo::bench
