"""What an inference costs: predicted (``Plan``) and counted (``Report``)."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class PhaseCost:
    """Bytes each way and rounds of one phase. A round is a wait of the client for the server after sending."""

    bytes_to_client: int
    bytes_to_server: int
    rounds: int

    @property
    def bytes(self) -> int:
        """Of both directions."""
        return self.bytes_to_client + self.bytes_to_server

    @classmethod
    def _of(cls, raw: dict[str, int]) -> PhaseCost:
        return cls(raw["bytes_p0_to_p1"], raw["bytes_p1_to_p0"], raw["rounds"])


@dataclass(frozen=True)
class Layer:
    """One layer of a plan: set-up, a layer of the network, or the reveal of the result."""

    name: str
    #: setup, conv, linear, relu, relu_truncate, maxpool, ..., reveal.
    kind: str
    #: What runs it.
    protocol: str
    #: Before the input is there.
    preprocessing: PhaseCost
    #: With the input.
    online: PhaseCost
    #: One-way delays of the network in each phase (preprocessing, online) at most; two are a round trip.
    delays: tuple[int, int]


@dataclass(frozen=True)
class LayerReport:
    """One layer as it was counted, with wall-clock seconds at this party."""

    name: str
    kind: str
    preprocessing: PhaseCost
    online: PhaseCost
    preprocessing_seconds: float
    online_seconds: float


@dataclass(frozen=True)
class _Costs:
    """What plans and reports have in common. ``bytes`` and ``rounds`` are of both phases together."""

    preprocessing: PhaseCost
    online: PhaseCost
    _raw: dict[str, Any] = field(repr=False, compare=False)

    @property
    def bytes(self) -> int:
        """Of both phases and both directions."""
        return self.preprocessing.bytes + self.online.bytes

    @property
    def rounds(self) -> int:
        """Of both phases."""
        return self.preprocessing.rounds + self.online.rounds

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and lists: what the program ``copriv`` prints as JSON (p0 is the server, p1 the client)."""
        copy: dict[str, Any] = json.loads(json.dumps(self._raw))
        return copy

    def _title(self) -> str:
        raise NotImplementedError

    def _table(self) -> tuple[list[str], list[list[str]]]:
        raise NotImplementedError

    def __str__(self) -> str:
        heads, rows = self._table()
        widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]

        def line(row: Sequence[str]) -> str:
            cells = [cell.rjust(w) if _numeric(head) else cell.ljust(w) for cell, w, head in zip(row, widths, heads)]
            return "  ".join(cells).rstrip()

        rule = "  ".join("-" * w for w in widths)
        return "\n".join([self._title(), "", line(heads), rule, *map(line, rows[:-1]), rule, line(rows[-1])])

    def _repr_html_(self) -> str:
        heads, rows = self._table()

        def line(row: Sequence[str], tag: str) -> str:
            sides = ["right" if _numeric(head) else "left" for head in heads]
            cells = [f'<{tag} style="text-align:{s}">{html.escape(cell)}</{tag}>' for cell, s in zip(row, sides)]
            return f"<tr>{''.join(cells)}</tr>"

        body = "".join(line(row, "td") for row in rows[:-1])
        return (
            f"<table><caption>{html.escape(self._title())}</caption><thead>{line(heads, 'th')}</thead>"
            f"<tbody>{body}</tbody><tfoot>{line(rows[-1], 'th')}</tfoot></table>"
        )


