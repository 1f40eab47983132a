"""Who may ask for what: strangers, other pages and endless bodies get nothing, over sockets."""

import base64
import json
import os
import socket
import time

import pytest
from support.page_client import Client, receive_all
from support.page_server import serving, wait_for

PASSWORD = "correct horse ä"
SECRET = "secret that lies beside the private folder"


@pytest.fixture
def strict(tmp_path, models):
    """Little storage, little patience, and something beside it that nobody may see."""
    (tmp_path / "secret.txt").write_text(SECRET)
    with serving(tmp_path / "private", models, storage=10**6, idle=0.5, whole=1.5) as running:
        yield running


def left_in(server):
    return list(server.store.folder.iterdir())


def status_of(answer):
    return int(answer.split(b" ", 2)[1])


def head(client, length, **headers):
    """The beginning of a photograph's request, up to its body."""
    lines = [
        f"POST /albums/{client.album}/photographs?name=a.png HTTP/1.1",
        f"Host: {client.host}",
        length,
        *(f"{key}: {value}" for key, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def test_every_answer_has_the_headers(client):
    for method, path in (("GET", "/"), ("GET", "/no"), ("PUT", "/albums"), ("GET", "/albums/x")):
        _, headers, _ = client.ask(method, path)
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'self'; img-src 'self' blob:;")
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in headers


def test_the_page_refers_to_nothing_elsewhere(client):
    for path in ("/", "/page.css", "/page.js", "/icon.svg"):
        status, _, body = client.ask("GET", path)
        assert status == 200
        text = body.decode().replace("http://www.w3.org/2000/svg", "")
        assert "http" not in text.replace("http-equiv", "")
        assert "//" not in text.replace("// ", "") or path == "/page.js"
        assert ".innerHTML" not in text
        assert "style=" not in text
        assert "<script>" not in text


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/page.css/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "//etc/passwd",
        "/etc/passwd",
        "/server.py",
        "/__main__.py",
        "/albums/../../secret.txt",
        "/albums/%2e%2e/photographs/secret.txt/result",
        "/albums/x/photographs/..%2f..%2fsecret.txt/result",
        "/page.html",
        "/page.css%00.png",
    ],
)
def test_no_file_of_the_machine_can_be_asked_for(strict, path):
    client = Client(strict.address)
    for place in (path, path.replace("/albums/x", f"/albums/{client.album}")):
        request = f"GET {place} HTTP/1.1\r\nHost: {client.host}\r\n\r\n"
        answer = client.raw(request.encode())
        assert status_of(answer) in (400, 404), answer[:200]
        assert SECRET.encode() not in answer
        assert b"root:" not in answer


def test_a_name_leads_nowhere(strict, tmp_path, astronaut):
    """Not by "..", not to a link: a photograph's name becomes no part of a path."""
    os.symlink(tmp_path / "secret.txt", strict.store.folder / "link.txt")
    client = Client(strict.address)
    for name in ("../secret.txt", "link.txt", str(tmp_path / "secret.txt"), "photograph"):
        assert client.drop(name, b"mine")[0] == 201
    assert {x["state"] for x in client.settled().values()} == {"failed"}
    assert (tmp_path / "secret.txt").read_text() == SECRET
    assert sorted(x.name for x in tmp_path.iterdir()) == ["private", "secret.txt"]
    for path in ("/link.txt", f"/albums/{client.album}/photographs/link.txt/result"):
        assert client.ask("GET", path)[0] == 404


@pytest.mark.parametrize(
    "name", ["<b onmouseover=alert(1)>.png", "a\r\nX: y\0.png", "x" * 6000 + ".png", "\udc80.png"]
)
def test_names_are_told_without_control_signs(client, name):
    status, told = client.drop(name, b"no photograph")
    assert status == 201
    assert told["name"].isprintable()
    assert len(told["name"].encode()) <= 200
    assert told["name"].endswith(".png")


def test_a_photograph_of_another_page_is_not_found(client, server, astronaut):
    client.drop("a.png", b"no photograph")
    (mine,) = client.settled().values()
    other = Client(server.address)
    assert other.state()["photographs"] == []
    assert other.ask("DELETE", other.place(mine["id"]))[0] == 404
    for last in ("/before", "/after", "/small", "/result"):
        assert other.ask("GET", other.place(mine["id"], last))[0] == 404
    assert other.ask("GET", f"/albums/{other.album}/zip")[0] == 404
    assert client.settled().keys() == {"a.png"}
    assert client.ask("GET", "/albums")[0] == 405


