"""The API against its own description: whatever is sent, nothing breaks, and every answer is as described."""

from typing import Any

import pytest
import schemathesis
from console.web.website import Website
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks

from edgeagent.console.web.api.described import description

EXAMPLES = 25
"""Requests for every address."""
UNTRIED = ("/try", "/me/tokens")
"""What starts a process each time; what would use up the tokens of a user."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_that_is_sent_breaks_the_api_and_every_answer_is_as_described(website: Website) -> None:
    program = website.program("ada")
    api = schemathesis.openapi.from_dict(description(website.app))
    tried = 0
    for result in api.get_all_operations():
        operation = result.ok()
        if operation.path.endswith(UNTRIED):
            continue
        hammer(operation, website, str(program.http.headers["Authorization"]))
        tried += 1
    assert tried >= 35
    assert program.get("/api/v1/me").status_code == 200


def hammer(operation: Any, website: Website, token: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def send(case: Any) -> None:
        case.path_parameters = (
            {**(case.path_parameters or {}), "fleet": "home"} if "{fleet}" in operation.path else (case.path_parameters)
        )
        case.call_and_validate(
            base_url=website.base,
            headers={"Authorization": token},
            checks=[
                checks.not_a_server_error,
                schemathesis.specs.openapi.checks.status_code_conformance,
                schemathesis.specs.openapi.checks.content_type_conformance,
                schemathesis.specs.openapi.checks.response_schema_conformance,
            ],
        )

    api_case = operation.as_strategy()
    from hypothesis import given

    given(case=api_case)(send)()