@dataclass(frozen=True, repr=False)
class Plan(_Costs):
    """What an inference is predicted to put on the wire, exactly. ``print`` shows it as a table, notebooks too.

    ``bits`` are the ring's, ``frac`` of them fraction. ``layers`` are in the order of execution. ``preprocessing``
    needs no input; ``online`` is what somebody waits for.
    """

    model: str
    suite: str
    ot: str
    truncation: str
    relu_drop_bits: int
    bits: int
    frac: int
    layers: tuple[Layer, ...]

    @classmethod
    def _of(cls, raw: dict[str, Any]) -> Plan:
        def layer(raw: dict[str, Any]) -> Layer:
            phases = PhaseCost._of(raw["preprocessing"]), PhaseCost._of(raw["online"])
            delays = raw["delays"]["preprocessing"], raw["delays"]["online"]
            return Layer(raw["name"], raw["op"], raw["protocol"], *phases, delays)

        return cls(
            preprocessing=PhaseCost._of(raw["total"]["preprocessing"]),
            online=PhaseCost._of(raw["total"]["online"]),
            _raw=raw,
            **{key: raw[key] for key in ("model", "suite", "ot", "truncation", "relu_drop_bits", "bits", "frac")},
            layers=tuple(map(layer, raw["layers"])),
        )

    def latency(self, bits_per_second: float, round_trip: float) -> tuple[float, float]:
        """An estimate of the seconds that each phase (preprocessing, online) takes on a link, computation aside.

        Both directions share the bandwidth; ``round_trip`` is in seconds.
        """
        if not (bits_per_second > 0 and round_trip >= 0):
            raise ValueError("a link has a bandwidth above 0 and a round trip of at least 0")
        delays = [sum(layer.delays[phase] for layer in self.layers) for phase in (0, 1)]
        costs = self.preprocessing, self.online
        before, online = (c.bytes * 8 / bits_per_second + d * round_trip / 2 for c, d in zip(costs, delays))
        return before, online

    def _title(self) -> str:
        return f"{self.model} under {self.suite}, {self.bits} bits, {self.frac} of them fraction"

    def _table(self) -> tuple[list[str], list[list[str]]]:
        heads = ["layer", "kind", "protocol", *_PHASES]
        rows = [[la.name, la.kind, la.protocol, *_phases(la.preprocessing, la.online)] for la in self.layers]
        return heads, [*rows, ["total", "", "", *_phases(self.preprocessing, self.online)]]

    def __repr__(self) -> str:
        return f"<copriv.Plan {self._title()}: {_total(self)}>"


@dataclass(frozen=True, repr=False)
class Report(_Costs):
    """What the channel counted at this party, in the shape of the plan, with wall-clock seconds."""

    layers: tuple[LayerReport, ...]
    preprocessing_seconds: float
    online_seconds: float

    @property
    def seconds(self) -> float:
        """Of both phases."""
        return self.preprocessing_seconds + self.online_seconds

    @classmethod
    def _of(cls, raw: dict[str, Any]) -> Report:
        def layer(raw: dict[str, Any]) -> LayerReport:
            phases = PhaseCost._of(raw["preprocessing"]), PhaseCost._of(raw["online"])
            return LayerReport(raw["name"], raw["op"], *phases, raw["preprocessing_seconds"], raw["online_seconds"])

        return cls(
            preprocessing=PhaseCost._of(raw["total"]["preprocessing"]),
            online=PhaseCost._of(raw["total"]["online"]),
            _raw=raw,
            layers=tuple(map(layer, raw["layers"])),
            preprocessing_seconds=raw["preprocessing_seconds"],
            online_seconds=raw["online_seconds"],
        )

    def _title(self) -> str:
        return f"{self.preprocessing_seconds:.3f} s before, {self.online_seconds:.3f} s online"

    def _table(self) -> tuple[list[str], list[list[str]]]:
        heads = ["layer", "kind", *_PHASES, "before: ms", "online: ms"]

        def row(name: str, kind: str, of: Any) -> list[str]:
            times = [f"{1e3 * s:,.1f}" for s in (of.preprocessing_seconds, of.online_seconds)]
            return [name, kind, *_phases(of.preprocessing, of.online), *times]

        return heads, [*(row(la.name, la.kind, la) for la in self.layers), row("total", "", self)]

    def __repr__(self) -> str:
        return f"<copriv.Report {_total(self)}, {self._title()}>"


_PHASES = ["before: bytes", "rounds", "online: bytes", "rounds"]


def _numeric(head: str) -> bool:
    return head not in ("layer", "kind", "protocol")


def _phases(*phases: PhaseCost) -> list[str]:
    return [f"{n:,}" for p in phases for n in (p.bytes, p.rounds)]


def _total(of: _Costs) -> str:
    before, online = of.preprocessing, of.online
    return (
        f"{before.bytes:,} bytes in {before.rounds} rounds before, "
        f"{online.bytes:,} bytes in {online.rounds} rounds online"
    )
