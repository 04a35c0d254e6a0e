"""Logs in trouble: whatever fails, nothing hangs or raises, and what is lost is counted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.programs import PATIENCE, environment, messages, program, records, run, until

# --- disks and directories


def needs_mounts() -> list[str]:
    """The beginning of a command that may mount what nobody else sees."""
    command = ["unshare", "--mount"]
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    if subprocess.run(
        [*command, "mount", "-t", "tmpfs", "x", "/mnt"], capture_output=True
    ).returncode:
        pytest.skip("this container may not mount file systems")
    return command


def run_mounted(mount: str, code: str, cwd: Path) -> str:
    """What a program prints that runs after a shell command in a mount namespace of its own."""
    shell = ["sh", "-c", f'{mount} && exec "$@"', "sh"]
    done = subprocess.run(
        [*needs_mounts(), *shell, *program(code)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_full_disk_costs_counted_records_and_no_half_lines(tmp_path: Path) -> None:
    out = run_mounted(
        "mkdir logs && mount -t tmpfs -o size=64k none logs",
        """
        from pathlib import Path
        pipeline = setup(log_dir="logs", console=False, error_file=None)
        for number in range(1000):
            log.info("%d", number)
            if number % 100 == 0:
                pipeline.flush()
        pipeline.flush()
        lines = Path("logs/app.json").read_text().splitlines()
        [json.loads(line) for line in lines]
        print(json.dumps([len(lines), lost()]))
        """,
        tmp_path,
    )
    written, lost = json.loads(out)
    assert 200 < written < 1000
    # the warning that geomon lost something was lost too
    assert lost == {"not_written": 1001 - written}


def test_logging_goes_on_when_a_full_disk_has_room_again(tmp_path: Path) -> None:
    out = run_mounted(
        "mkdir logs && mount -t tmpfs -o size=64k none logs",
        """
        from pathlib import Path
        pipeline = setup(log_dir="logs", console=False, error_file=None)
        Path("logs/other").write_bytes(bytes(60_000))
        for number in range(1000):
            log.info("%d", number)
        pipeline.flush()
        before = lost()["not_written"]
        Path("logs/other").unlink()
        log.info("again")
        pipeline.flush()
        lines = Path("logs/app.json").read_text().splitlines()
        print(json.loads(lines[-1])["message"], lost()["not_written"] == before, before > 500)
        """,
        tmp_path,
    )
    assert out == "again True True\n"


def test_a_file_that_takes_nothing_costs_counted_records(tmp_path: Path) -> None:
    out = run(
        """
        os.mkdir("logs")
        os.symlink("/dev/full", "logs/app.json")
        pipeline = setup(log_dir="logs", console=False)
        for number in range(10):
            log.info("%d", number)
        pipeline.close()
        print(lost())
        """,
        tmp_path,
    )
    assert out == "{'not_written': 11}\n"  # with the warning that says so


def test_a_file_at_the_limit_of_the_process_costs_counted_records(tmp_path: Path) -> None:
    out = run(
        """
        import resource
        pipeline = setup(log_dir="logs", console=False, error_file=None)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
        for number in range(100):
            log.info("%d", number)
        pipeline.close()
        print(json.dumps(lost()))
        """,
        tmp_path,
    )
    written = len(records(tmp_path / "logs"))
    assert 30 < written < 100
    assert json.loads(out) == {"not_written": 101 - written}


def test_a_read_only_disk_costs_counted_records(tmp_path: Path) -> None:
    out = run_mounted(
        "mkdir logs && mount -t tmpfs -o ro none logs",
        """
        pipeline = setup(log_dir="logs", console=False, error_file=None)
        log.info("lost")
        print(pipeline.flush(), lost())
        pipeline.close()
        """,
        tmp_path,
    )
    assert out == "True {'not_written': 1}\n"


def test_the_console_says_once_that_files_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    out = run(
        """
        pipeline = setup(log_dir="file/logs", stream=sys.stdout, error_file=None)
        for number in range(3):
            log.info("%d", number)
            pipeline.flush()
        print(lost())
        """,
        tmp_path,
    )
    *lines, lost = out.splitlines()
    shown = [json.loads(line)["message"] for line in lines]
    assert [shown[0], *shown[-2:]] == ["0", "1", "2"]
    assert "geomon lost something (further ones are only counted): log records for" in shown[1]
    assert (len(shown), lost) == (4, "{'not_written': 4}")


def test_a_missing_directory_is_made(tmp_path: Path) -> None:
    run('setup(log_dir="a/b/c", console=False); log.info("x")', tmp_path)
    assert messages(tmp_path / "a" / "b" / "c") == ["x"]


def test_a_directory_that_is_removed_is_made_again(tmp_path: Path) -> None:
    run(
        """
        import shutil
        pipeline = setup(log_dir="logs", console=False)
        log.info("1")
        pipeline.flush()
        shutil.rmtree("logs")
        log.info("2")
        """,
        tmp_path,
    )
    assert messages(tmp_path / "logs") == ["2"]


# --- consoles


@pytest.mark.parametrize(
    "fault",
    [
        "sys.stderr.close()",
        "sys.stderr = None",
        "sys.stderr = 5",
        "os.close(2)",
        "sys.stderr.detach()",
    ],
)
def test_a_console_that_is_gone_costs_counted_records(tmp_path: Path, fault: str) -> None:
    out = run(
        f"""
        pipeline = setup(log_dir="logs")
        {fault}
        for number in range(3):
            log.info("%d", number)
        pipeline.flush()
        print(lost())
        sys.stdout.flush()
        os._exit(0)
        """,
        tmp_path,
    )
    assert messages(tmp_path / "logs")[:3] == ["0", "1", "2"]
    assert out in ("{'console_failed': 4}\n", "{'console_failed': 3}\n")


def test_a_broken_pipe_costs_the_program_nothing(tmp_path: Path) -> None:
    code = """
        pipeline = setup(log_dir="logs", error_file=None)
        for number in range(2000):
            log.info("%d", number)
            if number % 100 == 0:
                pipeline.flush()
        pipeline.flush()
        log.info("%s", lost())
        """
    done = subprocess.run(
        [
            "bash",
            "-c",
            '"$@" 2>&1 >/dev/null | head -1; exit ${PIPESTATUS[0]}',
            "bash",
            *program(code),
        ],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["message"] == "0"
    *written, lost = messages(tmp_path / "logs")
    assert [message for message in written if message.isdigit()] == [str(n) for n in range(2000)]
    assert "console_failed" in lost


STUCK = """
pipeline = setup({arguments})
for number in range(5000):
    log.info("%d", number)
