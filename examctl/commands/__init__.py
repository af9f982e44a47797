"""The commands of examctl: each module here offers ``register(app)`` and is found by ``main``."""
