"""The way to the system: a channel that shows a token with each call, and keeps to the published service configuration."""

import collections
import json
import os
import pathlib
from urllib.parse import urlsplit

import grpc

CONTRACTS = pathlib.Path(__file__).resolve().parents[3] / "proto"
SERVICE_CONFIGURATION = (CONTRACTS / "service-config.json").read_text(encoding="utf-8")
THIS_MACHINE = ("127.0.0.1", "::1", "localhost")


def opened(purpose):
    """The channel to the system that the environment names.

    ELDERCARE_CONNECTION is the file that `up` leaves in its data folder; without it ELDERCARE_ENDPOINT is the address and
    ELDERCARE_TOKEN the token. ELDERCARE_CA is a PEM file of the authority that signed the server's certificate; without it
    those count that the machine trusts.

    What for personal data are read goes along with each call, as the law wants it.
    """
    if file := os.environ.get("ELDERCARE_CONNECTION"):
        left = json.loads(pathlib.Path(file).read_text(encoding="utf-8"))
        endpoint, token = left["endpoint"], left["token"]
    else:
        endpoint, token = os.environ["ELDERCARE_ENDPOINT"], os.environ["ELDERCARE_TOKEN"]
    place = urlsplit(endpoint)
    # Timeouts, and which methods are called again by themselves, are the contract's and not for each program to find out.
    options = [("grpc.service_config", SERVICE_CONFIGURATION)]
    if place.scheme == "https":
        authority = os.environ.get("ELDERCARE_CA")
        roots = pathlib.Path(authority).read_bytes() if authority else None
        channel = grpc.secure_channel(place.netloc, grpc.ssl_channel_credentials(roots), options)
    elif place.hostname in THIS_MACHINE:
        channel = grpc.insecure_channel(place.netloc, options)
    else:
        raise ValueError("without TLS everybody on the way reads the token: give an address with https://")
    return grpc.intercept_channel(channel, _Shown(token, purpose))


class _Details(
    collections.namedtuple("_Details", ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression")),
    grpc.ClientCallDetails,
):
    """A call as gRPC lets it be changed."""


class _Shown(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Shows who calls, what for, and for how long the answer is waited for."""

    def __init__(self, token, purpose):
        self.shown = [("authorization", f"Bearer {token}"), ("eldercare-purpose", purpose)]
        self.timeouts = _timeouts()

    def intercept_unary_unary(self, proceed, call, request):
        # The library keeps a configured timeout to itself: the system would not know, and go by its own.
        timeout = self.timeouts.get(call.method) if call.timeout is None else call.timeout
        metadata = [*(call.metadata or ()), *self.shown]
        details = _Details(call.method, timeout, metadata, call.credentials, call.wait_for_ready, call.compression)
        return proceed(details, request)

    # Streams are begun in the same way.
    intercept_unary_stream = intercept_unary_unary
    intercept_stream_unary = intercept_unary_unary
    intercept_stream_stream = intercept_unary_unary


def _timeouts():
    """The published timeouts in seconds, by method."""
    configured = json.loads(SERVICE_CONFIGURATION)["methodConfig"]
    return {
        f"/{name['service']}/{name['method']}": float(methods["timeout"].removesuffix("s"))
        for methods in configured
        if "timeout" in methods
        for name in methods["name"]
    }
