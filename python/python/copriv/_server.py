"""The party with the weights."""

from __future__ import annotations

from types import TracebackType
from typing import Optional

from . import _native
from ._arguments import File, Model, at_least, options, path


class Server:
    """Serves private inferences over TCP.

    Secret: the weights. Clients learn the architecture (layers, shapes, bit widths) and, for each of their inputs, what
    ``reveal`` says; the server learns nothing of inputs and outputs. The connection itself is not protected: put it
    behind a tunnel. Four clients are served at a time, others wait.

    As a context manager it serves on threads of its own until the block ends::

        with copriv.Server("zoo:digits") as server:
            client = copriv.Client(server.address)

    Args:
        listen: ``"HOST:PORT"``; port 0 takes any free one, see ``address``.
        store: a file to keep what clients preprocess; it is made where it is not there. Never copy it: each entry must
            serve once.
        stock: the most entries that clients can make it keep.
        timeout: seconds without a byte after which a client is given up.

    All others, and what is raised, as in ``plan``. It listens at once and serves from ``start`` or ``serve`` on.
    """

    def __init__(
        self,
        model: Model,
        *,
        weights: Optional[File] = None,
        suite: str = "best",
        ot: str = "silent",
        bits: Optional[int] = None,
        frac: Optional[int] = None,
        reveal: str = "logits",
        truncation: str = "exact",
        relu_drop_bits: int = 0,
        listen: str = "127.0.0.1:0",
        store: Optional[File] = None,
        stock: int = 100,
        timeout: float = 60.0,
    ) -> None:
        asked = options(model, weights, suite, ot, bits, frac, reveal, truncation, relu_drop_bits)
        self._native = _native.Server(asked, listen, path(store), at_least(0, "stock", stock), float(timeout))

    @property
    def address(self) -> str:
        """Where it listens, ``"HOST:PORT"``."""
        return self._native.address

    def serve(self, sessions: Optional[int] = None) -> None:
        """Serves here until ``sessions`` clients have come and left, for ever without a number.

        A client that errs, leaves or falls silent ends its own session only, see ``failures``. Ctrl-C closes the
        server.

        Raises:
            Error: when the server is serving already, or closed.
        """
        self._native.serve(None if sessions is None else at_least(0, "sessions", sessions))

    def start(self) -> None:
        """Serves on threads of its own until ``close``.

        Raises:
            Error: when the server is serving already, or closed.
        """
        self._native.start()

    def close(self) -> None:
        """Ends all sessions, stops listening, and returns when that is done. A second time it does nothing."""
        self._native.close()

    @property
    def counts(self) -> dict[str, int]:
        """``sessions``, ``inferences``, ``preprocessings`` and ``failures`` so far."""
        return self._native.counts()

    @property
    def failures(self) -> list[str]:
        """Why sessions failed, the last hundred."""
        return self._native.failures()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<copriv.Server at {self.address}>"