before = time.monotonic()
print("done", lost().get("queue_full", 0), flush=True)
"""


@pytest.mark.parametrize("arguments", ['log_dir="logs"', 'log_dir="logs", full="drop"'])
def test_a_console_that_nobody_reads_holds_up_neither_files_nor_the_end(
    tmp_path: Path, arguments: str
) -> None:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        program(STUCK.format(arguments=arguments)),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=writing,
        text=True,
    )
    try:
        out, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
        os.close(writing)
        os.close(reading)
    assert (process.returncode, out) == (0, "done 0\n")
    found = [message for message in messages(tmp_path / "logs") if message.isdigit()]
    assert found == [str(number) for number in range(5000)]


class_of_streams = """
class Stream:
    def __init__(self, error): self.error = error
    def write(self, text): raise self.error
    def flush(self): pass
"""


@pytest.mark.parametrize(
    "error", ["OSError()", "ZeroDivisionError()", "SystemExit()", "KeyboardInterrupt()"]
)
def test_a_stream_that_raises_costs_the_files_nothing(tmp_path: Path, error: str) -> None:
    out = run(
        class_of_streams
        + f"""
pipeline = setup(log_dir="logs", stream=Stream({error}))
log.info("1")
pipeline.flush()
log.info("2")
pipeline.flush()
print(sum(lost().values()))
""",
        tmp_path,
    )
    said, *_ = (message for message in messages(tmp_path / "logs") if not message.isdigit())
    assert "geomon lost something" in said
    assert [message for message in messages(tmp_path / "logs") if message.isdigit()] == ["1", "2"]
    assert out == "3\n"


@pytest.mark.parametrize("error", ["BrokenPipeError()", "ValueError()"])
@pytest.mark.parametrize("formatter", ["geomon.logs.JSONFormatter", "logging.Formatter"])
def test_a_stream_that_raises_shows_nothing_of_a_record(
    tmp_path: Path, error: str, formatter: str
) -> None:
    out = run(
        class_of_streams
        + f"""
