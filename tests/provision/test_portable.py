"""What customises and looks into images runs where there is no Linux: no module of POSIX alone, and no program."""

import subprocess
import sys

POSIX_ONLY = ("fcntl", "grp", "posix_ipc", "pwd", "resource", "syslog", "termios", "tty")
PORTABLE = ("copies", "customise", "flash", "inspect", "os_list", "system", "wifi", "wishes")


def test_customising_needs_no_module_that_windows_lacks() -> None:
    blocked = f"import sys; sys.modules.update(dict.fromkeys({POSIX_ONLY!r}))"
    wanted = ", ".join(f"edgeagent.provision.{name}" for name in PORTABLE)
    left_out = "assert not {'edgeagent.provision.build', 'edgeagent.install'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"{blocked}; import {wanted}; {left_out}"], check=True)
