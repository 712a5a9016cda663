"""The API against its own description: whatever is sent, nothing breaks, and every answer is as described."""

from collections import Counter
from typing import Any

import pytest
import schemathesis
from console.web.website import Website
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as of_openapi

from edgeagent.console.web.api.described import description

EXAMPLES = 20
"""Requests for every address that are as described, and as many that are not."""
UNTRIED = ("/try", "/me/tokens")
"""What starts a process each time; what would use up the tokens of a user."""
CHECKS = [
    checks.not_a_server_error,
    of_openapi.status_code_conformance,
    of_openapi.content_type_conformance,
    of_openapi.response_schema_conformance,
]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_that_is_sent_breaks_the_api_and_every_answer_is_as_described(website: Website) -> None:
    program = website.program("ada")
    headers = {"Authorization": str(program.http.headers["Authorization"])}
    codes: Counter[int] = Counter()
    tried = 0
    for result in schemathesis.openapi.from_dict(description(website.app)).get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]  # our description is one
        if operation.path.endswith(UNTRIED):
            continue
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            codes += hammer(operation, mode, website.base, headers)
        tried += 1
    assert tried >= 35
    assert codes[200] > 100
    assert codes[404] > 100
    assert codes[422] > 100
    assert not {code for code in codes if code >= 500} - {503}
    assert program.get("/api/v1/me").status_code == 200


def hammer(operation: Any, mode: GenerationMode, base: str, headers: dict[str, str]) -> Counter[int]:
    """Send many requests to an address, most of them for what is there, and return how they were answered."""
    codes: Counter[int] = Counter()

    def send(case: Any) -> None:
        there = {"fleet": "home", "device": "kit-00001", "user": "vic"}
        if mode is GenerationMode.POSITIVE:
            case.path_parameters = {name: there.get(name, value) for name, value in case.path_parameters.items()}
        answer = case.call(base_url=base, headers=headers)
        codes[answer.status_code] += 1
        if answer.status_code != 503:  # there is no way to devices here
            case.validate_response(answer, checks=CHECKS)

    try:
        strategy = operation.as_strategy(generation_mode=mode)
    except schemathesis.errors.SchemathesisError:
        return codes
    bounded = settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    bounded(given(case=strategy)(send))()
    return codes
