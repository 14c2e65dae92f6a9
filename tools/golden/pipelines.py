"""Full runs of the Wan pipelines on the tiny checkpoints and the shipped model, step by step."""

import random
from dataclasses import asdict, dataclass
from unittest import mock

import numpy as np
import torch
from diffusers import WanImageToVideoPipeline, WanPipeline
from PIL import Image

from golden import checkpoints
from golden.common import numpy_rng
from train_demo import clips

SHIPPED = "wan-tiny-ti2v"
SHIPPED_SCENES = clips.held_out_scenes()[:2]
NEGATIVE_PROMPT = "色调艳丽，过曝，静态，细节模糊不清，low quality, blurred details"


@dataclass(frozen=True)
class Run:
    """Parameters of one run; all of them go into the metadata of the file."""
    variant: str
    mode: str
    prompt: str
    height: int
    width: int
    num_frames: int
    num_inference_steps: int
    guidance_scale: float
    guidance_scale_2: float
    seed: int
    negative_prompt: str = NEGATIVE_PROMPT
    image_size: tuple = None
    last_image_size: tuple = None
    video_dtype: str = "uint8"


RUNS = (
    Run("t2v-a14b", "t2v", "A small red fox walks slowly through the fresh snow &amp; ice.",
        48, 80, 9, 10, 4.0, 3.0, 42, video_dtype="float32"),
    Run("t2v-a14b", "t2v_1frame", "一只小猫在雪地里慢慢地走", 64, 48, 1, 8, 4.0, 3.0, 2**31),
    Run("i2v-a14b", "i2v", "The robot paints a picture of the city and then smiles.",
        48, 80, 9, 8, 3.5, 3.0, 7, image_size=(61, 97)),
    Run("i2v-a14b", "i2v_last_image", "Time lapse of clouds moving over green hills.",
        80, 48, 9, 8, 3.5, 2.5, 1234567890123, image_size=(80, 48), last_image_size=(33, 21)),
    Run("ti2v-5b", "t2v", "Маленькая лиса идёт по снегу, slow motion.", 64, 96, 9, 8, 5.0, None, 3),
    Run("ti2v-5b", "i2v", "A dancer turning around in a long dress, studio light.",
        96, 64, 9, 9, 5.0, None, 11, image_size=(70, 50)),
    # The trained model that ships.
    Run(SHIPPED, "t2v", clips.caption(SHIPPED_SCENES[0]), 128, 128, 9, 10, 3.0, None, 5,
        negative_prompt=""),
    Run(SHIPPED, "i2v", clips.caption(SHIPPED_SCENES[1]), 128, 128, 9, 10, 3.0, None, 6,
        negative_prompt="", image_size=(128, 128)),
)


