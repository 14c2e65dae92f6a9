"""Muon: momentum whose update is orthogonalized by five Newton-Schulz steps (Jordan et al., 2024).

For hidden weight matrices and convolutions; it needs about half of AdamW's steps here. torch's own
computes in bfloat16, which few CPUs do fast.
"""

import torch


def _orthogonalized(matrix):
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Kernels of convolutions count as matrices [out, in * taps]."""

    def __init__(self, params, lr, momentum=0.95):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(state["momentum"], group["momentum"]).flatten(1)
                gain = max(1, update.shape[0] / update.shape[1]) ** 0.5
                p.add_(_orthogonalized(update).view_as(p), alpha=-group["lr"] * gain)


class Optimizers:
    """Muon for `matrices`, AdamW for all other parameters of `modules`, stepped together."""

    def __init__(self, modules, matrices, matrix_rate, rate):
        chosen = {id(p) for p in matrices}
        others = [p for m in modules for p in m.parameters() if id(p) not in chosen]
        self._others = others
        self._optimizers = (Muon(matrices, matrix_rate),
                            torch.optim.AdamW(others, rate, betas=(0.9, 0.98), weight_decay=0.01))
        self._rates = (matrix_rate, rate)

    def update(self, loss, scale):
        """One step down `loss` at `scale` times the learning rates."""
        for optimizer, rate in zip(self._optimizers, self._rates):
            optimizer.zero_grad(set_to_none=True)
            optimizer.param_groups[0]["lr"] = rate * scale
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._others, 1.0)
        for optimizer in self._optimizers:
            optimizer.step()

    def state_dict(self):
        return [optimizer.state_dict() for optimizer in self._optimizers]

    def load_state_dict(self, states):
        for optimizer, state in zip(self._optimizers, states):
            optimizer.load_state_dict(state)


def trapezoid(step, steps, warm_up=60, decay=0.4):
    """Learning rate factor: a linear rise, a plateau, a linear fall over the last steps."""
    return min(1.0, step / warm_up, (steps - step + 1) / (decay * steps))