import logging.config
console = {{"class": "geomon.logs.ConsoleHandler", "formatter": "own", "stream": Stream({error})}}
logging.config.dictConfig({{
    "version": 1,
    "formatters": {{"own": {{"()": "{formatter}"}}}},
    "handlers": {{"console": console}},
    "root": {{"level": "INFO", "handlers": ["console"]}},
    "disable_existing_loggers": False,
}})
log.info("password=%s", "hunter2")
logging.getLogger().handlers[0].flush()
print(lost()["console_failed"])
""",
        tmp_path,
    )
    assert out in ("1\n", "2\n")  # the warning that says so may be lost too


# --- records made by what makes or writes records


LOGS_ITSELF = """
calls = 0
class Itself:
    def __str__(self):
        global calls
        calls += 1
        for _ in range(TIMES):
            log.info("%s", self)
        return "itself"
"""


@pytest.mark.parametrize("times", [1, 2, 5])
def test_an_object_whose_str_logs_itself_ends(tmp_path: Path, times: int) -> None:
    out = run(
        LOGS_ITSELF.replace("TIMES", str(times))
        + """
from geomon.logs import FileHandler
pipeline = setup(log_dir="logs", console=False)
more = [FileHandler(f"{n}.json") for n in range(3)]
for handler in more:
    logging.getLogger().addHandler(handler)
log.info("%s", Itself())
for handler in more:
    handler.flush()
print(json.dumps([calls, lost()]))
""",
        tmp_path,
    )
    calls, lost = json.loads(out)
    assert calls <= 4 * (1 + 4 * times + (4 * times) ** 2)
    assert lost["recursion"] > 0
    assert set(messages(tmp_path / "logs")) == {"itself"}


def test_a_filter_that_logs_ends(tmp_path: Path) -> None:
    out = run(
        """
        class Filter(logging.Filter):
            def filter(self, record):
                log.info("from the filter")
                log.info("and again")
                return True
        pipeline = setup(log_dir="logs", console=False)
        pipeline.handler.addFilter(Filter())
        log.info("1")
        print(lost())
        """,
        tmp_path,
    )
    assert Counter(messages(tmp_path / "logs")) == {"1": 1, "from the filter": 3, "and again": 3}
    assert out == "{'recursion': 8}\n"


def test_a_handler_of_the_programs_own_that_logs_ends(tmp_path: Path) -> None:
    out = run(
        """
        class Handler(logging.Handler):
            def emit(self, record):
                if record.name == "app":
                    logging.getLogger("other").info("seen %s", record.getMessage())
        pipeline = setup(log_dir="logs", console=False)
        logging.getLogger().addHandler(Handler())
        for number in range(3):
            log.info("%d", number)
        print(lost())
        """,
        tmp_path,
    )
    assert messages(tmp_path / "logs") == ["0", "seen 0", "1", "seen 1", "2", "seen 2"]
    assert out == "{}\n"


def test_a_stream_that_logs_does_not_feed_itself(tmp_path: Path) -> None:
    out = run(
        """
        class Stream:
            def write(self, text): log.info("sent it")
            def flush(self): pass
        pipeline = setup(log_dir="logs", stream=Stream())
        log.info("1")
        for _ in range(5):
            pipeline.flush()
        print(lost())
        """,
        tmp_path,
    )
    assert (messages(tmp_path / "logs"), out) == (["1"], "{'recursion': 1}\n")


def test_a_formatter_that_raises_costs_its_form_only(tmp_path: Path) -> None:
    out = run(
        """
        class Bad(logging.Formatter):
            def format(self, record): raise ZeroDivisionError
        pipeline = setup(log_dir="logs", console=False)
        pipeline.handler.setFormatter(Bad())
        log.info("1")
        pipeline.flush()
        print(lost()["formatter_failed"])
        """,
        tmp_path,
    )
    assert "1" in messages(tmp_path / "logs")
    assert out == "2\n"  # and the warning that says so


# --- full queues


FULL = """
from geomon.logs.writer import Writer
gate = threading.Event()
written = []
def write(items):
    gate.wait()
    written.extend(items)
