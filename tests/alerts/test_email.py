"""The e-mail notifier, against real SMTP servers with STARTTLS, TLS and login."""

from __future__ import annotations

import logging
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from geomon import losses
from geomon.alerts.alert import Alert, DeliveryError
from geomon.alerts.notifiers import EmailNotifier
from geomon.alerts.notifiers.mails import mail
from tests.alerts.made import firing, resolved
from tests.alerts.servers_smtp import PASSWORD, USER, Certificates, smtp, speaking

A = firing("HighErrors", type="chat")
WHO: dict[str, Any] = {
    "sender": "geomon@example.com",
    "recipients": ["ops@example.com", "boss@example.com"],
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GEOMON_SMTP_USER", raising=False)
    monkeypatch.delenv("GEOMON_SMTP_PASSWORD", raising=False)


def notifier(port: int, certificates: Certificates | None = None, **more: Any) -> EmailNotifier:
    if certificates is not None:
        more = {"cafile": certificates.cafile, "user": USER, "password": PASSWORD, **more}
    else:
        more = {"tls": "none", **more}
    return EmailNotifier("localhost", port, **{**WHO, "timeout": 5, **more})


def refused(one: EmailNotifier) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        one([A])
    return caught.value


def content(message: Any, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    text: str = part.get_content()
    return text.replace("\r\n", "\n")


# --- what arrives


def test_one_mail_tells_of_all_alerts_over_starttls(certificates: Certificates) -> None:
    with smtp(certificates) as inbox:
        notifier(inbox.port, certificates)([A, resolved(firing("SlowChat"))])
    [found] = inbox.mails
    assert inbox.recipients == [WHO["recipients"]]
    assert found["Subject"] == "[geomon] 1 firing, 1 resolved: HighErrors, SlowChat"
    assert (found["From"], found["To"]) == (WHO["sender"], "ops@example.com, boss@example.com")
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["Message-ID"].endswith("@example.com>")
    assert parsedate_to_datetime(found["Date"]).year >= 2020
    text = content(found, "plain")
    assert text.startswith(
        "FIRING HighErrors\n  summary: too many errors\n  type: chat\n  value: 0.25\n"
        "  since: 2023-11-14T22:13:20.000Z\n  expr: ratio > 0.1\n\nRESOLVED SlowChat\n"
    )
    assert "<td>too many errors</td>" in content(found, "html")


def test_over_tls_from_the_first_byte(certificates: Certificates) -> None:
    with smtp(certificates, implicit=True) as inbox:
        notifier(inbox.port, certificates, tls="tls")([A])
    assert len(inbox.mails) == 1


def test_user_and_password_come_from_the_environment(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOMON_SMTP_USER", USER)
    monkeypatch.setenv("GEOMON_SMTP_PASSWORD", PASSWORD)
    with smtp(certificates) as inbox:
        notifier(inbox.port, certificates, user=None, password=None)([A])
    assert len(inbox.mails) == 1


def test_without_tls_and_login_where_that_is_asked_for() -> None:
    with smtp(login=False) as inbox:
        notifier(inbox.port)([A])
    assert len(inbox.mails) == 1


def test_mails_about_one_alert_refer_to_each_other_and_have_ids_of_their_own() -> None:
    first, second, other = (
        mail([alert], "a@b.example", ["c@d.example"], "")
        for alert in (A, resolved(A), firing("Other"))
    )
    assert first["References"] == second["References"] != other["References"]
    assert first["Message-ID"] != second["Message-ID"]


EVIL = "x\r\nBcc: all@example.com\r\n\r\n<script>alert(1)</script>\u2028\x00\ud800"


@pytest.mark.parametrize(
    "alert",
    [
        firing(EVIL, type=EVIL),
        Alert("A", "firing", {EVIL: EVIL}, {EVIL: EVIL}, float("nan"), 1e300, 1e300, expr=EVIL),
    ],
)
def test_labels_cannot_add_headers_or_markup(alert: Alert) -> None:
    with smtp(login=False) as inbox:
        notifier(inbox.port)([alert])
    [found] = inbox.mails
    assert "Bcc" not in found
    assert inbox.recipients == [WHO["recipients"]]
    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign]
    parser.feed(content(found, "html"))
    assert set(tags) == {"html", "body", "h3", "table", "tr", "th", "td"}


def test_other_scripts_arrive_as_they_are_and_as_seven_bits() -> None:
    alert = firing("Fehler ✗", place="Zürich 東京")
    with smtp(login=False) as inbox:
        notifier(inbox.port, subject_prefix="[Läden] ")([alert])
    [found] = inbox.mails
    assert found["Subject"] == "[Läden] 1 firing: Fehler ✗"
    assert "place: Zürich 東京" in content(found, "plain")
    assert bytes(found).isascii()


def test_ten_thousand_alerts_make_a_mail_of_bounded_size() -> None:
    alerts = [firing(f"A{n}", text="x" * 10_000) for n in range(10_000)]
    found = mail(alerts, "a@b.example", ["c@d.example"], "")
    assert len(found["Subject"]) <= 150
    assert "and 9900 more" in content(found, "plain")
    assert len(bytes(found)) < 1_000_000


# --- what goes wrong


def test_a_wrong_password_is_not_tried_again_and_not_shown(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with smtp(certificates) as inbox:
        one = notifier(inbox.port, certificates, password="hunter2")
        error = refused(one)
    assert str(error) == f"localhost:{inbox.port} refuses the login: 535"
    assert not error.retry
    assert "hunter2" not in f"{one!r} {error!r} {caplog.text}"


@pytest.mark.parametrize("implicit", [False, True])
def test_a_certificate_that_nobody_vouches_for_is_refused_before_the_login(
    certificates: Certificates, tmp_path: Path, implicit: bool
) -> None:
    tls = "tls" if implicit else "starttls"
    with smtp(Certificates(tmp_path), implicit) as inbox:
        error = refused(notifier(inbox.port, certificates, tls=tls))
    assert "its certificate is not trusted" in str(error)
    assert inbox.mails == []


def test_a_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    other = Certificates(tmp_path, "mail.example.com")
    with smtp(other) as inbox:
        assert "its certificate is not trusted" in str(refused(notifier(inbox.port, other)))


def test_a_server_without_starttls_gets_no_password(certificates: Certificates) -> None:
    with smtp(login=False) as inbox:
        error = refused(notifier(inbox.port, certificates))
    assert "STARTTLS" in str(error)
    assert (error.retry, inbox.mails) == (False, [])


def test_a_server_that_never_answers_is_left_after_the_timeout() -> None:
    with speaking() as port:
        error = refused(notifier(port, timeout=0.1))
    assert (str(error), error.retry) == (f"localhost:{port}: no answer in time", True)


@pytest.mark.parametrize(
    "lines",
    [
        (b"220 hello\r\n",),
        (b"220 hello\r\n", b"250 hi\r\n", b"250 OK\r\n", b"250 OK\r\n", b"250 OK\r\n"),
        (b"220 hello\r\n", b"250 hi\r\n", *[b"250 OK\r\n"] * 3, b"354 go on\r\n"),
        (b"what? \xff\r\n",),
    ],
)
def test_a_server_that_breaks_off_is_tried_again(lines: tuple[bytes, ...]) -> None:
    with speaking(*lines) as port:
        assert refused(notifier(port)).retry


def test_a_server_that_is_away_is_tried_again() -> None:
    with speaking() as port:
        pass
    error = refused(notifier(port))
    assert (str(error), error.retry) == (f"localhost:{port}: Connection refused", True)


@pytest.mark.parametrize(("answer", "retry"), [("451 later", True), ("554 never", False)])
def test_only_temporary_refusals_are_tried_again(answer: str, retry: bool) -> None:
    with smtp(login=False) as inbox:
        inbox.answer = answer
        error = refused(notifier(inbox.port))
        inbox.answer, inbox.refuses = "250", dict.fromkeys(WHO["recipients"], answer)
        of_all = refused(notifier(inbox.port))
    assert str(error) == f"localhost:{inbox.port} refuses the mail: {answer[:3]}"
    assert str(of_all) == f"localhost:{inbox.port} refuses all recipients: [{answer[:3]}]"
    assert (error.retry, of_all.retry) == (retry, retry)


def test_a_recipient_that_is_refused_costs_the_others_nothing() -> None:
    before = losses.counts().get(("notify", "recipient_refused"), 0)
    with smtp(login=False) as inbox:
        inbox.refuses = {"boss@example.com": "550 no such user"}
        notifier(inbox.port)([A])
    assert inbox.recipients == [["ops@example.com"]]
    assert losses.counts()["notify", "recipient_refused"] == before + 1


# --- wrong arguments


def test_a_password_never_goes_unencrypted_to_another_machine() -> None:
    with pytest.raises(ValueError, match='write tls="starttls"'):
        EmailNotifier("smtp.example.com", **WHO, user="u", password="p", tls="none")
    EmailNotifier("127.0.0.1", **WHO, user="u", password="p", tls="none")


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"host": ""}, ValueError, "host is empty"),
        ({"port": 70000}, ValueError, "port=70000"),
        ({"sender": "geomon"}, ValueError, "sender: 'geomon' is no address"),
        ({"sender": "a@b\r\nBcc: x@y"}, ValueError, "control characters"),
        ({"recipients": "ops@example.com"}, TypeError, r"recipients=\['ops@example.com'\]"),
        ({"recipients": []}, ValueError, "recipients is empty"),
        ({"tls": True}, ValueError, 'write "starttls"'),
        ({"timeout": "1"}, TypeError, "timeout='1'"),
        ({"cafile": "/nowhere"}, ValueError, "holds no certificates"),
        ({"user": "u"}, ValueError, "GEOMON_SMTP_PASSWORD"),
        ({"password": "p"}, ValueError, "GEOMON_SMTP_USER"),
        ({"user": "u", "password": "pässword"}, ValueError, "password is not ASCII"),
        ({"sender": "a@läden.example"}, ValueError, "is no address"),
        ({"subject_prefix": "a\nb"}, ValueError, "subject_prefix"),
    ],
)
def test_wrong_arguments_say_what_to_write(
    wrong: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        EmailNotifier(**{"host": "smtp.example.com", **WHO, **wrong})
