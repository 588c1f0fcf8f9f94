"""The party with the input."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Optional

from numpy.typing import ArrayLike

from . import _native
from ._arguments import File, at_least, floats, path
from ._costs import Plan, Report
from ._functions import Result, result


class Client:
    """A session with a server. It needs no model: the server tells the architecture.

    Secret: the inputs, and what the network says about them. Closed by ``close`` or as a context manager. Threads may
    share it; their calls go one after the other.

    Args:
        address: ``"HOST:PORT"`` of the server.
        store: a file of work done ahead by ``preprocess``; it is made where it is not there. Never copy it: each entry
            must serve once. One process has it open at a time.
        suite: refuse a server with other protocols.
        timeout: seconds without a byte after which the server is given up.

    Raises:
        ConnectionError, TimeoutError: when there is no server, or it leaves or falls silent.
        Error: when the other end is no copriv, or its offer is not acceptable.
    """

    def __init__(
        self,
        address: str,
        *,
        store: Optional[File] = None,
        suite: Optional[str] = None,
        timeout: float = 60.0,
    ) -> None:
        self._native = _native.Client(address, path(store), suite, float(timeout))
        offer = json.loads(self._native.offer())
        self._architecture: dict[str, Any] = offer["architecture"]
        self._settings: dict[str, Any] = offer["settings"]

    @property
    def architecture(self) -> dict[str, Any]:
        """The public half of the network: its name, width (bits of the ring), frac_bits and layers, as plain data."""
        return self._architecture

    @property
    def settings(self) -> dict[str, Any]:
        """What the server runs: suite, ot, reveal, truncation, relu_drop_bits."""
        return self._settings

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self._native.input_shape()
        return channels, height, width

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self._native.output_shape()
        return channels, height, width

    def plan(self, *, stored: bool = False) -> Plan:
        """What the next inference will put on the wire; ``stored`` where its preprocessing comes out of a store."""
        return Plan._of(json.loads(self._native.plan(stored)))

    def infer(self, input: ArrayLike, *, on_the_fly: bool = False) -> Result:
        """One private inference.

        Without a store all is done now. With one, an entry that the server has too is used up; where there is none,
        ``on_the_fly`` does all now.

        Args:
            input: floats of shape ``input_shape``, with a 1 before it or not, scaled as in training.

        Raises:
            ValueError: for an input that does not fit.
            ConnectionError, TimeoutError: when the server leaves or falls silent. The session is over then.
            Error: without an entry, after the session is over, or when the server departs from the protocol.
        """
        return result(self._native.infer(floats(input), bool(on_the_fly)))

    def preprocess(self, count: int = 1) -> list[Report]:
        """Does ahead, for the two stores, what ``count`` inferences do not need their inputs for; what each cost.

        Raises:
            ValueError: when this client has no store.
            Error: when the server has none or a full one, or the suite has nothing to do ahead.
        """
        return [Report._of(json.loads(self._native.preprocess())) for _ in range(at_least(1, "count", count))]

    def close(self) -> None:
        """Ends the session, also one that another thread is waiting in. A second time it does nothing."""
        self._native.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<copriv.Client of {self._native.address}>"