writer = Writer(write, capacity=10, full=FULL, patience=0.05)
for number in range(100):
    writer.put(number)
gate.set()
print(json.dumps([writer.flush(), len(written), written == sorted(written), lost()]))
writer.put(100)
print(writer.stop(), written[-1])
"""


@pytest.mark.parametrize("full", ["wait", "drop"])
def test_a_full_queue_drops_and_counts(tmp_path: Path, full: str) -> None:
    first, second = run(FULL.replace("FULL", repr(full)), tmp_path).splitlines()
    flushed, written, in_order, lost = json.loads(first)
    assert (flushed, in_order, second) == (True, True, "True 100")
    assert 10 <= written <= 21
    assert lost == {"queue_full": 100 - written}


WAITED_FOR = """
from geomon.logs.writer import Writer
gate = threading.Event()
writer = Writer(lambda items: gate.wait())
writer.put(1)
def seconds(wait):
    started = time.monotonic()
    assert not wait()
    return round(time.monotonic() - started, 1)
print(seconds(lambda: writer.flush(0.5)), seconds(lambda: writer.stop(0.7)))
print(seconds(lambda: writer.stop(0.7)), seconds(lambda: writer.stop(0.7, for_good=True)))
gate.set()
"""


def test_a_file_that_is_stuck_is_waited_for_once(tmp_path: Path) -> None:
    assert run(WAITED_FOR, tmp_path).splitlines() == ["0.5 0.2", "0.0 0.0"]


def test_waiting_for_room_loses_nothing_where_the_writer_goes_on(tmp_path: Path) -> None:
    out = run(
        """
        pipeline = setup(log_dir="logs", console=False, capacity=100)
        def work(name):
            for number in range(1000):
                log.info("%s %d", name, number)
        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(lost())
        """,
        tmp_path,
    )
    found = messages(tmp_path / "logs")
    for name in "abcd":
        of_thread = [message for message in found if message.startswith(name)]
        assert of_thread == [f"{name} {number}" for number in range(1000)]
    assert (len(found), out) == (4000, "{}\n")


def test_closing_loses_nothing_of_threads_that_go_on_logging(tmp_path: Path) -> None:
    out = run(
        """
        from geomon.logs import FileHandler
        handler = FileHandler("app.json")
        log.addHandler(handler); log.setLevel("INFO"); log.propagate = False
        def work(name):
            for number in range(2000):
                log.info("%s %d", name, number)
        threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
        for thread in threads: thread.start()
        while any(thread.is_alive() for thread in threads):
            handler.close()
        for thread in threads: thread.join()
        print(lost())
        """,
        tmp_path,
    )
    found = messages(tmp_path)
    for name in "ab":
        of_thread = [message for message in found if message.startswith(name)]
        assert of_thread == [f"{name} {number}" for number in range(2000)]
    assert out == "{}\n"


def test_a_writer_that_needs_loggings_lock_does_not_hold_up_a_set_up(tmp_path: Path) -> None:
    out = run(
        """
        import logging.config
        numbers = iter(range(1000))
        class Stream:
            def write(self, text): logging.getLogger(f"new {next(numbers)}")
            def flush(self): pass
        pipeline = setup(log_dir="logs", stream=Stream())
        for number in range(3):
            log.info("%d", number)
            logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
        print(pipeline.flush(), lost())
        """,
        tmp_path,
    )
    assert (messages(tmp_path / "logs"), out) == (["0", "1", "2"], "True {}\n")


# --- signals


@pytest.mark.parametrize("threaded", [True, False])
def test_a_signal_handler_may_log_while_the_main_thread_logs(
    tmp_path: Path, threaded: bool
) -> None:
    out = run(
        f"""
        pipeline = setup(log_dir="logs", console=False)
        if not {threaded}:
            pipeline.handler.end()
        heard = 0
        def hear(number, frame):
            global heard
            heard += 1
            log.info("signal")
        signal.signal(signal.SIGALRM, hear)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        main = 0
        deadline = time.monotonic() + 20
        while heard < 200 and time.monotonic() < deadline:
            log.info("main %d", main)
            main += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        pipeline.close()
        print(json.dumps([main, heard, lost()]))
        """,
        tmp_path,
    )
    main, heard, lost = json.loads(out)
    found = messages(tmp_path / "logs")
    of_main = [message for message in found if message != "signal"]
    dropped = lost.pop("recursion", 0)
    assert of_main == [f"main {number}" for number in range(main)]
    assert (found.count("signal"), lost) == (heard - dropped, {})


SIGTERM = """
pipeline = setup(log_dir="logs", console=False)
print("ready", flush=True)
number = 0
while True:
    log.info("%d", number)
    number += 1
    if number == 500:
        os.kill(os.getpid(), signal.SIGTERM)
