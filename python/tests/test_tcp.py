"""Two parties over TCP."""

import os
import signal
import socket
import threading
import time

import copriv
import numpy as np
import pytest


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def server():
    with copriv.Server("zoo:digits") as server:
        yield server


def test_inferences_of_one_session(server, digits):
    pictures, labels = digits
    done = server.counts["inferences"]
    with copriv.Client(server.address) as client:
        assert client.input_shape == (1, 28, 28) and client.output_shape == (10, 1, 1)
        assert client.architecture["name"] == "digits" and client.architecture["layers"]
        assert client.settings["suite"] == "best" and client.settings["reveal"] == "logits"
        for x, y in zip(pictures[:3], labels):
            plan = client.plan()
            result = client.infer(x)
            assert result.label == y and result.exact is None
            assert result.as_planned and plan == result.plan and plan.bytes == result.report.bytes
            assert np.array_equal(result.fixed, copriv.run("zoo:digits", x).clear_fixed)
        with pytest.raises(ValueError, match="takes"):
            client.infer(pictures[0, 0])
        with pytest.raises(ValueError, match="no store"):
            client.preprocess()
        assert client.infer(pictures[3]).label == labels[3], "a wrong argument does not end the session"
    wait_for(lambda: server.counts["inferences"] == done + 4)
    assert server.failures == []


def test_clients_at_the_same_time(server, digits):
    pictures, labels = digits
    found = {}

    def ask(n):
        with copriv.Client(server.address) as client:
            found[n] = client.infer(pictures[n]).label

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert found == {n: labels[n] for n in range(6)}


def test_threads_share_a_client(server, digits):
    pictures, labels = digits
    found = {}
    with copriv.Client(server.address) as client:

        def ask(n):
            found[n] = client.infer(pictures[n]).label

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(3)]
        [t.start() for t in threads]
        [t.join() for t in threads]
    assert found == {n: labels[n] for n in range(3)}


def test_a_closed_client(server, picture):
    client = copriv.Client(server.address)
    client.close()
    client.close()
    for call in (lambda: client.infer(picture), client.plan, client.preprocess):
        with pytest.raises(copriv.Error, match="closed"):
            call()
    assert client.input_shape == (1, 28, 28)


def test_work_ahead(tmp_path, digits):
    pictures, labels = digits
    store = tmp_path / "client.store"
    with copriv.Server("zoo:digits", store=tmp_path / "server.store", stock=3) as server:
        with copriv.Client(server.address, store=store) as client:
            reports = client.preprocess(2)
            assert [r.online.bytes for r in reports] == [0, 0]
        with copriv.Client(server.address, store=store) as client:
            for n in range(2):
                plan, result = client.plan(stored=True), client.infer(pictures[n])
                assert result.label == labels[n] and result.as_planned
                assert plan.bytes == result.report.bytes < reports[0].bytes / 20
            with pytest.raises(copriv.Error, match="no entry"):
                client.infer(pictures[2])
            assert client.infer(pictures[2], on_the_fly=True).label == labels[2]
            with pytest.raises(copriv.Error, match="full"):
                client.preprocess(5)
            with pytest.raises(copriv.Error, match="in use"):
                copriv.Client(server.address, store=store)
            for count in (0, -1):
                with pytest.raises(ValueError):
                    client.preprocess(count)
        wait_for(lambda: server.counts["sessions"] == 2 and server.counts["preprocessings"] == 5)
    # Closed: the store is free, and serves another server of the same network.
    with copriv.Server("zoo:digits", store=tmp_path / "server.store") as server:
        with copriv.Client(server.address, store=store) as client:
            assert client.infer(pictures[3]).label == labels[3]


def test_no_work_ahead(tmp_path, server):
    with copriv.Client(server.address, store=tmp_path / "client.store") as client:
        with pytest.raises(copriv.Error, match="no store"):
            client.preprocess()
    (tmp_path / "other").write_bytes(b"something else")
    with pytest.raises(copriv.Error, match="not a store"):
        copriv.Client(server.address, store=tmp_path / "other")
    with pytest.raises(copriv.Error, match="not a store"):
        copriv.Server("zoo:digits", store=tmp_path / "other")


