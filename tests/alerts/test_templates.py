"""Templates, compared with what promtool makes of them."""

from __future__ import annotations

import math
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomon.alerts.templates import Template, TemplateError
from geomon.alerts.templates.limits import MAX_DEPTH, MAX_TEMPLATE, MAX_TEXT
from geomon.promql import Sample
from tests.alerts import promtool
from tests.alerts.template_cases import WRITTEN, Maker, mutated

FAILED = "<error expanding template: "
SERIES = {
    'x{a="b", host="web-1.example.org:9090", u="grüße ß", v="a b_c-d"}': 1234567.891,
    'x{a="0"}': 0.00012,
    'x{a="n"}': -17.0,
    'x{a="inf"}': math.inf,
    'x{a="nan"}': math.nan,
    'x{a="1"}': 1.0,
}
SHOWN = {
    name: str(value).replace("inf", "+Inf").replace("nan", "NaN") for name, value in SERIES.items()
}
EXTERNAL = {"region": "eu"}


def samples() -> list[Sample]:
    pairs = [(dict(re.findall(r'(\w+)="(.*?)"', name)), value) for name, value in SERIES.items()]
    return [Sample({"__name__": "x", **labels}, value) for labels, value in pairs]


def query(expr: str) -> list[Sample]:
    return {"x": samples(), 'x{a="b"}': samples()[:1]}.get(expr, [])


def is_read(template: str) -> bool:
    try:
        Template(template)
    except TemplateError:
        return False
    return True


def differences(templates: list[str]) -> list[tuple[str, str, str]]:
    """Templates that give something else than promtool's, with both."""
    found = []
    by_label = {sample.labels["a"]: sample for sample in samples()}
    answers = promtool.expanded(templates, SHOWN, EXTERNAL)
    assert len(answers) == len(SERIES)
    for labels, texts in answers:
        sample = by_label[labels["a"]]
        for template, theirs in zip(templates, texts, strict=True):
            ours = Template(template).expand(sample.labels, sample.value, query, EXTERNAL)
            both_fail = ours.startswith(FAILED) and theirs.startswith(FAILED)
            if ours != theirs and not both_fail:
                found.append((template, ours, theirs))
    return found


def test_templates_give_what_promtools_give() -> None:
    templates = [template for template in WRITTEN if is_read(template)]
    assert len(templates) > 50
    assert differences(templates) == []


@pytest.mark.parametrize("seed", range(3))
def test_templates_made_by_chance_give_what_promtools_give(seed: int) -> None:
    maker = Maker(seed)
    assert differences([maker.template() for _ in range(300)]) == []


STRICTER = re.compile(  # what promtool reads, and cannot expand, or we leave out
    r"takes (at least )?\d+ argument|takes no arguments|is not in|there is no \.|has no field"
    r"|is no regular expression|is no duration|^query: |is not set|\{\{ end \}\} after it"
    r"|9223372036854775808. is no number"
)


def test_a_template_is_refused_where_promtool_refuses_it() -> None:
    chance, maker = random.Random(7), Maker(7)
    templates = WRITTEN + [maker.template(1) for _ in range(150)]
    changed = [mutated(template, chance) for template in templates for _ in range(6)]
    ours = dict.fromkeys(changed + WRITTEN, "")
    for template in ours:
        try:
            Template(template)
        except TemplateError as error:
            ours[template] = str(error)
    refused = _refused_by_promtool(list(ours))
    wrong = [
        (template, reason, template in refused)
        for template, reason in ours.items()
        if bool(reason) != (template in refused) and not STRICTER.search(reason)
    ]
    assert sum(map(bool, ours.values())) > 300
    assert wrong == []