@pytest.mark.parametrize("path", ["/", "/albums"])
def test_a_foreign_host_or_origin_is_refused(client, path):
    method = {"/": "GET", "/albums": "POST"}[path]
    good = {"/": 200, "/albums": 201}[path]
    port = client.host.rpartition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        assert client.ask(method, path, Host=host)[0] == good
        assert client.ask(method, path, Host=host, Origin=f"http://{host.lower()}")[0] == good
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "8.8.8.8", ""):
        assert client.ask(method, path, Host=host)[0] == 403
    local = f"http://localhost:{int(port) + 1}"
    for origin in ("http://evil.example", "null", local, f"https://{client.host}", ""):
        assert client.ask(method, path, Origin=origin)[0] == 403


def test_names_of_a_machine_that_others_reach():
    """An address cannot be made to point here; a name can, unless it is the machine's own."""
    guard = pytest.importorskip("koala_face.web.guard", exc_type=ImportError)
    reached = guard.Guard(None, "0.0.0.0", PASSWORD)
    here = socket.gethostname()
    for host in (
        "192.0.2.7:8421",
        "[2001:db8::1]:80",
        "localhost",
        here,
        f"{here.upper()}.local:1",
    ):
        assert reached.is_own(host)
    for host in ("evil.example", "192.0.2.7.evil.example:8421", f"{here}.evil.example", "", ":80"):
        assert not reached.is_own(host)
    assert not guard.Guard(None, "::1", None).is_own("192.0.2.7")


def test_a_password_is_asked_for(tmp_path, models):
    def basic(text):
        return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}

    with serving(tmp_path / "private", models, password=PASSWORD) as running:
        client = Client(running.address, **basic(f"anyone:{PASSWORD}"))
        assert client.state()["photographs"] == []
        client.headers = {}
        wrong = [{}, basic("a:"), basic("a:correct"), basic(PASSWORD), basic(f"a:{PASSWORD}x")]
        wrong += [{"Authorization": x} for x in ("Basic", "Basic %%", f"Bearer {PASSWORD}")]
        for headers in wrong:
            for path in ("/", "/page.js", f"/albums/{client.album}"):
                status, told, _ = client.ask("GET", path, **headers)
                assert status == 401
                assert told["WWW-Authenticate"].startswith("Basic ")
        assert client.drop("a.png", b"mine")[0] == 401
        assert left_in(running) == []


def test_a_large_body_is_refused_before_it_comes(strict):
    client = Client(strict.address)
    for length in (10**6 + 1, 10**15):
        answer = client.raw(head(client, f"Content-Length: {length}"))
        assert status_of(answer) == 413
    assert left_in(strict) == []


def test_an_endless_body_ends(strict):
    """In chunks, so that nothing says its length; the server ends it, and deletes what came."""
    client = Client(strict.address)
    host, port = client.host.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head(client, "Transfer-Encoding: chunked"))
        sent = 0
        try:
            while sent < 10**8:
                connection.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                sent += 0x10000
        except ConnectionError:
            pass
    assert sent < 10**8
    wait_for(lambda: left_in(strict) == [] and strict.store.used == 0)
    assert client.state()["photographs"] == []


@pytest.mark.parametrize("pause", [None, 0.1], ids=["silent", "slow"])
def test_a_slow_body_ends(strict, pause):
    """One that stops, and one that sends a byte now and then."""
    client = Client(strict.address)
    host, port = client.host.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head(client, "Content-Length: 1000") + b"begin")
        wait_for(lambda: left_in(strict))
        start = time.monotonic()
        connection.settimeout(pause or 60)
        answer = b""
        while not answer and time.monotonic() < start + 60:
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                connection.sendall(b"x")
    assert status_of(answer) == 408
    assert left_in(strict) == []
    assert strict.store.used == 0


def test_a_body_that_breaks_off_leaves_nothing(strict):
    client = Client(strict.address)
    host, port = client.host.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head(client, "Content-Length: 1000") + b"begin")
        wait_for(lambda: left_in(strict))
    wait_for(lambda: left_in(strict) == [] and strict.store.used == 0)
    assert client.state()["photographs"] == []


def test_a_request_that_does_not_come_ends(client, monkeypatch):
    monkeypatch.setattr("koala_face.web.server.IDLE", 0.3)
    host, port = client.host.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert receive_all(connection) == b""
    assert client.ask("GET", "/")[0] == 200


def test_a_full_storage_says_so(strict):
    client = Client(strict.address)
    assert client.drop("a.png", bytes(900_000))[0] == 201
    status, told = client.drop("b.png", bytes(200_000))
    assert status == 507
    assert "are full. Remove some" in told["error"]
    (one,) = client.settled().values()
    assert client.ask("DELETE", client.place(one["id"]))[0] == 204
    assert client.drop("b.png", bytes(200_000))[0] == 201


@pytest.mark.parametrize(
    "styles", ["", "{", "[]", "7", '{"a": 7}', '{"a": {"variant": "x"}}', "[" * 100_000]
)
def test_styles_that_are_none_are_refused(client, styles):
    status, _, body = client.ask("POST", f"/albums/{client.album}/zip", styles)
    assert status == 400
    assert json.loads(body)["error"].startswith("Expected")