def test_a_server_in_the_foreground(picture):
    server = copriv.Server("zoo:digits", reveal="label")
    serving = threading.Thread(target=server.serve, args=(1,))
    serving.start()
    with copriv.Client(server.address) as client:
        with pytest.raises(copriv.Error, match="serving already"):
            server.start()
        result = client.infer(picture)
        assert result.logits is None and result.label is not None
    serving.join(20)
    assert not serving.is_alive()
    server.serve(0)
    server.close()
    server.close()
    for call in (server.serve, server.start, server.__enter__):
        with pytest.raises(copriv.Error, match="closed"):
            call()


def test_addresses():
    with copriv.Server("zoo:digits") as server:
        with pytest.raises(OSError, match="cannot listen"):
            copriv.Server("zoo:digits", listen=server.address)
        address = server.address
    with pytest.raises(ConnectionRefusedError, match=address):
        copriv.Client(address)
    for wrong in ("nowhere", "127.0.0.1", "127.0.0.1:x", ""):
        with pytest.raises(ValueError, match="HOST:PORT"):
            copriv.Client(wrong)
        with pytest.raises(ValueError, match="HOST:PORT"):
            copriv.Server("zoo:digits", listen=wrong)
    with pytest.raises(ValueError):
        copriv.Server("zoo:digits", stock=-1)
    with pytest.raises(ValueError):
        copriv.Server("zoo:digits", suite="none")


def test_another_suite(server):
    with pytest.raises(copriv.Error, match="insists"):
        copriv.Client(server.address, suite="cryptflow2")
    with pytest.raises(ValueError, match="suite"):
        copriv.Client(server.address, suite="none")
    copriv.Client(server.address, suite="best").close()


@pytest.fixture
def silent():
    """The address of somebody who accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_silent_server(silent):
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        copriv.Client(silent, timeout=0.3)
    assert time.monotonic() - begun < 10


def test_strangers(server):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            stranger, _ = listener.accept()
            with stranger:
                stranger.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
                stranger.recv(1000)

        address = f"127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(copriv.Error, match="no copriv"):
            copriv.Client(address)
        thread.join()
    failures = server.counts["failures"]
    host, port = server.address.split(":")
    with socket.create_connection((host, int(port))) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
        wait_for(lambda: server.counts["failures"] > failures)
    assert "no copriv" in server.failures[-1]
    copriv.Client(server.address).close()


def test_a_server_that_leaves(noise):
    server = copriv.Server("zoo:resnet18-cifar100")
    server.start()
    client = copriv.Client(server.address)
    timer = threading.Timer(0.5, server.close)
    timer.start()
    with pytest.raises(ConnectionError):
        client.infer(noise)
    with pytest.raises(copriv.Error, match="over"):
        client.infer(noise)
    timer.join()


def test_a_client_closed_by_another_thread(noise):
    with copriv.Server("zoo:resnet18-cifar100") as server:
        client = copriv.Client(server.address)
        timer = threading.Timer(0.5, client.close)
        timer.start()
        with pytest.raises((ConnectionError, copriv.Error)):
            client.infer(noise)
        timer.join()


@pytest.fixture
def interrupt():
    """Ctrl-C, soon. What a shell runs in its background ignores it; here it must not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    yield timer
    timer.join()
    signal.signal(signal.SIGINT, before)


def test_interrupted_serving(interrupt):
    server = copriv.Server("zoo:digits")
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupt.start()
        server.serve()
    assert time.monotonic() - begun < 10
    with pytest.raises(copriv.Error, match="closed"):
        server.serve()


def test_interrupted_run(interrupt, noise):
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupt.start()
        copriv.run("zoo:resnet18-cifar100", noise)
    # The whole of it takes far longer.
    assert time.monotonic() - begun < 10


def test_interrupted_inference(interrupt, noise):
    with copriv.Server("zoo:resnet18-cifar100") as server, copriv.Client(server.address) as client:
        with pytest.raises(KeyboardInterrupt):
            interrupt.start()
            client.infer(noise)
        with pytest.raises(copriv.Error, match="over"):
            client.infer(noise)


def test_interrupted_connecting(interrupt, silent):
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupt.start()
        copriv.Client(silent, timeout=60)
    assert time.monotonic() - begun < 10
