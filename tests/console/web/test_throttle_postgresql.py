"""Log-ins that fail, counted on a real PostgreSQL, where a hundred transactions are really at once (A83)."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from console.postgres import HAS_POSTGRES, WHY_NOT, postgres
from sqlalchemy import select

from edgeagent.console.database import Database
from edgeagent.console.tables import LogInTry
from edgeagent.console.web import throttle

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not HAS_POSTGRES, reason=WHY_NOT)]
AT_ONCE = 30


def test_a83_tries_at_once_lose_no_count_and_fail_for_nobody() -> None:
    keys, now = throttle.keys_of("ada", "198.51.100.1"), 1_800_000_000.0
    with postgres() as running, ThreadPoolExecutor(AT_ONCE) as threads:
        database = Database(running.url)
        database.migrate()

        def attempt(at: float) -> bool:
            with database.session() as session:
                return throttle.count_try(session, keys, at) == 0

        assert sum(threads.map(attempt, [now] * AT_ONCE)) == throttle.PATIENCE["pair"].free
        for _ in range(5):  # each time that the wait is over, one of them all
            now += 901
            assert sum(threads.map(attempt, [now] * AT_ONCE)) == 1
        with database.reading() as session:
            counts = {row.key: row.failures for row in session.scalars(select(LogInTry))}
        assert set(counts.values()) == {throttle.PATIENCE["pair"].free + 5}
        database.close()
