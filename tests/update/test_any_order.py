"""Property of the whole: whatever comes in whatever order, there is always something that can hear and obey."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from update.device import Device
from update.updating import FAMILY, GOOD

from edgeagent.errors import UpdateError
from edgeagent.update.nouns import Target
from edgeagent.update.states import MOST_WRITES
from edgeagent.update.updater import advance

MEMORY = Path("/dev/shm")  # noqa: S108  # a sync costs nothing there, and what is kept is the same


class Cut(BaseException):
    """The process is killed here."""


class AnyOrder(RuleBasedStateMachine):
    """Jobs, faults, kills, restarts and jumps of the clock in any order: there is always something that can obey."""

    VERSIONS = ("1.0.0", "2.0.0", "3.0.0", "4.0.0")

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.device = Device(self.folder)
        for security, version in enumerate(self.VERSIONS):
            self.device.publish(version, security=min(security, 2))
        self.device.publish("5.0.0", boards=("another",))
        self.floor = 0

    def teardown(self) -> None:
        if hasattr(self, "device"):
            self.device.journal.close()
            shutil.rmtree(self.folder)

    @rule(version=st.sampled_from((*VERSIONS, "5.0.0", "9.9.9")), is_local=st.booleans(), late=st.booleans())
    def ask(self, version: str, is_local: bool, late: bool) -> None:  # noqa: FBT001
        try:
            self.device.ask(
                version, is_local=is_local, may_go_back=is_local, not_after=self.device.clock + 50 if late else None
            )
        except UpdateError as error:
            assert error.code == "too-many-jobs"  # noqa: PT017

    @rule(fault=st.sampled_from(["", "", "unreachable", "disk-full", "disk-error", "wrong-content", "cut"]))
    def go_on(self, fault: str) -> None:
        def before(target: Target) -> None:
            if fault == "cut":
                raise Cut
            if fault and "files/" in target.name:
                raise UpdateError("the test says so", code=fault)

        self.device.fetcher.before = before
        try:
            advance(self.device.site)
        except Cut:
            self.device.restart()

    @rule(code=st.sampled_from(["", "self-test-crash", "self-test-memory"]), crashes=st.sampled_from([0, 0, 5]))
    def judge(self, code: str, crashes: int) -> None:
        self.device.verdict = UpdateError("no", code=code) if code else None
        self.device.figures = replace(GOOD, crashes=crashes)

    @rule()
    def restart(self) -> None:
        self.device.restart()

    @rule(to=st.sampled_from([0.0, 4_070_908_800.0, 1_800_000_000.0]))
    def jump(self, to: float) -> None:
        self.device.clock = to

    @rule()
    def publish(self) -> None:
        self.device.publish("5.0.0", boards=("another",))

    @rule(cancel=st.booleans())
    def cancel(self, cancel: bool) -> None:  # noqa: FBT001
        course = self.device.journal.under_way()
        if course is not None and cancel:
            self.device.journal.wish(course.job.id, "cancel")

    @rule(
        name=st.sampled_from(["journal.db", "security.json", "current"]),
        content=st.sampled_from([b"", b"garbage" * 999]),
    )
    def damage(self, name: str, content: bytes) -> None:
        if name == "current":
            release = self.device.store.id_in(FAMILY, "current")
            if release is not None:
                path = self.device.store.bundle(release) / "inner" / "words.txt"
                path.unlink(missing_ok=True)
            return
        self.device.journal.close()
        (self.device.folder / "updates" / name).write_bytes(content)
        self.device.restart()
        advance(self.device.site)  # one of the two may be damaged at a time: they heal one another

    @invariant()
    def something_can_obey(self) -> None:
        if not hasattr(self, "device"):
            return
        assert self.device.version in {*self.VERSIONS, "ships"}
        floor = max(self.device.store.kept.floors().get(FAMILY, 0), self.device.journal.floors().get(FAMILY, 0))
        assert floor >= self.floor
        self.floor = floor
        for course in self.device.journal.history():
            assert course.writes <= MOST_WRITES


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
