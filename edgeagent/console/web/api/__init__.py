"""The API, version 1: every action of the pages, for programs."""

from collections.abc import Sequence

from fastapi import APIRouter


def routers() -> Sequence[APIRouter]:
    """Return the routes of the API."""
    return ()
