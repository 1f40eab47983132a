"""Several cards, several hosts, by tf.distribute: the step of Section II.F, shared (our choice).

A replica computes its part of each step's portraits. All-reduces within the step sum over the
replicas what batch norm takes of a batch (`fast_forward`), the gradients (Keras's optimizers do so)
and the loss: the step is that of one device. One process, the chief, validates and writes.
"""

import contextlib
import logging
import os
import time
import zlib
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from koala_face.training.fast_forward import fast_forward, is_quickest, quickest
from koala_face.training.losses import Loss
from koala_face.training.workers import (
    LOOK,
    DistributionError,
    Worker,
    expect_all,
    lost,
    read_cluster,
    watched,
)

keras = tf.keras
log = logging.getLogger(__name__)

SUM = tf.distribute.ReduceOp.SUM
# What TensorFlow raises where an all-reduce misses a worker.
LOST = (
    *(tf.errors.UnavailableError, tf.errors.AbortedError),
    *(tf.errors.CancelledError, tf.errors.DeadlineExceededError),
)


class Distribution:
    """How a run's steps are shared; without a strategy not at all.

    Args:
        strategy: of tf.distribute; its default computes everything here, as if it were not there.
        workers: the processes, the chief's first.
        index: which of them this one is.
        replica_statistics: batch norm normalizes by each replica's part, as Keras's layers do.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy | None = None,
        workers: Sequence[Worker] = (Worker(),),
        index: int = 0,
        replica_statistics: bool = False,
    ):
        self.strategy = strategy or tf.distribute.get_strategy()
        self.is_shared, self.is_chief = strategy is not None, index == 0
        self.replicas = self.strategy.num_replicas_in_sync
        self.workers, self.replica_statistics = workers, replica_statistics
        self._index, self._here = index, self.replicas // len(workers)
        self._looked = time.monotonic()

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Where the variables are made that every replica has."""
        with self.strategy.scope(), tf.variable_creator_scope(_alike):
            yield

    def part(self, batch_size: int) -> slice:
        """Which positions of a step's `batch_size` portraits this process computes."""
        size = batch_size // len(self.workers)
        return slice(self._index * size, (self._index + 1) * size)

    def network(self, model: keras.Model, compiled: bool) -> Callable[..., tf.Tensor]:
        """What a replica calls for `model([luminance, embedding], training=...)`."""
        if not self.is_shared:
            return quickest(model, compiled)
        if self.replica_statistics:
            return model
        return lambda inputs, training: fast_forward(model, *inputs, training, rewritten=False)

    def way(self, precision: str, compiled: bool) -> str:
        """In words, how a step is computed: by which arithmetic, compiled or not."""
        if self.is_shared:
            return "shared, without XLA"
        if is_quickest(precision, compiled):
            return "with fewer multiplications, by XLA"
        return f"the tables' layers in {precision}, {'by' if compiled else 'without'} XLA"

    def share_of(self, loss: Loss) -> Loss:
        """A loss, a mean over portraits, as what each replica's part of them adds to it."""
        return (lambda *values: loss(*values) / self.replicas) if self.is_shared else loss

    def run(self, step: Callable[..., tf.Tensor], batch: Sequence[tf.Tensor]) -> tf.Tensor:
        """Give each replica here its portraits of `batch`; the sum over all of what they return."""

        def cut(values: tf.Tensor) -> tf.Tensor:
            if self._here == 1:
                return values
            place = tf.distribute.get_replica_context().replica_id_in_sync_group % self._here
            size = values.shape[0] // self._here
            return values[place * size : (place + 1) * size]

        shares = self.strategy.run(lambda: step(*map(cut, batch)))
        return self.strategy.reduce(SUM, shares, axis=None)

    @contextlib.contextmanager
    def chief_first(self) -> Iterator[None]:
        """The block runs in the chief, then in the others; all leave it together.

        Raises:
            DistributionError: a worker died while the chief, which may fill caches for an hour,
                was in the block.
        """
        if not self.is_chief:
            self.wait()
        with watched(self.workers if self.is_chief else ()):
            yield
        if self.is_chief:
            self.wait()
        self.wait()

    def wait(self) -> None:
        """Until every process is here."""
        self._of_chief(0)

    def expect_same(self, what: str, value: object) -> None:
        """Refuse a value whose text is not the chief's; every process comes here with its own.

        Raises:
            DistributionError: names what differs.
        """
        own = zlib.crc32(repr(value).encode("utf-8", "backslashreplace"))
        if own != self._of_chief(own):
            raise DistributionError(
                f"Expected the {what} of the chief, {self.workers[0].address}. Found: others. Give "
                "all workers the same flags, and folders of data, cache and output that all see."
            )

    def watch(self, stop_if_asked: Callable[[], None]) -> Callable[[], None]:
        """`stop_if_asked`, which also sees that every worker lives: for where they do not meet.

        It raises DistributionError, naming the one that does not.
        """

        def stop_if_asked_or_alone() -> None:
            stop_if_asked()
            if time.monotonic() > self._looked + LOOK:
                expect_all(self.workers)
                self._looked = time.monotonic()

        return stop_if_asked_or_alone if len(self.workers) > 1 else stop_if_asked

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Within the block, TensorFlow's error of a worker that is gone becomes a line.

        Raises:
            DistributionError: names the worker, as far as TensorFlow does.
        """
        try:
            yield
        except LOST as error:
            if len(self.workers) == 1:
                raise
            text = str(error)
            named = (w for w in self.workers if f"/job:{w.job}/replica:0/task:{w.task}" in text)
            raise lost(self.workers, next(named, Worker(address="one")), error) from error

    def _of_chief(self, value: int) -> int:
        """The chief's value, when every process has come here with its own."""
        if len(self.workers) == 1:
            return value
        mine = tf.constant(value * self.is_chief, tf.int64)
        meet = tf.function(lambda: self.run(lambda: tf.identity(mine), ()), autograph=False)
        return int(meet()) // self._here