def synthetic_image(size, *key):
    """Smooth gradients, a disc and noise: uint8 [H, W, 3]."""
    height, width = size
    rng = numpy_rng("image", size, *key)
    y, x = np.mgrid[0:height, 0:width]
    phase = rng.uniform(0, 6.28, 3)
    waves = [127 + 90 * np.sin(x / (5 + 3 * c) + phase[c]) * np.cos(y / (9 - 2 * c))
             for c in range(3)]
    image = np.stack(waves, axis=-1)
    disc = (x - width * 0.6) ** 2 + (y - height * 0.4) ** 2 < (min(size) * 0.25) ** 2
    image[disc] = rng.uniform(0, 255, 3)
    image += rng.normal(0, 8, image.shape)
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def drawn_image(scene, seed):
    """The first frame of a clip of the data set of the shipped model: uint8 [H, W, 3]."""
    frame = clips.draw(scene, random.Random(seed))[:, 0]
    return ((frame + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


class RunRecorder:
    """Keeps what a run passes between its stages."""

    def __init__(self, pipe):
        self.pipe = pipe
        self.tensors = {}
        self.experts = []
        self.timesteps = []
        self.sample = None

    def prepare_latents(self, *args, **kwargs):
        out = type(self.pipe).prepare_latents(self.pipe, *args, **kwargs)
        if isinstance(out, tuple):
            self.tensors["noise"] = out[0].clone()
            self.tensors["condition"] = out[1].clone()
        else:
            self.tensors["noise"] = out.clone()
        return out

    def step_end(self, _pipe, index, timestep, kwargs):
        self.tensors[f"step{index:02d}.latents"] = kwargs["latents"].clone()
        self.timesteps.append(int(timestep))
        return {}

    def watch(self, model, name):
        """The two predictions (with and without prompt) of the first step of each expert."""
        def hook(_module, _args, kwargs, out):
            step = len(self.timesteps)
            if step == len(self.experts):
                self.experts.append(name)
            if self.experts.index(name) == step:
                kind = "uncond" if f"step{step:02d}.cond" in self.tensors else "cond"
                self.tensors[f"step{step:02d}.{kind}"] = out[0].clone()
                self.tensors[f"step{step:02d}.model_input"] = kwargs["hidden_states"].clone()
        model.register_forward_hook(hook, with_kwargs=True)


def _images(run, pipe, recorder):
    """Keyword arguments with the images, which are recorded as uint8 and as preprocessed."""
    out = {}
    for name, size in (("image", run.image_size), ("last_image", run.last_image_size)):
        if size is None:
            continue
        pixels = (drawn_image(SHIPPED_SCENES[1], run.seed) if run.variant == SHIPPED
                  else synthetic_image(size, run.variant, run.mode, name))
        out[name] = Image.fromarray(pixels)
        recorder.tensors[name] = torch.from_numpy(pixels)
        recorder.tensors[f"{name}.preprocessed"] = pipe.video_processor.preprocess(
            out[name], height=run.height, width=run.width)
    return out


def _video(frames, dtype):
    """[F, H, W, 3] in [0, 1], or its uint8 rounding."""
    frames = torch.from_numpy(np.ascontiguousarray(frames[0]))
    return torch.round(frames * 255).to(torch.uint8) if dtype == "uint8" else frames


def run_pipeline(writer, run):
    """Returns the named tensors of one run and its parameters."""
    cls = WanImageToVideoPipeline if run.image_size else WanPipeline
    pipe = checkpoints.load_pipeline(writer, run.variant, cls)
    pipe.set_progress_bar_config(disable=True)
    recorder = RunRecorder(pipe)
    recorder.watch(pipe.transformer, "transformer")
    if pipe.transformer_2 is not None:
        recorder.watch(pipe.transformer_2, "transformer_2")
    arguments = {name: getattr(run, name) for name in (
        "prompt", "negative_prompt", "height", "width", "num_frames", "num_inference_steps",
        "guidance_scale", "guidance_scale_2")}
    arguments.update(_images(run, pipe, recorder))
    arguments.update(generator=torch.Generator("cpu").manual_seed(run.seed),
                     callback_on_step_end=recorder.step_end)
    decoded = []
    original_decode = pipe.vae.decode

    def decode(latents, **kwargs):
        decoded.append(latents.clone())
        return original_decode(latents, **kwargs)

    with mock.patch.object(pipe, "prepare_latents", recorder.prepare_latents), \
            mock.patch.object(pipe.vae, "decode", decode):
        frames = pipe(**arguments, output_type="np").frames
    recorder.tensors["vae_input"] = decoded[0]
    recorder.tensors["video"] = _video(frames, run.video_dtype)
    recorder.tensors["final_latents"] = _final_latents(pipe, recorder, run)
    recorder.tensors["sigmas"] = pipe.scheduler.sigmas
    info = {**asdict(run), "experts": recorder.experts, "timesteps": recorder.timesteps,
            "boundary_ratio": pipe.config.boundary_ratio, "pipeline_class": cls.__name__,
            "flow_shift": pipe.scheduler.config.flow_shift}
    return recorder.tensors, info


def _final_latents(pipe, recorder, run):
    """What the pipeline returns for output_type="latent": after the last step, for ti2v with
    an image with the first frame replaced by the condition."""
    last = recorder.tensors[f"step{run.num_inference_steps - 1:02d}.latents"].clone()
    if run.image_size and pipe.config.expand_timesteps:
        last[:, :, :1] = recorder.tensors["condition"]
    return last


def write_pipelines(writer):
    for run in RUNS:
        tensors, info = run_pipeline(writer, run)
        if run.guidance_scale_2 and len(set(info["experts"])) != 2:
            raise SystemExit(f"{run.variant} {run.mode}: only one expert was used")
        writer.tensors(f"pipeline/{run.variant}_{run.mode}.safetensors", tensors,
                       "pipelines.write_pipelines", info)
