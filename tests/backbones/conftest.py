"""A published file of weights, and the server that has it."""

import pytest
from support.weights_server import published_file, saved_weights, serve


@pytest.fixture
def saved(tmp_path):
    return saved_weights(tmp_path)


@pytest.fixture
def server(saved):
    with serve(saved) as running:
        yield running


@pytest.fixture
def file(server, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return published_file(server)
