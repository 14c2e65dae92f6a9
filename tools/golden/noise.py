"""torch.randn of the CPU generator, bit for bit."""

import torch

SEEDS = (0, 1, 42, 2**31 - 1, 2**31, 2**32 + 5, 2**63 - 1, 2**64 - 1)
SIZES = (1, 2, 7, 15, 16, 17, 31, 32, 33, 100, 1000)
LATENT_SHAPES = ((16, 3, 6, 10), (48, 1, 2, 3), (1, 1, 3, 5), (16, 2, 9, 11))
# Consecutive draws from one generator; a draw of fewer than 16 values leaves a cached normal.
SEQUENCES = ((5, 16, 3, 1), (1, 1, 1, 20), (100, 7, 7, 33), (16, 15, 16, 15), (33, 2, 2, 64, 1))


def manual_seed(seed):
    """Seeds above 2^63 - 1 are given to torch as the negative number of the same 64 bits."""
    signed = seed - 2**64 if seed >= 2**63 else seed
    return torch.Generator("cpu").manual_seed(signed)


def write_noise(writer):
    tensors, draws = {}, []
    for seed in SEEDS:
        for size in SIZES:
            name = f"seed{seed}_n{size}"
            tensors[name] = torch.randn(size, generator=manual_seed(seed))
            draws.append({"seed": str(seed), "draws": [{"name": name, "shape": [size]}]})
    for seed, shape in zip((42, 2**40 + 7, 5, 9), LATENT_SHAPES):
        name = f"seed{seed}_latent{'x'.join(map(str, shape))}"
        tensors[name] = torch.randn((1, *shape), generator=manual_seed(seed))
        draws.append({"seed": str(seed), "draws": [{"name": name, "shape": [1, *shape]}]})
    for index, sizes in enumerate(SEQUENCES):
        seed, sequence = 1000 + index, []
        source = manual_seed(seed)
        for step, size in enumerate(sizes):
            name = f"sequence{index}_draw{step}_n{size}"
            tensors[name] = torch.randn(size, generator=source)
            sequence.append({"name": name, "shape": [size]})
        draws.append({"seed": str(seed), "draws": sequence})
    writer.tensors("noise/torch_randn.safetensors", tensors, "noise.write_noise")
    writer.json("noise/torch_randn.json", {"generators": draws}, "noise.write_noise")
