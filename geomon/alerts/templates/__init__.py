"""Go's templates, as the labels and annotations of rule files use them.

In are values, fields, variables, pipelines, `if`, `with`, `range`, and the functions of Go and of
Prometheus. Anything else, and what could only fail, is a `TemplateError` when a template is made.
"""

from geomon.alerts.templates.errors import TemplateError
from geomon.alerts.templates.template import Template

__all__ = ["Template", "TemplateError"]
