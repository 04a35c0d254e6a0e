"""Templates: some written by hand, and any number made by chance."""

from __future__ import annotations

import random
from pathlib import Path

WRITTEN = Path(__file__).with_name("templates.txt").read_text(encoding="utf-8").split("\n---\n")

_TEXTS = ['"a"', '"grüße"', "`r\\aw`", '""', '"web-1.example.org:9090"', '"12.5"', "$labels.a"]
_TEXTS += [".Labels.u", "$labels.none", "$externalLabels.region", '(index $labels "v")']
_NUMBERS = ["$value", ".Value", "1", "-7", "0", "1.5", "1e6", "0.00012", "100000.0", "123456789.5"]
_TO_TEXT = ["toUpper", "toLower", "title", "stripPort", "stripDomain", "html", "urlquery", "print"]
_TO_TEXT += ["graphLink", 'reReplaceAll "[a-e]+" "<$0>"', 'printf "%q %5s|%-6.2s|%x"', "safeHtml"]
_HUMAN = ["humanize", "humanize1024", "humanizeDuration", "humanizePercentage"]
_VERBS = "vdsqxXtfFeEgGcboUT"


class Maker:
    """Makes templates that are right, though they may fail when they are expanded."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def template(self, depth: int = 2) -> str:
        count = self._random.randint(1, 3)
        return self._random.choice(["", "t ", "é\n"]).join(self._part(depth) for _ in range(count))

    def _part(self, depth: int) -> str:
        if depth and self._random.random() < 0.35:
            return self._block(depth - 1)
        left, right = (
            self._random.choice(["{{ ", "{{- ", "{{"]),
            self._random.choice([" }}", " -}}"]),
        )
        return f"{left}{self._pipeline()}{right}"

    def _block(self, depth: int) -> str:
        body, other = self.template(depth), self.template(depth)
        return self._random.choice(
            [
                f"{{{{ if {self._condition()} }}}}{body}{{{{ end }}}}",
                f"{{{{ if {self._condition()} }}}}{body}{{{{ else }}}}{other}{{{{ end }}}}",
                f"{{{{ if {self._condition()} }}}}{body}{{{{else if true}}}}{other}{{{{end}}}}",
                f"{{{{ with $x := {self._text()} }}}}{{{{ . }}}}{{{{ $x }}}}{{{{ end }}}}",
                f"{{{{ range $k, $v := $labels }}}}{{{{ $k }}}}{{{{ $v }}}}{{{{ end }}}}{body}",
                f"{{{{ $x := {self._pipeline()} }}}}{body}{{{{ $x }}}}",
                '{{ range query "x" | sortByLabel "a" }}{{ .Labels.a }}{{ .Value }},{{ end }}',
            ]
        )

    def _condition(self) -> str:
        compare = self._random.choice(["eq", "ne", "lt", "le", "gt", "ge"])
        one, two = self._value(), self._value()
        simple = [f"{compare} {one} {two}", self._value(), f"not {one}", f"and {one} {two}"]
        return self._random.choice([*simple, f"or ({compare} {one} {two}) {one}"])

    def _pipeline(self) -> str:
        return self._random.choice(
            [
                self._value(),
                f"{self._number()} | {self._random.choice(_HUMAN)}",
                f"{self._text()} | {self._random.choice(_TO_TEXT)}",
                f"{self._random.choice(_TO_TEXT)} {self._text()}",
                f'{self._random.choice(_HUMAN)} {self._number()} | toUpper | printf "%s"',
                self._printf(),
                f"print {self._value()} {self._value()} {self._value()}",
                f'printf "%v" ({self._condition()})',
                f'match "[a-c]+" {self._text()}',
                f"len {self._text()}",
            ]
        )

    def _printf(self) -> str:
        choice = self._random.choice
        pieces, values = [], []
        for _ in range(self._random.randint(0, 3)):
            flags = choice(["", "", "+", "-", "0", " ", "+0", "- "])
            width, precision = choice(["", "", "1", "9"]), choice(["", "", ".0", ".3", "."])
            pieces.append(f"%{flags}{width}{precision}{choice(_VERBS)}")
            values.append(self._printable(pieces[-1]))
        values = values[: self._random.randint(0, 4)] if self._random.random() < 0.1 else values
        return " ".join(['printf "' + "|".join(pieces) + '"', *values])

    def _printable(self, directive: str) -> str:
        if directive[-1] in "xXb":  # of floats they are not in
            return self._random.choice([self._text(), "12", "-7"])
        return self._value()

    def _value(self) -> str:
        return self._random.choice([self._text(), self._number(), "true", "false"])

    def _text(self) -> str:
        return self._random.choice(_TEXTS)

    def _number(self) -> str:
        return self._random.choice(_NUMBERS)


def mutated(template: str, chance: random.Random) -> str:
    """The template with a piece of it left out, doubled, or changed."""
    at = chance.randrange(len(template))
    end = min(len(template), at + chance.randint(1, 3))
    piece = template[at:end]
    other = chance.choice(['"', "`", "$", "(", ")", "|", " ", ".", "{{", "}}", "-", "5", ":=", ","])
    return template[:at] + chance.choice(["", piece * 2, other, other + piece]) + template[end:]