"""


def test_sigterm_writes_what_waits_and_ends_the_program_as_ever(tmp_path: Path) -> None:
    assert run(SIGTERM, tmp_path, status=-signal.SIGTERM) == "ready\n"
    found = messages(tmp_path / "logs")
    assert len(found) >= 500
    assert found == [str(number) for number in range(len(found))]


def test_a_program_that_handles_sigterm_itself_keeps_its_handler(tmp_path: Path) -> None:
    out = run(
        """
        def own(number, frame):
            log.info("own")
            sys.exit(3)
        signal.signal(signal.SIGTERM, own)
        pipeline = setup(log_dir="logs", console=False)
        print(signal.getsignal(signal.SIGTERM) is own, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        """,
        tmp_path,
        status=3,
    )
    assert (out, messages(tmp_path / "logs")) == ("True\n", ["own"])


def test_a_set_up_in_another_thread_leaves_sigterm_alone(tmp_path: Path) -> None:
    out = run(
        """
        thread = threading.Thread(target=setup, kwargs={"log_dir": "logs", "console": False})
        thread.start()
        thread.join()
        log.info("x")
        print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
        """,
        tmp_path,
    )
    assert (out, messages(tmp_path / "logs")) == ("True\n", ["x"])


# --- ends of a process


@pytest.mark.parametrize(
    ("end", "status"),
    [("pass", 0), ("sys.exit(4)", 4), ("raise SystemExit", 0), ("os.kill(os.getpid(), 15)", -15)],
)
def test_every_end_writes_what_waits(tmp_path: Path, end: str, status: int) -> None:
    run(
        f"""
        pipeline = setup(log_dir="logs", console=False)
        for number in range(1000):
            log.info("%d", number)
        {end}
        """,
        tmp_path,
        status=status,
    )
    assert messages(tmp_path / "logs") == [str(number) for number in range(1000)]


@pytest.mark.parametrize(
    "end",
    [
        "os._exit(0)",
        "os.execv(sys.executable, [sys.executable, '-c', ''])",
        "os.wait() if os.fork() else (log.info('child'), pipeline.flush(), os._exit(0))",
    ],
)
def test_an_end_that_runs_nothing_loses_nothing_after_a_flush(tmp_path: Path, end: str) -> None:
    run(
        f"""
        pipeline = setup(log_dir="logs", console=False)
        for number in range(100):
            log.info("%d", number)
        pipeline.flush()
        {end}
        """,
        tmp_path,
    )
    found = [message for message in messages(tmp_path / "logs") if message != "child"]
    assert found == [str(number) for number in range(100)]
    assert ("child" in messages(tmp_path / "logs")) == ("fork" in end)


def test_an_uncaught_exception_writes_what_waits_and_itself(tmp_path: Path) -> None:
    code = """
        pipeline = setup(log_dir="logs", console=False, take_over=["uncaught"])
        def work():
            raise ZeroDivisionError("in a thread")
        thread = threading.Thread(target=work, name="worker")
        thread.start()
        thread.join()
        log.info("1")
        raise ZeroDivisionError("in main")
        """
    run(code, tmp_path, status=1, stderr=None)
    found = records(tmp_path / "logs")
    assert [record["level"] for record in found] == ["CRITICAL", "INFO", "CRITICAL"]
    told = [found[0]["exception"]["message"], found[2]["exception"]["message"]]
    assert told == ["in a thread", "in main"]


def test_what_exit_functions_and_destructors_log_is_written(tmp_path: Path) -> None:
    run(
        """
        import atexit
        class Late:
            def __init__(self, name): self.name, self.log = name, log
            def __del__(self): self.log.info("del %s", self.name)
        late, names = Late("a name"), [Late("in a list")]
        atexit.register(lambda: log.info("before set-up"))
        pipeline = setup(log_dir="logs", console=False)
        atexit.register(lambda: log.info("after set-up"))
        log.info("1")
        """,
        tmp_path,
    )
    found = messages(tmp_path / "logs")
    assert found[:3] == ["1", "after set-up", "before set-up"]
    assert found[3:] == ["del a name", "del in a list"]


def test_threads_that_log_at_the_end_hold_it_up_no_longer(tmp_path: Path) -> None:
    run(
        """
        def work():
            while True:
                log.info("on and on")
        pipeline = setup(log_dir="logs", console=False)
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        class Late:
            def __del__(self):
                for _ in range(50): log.info("late")
        late = Late()
        time.sleep(0.05)
        """,
        tmp_path,
    )
    assert "on and on" in messages(tmp_path / "logs")


def test_a_clock_that_is_set_back_costs_nothing(tmp_path: Path) -> None:
    out = run(
        """
        from geomon.testing import MovableClock
        with MovableClock() as clock:
            pipeline = setup(log_dir="logs", console=False, max_bytes=2_000, backups=50)
            for number in range(100):
                log.info("%d", number)
                if number == 50:
                    pipeline.flush()
                    clock.set_wall(0.0)
            print(pipeline.close(), lost())
        """,
        tmp_path,
    )
    assert sorted(map(int, messages(tmp_path / "logs"))) == list(range(100))
    assert out == "None {}\n"


# --- forks


FORKS = """
FORKS = 50
sys.setswitchinterval(0.0005)
pipeline = setup(log_dir="logs", STREAM, error_file=None, max_bytes=200_000, backups=1000)
on = True
counts = {}
def work(name):
    number = 0
    while on:
        log.info("%s", f"{name} {number}")
        number += 1
        counts[name] = number
threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(2)]
for thread in threads: thread.start()
for child in range(FORKS):
    log.info("%s", f"parent {child}")
    pid = os.fork()
    if pid == 0:
        for number in range(3):
            log.info("%s", f"child{child} {number}")
        written = pipeline.flush(20)
        os._exit(0 if written else 1)
    assert os.waitpid(pid, 0)[1] == 0
