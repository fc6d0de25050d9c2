"""HTTP to an API server: authentication, time limits, bounded answers, and foreign errors translated once.

Stage: observe and apply (effect). The official client's `ApiClient` holds address, TLS and credentials;
bodies go past its models: those are slow, and they return None for an apply that creates (201).
"""

from __future__ import annotations

import random
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import aiohttp
import anyio
import orjson
import structlog

from gitmesh.kube.errors import ClusterError
from gitmesh.kube.fence import Fence, FencedError
from gitmesh.kube.status import error_of
from gitmesh.plan.masking import blotted, secrets_in

ANSWER_BYTES_MAX = 268_435_456  # one page of a listing
LINE_BYTES_MAX = 16_777_216  # one event of a watch; etcd keeps an object below 1.5 MiB
ERROR_BYTES_MAX = 1_048_576
ATTEMPTS_MAX = 10  # of one request, when the server says when to come again; as client-go does
WARNINGS_MAX = 256
WARNING_CHARS_MAX = 500

_log = structlog.get_logger("gitmesh.kube")


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `doing` is for people: what is asked about which object."""

    doing: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    content_type: str = "application/json"

    @property
    def may_come_late(self) -> bool:
        """True for a write that the server would carry out at any time: it names no version of its object."""
        if self.method not in ("PATCH", "DELETE") or "dryRun" in self.query or "/events/" in self.path:
            return False
        body = self.body or {}
        named = body.get("preconditions") or body.get("metadata") or {}
        return not named.get("resourceVersion")

    @property
    def verb(self) -> str:
        """One word for what is asked, out of a few."""
        word = self.doing.partition(" ")[0]
        return "status" if word == "write" else word


class Transport:
    """Sends calls through one `kubernetes.aio` ApiClient; writes only as far as a fence lets them."""

    def __init__(self, api: Any, *, timeout: timedelta, fence: Fence | None = None) -> None:
        self._api = api
        self._fence = fence
        self._timeout = timeout.total_seconds()
        self._warned: OrderedDict[str, None] = OrderedDict()
        self.around: Callable[[Call], AbstractContextManager[None]] = lambda call: nullcontext()

    def limit(self, timeout: timedelta) -> None:
        """Wait so long for answers from now on."""
        self._timeout = timeout.total_seconds()

    @property
    def address(self) -> str:
        """Where the API server is."""
        return str(self._api.configuration.host)

    async def send(self, call: Call) -> dict[str, Any]:
        """Send one request and return the JSON object of the answer. Raises ClusterError."""
        with self.around(call), self._translated(call):
            seconds = self._seconds(call)
            end = anyio.current_time() + seconds
            with anyio.fail_after(seconds):
                for left in reversed(range(ATTEMPTS_MAX)):
                    response = await self._first_word(call, seconds)
                    async with response:
                        wait = _asked_to_wait(response)
                        if not left or wait is None or anyio.current_time() + wait >= end:
                            return await self._answer(call, response)
                    await anyio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    async def lines(self, call: Call, *, seconds: float) -> AsyncIterator[bytes]:
        """Yield the lines of a streamed answer; an empty first one says that the stream stands.

        `seconds` is how long the server was asked to stream; a stream that outlives it is cut.
        """
        whole = aiohttp.ClientTimeout(total=seconds + self._timeout, sock_connect=self._timeout)
        with self._translated(call):
            with self.around(call), anyio.fail_after(self._timeout):
                response = await self._open(call, whole)
            async with response:
                if response.status != 200:
                    await self._answer(call, response)
                yield b""
                async for line in _split(call, response.content):
                    yield line

    async def close(self) -> None:
        """Close every connection."""
        await self._api.close()
        connector = (self._api.configuration.client_session_kwargs or {}).get("connector")
        if connector is not None:
            await connector.close()

    def _seconds(self, call: Call) -> float:
        """Return how long a call may take. Raises FencedError for a write that must not be sent any more."""
        if self._fence is None or call.method == "GET":
            return self._timeout
        return min(self._timeout, self._fence.permit())

    async def _first_word(self, call: Call, seconds: float) -> aiohttp.ClientResponse:
        """Send a call and wait until the answer begins; note it where none does."""
        try:
            return await self._open(call, aiohttp.ClientTimeout(total=seconds))
        except FencedError:
            raise
        except BaseException:
            if self._fence is not None and call.may_come_late:
                self._fence.unanswered()
            raise

    async def _open(self, call: Call, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        api = self._api
        auth = list(await api.configuration.auth_settings())
        method, url, headers, _, _ = await api.param_serialize(
            call.method,
            call.path,
            query_params=list(call.query.items()),
            header_params={"Accept": "application/json", "Content-Type": call.content_type},
            auth_settings=auth,
        )
        self._seconds(call)  # once more: what came before may have waited, or been frozen
        answer = await api.call_api(method, url, headers, call.body, _request_timeout=timeout)
        response: aiohttp.ClientResponse = answer.response
        self._tell_warnings(call, response)
        return response

    async def _answer(self, call: Call, response: aiohttp.ClientResponse) -> dict[str, Any]:
        limit = ANSWER_BYTES_MAX if response.status < 300 else ERROR_BYTES_MAX
        raw = await _read(call, response, limit)
        try:
            answer = orjson.loads(raw) if raw else None
        except orjson.JSONDecodeError:
            answer = None
        if response.status >= 300:
            raise error_of(self._where(call), response.status, response.reason or "", answer, call.body)
        if not isinstance(answer, dict):
            raise ClusterError(
                f"{self._where(call)}: the answer is no JSON object; is this address an API server?",
                retryable=True,
                status=response.status,
            )
        return answer

    def _tell_warnings(self, call: Call, response: aiohttp.ClientResponse) -> None:
        for header in response.headers.getall("Warning", []):
            text = blotted(_warning_text(header), secrets_in(call.body))
            if not text or text in self._warned:
                continue
            self._warned[text] = None
            if len(self._warned) > WARNINGS_MAX:
                self._warned.popitem(last=False)
            _log.warning("the API server warns", warning=text)

    def _where(self, call: Call) -> str:
        return f"{call.doing} at {self.address}"

    @contextmanager
    def _translated(self, call: Call) -> Iterator[None]:
        try:
            yield
        except (ClusterError, GeneratorExit):
            raise
        except Exception as error:
            raise _foreign(self._where(call), error, self._timeout) from error


def _foreign(where: str, error: Exception, timeout: float) -> ClusterError:
    """Translate what aiohttp, the official client and the system raise."""
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return ClusterError(
            f"{where}: TLS failed: {_brief(error)}; check the server's name and certificates",
            retryable=False,
        )
    if isinstance(error, TimeoutError):
        return ClusterError(
            f"{where}: no answer within {timeout:g} s; is the server overloaded?", retryable=True
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return ClusterError(
            f"{where}: cannot connect: {_brief(error.os_error)}; is the API server running?", retryable=True
        )
    if isinstance(error, aiohttp.InvalidURL):
        return ClusterError(f"{where}: this is no address; check the kubeconfig's server", retryable=False)
    if isinstance(error, aiohttp.ClientError | OSError):
        return ClusterError(f"{where}: the connection broke: {_brief(error)}", retryable=True)
    # The official client's own checks and its credential plugins end here.
    return ClusterError(f"{where}: {type(error).__name__}: {_brief(error)}", retryable=False)


def _brief(error: BaseException) -> str:
    return str(error)[:300] or type(error).__name__


def _asked_to_wait(response: aiohttp.ClientResponse) -> float | None:
    """Return after how many seconds the server wants the same request again; None when it does not say.

    Source: client-go, rest/with_retry.go: 429, and 5xx, with a Retry-After in whole seconds. Somewhat later,
    so that not all who were sent away come back in one moment.
    """
    if response.status != 429 and response.status < 500:
        return None
    said = response.headers.get("Retry-After", "")
    if not said.isdecimal() or len(said) > 6:
        return None
    return int(said) * (1 + 0.1 * random.random())  # noqa: S311 (spreading, no secret)


async def _read(call: Call, response: aiohttp.ClientResponse, limit: int) -> bytes:
    parts = bytearray()
    async for chunk in response.content.iter_any():
        parts += chunk
        if len(parts) > limit:
            raise ClusterError(
                f"{call.doing}: the answer is above {limit} bytes; it was not read", retryable=True
            )
    return bytes(parts)


async def _split(call: Call, content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield whole lines; the last one counts only with its line end, else it was cut off."""
    rest = bytearray()
    async for chunk in content.iter_any():
        rest += chunk
        if b"\n" in chunk:
            *lines, tail = bytes(rest).split(b"\n")
            rest = bytearray(tail)
            for line in lines:
                if line.strip():
                    yield line
        if len(rest) > LINE_BYTES_MAX:
            raise ClusterError(
                f"{call.doing}: an event is above {LINE_BYTES_MAX} bytes; it was not read", retryable=True
            )


def _warning_text(header: str) -> str:
    """Return the text of a header like `299 - "text"`. Source: RFC 7234, section 5.5."""
    code, _, rest = header.partition(" ")
    if code != "299":
        return ""
    text = rest.partition(" ")[2].strip().strip('"').replace('\\"', '"')
    return text[:WARNING_CHARS_MAX]
