"""Forward hooks that collect intermediates of a torch model by name."""


class Recorder:
    """Collects intermediates by name through forward hooks."""

    def __init__(self, stack):
        self.stack = stack
        self.tensors = {}

    def save(self, name, value):
        if name in self.tensors:
            raise RuntimeError(f"{name} recorded twice")
        self.tensors[name] = value.detach().clone()

    def output(self, module, name, index=None):
        def hook(_module, _args, out):
            self.save(name, out if index is None else out[index])
        self.stack.callback(module.register_forward_hook(hook).remove)

    def input(self, module, name):
        def hook(_module, args):
            self.save(name, args[0])
        self.stack.callback(module.register_forward_pre_hook(hook).remove)
