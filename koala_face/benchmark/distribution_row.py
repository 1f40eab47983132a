"""Row `distribution`: two processes of a core each against one, and what their messages weigh."""

import json
import math
import os
import socket
import subprocess
import sys

import tensorflow as tf

from koala_face import models
from koala_face.benchmark.timing import Measurement, Setup, compare, median_seconds
from koala_face.foundation.errors import KoalaFaceError
from koala_face.training.distribution import Distribution, find_distribution
from koala_face.training.step import make_optimizer, make_train_step

keras = tf.keras

EMBEDDING_DIM = 2622  # of VGG-Face, the paper's descriptor (II.C)
# Shares of the side: the arithmetic falls with its square, the messages do not.
SIDES = (4, 2, 1)
# A process keeps to its core from before TensorFlow counts them.
PROGRAM = """
import os
os.sched_setaffinity(0, [{core}])
from koala_face.benchmark.distribution_row import report
report({strategy!r}, {size}, {batch_size}, {repeats})
"""


class CoresError(KoalaFaceError):
    """There are no two cores to measure on, or a process on one failed."""


def measure_distribution(setup: Setup) -> list[Measurement]:
    """For a quarter, half and all of the side: speeds, and the messages' share of a step."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        raise CoresError(f"Expected Linux and two cores. Found: {len(cores)} to choose from.")
    sizes = sorted({max(8, setup.size // share // 8 * 8) for share in SIDES})
    batch_size = max(2, setup.batch_sizes[0] // 2 * 2)
    return [line for size in sizes for line in _lines(cores, size, batch_size, setup.repeats)]


def _lines(cores: list[int], size: int, batch_size: int, repeats: int) -> list[Measurement]:
    task = {"size": size, "batch_size": batch_size, "repeats": repeats}
    one, two = _run(cores[:1], task), _run(cores[:2], task)
    rate = {name: batch_size / seconds for name, seconds in (one | two).items()}
    what, unit = f"distribution, {size}x{size}, batch {batch_size}", "portraits/s"
    both = f"{what}, two processes of a core each"
    return [
        compare(both, rate["shared"], rate["xla"], "one, as it trains alone", unit),
        compare(both, rate["shared"], rate["plain"], "one, without XLA", unit),
        Measurement(
            f"{what}, a step's messages, {message_bytes(size) / 1e6:.1f} MB",
            f"{1000 * two['messages']:.0f} ms",
            f"step: {1000 * two['shared']:.0f} ms",
            f"{two['messages'] / two['shared']:.0%}",
        ),
    ]


def _run(cores: list[int], task: dict) -> dict[str, float]:
    """Median seconds of what `report` times, in a process on each core."""
    addresses = [f"localhost:{port}" for port in _free_ports(len(cores))]
    strategy = "multiworker" if len(cores) > 1 else None
    processes = []
    for index, core in enumerate(cores):
        place = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        program = PROGRAM.format(core=core, strategy=strategy, **task)
        options = {"stdout": subprocess.PIPE, "env": {**os.environ, "TF_CONFIG": json.dumps(place)}}
        processes.append(subprocess.Popen([sys.executable, "-c", program], **options))
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise CoresError(f"Expected {len(cores)} processes to train. One failed; see above.")
    return json.loads(outputs[0].splitlines()[-1])


def report(strategy: str | None, size: int, batch_size: int, repeats: int) -> None:
    """Print the median seconds of this process's ways, JSON: of "xla" and "plain" alone, or of
    "shared" steps and of their "messages"."""
    replicas = find_distribution(strategy, batch_size)
    with replicas.scope():
        model = models.build_colorizer(EMBEDDING_DIM, size)
        optimizer = make_optimizer(model, 0.001)
    count = len(range(batch_size)[replicas.part(batch_size)])
    shapes = (size, size, 1), (EMBEDDING_DIM,), (size, size, 2)
    batch = [tf.random.stateless_uniform((count, *shape), (0, 0)) for shape in shapes]

    def way(compiled: bool):
        step = make_train_step(model, optimizer, compiled, distribution=replicas)
        return lambda: float(step(*batch))

    ways = {"xla": way(True), "plain": way(False)}
    if strategy:
        ways = {"shared": way(False), "messages": make_messages(replicas, model)}
    print(json.dumps(median_seconds(ways, repeats)))


def make_messages(replicas: Distribution, model: keras.Model):
    """A function that sends what a step sends, each batch norm waiting for the one before."""
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]

    def exchange() -> tf.Tensor:
        replica, last = tf.distribute.get_replica_context(), tf.constant(0.0)
        for width in [norm.gamma.shape[0] for norm in norms]:
            for count in (1, 1, 2):  # mean, variance, both of their gradients
                sums = [tf.zeros(width) + last] * count
                last = replica.all_reduce(tf.distribute.ReduceOp.SUM, sums)[0][0]
        gradients = [tf.zeros(weight.shape) + last for weight in model.trainable_variables]
        return replica.all_reduce(tf.distribute.ReduceOp.SUM, gradients)[-1][0]

    send = tf.function(lambda: replicas.run(exchange, ()), autograph=False)
    return lambda: float(send())


def message_bytes(size: int) -> int:
    """What a replica gives into a step's all-reduces: float32 gradients and batch norm's sums."""
    model = models.build_colorizer(EMBEDDING_DIM, size)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    sums = sum(4 * norm.gamma.shape[0] for norm in norms)
    return 4 * (sums + sum(math.prod(weight.shape) for weight in model.trainable_variables))


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
