"""Several replicas: their parts are the whole step's, their weights those of one device."""

import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import koala_face
from koala_face import train
from koala_face.backbones import find_backbone
from koala_face.data.portraits import load_portraits
from koala_face.foundation.errors import KoalaFaceError
from koala_face.training import sampling
from koala_face.training.distribution import (
    Distribution,
    find_distribution,
)
from koala_face.training.run_folder import RunFolder
from koala_face.training.workers import DistributionError, Worker, read_cluster, watched

TWO = {"worker": ["a:1", "b:2"]}


def config_of(cluster, job="worker", index=0):
    return json.dumps({"cluster": cluster, "task": {"type": job, "index": index}})


def test_a_cluster_as_tensorflow_documents_it():
    assert read_cluster(config_of(TWO, index=1)) == (
        (Worker("worker", 0, "a:1"), Worker("worker", 1, "b:2")),
        1,
    )
    workers, index = read_cluster(config_of({"worker": ["b:2", "c:3"], "chief": ["a:1"]}))
    assert [worker.address for worker in workers] == ["a:1", "b:2", "c:3"]
    assert index == 1  # the chief is first, wherever it stands


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "no json",
        "[]",
        "{}",
        config_of(TWO, index=2),
        config_of(TWO, index="first"),
        config_of(TWO, job="chief"),
        config_of({"worker": ["a"]}),
        config_of({"worker": [1]}),
        config_of({**TWO, "ps": ["c:3"]}),
    ],
)
def test_another_tf_config_is_refused_with_an_example(text):
    with pytest.raises(DistributionError, match=r'Expected TF_CONFIG.*"index": 0.*Received: .*Set'):
        read_cluster(text)