on = False
for thread in threads: thread.join()
pipeline.close()
print(json.dumps([counts, lost()]))
"""


@pytest.mark.parametrize("stream", ["console=False", "stream=None"])
def test_forking_while_threads_log_loses_and_doubles_nothing(tmp_path: Path, stream: str) -> None:
    out = run(FORKS.replace("STREAM", stream), tmp_path, stderr=None)
    counts, lost = json.loads(out)
    expected = {f"{name} {number}" for name in counts for number in range(counts[name])}
    expected |= {f"parent {child}" for child in range(50)}
    expected |= {f"child{child} {number}" for child in range(50) for number in range(3)}
    found = messages(tmp_path / "logs")
    assert (len(found), set(found), lost) == (len(expected), expected, {})


def test_a_fork_leaves_no_lock_of_a_stream_held(tmp_path: Path) -> None:
    out = run(
        """
        class Stream:
            lock = threading.Lock()
            def write(self, text):
                with self.lock: time.sleep(0.002)
            def flush(self): pass
        pipeline = setup(log_dir=None, stream=Stream())
        failed = 0
        for child in range(20):
            log.info("parent")
            time.sleep(0.011)
            pid = os.fork()
            if pid == 0:
                log.info("child")
                os._exit(0 if pipeline.flush(5) else 1)
            failed += os.waitpid(pid, 0)[1]
        print(failed, lost())
        """,
        tmp_path,
    )
    assert out == "0 {}\n"


def test_what_waits_at_a_fork_is_the_parents_to_write(tmp_path: Path) -> None:
    run(
        """
        from geomon.logs import FileHandler
        pipeline = setup(log_dir="logs", console=False, error_file=None)
        log.addHandler(FileHandler("own/own.json"))
        for number in range(100):
            log.info("%d", number)
        if os.fork():
            os.wait()
            log.info("parent")
        else:
            log.info("child")
        """,
        tmp_path,
    )
    expected = Counter([*map(str, range(100)), "parent", "child"])
    assert Counter(messages(tmp_path / "logs")) == expected
    assert Counter(messages(tmp_path / "own", "own*.json")) == expected


CHILDREN = """
from geomon.logs import setup
import logging, os, sys
def work(end):
    setup_in_child = os.environ.get("SET_UP")
    if setup_in_child:
        setup(log_dir="logs", console=False, error_file=None)
    log = logging.getLogger("app")
    for number in range(200):
        log.info("%s", f"{end} {number}")
    if end == "exception":
        raise ZeroDivisionError
    if end == "exit":
        sys.exit(5)
