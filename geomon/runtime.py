"""`configure()`: the only place where things are wired together."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Any

from geomon import dispatch, losses, settings
from geomon.call import Call
from geomon.settings import Buckets, Settings
from geomon.sinks.recent import RecentCalls

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from geomon import logs
    from geomon.alerts import Alert, AlertManager, Notifier
    from geomon.alerts.given import Rules
    from geomon.health import ActiveUsers, HealthOptions, SystemGauges

_configured: dispatch.Pipeline = dispatch.OFF  # what configure() or the first call put in force
_logs: logs.Pipeline | None = None  # what configure() set up
_alerts: AlertManager | None = None
_registry: CollectorRegistry | None = None  # where the metrics go
_gauges: SystemGauges | None = None


class Handle:
    """What `configure()` gives; a with-block closes it."""

    def __init__(
        self,
        pipeline: dispatch.Pipeline,
        chosen: Settings,
        recent: RecentCalls | None = None,
        log_pipeline: logs.Pipeline | None = None,
        manager: AlertManager | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._recent = recent
        self._logs = log_pipeline
        self.alerts = manager
        """What evaluates the rules; None while geomon is disabled."""
        self.settings = chosen
        """The settings in force."""

    @property
    def recent(self) -> list[Call]:
        """The last 1,000 calls, oldest first."""
        dispatch.settle()
        return self._recent.calls() if self._recent is not None else []

    def close(self) -> None:
        """Ends this configuration: calls that begin from now on go nowhere. Can be repeated.

        Calls that are open now are handed to its sinks at their end, closed ones included. What
        fires then is told nobody as resolved: a state file carries it on.
        """
        global _alerts
        dispatch.settle()
        if dispatch.pipeline is self._pipeline:
            dispatch.install(dispatch.OFF)
        _close(self._pipeline)
        for part in (self.alerts, self._logs):
            if part is not None:
                part.close()
        if _alerts is self.alerts:
            _alerts = None
        _close_health(self._pipeline)

    def __enter__(self) -> Handle:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def configure(
    *,
    service: str | None = None,
    level: int | str | None = None,
    console: bool | None = None,
    log_dir: str | os.PathLike[str] | None = None,
    registry: CollectorRegistry | None = None,
    namespace: str | None = None,
    sinks: Iterable[dispatch.Sink] = (),
    buckets: Buckets | None = None,
    prices: Mapping[str, Mapping[str, float]] | None = None,
    capture_content: bool | None = None,
    label_limit: int | None = None,
    rules: Rules | None = None,
    notifiers: Iterable[Notifier] = (),
    interval: float | None = None,
    state_path: str | os.PathLike[str] | None = None,
    health: HealthOptions | None = None,
) -> Handle:
    """Sets geomon up; again replaces the earlier set-up, and reuses its metrics.

    Where the registry is the same, the alerts of rules that are still the same go on.

    Arguments win over `GEOMON_*` variables (`GEOMON_SERVICE`, `GEOMON_LEVEL`, `GEOMON_CONSOLE`,
    `GEOMON_LOG_DIR`, `GEOMON_NAMESPACE`, `GEOMON_CAPTURE_CONTENT`, `GEOMON_LABEL_LIMIT`,
    `GEOMON_RULES`, `GEOMON_INTERVAL`, `GEOMON_STATE_PATH`), and those over defaults. A program that
    never calls it gets metrics and log records with the defaults at its first tracked call, no log
    handlers and no alerts.

    Args:
        service: The program's name, in every log record.
        level: The lowest level that is logged; `"INFO"`.
        console: Whether the program's log records go to standard error, readable on a terminal,
            else as JSON. Default: where the root logger has no handler, and not under pytest.
        log_dir: The directory of `app.json` and `error.json`; none: no files.
        registry: Where the metrics go; prometheus-client's default registry.
        namespace: Put before every metric name, for a registry where geomon's names are taken.
        sinks: Further callables that take each finished `Call`, in the calling thread.
        buckets: Upper bounds of the histograms, in seconds.
        prices: US dollars for a million tokens by model, before the prices of genai-prices:
            `{"gpt-4o": {"input": 2.5, "output": 10, "cached_input": 1.25, "cache_write": 2.5}}`.
        capture_content: Whether texts that may hold prompts are written (an exception's message).
        label_limit: How many values of (type, model), endpoint and host metrics tell apart.
        rules: Alert rules, or the name of a rule file; `[]`: none. Default: seven about AI calls,
            requests, memory and CPU, whose alerts go to the log only.
        notifiers: What takes alerts somewhere besides the log: `geomon.alerts.EmailNotifier(...)`,
            or any function of a list of alerts.
        interval: Seconds between two evaluations of the rules; 15. Under pytest they are evaluated
            by hand only: `handle.alerts.evaluate()`.
        state_path: A file that carries alerts over a restart; none: they start anew.
        health: Who sees how much of the health answers, and when `/health` is degraded.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: an argument or variable has a value that cannot be, or a metric's name is taken.
    """
    chosen = settings.chosen(
        service=service,
        level=level,
        console=console,
        log_dir=log_dir,
        namespace=namespace,
        buckets=buckets,
        prices=prices,
        capture_content=capture_content,
        label_limit=label_limit,
        rules=rules,
        notifiers=notifiers,
        interval=interval,
        state_path=state_path,
        health=_checked_health(health),
    )
    if registry is not None and not hasattr(type(registry), "register"):
        raise TypeError(f"registry={registry!r}: write registry=CollectorRegistry()")
    more = _checked_sinks(sinks)
    if dispatch.disabled:
        return Handle(dispatch.OFF, chosen)
    from geomon.health import ActiveUsers

    recent, users = RecentCalls(), ActiveUsers()
    manager = _manager(chosen, registry)
    pipeline = _pipeline(chosen, registry, [recent.keep, users, *more])
    global _configured, _logs, _registry
    _set_up_health(chosen, registry, users)
    earlier_logs, _logs = _logs, _set_up_logs(chosen)
    _replace_alerts(manager, registry)
    _registry = registry
    earlier, _configured = _configured, pipeline
    dispatch.install(pipeline)
    _close(earlier, kept=pipeline)
    if earlier_logs is not None:
        earlier_logs.close()
    if not settings.under_pytest:
        manager.start()
    return Handle(pipeline, chosen, recent, _logs, manager)


def registry() -> CollectorRegistry:
    """Where the metrics go: what `configure()` was given, else prometheus-client's default."""
    import prometheus_client

    return prometheus_client.REGISTRY if _registry is None else _registry


def _close_health(pipeline: dispatch.Pipeline) -> None:
    """Takes the gauges down, unless a later `configure()` has put up its own."""
    global _gauges
    if _gauges is not None and pipeline is _configured:
        from geomon import health

        health.install(None)
        _gauges.close()
        health.SYSTEM.close()
        _gauges = None


def _checked_health(options: HealthOptions | None) -> HealthOptions | None:
    if options is not None:
        from geomon.health import HealthOptions

        if not isinstance(options, HealthOptions):
            raise TypeError(f"health={options!r}: write health=HealthOptions(details=True)")
    return options


def _set_up_health(
    chosen: Settings, registry: CollectorRegistry | None, users: ActiveUsers
) -> None:
    """The gauges of memory, CPU and users, and the report that the endpoints ask."""
    from geomon import health

    global _gauges
    options = chosen.health or health.HealthOptions()
    if options.details and options.redact is None:
        from geomon.logs.cleaning import cleaned

        options = replace(options, redact=cleaned)
    gauges = health.SystemGauges(registry, chosen.namespace, users=users)
    alerts = _alerts_now if options.alerts else None
    health.install(health.Report(registry, chosen.namespace, options, gauges=gauges, alerts=alerts))
    earlier, _gauges = _gauges, gauges
    if earlier is not None:
        earlier.close()


def _alerts_now() -> list[Alert]:
    return [] if _alerts is None else _alerts.alerts


def _manager(chosen: Settings, registry: CollectorRegistry | None) -> AlertManager:
    """What evaluates the rules; not started yet."""
    from geomon.alerts import AlertManager

    manager = AlertManager(
        chosen.rules,
        chosen.notifiers,
        chosen.interval,
        registry,
        chosen.state_path,
        namespace=chosen.namespace,
    )
    if not chosen.prices and find_spec("genai_prices") is None and manager.needs_prices:
        raise ValueError(
            "a rule about spend, and no prices: write configure(prices={...}), or install them: "
            'pip install "geomon[prices]"'
        )
    return manager


def _replace_alerts(manager: AlertManager, registry: CollectorRegistry | None) -> None:
    """Ends the earlier manager before the new one looks at what was saved."""
    global _alerts
    earlier, _alerts = _alerts, manager
    if earlier is not None and registry is _registry:
        manager.take_over(earlier)
    elif earlier is not None:
        earlier.close()


def _set_up_logs(chosen: Settings) -> logs.Pipeline | None:
    """The log set-up that is asked for; none of the program's own is doubled."""
    console = chosen.console
    if console is None:
        console = not (settings.under_pytest or _has_handlers(logging.getLogger()))
    if not console and chosen.log_dir is None:
        return None
    from geomon.logs import setup

    return setup(
        log_dir=chosen.log_dir,
        console=console,
        service=chosen.service,
        console_level=chosen.level,
        file_level=chosen.level,
        capture_content=chosen.capture_content,
    )


def _has_handlers(root: logging.Logger) -> bool:
    """Whether the program has set its logging up, apart from an earlier `configure()`."""
    own = _logs.handler if _logs is not None else None
    return any(handler is not own for handler in root.handlers)


def _checked_sinks(sinks: Iterable[dispatch.Sink]) -> list[dispatch.Sink]:
    if callable(sinks) or not isinstance(sinks, Iterable):
        raise TypeError(f"configure(sinks=[...]) takes a list of callables, not {sinks!r}")
    checked = list(sinks)
    for sink in checked:
        dispatch.check_sink(sink)
    return checked


def _pipeline(
    chosen: Settings,
    registry: CollectorRegistry | None,
    more: list[dispatch.Sink],
    check: bool = True,
) -> dispatch.Pipeline:
    from geomon.sinks.log import LogSink
    from geomon.sinks.prometheus import PrometheusSink
    from geomon.usage import PriceBook

    cost = PriceBook(chosen.prices).cost
    metrics = PrometheusSink(registry, chosen.namespace, chosen.buckets, chosen.label_limit, check)
    sinks: list[dispatch.Sink] = [metrics, LogSink(chosen.capture_content), *more]
    return dispatch.Pipeline(sinks, cost)


def _close(pipeline: dispatch.Pipeline, kept: dispatch.Pipeline = dispatch.OFF) -> None:
    if pipeline.closed or pipeline is dispatch.OFF:
        return
    pipeline.closed = True
    for sink in pipeline.sinks:
        close: Any = getattr(sink, "close", None)
        if callable(close) and not any(sink is other for other in kept.sinks):
            try:
                close()
            except Exception as error:
                losses.failed("sink", "close_failed", error, dispatch.name_of(sink))


def _default_pipeline() -> dispatch.Pipeline:
    """The set-up of a program that never called `configure()`; what fails leaves the rest."""
    global _configured
    try:
        _configured = _pipeline(settings.chosen(), None, [], check=False)
    except ValueError as error:
        losses.failed("metrics", "setup_failed", error, str(error))
        from geomon.sinks.log import LogSink

        _configured = dispatch.Pipeline([LogSink()])
    return _configured


dispatch.set_default(_default_pipeline)