def test_no_tf_config_and_a_single_device_are_refused(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(DistributionError, match="Received: none"):
        find_distribution("multiworker", 4)
    with pytest.raises(DistributionError, match="two devices or more.*Found: .*:0.*--strategy"):
        find_distribution("mirrored", 4)


@pytest.mark.parametrize(
    "flags",
    [
        {"replica_statistics": True},
        {"strategy": "mirrored", "device": "cpu"},
        {"strategy": "mirrored", "mixed_precision": True},
    ],
)
def test_flags_that_exclude_each_other(flags):
    with pytest.raises(KoalaFaceError, match=r"Expected .*--(strategy|replica).*Received"):
        train.TrainConfig(**flags).check()


def test_a_run_of_before_can_be_resumed():
    """Its settings.json lacks the new setting; the strategy decides nothing."""
    settings = train.run_settings(train.TrainConfig(strategy="mirrored"))
    assert settings["replica_statistics"] is None
    assert "strategy" not in settings


def test_each_process_takes_its_positions_of_every_batch():
    class Shared:
        num_replicas_in_sync = 3

    workers = [Worker("worker", index, "a:1") for index in range(3)]
    parts = [Distribution(Shared(), workers, index).part(6) for index in range(3)]
    assert [list(range(6)[part]) for part in parts] == [[0, 1], [2, 3], [4, 5]]
    assert list(range(6)[Distribution().part(6)]) == [0, 1, 2, 3, 4, 5]


def test_parts_together_are_the_whole_batches(portrait_folder, tmp_path):
    """With all that varies a portrait, from the middle of a run on."""
    portraits = load_portraits(portrait_folder, 16, find_backbone("none"), tmp_path)
    portraits = dataclasses.replace(portraits, embeddings=np.eye(2, 3, dtype="float32"))
    varied = {"flip": True, "crop": 0.3, "noise": np.full(3, 0.5, "float32"), "aged": True}

    def batches(part):
        found = sampling.training_batches(portraits, 5, 8, 6, 0, **varied, part=part)
        return [[value.numpy() for pair in batch for value in pair] for batch in found]

    whole, first, rest = (batches(part) for part in (slice(None), slice(0, 2), slice(2, 6)))
    assert len(whole) == len(first) == len(rest) == 3
    for batch, one, other in zip(whole, first, rest, strict=True):
        assert [len(values) for values in one] == [2] * 4
        for values, *parts in zip(batch, one, other, strict=True):
            np.testing.assert_array_equal(values, np.concatenate(parts))


@pytest.fixture
def listening(monkeypatch):
    """Two workers, of whom the second is a socket that a test may close; looked at often."""
    monkeypatch.setattr("koala_face.training.workers.LOOK", 0.05)
    with (
        socket.create_server(("localhost", 0)) as one,
        socket.create_server(("localhost", 0)) as other,
    ):
        ports = [listener.getsockname()[1] for listener in (one, other)]
        yield [Worker("worker", n, f"localhost:{port}") for n, port in enumerate(ports)], other


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_a_worker_that_dies_while_the_chief_fills_caches_ends_it(listening, handler):
    """Also where a shell's job ignores Ctrl-C."""
    pair, other = listening
    before = signal.signal(signal.SIGINT, handler)
    try:
        named = re.escape(f"{pair[1].address} is gone")
        with pytest.raises(DistributionError, match=named), watched(pair):
            time.sleep(0.3)
            other.close()
            time.sleep(30)
        assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_block_whose_workers_live_ends_as_it_would(listening):
    pair, _ = listening
    with watched(pair):
        time.sleep(0.3)
    # A shell's job in the background starts with Ctrl-C ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), watched(pair):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(30)
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(ZeroDivisionError), watched(pair):
        raise ZeroDivisionError


# In a process of its own: logical devices are made before TensorFlow's first operation. The
# network is in float64, since Adam's first steps take the sign of the smallest gradient; and its
# first weights are seeded, since the step's own error is float32's: of some weights a gradient is
# so near 0 that its sign is chance.
TWO_DEVICES = """
import json
import sys
import numpy as np
import tensorflow as tf

keras = tf.keras
cpu, two = tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)

from koala_face.models import build_colorizer
from koala_face.training import distribution, step

random = np.random.RandomState(0)
shapes = ((6, 24, 24, 1), (6, 5), (6, 24, 24, 2))
batches = [[random.uniform(-0.5, 0.5, shape) for shape in shapes] for _ in range(3)]
batches = [(gray, vector, ab.astype("float32")) for gray, vector, ab in batches]

def build():
    keras.mixed_precision.set_global_policy("float64")
    return build_colorizer(5, 24)

keras.utils.set_random_seed(0)
start = build().get_weights()

def shared(replica_statistics):
    replicas = distribution.find_distribution("mirrored", 6, replica_statistics)
    with replicas.scope():
        model = build()
        optimizer = step.make_optimizer(model, 0.001)
    model.set_weights(start)
    train = step.make_train_step(model, optimizer, distribution=replicas)
    return model, [float(train(*map(tf.constant, batch))) for batch in batches]

def keras_alone():
    model, optimizer, losses = build(), keras.optimizers.Adam(0.001), []
    model.set_weights(start)
    for gray, vector, ab in batches:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model([gray, vector], training=True) - ab))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        losses.append(float(loss))
    return model, losses

alone, losses = keras_alone()
model, shares = shared(replica_statistics=sys.argv[1] == "halves")
pairs = zip(model.trainable_variables, alone.trainable_variables)
apart = max(float(np.abs(a.numpy() - b.numpy()).max()) for a, b in pairs)
print(json.dumps([apart, np.abs(np.subtract(shares, losses)).max()]))
try:
    distribution.find_distribution("mirrored", 7)
except distribution.DistributionError as error:
    print(error)
"""


def train_on_two_devices(statistics):
    """How far weights and losses are from Keras's on one device, and a refusal's text."""
    command = [sys.executable, "-c", TWO_DEVICES, statistics]
    options = {"capture_output": True, "text": True}
    result = subprocess.run(command, cwd=Path(koala_face.__file__).parents[1], **options)
    assert result.returncode == 0, result.stderr
    apart, refused = result.stdout.splitlines()
    return *json.loads(apart), refused


def test_two_replicas_give_the_weights_of_keras_on_one_device():
    """Three steps of up to 0.001 each."""
    weights, losses, refused = train_on_two_devices("whole")
    assert weights < 1e-5
    assert losses < 1e-6
    assert "Expected a --batch-size that 2 replicas share evenly. Received: 7. Try 8" in refused


@pytest.mark.slow
def test_with_statistics_of_each_half_they_are_others():
    weights, losses, _ = train_on_two_devices("halves")
    assert weights > 1e-3
    assert losses > 1e-4


EPOCHS, STEPS = 3, 4


def free_ports(count):
    with_ports = [socket.socket() for _ in range(count)]
    for one in with_ports:
        one.bind(("localhost", 0))
    ports = [one.getsockname()[1] for one in with_ports]
    for one in with_ports:
        one.close()
    return ports


def start_workers(folder, cache, outputs, logs, steps=STEPS, backbone="none"):
    """Two processes, the chief first; each with its log."""
    argv = ["--data", folder, "--validation", folder, "--cache", cache, "--backbone", backbone]
    argv += ["--size", 16, "--batch-size", 4, "--epochs", EPOCHS, "--steps-per-epoch", steps]
    argv += ["--flip", "--save-seconds", 0, "--strategy", "multiworker", "--resume"]
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    processes = []
    for index, (output, log) in enumerate(zip(outputs, logs, strict=True)):
        environment = {**os.environ, "TF_CONFIG": config_of({"worker": addresses}, index=index)}
        command = [sys.executable, "-m", "koala_face.train", *map(str, argv), "--output", output]
        with open(log, "ab") as file:
            options = {"stdout": file, "stderr": file, "env": environment}
            processes.append(subprocess.Popen([*map(str, command)], **options))
    return processes


def wait_for_state(output, processes, number=2):
    """Until so many states were saved; otherwise nothing is left running."""
    wait_for(output / "state", f"ckpt-{number}.index", processes)


def wait_for(folder, pattern, processes, longest=120.0):
    """Until the folder has such a file; otherwise nothing is left running."""
    end = time.monotonic() + longest
    while not list(folder.glob(pattern)):
        if time.monotonic() > end or any(process.poll() is not None for process in processes):
            for process in processes:
                process.kill()
                process.wait()
            raise AssertionError(f"no {pattern} in {folder}")
        time.sleep(0.05)


def kill_one(processes, which, log):
    """kill -9; the other one ends with status 1 and a line, within a minute."""
    killed, other = processes[which], processes[1 - which]
    os.kill(killed.pid, signal.SIGKILL)
    try:
        assert other.wait(timeout=60) == 1, log.read_text()
    finally:
        for process in processes:
            process.kill()
            process.wait()
    lines = log.read_text().splitlines()
    assert any(line.startswith("error: Expected all 2 workers to go on.") for line in lines), lines
    assert not any("Traceback" in line for line in lines)


def test_a_killed_worker_stops_the_chief_which_alone_has_written(portrait_folder, tmp_path):
    outputs, logs = ([tmp_path / f"{kind}{index}" for index in (0, 1)] for kind in ("run", "log"))
    processes = start_workers(portrait_folder, tmp_path / "cache", outputs, logs, steps=10_000)
    wait_for_state(outputs[0], processes)
    kill_one(processes, 1, logs[0])
    assert not outputs[1].exists()
    assert (outputs[0] / "settings.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("which", [0, 1])
def test_whoever_is_killed_while_the_chief_embeds_stops_the_other(tmp_path, astronaut, which):
    folder, cache = tmp_path / "portraits", tmp_path / "cache"
    folder.mkdir()
    for count in range(600):
        picture = Image.fromarray(np.roll(astronaut, count, axis=1)).resize((96, 96))
        picture.save(folder / f"{count}.jpg")
    logs = [tmp_path / "log0", tmp_path / "log1"]
    processes = start_workers(folder, cache, [tmp_path / "run"] * 2, logs, backbone="facenet")
    wait_for(cache, "*facenet.h5.holder", processes)
    kill_one(processes, which, logs[1 - which])


@pytest.mark.slow
def test_whoever_is_killed_the_resumed_run_ends_the_same(portrait_folder, tmp_path):
    cache, whole = tmp_path / "cache", tmp_path / "whole"
    logs = [tmp_path / "log0", tmp_path / "log1"]
    finish(start_workers(portrait_folder, cache, [whole] * 2, logs), logs)
    for which in (0, 1):
        broken = tmp_path / f"broken{which}"
        processes = start_workers(portrait_folder, cache, [broken] * 2, logs)
        wait_for_state(broken, processes, number=STEPS + 1 + which)
        kill_one(processes, which, logs[1 - which])
        assert len(RunFolder(broken).history()) < EPOCHS
        finish(start_workers(portrait_folder, cache, [broken] * 2, logs), logs)
        check_same(broken, whole)


def finish(processes, logs):
    try:
        for process in processes:
            assert process.wait(timeout=600) == 0, [log.read_text() for log in logs]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def check_same(broken, whole):
    ours, theirs = RunFolder(broken).history(), RunFolder(whole).history()
    assert len(ours) == EPOCHS
    for row, other in zip(ours, theirs, strict=True):
        assert {**row, "seconds": 0} == pytest.approx({**other, "seconds": 0}, rel=1e-6)
    with h5py.File(broken / "model.h5") as one, h5py.File(whole / "model.h5") as other:
        names = []
        one["model_weights"].visit(names.append)
        for name in names:
            if isinstance(one["model_weights"][name], h5py.Dataset):
                values = (file["model_weights"][name][()] for file in (one, other))
                np.testing.assert_allclose(*values, atol=1e-6, err_msg=name)