def find_distribution(
    name: str | None, batch_size: int, replica_statistics: bool = False
) -> Distribution:
    """The replicas of `--strategy`: None, "mirrored" or "multiworker".

    The last must come before TensorFlow's first operation; it waits for all workers.

    Raises:
        DistributionError: too few devices, no good TF_CONFIG, or a batch that cannot be shared.
    """
    if name is None:
        return Distribution()
    workers, index = ((Worker(),), 0)
    if name == "multiworker":
        workers, index = read_cluster(os.environ.get("TF_CONFIG"))
    strategy = _join(workers) if name == "multiworker" else _all_devices()
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise DistributionError(
            f"Expected a --batch-size that {replicas} replicas share evenly. Received: "
            f"{batch_size}. Try {-(-batch_size // replicas) * replicas}."
        )
    return Distribution(strategy, workers, index, replica_statistics)


def _join(workers: Sequence[Worker]) -> tf.distribute.Strategy:
    addresses = ", ".join(worker.address for worker in workers)
    log.info("Waiting until all %d workers are here: %s", len(workers), addresses)
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (tf.errors.OpError, RuntimeError) as error:
        raise DistributionError(
            f"Expected to join the workers {addresses}. Found: {str(error).partition(chr(10))[0]} "
            "Give each worker a port that is free and open, and start it in a process of its own."
        ) from error


def _all_devices() -> tf.distribute.Strategy:
    """Over every card, or without one over every logical CPU device."""
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(found) < 2:
        raise DistributionError(
            f"Expected two devices or more for --strategy mirrored. Found: {found[0].name}. Train "
            "without --strategy; several hosts take --strategy multiworker."
        )
    # A second run in this process would meet the first one's keys in the default's collectives.
    on_cpu = found[0].device_type == "CPU"
    across = tf.distribute.ReductionToOneDevice() if on_cpu else None
    return tf.distribute.MirroredStrategy([device.name for device in found], across)


def _alike(next_creator: Callable[..., tf.Variable], **options) -> tf.Variable:
    """Moving statistics are the first replica's on every device: reading them asks no process."""
    if options.get("trainable") is False and tf.distribute.has_strategy():
        options["synchronization"] = tf.VariableSynchronization.ON_WRITE
        options["aggregation"] = tf.VariableAggregation.ONLY_FIRST_REPLICA
    return next_creator(**options)
