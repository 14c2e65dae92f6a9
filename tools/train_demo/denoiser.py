"""Trains the denoiser: WanTransformer3DModel in the TI2V form and its UMT5 text encoder, jointly,
by flow matching on the encoded clips, with classifier-free guidance and first-frame conditioning.
"""

import copy
import math

import torch
from diffusers import WanTransformer3DModel
from transformers import UMT5Config, UMT5EncoderModel

import autoencoder
from muon import Optimizers, trapezoid

DIM = 192
TEXT_DIM = 128
TEXT_ROWS = 512       # what the pipelines pad every prompt to
FLOW_SHIFT = 3.0      # of training and of the exported scheduler
EMPTY_PROMPT = 0.12   # share of samples without a caption, for classifier-free guidance
FIRST_FRAME = 0.3     # share of samples with a given first frame
BATCH = 48
LEARNING_RATE = 1.5e-3
MATRIX_LEARNING_RATE = 1.5e-2
EMA_DECAY = 0.995
DECAY = 0.28          # share of the steps over which the learning rates fall
END_OF_SEQUENCE = 1   # token that ends every prompt, and is all of an empty one


def make_transformer():
    return WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=3, attention_head_dim=DIM // 3,
        in_channels=autoencoder.Z_DIM, out_channels=autoencoder.Z_DIM, text_dim=TEXT_DIM,
        freq_dim=256, ffn_dim=4 * DIM, num_layers=6, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", eps=1e-6, image_dim=None, added_kv_proj_dim=None,
        rope_max_seq_len=1024, pos_embed_seq_len=None)


def make_text_encoder(vocab_rows):
    config = UMT5Config(
        vocab_size=vocab_rows, d_model=TEXT_DIM, d_kv=32, d_ff=2 * TEXT_DIM, num_layers=2,
        num_heads=4, relative_attention_num_buckets=32, relative_attention_max_distance=128,
        dropout_rate=0.0, feed_forward_proj="gated-gelu", is_encoder_decoder=True)
    return UMT5EncoderModel(config)


class CrossAttention:
    """Cross attention over the real text rows and one padding row that stands for all others.

    The pipelines attend to 512 rows of which all but a few are the same padding row; a bias of
    log(count) on one such row gives the same result for a fraction of the work."""

    def __init__(self, inner):
        self.inner = inner
        self.bias = None  # [batch, 1, 1, rows]

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None,
                 rotary_emb=None):
        return self.inner(attn, hidden_states, encoder_hidden_states, self.bias, rotary_emb)


def share_cross_attention(transformer):
    """Puts one CrossAttention into every block and returns it."""
    processor = CrossAttention(transformer.blocks[0].attn2.processor)
    for block in transformer.blocks:
        block.attn2.set_processor(processor)
    return processor


def encode_text(encoder, ids, mask):
    """ids, mask [B, T] -> rows [B, T + 1, dim], of which the last is padding, and their bias."""
    rows = encoder(ids, mask).last_hidden_state * mask.unsqueeze(-1)
    rows = torch.cat([rows, rows.new_zeros(rows.shape[0], 1, rows.shape[2])], 1)
    padding = (TEXT_ROWS - mask.sum(1, keepdim=True)).log()
    bias = torch.cat([torch.where(mask > 0, 0.0, -math.inf), padding], 1)
    return rows, bias[:, None, None, :]


class Trainer:
    """One training run; its whole state is in state_dict()."""

    def __init__(self, latents, ids, mask, vocab_rows):
        """latents [N, z, f, h, w], normalized; ids and mask [N, captions, tokens]."""
        torch.manual_seed(2)
        self.latents, self.ids, self.mask = latents, ids, mask
        self.transformer = make_transformer().train()
        self.encoder = make_text_encoder(vocab_rows).train()
        self.cross_attention = share_cross_attention(self.transformer)
        self.models = (self.transformer, self.encoder)
        self.average = [copy.deepcopy(model) for model in self.models]
        matrices = [p for name, p in self.transformer.named_parameters()
                    if name.startswith("blocks.") and p.ndim == 2]
        self.optimizers = Optimizers(self.models, matrices, MATRIX_LEARNING_RATE, LEARNING_RATE)

    def _batch(self):
        chosen = torch.randint(len(self.latents), (BATCH,))
        captions = torch.randint(self.ids.shape[1], (BATCH,))
        ids, mask = self.ids[chosen, captions], self.mask[chosen, captions]
        empty = torch.rand(BATCH) < EMPTY_PROMPT
        ids[empty], mask[empty] = 0, 0
        ids[empty, 0], mask[empty, 0] = END_OF_SEQUENCE, 1
        return self.latents[chosen], ids, mask

    def _loss(self):
        x0, ids, mask = self._batch()
        rows, self.cross_attention.bias = encode_text(self.encoder, ids, mask)
        uniform = (torch.arange(BATCH) + torch.rand(BATCH)) / BATCH
        sigma = FLOW_SHIFT * uniform / (1 + (FLOW_SHIFT - 1) * uniform)
        free = torch.ones(BATCH, 1, *x0.shape[2:])  # 0 where the first frame is given
        free[torch.rand(BATCH) < FIRST_FRAME, :, 0] = 0
        level = sigma.view(-1, 1, 1, 1, 1) * free
        noise = torch.randn_like(x0)
        noisy = (1 - level) * x0 + level * noise
        timestep = 1000 * level[:, 0, :, ::2, ::2].flatten(1)
        velocity = self.transformer(noisy, timestep, rows, return_dict=False)[0]
        error = (velocity - (noise - x0)).square() * free
        return error.sum() / (free.sum() * x0.shape[1])

    def step(self, step, steps):
        """Update number `step` of `steps`; returns the loss."""
        loss = self._loss()
        self.optimizers.update(loss, trapezoid(step, steps, decay=DECAY))
        with torch.no_grad():
            decay = min(EMA_DECAY, step / (step + 20))
            for average, model in zip(self.average, self.models):
                for a, p in zip(average.parameters(), model.parameters()):
                    a.lerp_(p, 1 - decay)
        return loss.item()

    def averaged(self):
        """(transformer, text encoder) with averaged weights, as they ship."""
        transformer, encoder = (copy.deepcopy(model).eval() for model in self.average)
        for block in transformer.blocks:
            block.attn2.set_processor(self.cross_attention.inner)
        return transformer, encoder

    def state_dict(self):
        return {"models": [m.state_dict() for m in self.models],
                "average": [m.state_dict() for m in self.average],
                "optimizers": self.optimizers.state_dict(), "random": torch.get_rng_state()}

    def load_state_dict(self, state):
        for model, values in zip((*self.models, *self.average),
                                 (*state["models"], *state["average"])):
            model.load_state_dict(values)
        self.optimizers.load_state_dict(state["optimizers"])
        torch.set_rng_state(state["random"])
