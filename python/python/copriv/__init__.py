"""Private neural-network inference between two parties.

A server owns a trained network, a client owns a picture. The client learns the prediction, the server learns nothing
about the picture, and the client nothing about the weights beyond the prediction.

``plan`` says what an inference will put on the wire, ``run`` has both parties in this process, ``Server`` and
``Client`` are the two parties over TCP. A network is ``"zoo:NAME"`` (``zoo`` lists the names) or the path of an
``.onnx`` file.

Wrong arguments raise ``ValueError`` or ``TypeError``, files and connections ``OSError`` or the subclass that fits
(``FileNotFoundError``, ``ConnectionError``, ``TimeoutError``), everything else ``Error``. Long work lets other threads
run Python, and Ctrl-C ends it at the next message between the parties.
"""

from ._client import Client
from ._costs import Layer, LayerReport, PhaseCost, Plan, Report
from ._functions import Result, digits, evaluate, plan, run, zoo
from ._native import Error
from ._server import Server

__all__ = [
    "Client",
    "Error",
    "Layer",
    "LayerReport",
    "PhaseCost",
    "Plan",
    "Report",
    "Result",
    "Server",
    "digits",
    "evaluate",
    "plan",
    "run",
    "zoo",
]
