"""A server with two models of known colours, whose photographs each test drops anew."""

import pytest
from support.constant_model import save_constant_model
from support.page_client import Client
from support.page_server import serving


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    colours = {"faithful": (12.0, 18.0), "vivid": (20.0, -15.0)}
    return {name: save_constant_model(folder / f"{name}.h5", *ab) for name, ab in colours.items()}


@pytest.fixture(scope="session")
def server(tmp_path_factory, models):
    with serving(tmp_path_factory.mktemp("server") / "private", models) as running:
        yield running


@pytest.fixture
def client(server):
    """A page of its own; nothing of it stays."""
    client = Client(server.address)
    yield client
    for photograph in client.settled().values():
        client.ask("DELETE", client.place(photograph["id"]))
