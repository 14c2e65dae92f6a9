# Two commands do all: `make demo` and `make test`. Everything is built under build/.

# The ratios that belong to this machine: of a CPU with AVX2, or with AVX-512 VNNI.
BENCH_BASELINE ?= $(if $(shell grep -m1 -w avx512_vnni /proc/cpuinfo 2>/dev/null),bench/baseline_avx512_vnni.json,bench/baseline_avx2.json)
BUILD_JOBS ?= $(shell nproc)
PYTHON ?= python3
DEMO_DIR := build/demo

.PHONY: help demo test check build bench bench-check bench-kernels bench-convert \
  bench-scale-order fault-soak lint format golden setup asan clean

help:
	@echo "make demo    install what is missing, build, generate a video with MXFP8 weights"
	@echo "make test    build and run every test"
	@echo "make check   build and run what matters while editing, in under two minutes"
	@echo "make build   build/release/mxvideo"
	@echo "make bench   measure products, attention and a step against this machine's roofs and oneDNN"
	@echo "make asan    every test under AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make lint    clang-tidy, layers, formatting"
	@echo "make format  clang-format in place"
	@echo "make golden  make the golden files again (PYTHON=… with tools/requirements-golden.txt)"

setup:
	@tools/setup.sh

build: setup
	@cmake --preset release
	@cmake --build build/release -j $(BUILD_JOBS) --target mxvideo mxvideo-make-checkpoint

demo: build
	@rm -rf $(DEMO_DIR) && mkdir -p $(DEMO_DIR)
	build/release/mxvideo generate --model-path models/wan-tiny-ti2v --quantization mxfp8 \
	  --prompt "a red ball moves to the right in the middle on a white background" --seed 7 \
	  --output $(DEMO_DIR)/demo.mp4 --report $(DEMO_DIR)/report.json --overwrite

test: setup
	@cmake --preset dev
	@cmake --build build/dev -j $(BUILD_JOBS)
	@ctest --preset dev

# While editing: lint, unit tests and goldens but for the longest, once the build is up to date.
LONG_TESTS := ^(gemm_mx_test|attention_test|export_files_test)$$
check: setup
	@cmake --preset dev
	@cmake --build build/dev -j $(BUILD_JOBS)
	@ctest --preset dev -j $(BUILD_JOBS) -L 'lint|unit|golden' -E '$(LONG_TESTS)'

asan: setup
	@cmake --preset asan
	@cmake --build build/asan -j $(BUILD_JOBS)
	@ctest --preset asan

# A few minutes; 2 GB of random weights in TMPDIR, removed.
bench: build
	build/release/mxvideo bench gemm
	build/release/mxvideo bench attention
	build/release/mxvideo bench load
	build/release/mxvideo bench text
	build/release/mxvideo bench step --scheme mxfp8,none
	build/release/mxvideo bench vae --height 128 --width 128

# The ratios of BENCH_BASELINE once more; fails when one got worse, or on another machine.
bench-check: build
	@mkdir -p build/bench
	build/release/mxvideo bench gemm --json > build/bench/gemm.json
	build/release/mxvideo bench attention --json > build/bench/attention.json
	build/release/mxvideo bench load --json > build/bench/load.json
	build/release/mxvideo bench text --json > build/bench/text.json
	build/release/mxvideo bench step --scheme mxfp8,none --json > build/bench/step.json
	build/release/mxvideo bench check --baseline $(BENCH_BASELINE) $(BENCH_CHECK_FLAGS) \
	  build/bench/gemm.json build/bench/attention.json build/bench/load.json build/bench/text.json \
	  build/bench/step.json

# Convolution, quantization, vector ops, dense products of odd shapes (Google Benchmark).
bench-kernels: setup
	@cmake --preset release
	@cmake --build build/release -j $(BUILD_JOBS) --target mxvideo_kernel_bench
	build/release/bench/mxvideo_kernel_bench

# Writes a random transformer of 10 GB under build/, quantizes and repacks it beside cp and in a
# memory cgroup, removes everything; 45 GB of disk.
bench-convert: build
	@bench/convert.sh build/bench-convert

# How often the check of the scales' order is right, at the widths of the real layers; minutes.
bench-scale-order: setup
	@cmake --preset release
	@cmake --build build/release -j $(BUILD_JOBS) --target mxvideo_scale_order_bench
	build/release/bench/mxvideo_scale_order_bench

# The tests of interrupted conversions at every call and at many more moments; an hour.
fault-soak: setup
	@cmake --preset dev
	@cmake --build build/dev -j $(BUILD_JOBS) --target mxvideo fault_conversion_fault_test \
	  fault_conversion_kill_test fault_conversion_disk_full_test e2e_resume_test
	@for test in fault kill disk_full; do \
	  MXVIDEO_FAULT_STRIDE=1 MXVIDEO_KILL_POINTS=3000 \
	    build/dev/tests/fault/fault_conversion_$${test}_test || exit 1; \
	done
	@MXVIDEO_KILL_POINTS=200 build/dev/tests/e2e/e2e_resume_test

lint:
	@tools/setup.sh --developer
	@cmake --preset dev
	@tools/lint.sh

format:
	@tools/setup.sh --developer
	@tools/format.sh

golden:
	$(PYTHON) tools/make_golden.py

clean:
	rm -rf build