def _refused_by_promtool(templates: list[str]) -> set[str]:
    notes = {f"t{index}": template for index, template in enumerate(templates)}
    said = promtool.faults_of([{"alert": "A", "expr": "x", "annotations": notes}])
    return {notes[name] for name in re.findall(r'annotation "(t\d+)"', said)}


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ $valu }}", r"\$valu is not set: rules have \$labels"),
        ("{{ .Valu }}", r"there is no \.Valu: alerts have \.Labels"),
        ("{{ humanise $value }}", "humanise is not known: did you mean humanize?"),
        ("{{ $value | }", "cannot stand"),
        ("{{ $value", "is not closed: write }} after it"),
        ("{{ if true }}x", "if is not closed: write {{ end }} after it"),
        ("{{ end }}", "outside of any if"),
        ("{{ toUpper }}", "toUpper takes 1 argument, not 0"),
        ("{{ match `[` `a` }}", "match: .* is no regular expression"),
        ("{{ query `sum(` }}", "query: "),
        ("{{ parseDuration `1.5h` }}", "write whole numbers with units"),
        ("{{ $value | toTime }}", "toTime is not in: write humanizeTimestamp"),
        ("{{ template `x` }}", "template is not in: templates of rules have"),
        ("{{ printf `%[1]d` 1 }}", "of printf is not in: write width"),
        ("{{ $value 5 }}", r"\$value is no function"),
        ("{{ /* no comment */ }}", "cannot stand in"),
        ("{{/* open", "a comment is not closed"),
        ("x" * MAX_TEMPLATE + "{{ 1 }}", "more than 50000 characters"),
        ("{{ " + "(" * MAX_DEPTH * 20 + "1" + ")" * MAX_DEPTH * 20 + " }}", "inside one another"),
        ("{{ if true }}" * MAX_DEPTH + "{{ end }}" * MAX_DEPTH, "inside one another"),
    ],
)
def test_a_wrong_template_says_what_to_write(template: str, says: str) -> None:
    with pytest.raises(TemplateError, match=says):
        Template(template)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ if gt $value 5 }}x{{ end }}", "write 5.0, not 5"),
        ('{{ printf "%99999999d" 1 }}', "more than 100000 characters"),
        ('{{ $x := "aaaaaaaaaa" }}' + "{{ $x = print $x $x $x $x }}" * 20, "more than 100000"),
        (
            "{{ range query `many` }}{{ range query `many` }}{{ end }}{{ end }}",
            "more than 100000 steps",
        ),
        ("{{ query `raises` }}", "KeyError: 'raises'"),
        ("{{ query `none` | first }}", "first() called on vector with no elements"),
        ("{{ $labels.a | humanize }}", "'b' is no number"),
        ("{{ range $value }}{{ end }}", "range can't iterate over a float64"),
    ],
)
def test_a_failure_shows_in_the_text(template: str, says: str) -> None:
    answers = {"many": [Sample({}, 1.0)] * 1000, "none": []}
    text = Template(template).expand({"a": "b"}, 6.0, answers.__getitem__)
    assert text.startswith(FAILED)
    assert says in text
    assert len(text) < 1000


def test_without_data_a_query_fails_in_the_text() -> None:
    assert Template("{{ query `up` }}").expand({}, 0.0) == FAILED + "query has no data here>"


def test_the_text_is_bounded() -> None:
    many = [Sample({}, 1.0)] * 10_000
    text = Template("{{ range query `up` }}" + "x" * 100 + "{{ end }}").expand(
        {}, 1.0, lambda _: many
    )
    assert text == f"{FAILED}the text has more than {MAX_TEXT} characters>"


def test_the_external_url_is_what_was_given() -> None:
    text = Template("{{ externalURL }} {{ $externalURL }} {{ .ExternalURL }} {{ pathPrefix }}")
    url = "http://h:9090/p"
    assert text.expand({}, 0.0, external_url=url) == f"{url} {url} {url} /p"


@given(st.text())
def test_a_text_without_braces_is_itself(text: str) -> None:
    if "{{" not in text:
        assert Template(text).expand({}, 0.0) == text


@given(st.text(alphabet="{}$.|()`\"'-:=, \nabif0", max_size=30), st.text(max_size=5), st.floats())
def test_whatever_it_is_it_is_refused_or_expanded(inner: str, label: str, value: float) -> None:
    try:
        template = Template("{{" + inner)
    except TemplateError:
        return
    assert isinstance(template.expand({"a": label}, value), str)
