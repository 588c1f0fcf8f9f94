"""Other threads run Python meanwhile."""

import threading
import time

import copriv


def steps(work):
    """How many steps of a millisecond another thread makes while ``work`` runs."""
    times, done = [], threading.Event()

    def step():
        while not done.is_set():
            times.append(time.monotonic())
            time.sleep(0.001)

    thread = threading.Thread(target=step)
    thread.start()
    begun = time.monotonic()
    work()
    ended = time.monotonic()
    done.set()
    thread.join()
    return sum(begun < t < ended for t in times)


def test_both_parties(picture):
    assert steps(lambda: copriv.run("zoo:digits", picture)) > 10


def test_a_client(picture):
    with copriv.Server("zoo:digits") as server, copriv.Client(server.address) as client:
        assert steps(lambda: client.infer(picture)) > 10


def test_a_plan():
    assert steps(lambda: copriv.plan("zoo:resnet18-tinyimagenet")) > 10


def test_a_server(picture):
    server = copriv.Server("zoo:digits")
    clients = threading.Thread(target=lambda: copriv.Client(server.address).infer(picture))
    clients.start()
    assert steps(lambda: server.serve(1)) > 10
    clients.join()