"""

PROCESSES = """
import children
setup(log_dir="logs", console=False, error_file=None)
log.info("parent")
from POOL import get_context
context = get_context(METHOD)
sys.stderr = open(os.devnull, "w")
processes = [context.Process(target=children.work, args=(end,)) for end in ENDS]
for process in processes: process.start()
for process in processes: process.join(30)
print([process.exitcode for process in processes])
"""
ENDS = ["normal", "exception", "exit"]


@pytest.mark.parametrize(
    ("pool", "method"),
    [
        ("multiprocessing", "fork"),
        ("multiprocessing", "spawn"),
        ("multiprocessing", "forkserver"),
        ("billiard", "fork"),
        ("billiard", "spawn"),
    ],
)
def test_children_that_skip_atexit_write_what_waits(tmp_path: Path, pool: str, method: str) -> None:
    if pool == "billiard":
        pytest.importorskip("billiard", reason="billiard is Celery's: install celery")
    (tmp_path / "children.py").write_text(CHILDREN)
    (tmp_path / "main.py").write_text(
        "import json, logging, os, sys\nfrom geomon.logs import setup\n"
        "log = logging.getLogger('app')\n"
        "if __name__ == '__main__':\n"
        + "".join(
            f"    {line}\n"
            for line in PROCESSES.replace("POOL", pool)
            .replace("METHOD", repr(method))
            .replace("ENDS", repr(ENDS))
            .splitlines()
        )
    )
    done = subprocess.run(
        [*program("")[:1], "main.py"],
        cwd=tmp_path,
        env=environment(SET_UP="" if method == "fork" else "yes"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.stdout == "[0, 1, 5]\n", done.stderr
    expected = Counter(f"{end} {number}" for end in ENDS for number in range(200))
    assert Counter(messages(tmp_path / "logs")) == expected + Counter(["parent"])


def test_a_terminated_child_writes_what_waits(tmp_path: Path) -> None:
    out = run(
        """
        import multiprocessing
        pipeline = setup(log_dir="logs", console=False, error_file=None)
        log.info("parent")
        context = multiprocessing.get_context("fork")
        ready = context.Event()
        def work():
            for number in range(300):
                log.info("%d", number)
            ready.set()
            time.sleep(60)
        process = context.Process(target=work)
        process.start()
        ready.wait()
        process.terminate()
        process.join()
        print(process.exitcode)
        """,
        tmp_path,
    )
    assert out == "-15\n"
    assert Counter(messages(tmp_path / "logs")) == Counter(["parent", *map(str, range(300))])


def test_a_pool_of_processes_writes_what_waits(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        "import logging\n"
        "def work(number):\n"
        "    logging.getLogger('app').info('%d', number)\n"
        "    return number\n"
    )
    run(
        """
        sys.path.insert(0, "")
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context
        from work import work
        setup(log_dir="logs", console=False, error_file=None)
        with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
            assert sum(pool.map(work, range(200))) == 19_900
        """,
        tmp_path,
    )
    assert sorted(map(int, messages(tmp_path / "logs"))) == list(range(200))


def test_a_killed_process_leaves_whole_lines(tmp_path: Path) -> None:
    process = subprocess.Popen(
        program(
            """
            setup(log_dir="logs", console=False, error_file=None)
            number = 0
            while True:
                log.info("%d", number)
                number += 1
            """
        ),
        cwd=tmp_path,
        env=environment(),
    )
    try:
        until(lambda: list(tmp_path.glob("logs/app.json")))
        until(lambda: (tmp_path / "logs" / "app.json").stat().st_size > 10_000)
    finally:
        process.kill()
        process.wait()
    found = messages(tmp_path / "logs")
    assert found == [str(number) for number in range(len(found))]
