"""An archive coloured by Dask's workers: the local command's bytes, whoever dies on the way."""

import logging
import time

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("distributed", reason="needs pip install '.[cluster]'")

from support.constant_model import save_constant_model
from support.dask_processes import kill, wait_for

import koala_face
from koala_face.colorize import main
from koala_face.colorizer.cluster.client import color_jobs, connect
from koala_face.colorizer.cluster.worker import ClusterError, check_same, plan_way
from koala_face.colorizer.colorizer import Colorizer
from koala_face.colorizer.jobs import plan_jobs
from koala_face.model_files.shipped import ColorizerError, shipped_model

OUT = ("-o", "out", "--model", "model.h5")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def expected(archive):
    """What the local command makes of the photographs."""
    return contents(archive / "local")


def finish(process, status=1):
    """Wait for a command; gives its lines."""
    lines = process.communicate(timeout=240)[1]
    assert process.returncode == status, lines
    return lines


def count(folder):
    return len(list(folder.glob("*.png"))) if folder.exists() else 0


def test_processes_of_this_machine_write_the_same_bytes(folder, expected, caplog):
    caplog.set_level(logging.INFO, "koala_face")
    words = ["scans", "-o", "out", "--model", "model.h5", "--workers", "2"]
    assert main(words) == 1
    assert contents(folder / "out") == expected
    assert "12 coloured, 0 already there, 1 failed, 0 passed over" in caplog.text
    assert "failed: scans/broken.png: not a photograph" in caplog.text
    (folder / "out/03.png").unlink()
    caplog.clear()
    assert main(words) == 1
    assert contents(folder / "out") == expected
    assert "1 coloured, 11 already there" in caplog.text


def test_two_commands_share_a_cluster(folder, archive, monkeypatch):
    """A photograph gets the colours that its own command asked for; a model is loaded once."""
    loaded = []

    def load(model, *arguments, **style):
        loaded.append(model.name)
        return original(model, *arguments, **style)

    original = Colorizer.load
    monkeypatch.setattr(Colorizer, "load", load)
    models = [folder / "model.h5", save_constant_model(folder / "reddish.h5")]
    jobs = [plan_jobs([folder / "scans"], folder / name).jobs for name in ("out", "reddish")]
    with connect(None, 0) as client:
        ways = [plan_way(model, None) for model in models]
        runs = [color_jobs(client, *run) for run in zip(jobs, ways, strict=True)]
        assert all(next(run) for run in runs), "both have begun"
        assert all(len(list(run)) == 12 for run in runs)
        # From another folder, with another quality.
        again = plan_way(models[0], None, quality=90)._replace(folder="elsewhere")
        assert len(list(color_jobs(client, jobs[0][:1], again))) == 1
    for path in (archive / "local").iterdir():
        ours, reddish, alone = (
            np.asarray(Image.open(place / path.name), "int16")
            for place in (folder / "out", folder / "reddish", path.parent)
        )
        # This process's TensorFlow computes in several threads: the last bits may differ.
        assert abs(ours - alone).max() <= 1
        assert reddish[..., 0].mean() > reddish[..., 2].mean() + 10
    assert loaded == ["model.h5", "reddish.h5"]


def test_workers_killed_in_mid_job(folder, expected, cluster):
    """Three work, two die, one of them for good: all is done, nothing half or twice."""
    cluster.start_scheduler()
    for _ in range(3):
        cluster.start_worker()
    command = cluster.colorize("scans", *OUT)
    wait_for(lambda: count(folder / "out") > 1, command)
    for worker in cluster.workers[:2]:
        kill(worker)
    lines = finish(command)
    assert contents(folder / "out") == expected
    assert "12 coloured, 0 already there, 1 failed" in lines
    assert "tried again, alone" in lines


def test_the_scheduler_killed_and_the_command_given_again(folder, expected, cluster):
    cluster.start_scheduler()
    cluster.start_worker()
    words = ("scans", *OUT)
    command = cluster.colorize(*words)
    wait_for(lambda: count(folder / "out") > 1, command)
    kill(cluster.scheduler)
    assert "is gone. What is coloured stays; give the command again" in finish(command)
    kill(cluster.workers[0])
    cluster.start_scheduler()
    cluster.start_worker()
    done = contents(folder / "out")
    assert 1 < len(done) < 12
    lines = finish(cluster.colorize(*words))
    assert contents(folder / "out") == expected
    assert f"{12 - len(done)} coloured, {len(done)} already there" in lines


