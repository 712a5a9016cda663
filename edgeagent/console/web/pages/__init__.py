"""The pages, one module for what belongs together."""

from collections.abc import Sequence

from fastapi import APIRouter

from edgeagent.console.web.pages import (
    account,
    audit,
    commands,
    device,
    device_changes,
    enrolment,
    fleets,
    login,
    people,
    releases,
    rollouts,
)


def routers() -> Sequence[APIRouter]:
    """Return the routes of all pages."""
    return (
        login.router,
        fleets.router,
        device.router,
        device_changes.router,
        enrolment.router,
        audit.router,
        people.router,
        account.router,
        releases.router,
        rollouts.router,
        commands.router,
    )
