"""An outage, as the people see it who are told: an alert goes pending, firing and resolved.

    python examples/outage.py

The official client calls a server on this machine, which fails for a while and recovers. A rule
watches the ratio of errors; what fires and resolves goes to a webhook, also on this machine, in the
form that Alertmanager's receivers take. Exits with 1 if a state is missing.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
from prometheus_client import CollectorRegistry
from provider_server import ProviderServer

import geomon
from geomon.alerts import WebhookNotifier, error_ratio_above

PATIENCE = 60.0  # seconds until the outage's end is given up


class Receiver(ThreadingHTTPServer):
    """A webhook that keeps what it is sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.messages: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/alerts"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.messages.append(json.loads(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the messages are shown."""


class Outage:
    """The program that is watched, and what happens to its alert.

    Attributes:
        states: The states of the alert, each with the seconds since the start.
        messages: What the webhook was sent.
    """

    def __init__(self) -> None:
        self.states: list[tuple[float, str]] = []
        self.messages: list[dict[str, Any]] = []

    def run(self) -> Outage:
        """Make calls; they fail until the alert fires, then go well until it is resolved."""
        rule = error_ratio_above(0.5, window="4s", min_calls=5, for_="2s", type="answer")
        with (
            ProviderServer() as server,
            Receiver() as receiver,
            openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client,
            geomon.configure(
                registry=CollectorRegistry(),
                rules=[rule],
                notifiers=[WebhookNotifier(receiver.url)],
                interval=1,
                console=False,
            ) as handle,
        ):
            start = time.monotonic()
            while time.monotonic() - start < PATIENCE and len(receiver.messages) < 2:
                self._call(client, "ok" if receiver.messages else "server-error")
                self._look(handle, time.monotonic() - start)
                time.sleep(0.02)
            self._look(handle, time.monotonic() - start)
            self.messages = receiver.messages
        return self

    @staticmethod
    @geomon.track_ai("answer", model="gpt-4o-mini")
    def _answer(client: openai.OpenAI, scenario: str) -> Any:
        return client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "hello"}],
            extra_headers={"x-scenario": scenario},
        )

    def _call(self, client: openai.OpenAI, scenario: str) -> None:
        with suppress(openai.APIError):
            self._answer(client, scenario)

    def _look(self, handle: geomon.Handle, at: float) -> None:
        alerts = handle.alerts.alerts if handle.alerts is not None else []
        ended = bool(self.states) and self.states[-1][1] in ("firing", "resolved")
        state = alerts[0].state if alerts else "resolved" if ended else "inactive"
        if not self.states or self.states[-1][1] != state:
            self.states.append((at, state))

    @property
    def is_whole(self) -> bool:
        """Whether every state was there, and both messages came."""
        states = [state for _, state in self.states]
        told = [message["status"] for message in self.messages]
        return states == ["inactive", "pending", "firing", "resolved"] and told == [
            "firing",
            "resolved",
        ]


def main() -> int:
    """Show an outage."""
    print("The provider fails, until the alert fires; then it recovers.")
    outage = Outage().run()
    for at, state in outage.states:
        print(f"  {at:5.1f} s  {state}")
    for message in outage.messages:
        print(f"\nSent to the webhook ({message['status']}):")
        print(json.dumps(message, indent=2))
    return 0 if outage.is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