def test_a_photograph_that_takes_its_worker_down_is_named(folder, expected, cluster):
    """A worker of 1.3 GB on 169 megapixels: killed by its nanny, twice, and the job goes on."""
    Image.fromarray(np.zeros((13000, 13000), np.uint8)).save("huge.png")
    cluster.start_scheduler()
    cluster.start_worker(memory="1300MB")
    lines = finish(cluster.colorize("huge.png", "scans", *OUT))
    assert contents(folder / "out") == expected
    assert "huge.png: its worker died; tried again, alone" in lines
    assert "failed: huge.png: its workers died, the second with nothing else to do" in lines
    assert "12 coloured, 0 already there, 2 failed" in lines


def test_a_worker_of_another_version_is_refused(folder, cluster):
    (folder / "old.py").write_text("import koala_face; koala_face.__version__ = '0.0.1'\n")
    cluster.start_scheduler()
    cluster.start_worker("--preload", str(folder / "old.py"), "--no-nanny")
    lines = finish(cluster.colorize("scans", *OUT))
    assert f"Expected koala_face {koala_face.__version__}, as on the machine that asks" in lines
    assert "Found: 0.0.1 on tcp://127.0.0.1:" in lines
    assert count(folder / "out") == 0


def test_another_model_is_refused(folder):
    way = plan_way(folder / "model.h5", None)
    check_same(way, "here")
    check_same(plan_way(shipped_model("vivid"), None), "here")
    with open("model.h5", "ab") as file:
        file.write(b"\0")
    with pytest.raises(ClusterError, match=rf"{way.fingerprint}\. Found: [0-9a-f]{{16}} on there"):
        check_same(way, "there")
    (folder / "model.h5").unlink()
    with pytest.raises(ClusterError, match="model.h5 on every worker. there has no such file"):
        check_same(way, "there")


def test_no_scheduler(folder, monkeypatch):
    monkeypatch.setattr("koala_face.colorizer.cluster.client.CONNECT_SECONDS", 0.5)
    words = ["scans", *OUT]
    # Several times in one process, as in a notebook: what failed is closed before the next.
    for address in ("tcp://127.0.0.1:9", "nonsense", "no://such") * 4:
        with pytest.raises(ClusterError, match=f"Expected a Dask scheduler at {address}. None"):
            main([*words, "--cluster", address])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.png", "--workers", "0"], "--workers of 1 or more. Received: 0"),
        (["a.png", "--workers", "2", "--cluster", "x:1"], "not both"),
        (["-", "--cluster", "x:1"], "a cluster reads no standard input"),
    ],
)
def test_flags_that_do_not_fit(words, message):
    with pytest.raises(ColorizerError, match=message):
        main(words)


@pytest.fixture
def bucket(monkeypatch):
    """An S3 server on loopback with an empty bucket; gives what takes it away for 4 seconds."""
    server_module = pytest.importorskip("moto.server", reason="needs pip install '.[store]'")
    import boto3

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    port = server.get_host_and_port()[1]
    servers = [server]

    def go_away():
        servers.pop().stop()
        time.sleep(4)
        servers.append(server_module.ThreadedMotoServer("127.0.0.1", port))
        servers[0].start()

    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}").create_bucket(Bucket="archive")
    yield go_away
    servers[0].stop()


def test_from_bucket_to_bucket(folder, archive, expected, cluster, bucket):
    """Two worker processes; the bucket is away for a while; what is there already is skipped."""
    from upath import UPath

    for path in (archive / "scans").iterdir():
        (UPath("s3://archive/scans") / path.name).write_bytes(path.read_bytes())
    words = ("s3://archive/scans", "-o", "s3://archive/out", "--model", "model.h5")
    cluster.start_scheduler()
    cluster.start_worker()
    cluster.start_worker()
    command = cluster.colorize(*words)
    out = UPath("s3://archive/out")
    wait_for(lambda: out.fs.invalidate_cache() or len(out.fs.find(out.path)) > 1, command)
    bucket()
    lines = finish(command)
    out.fs.invalidate_cache()
    assert {path.name: path.read_bytes() for path in out.iterdir()} == expected
    assert "failed: s3://archive/scans/broken.png: not a photograph" in lines
    assert "12 coloured, 0 already there, 1 failed" in lines
    assert "0 coloured, 12 already there, 1 failed" in finish(cluster.colorize(*words))
