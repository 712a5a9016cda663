"""A disk that forgets: the system calls of a run, as strace tells them, applied to a model of a file system.

After any of them the power may be cut. What is left then is written into a folder:
- "synced": names that their folder's fsync has brought to the disk, and data that the file's fsync has; the least that
  a file system may keep;
- "names": every name, but only synced data, so that a file that was renamed too early is empty, as on ext4 without
  `auto_da_alloc`;
- "some": of each folder and each file by lot what was synced, or what was last.
"""

import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Policy = Literal["synced", "names", "some"]

CREATING = ("openat", "mkdir", "mkdirat", "link", "linkat", "symlink", "symlinkat")
RENAMING = ("rename", "renameat", "renameat2")
REMOVING = ("unlink", "unlinkat", "rmdir")
WRITING = ("write", "pwrite64", "ftruncate", "fallocate")
SYNCING = ("fsync", "fdatasync")
MODES = ("fchmod", "chmod", "fchmodat")
CHANGING = (*CREATING, *RENAMING, *REMOVING, *WRITING, *SYNCING, *MODES)

_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)(?:<(.*?)>)?(?: .*)?$")
_DESCRIPTOR = re.compile(r"^(-?\d+|AT_FDCWD)<(.*)>$")


@dataclass(frozen=True)
class Call:
    """A system call that was carried out."""

    name: str
    arguments: tuple[str, ...]
    result: int


def calls_of(log: str) -> list[Call]:
    """Return the calls of a log made with `-y -xx -s`, in their order, the failed ones too."""
    matches = (_CALL.match(line) for line in log.splitlines())
    return [Call(match[1], tuple(match[2].split(", ")), int(match[3])) for match in matches if match is not None]


def text_of(argument: str) -> bytes:
    inner = argument.strip('"')
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), inner.encode())


@dataclass
class Node:
    """A file, a folder or a link: what it is now, and what of it is on the disk."""

    kind: Literal["file", "folder", "link"]
    data: bytes = b""
    synced_data: bytes = b""
    names: dict[str, "Node"] = field(default_factory=dict)
    synced_names: dict[str, "Node"] = field(default_factory=dict)
    target: str = ""


class ForgetfulDisk:
    """The files below a folder."""

    def __init__(self, root: Path) -> None:
        """Take what is there; all of it is on the disk."""
        self.root = root
        self._seen: dict[int, Node] = {}
        self._tree = self._load(root)
        self._offsets: dict[str, int] = {}

    def _load(self, path: Path) -> Node:
        if path.is_symlink():
            return Node("link", target=str(path.readlink()))
        if path.is_dir():
            names = {one.name: self._load(one) for one in path.iterdir()}
            return Node("folder", names=names, synced_names=dict(names))
        inode = path.stat().st_ino
        if inode not in self._seen:
            content = path.read_bytes()
            self._seen[inode] = Node("file", content, content)
        return self._seen[inode]

    def apply(self, call: Call) -> bool:
        """Carry out a call; return whether it changed anything here."""
        if call.result < 0:
            return False
        return bool(self._apply(call))

    def _apply(self, call: Call) -> bool:  # a case for each call
        arguments = call.arguments
        match call.name:
            case "openat":
                return "O_CREAT" in arguments[2] and self._create(*self._path(arguments[0], arguments[1]), call)
            case "mkdir" | "mkdirat":
                return self._put(*self._path(*arguments[: 1 + (call.name == "mkdirat")]), Node("folder"))
            case "symlink" | "symlinkat":
                node = Node("link", target=text_of(arguments[0]).decode())
                return self._put(*self._path(*arguments[1 : 2 + (call.name == "symlinkat")]), node)
            case "link":
                return self._link(self._path(arguments[0]), self._path(arguments[1]))
            case "linkat":
                return self._link(self._path(*arguments[:2]), self._path(*arguments[2:4]))
            case "rename":
                return self._rename(self._path(arguments[0]), self._path(arguments[1]))
            case "renameat" | "renameat2":
                return self._rename(self._path(*arguments[:2]), self._path(*arguments[2:4]))
            case "unlink" | "rmdir":
                return self._remove(*self._path(arguments[0]))
            case "unlinkat":
                return self._remove(*self._path(*arguments[:2]))
            case "write" | "pwrite64" | "ftruncate" | "fallocate" | "fsync" | "fdatasync":
                return self._to_file(call)
        return False

    def _path(self, *arguments: str) -> tuple[Node | None, str]:
        """Return the folder and the name that a call means; no folder where that is not below ours."""
        path = text_of(arguments[-1]).decode()
        if not path.startswith("/"):
            match = _DESCRIPTOR.match(arguments[0])
            path = f"{text_of(match[2]).decode()}/{path}" if match else path
        return self._folder(path), path.rsplit("/", 1)[-1]

    def _folder(self, path: str) -> Node | None:
        parent = path.rsplit("/", 1)[0]
        return self._find(parent)

    def _find(self, path: str) -> Node | None:
        if path == str(self.root):
            return self._tree
        if not path.startswith(f"{self.root}/"):
            return None
        node = self._tree
        for part in path[len(str(self.root)) + 1 :].split("/"):
            if part not in node.names:
                return None
            node = node.names[part]
        return node

    def _create(self, folder: Node | None, name: str, call: Call) -> bool:
        self._offsets[str(call.result)] = 0
        if folder is None:
            return False
        if name in folder.names:
            if "O_TRUNC" in call.arguments[2]:
                folder.names[name].data = b""
            return True
        return self._put(folder, name, Node("file"))

    @staticmethod
    def _put(folder: Node | None, name: str, node: Node) -> bool:
        if folder is None:
            return False
        folder.names[name] = node
        return True

    def _link(self, old: tuple[Node | None, str], new: tuple[Node | None, str]) -> bool:
        return old[0] is not None and self._put(*new, old[0].names[old[1]])

    def _rename(self, old: tuple[Node | None, str], new: tuple[Node | None, str]) -> bool:
        if old[0] is None or new[0] is None:
            return False
        node = old[0].names[old[1]]
        if new[0].names.get(new[1]) is node:
            return True  # two names of one file: rename does nothing
        del old[0].names[old[1]]
        return self._put(*new, node)

    @staticmethod
    def _remove(folder: Node | None, name: str) -> bool:
        return folder is not None and folder.names.pop(name, None) is not None

    def _to_file(self, call: Call) -> bool:
        match = _DESCRIPTOR.match(call.arguments[0])
        node = self._find(text_of(match[2]).decode()) if match else None
        if match is None or node is None:
            return False
        if call.name in SYNCING:
            node.synced_data, node.synced_names = node.data, dict(node.names)
        elif call.name == "ftruncate":
            length = int(call.arguments[1])
            node.data = node.data[:length].ljust(length, b"\0")
        elif call.name == "fallocate":
            node.data = node.data.ljust(int(call.arguments[2]) + int(call.arguments[3]), b"\0")
        else:
            self._write(node, call, match[1])
        return True

    def _write(self, node: Node, call: Call, descriptor: str) -> None:
        content = text_of(call.arguments[1])[: call.result]
        offset = int(call.arguments[3]) if call.name == "pwrite64" else self._offsets.get(descriptor, 0)
        node.data = node.data[:offset].ljust(offset, b"\0") + content + node.data[offset + len(content) :]
        if call.name == "write":
            self._offsets[descriptor] = offset + len(content)

    def leave(self, folder: Path, policy: Policy, draw: random.Random) -> None:
        """Write into a folder that is not there yet what a power cut leaves now."""
        self._leave(self._tree, folder, policy, draw, {})

    def _leave(self, node: Node, path: Path, policy: Policy, draw: random.Random, made: dict[int, Path]) -> None:
        is_last = draw.random() < 0.5
        if node.kind == "link":
            path.symlink_to(node.target)
        elif id(node) in made:
            os.link(made[id(node)], path)
        elif node.kind == "file":
            path.write_bytes(node.data if policy == "some" and is_last else node.synced_data)
            made[id(node)] = path
        else:
            path.mkdir()
            keeps_names = policy == "names" or (policy == "some" and is_last)
            for name, inner in (node.names if keeps_names else node.synced_names).items():
                self._leave(inner, path / name, policy, draw, made)


def ordinals(calls: list[Call]) -> Iterator[tuple[int, Call, int]]:
    """Yield each call that changed something with its place in the log, and as the how-manieth of its name it came."""
    counts: dict[str, int] = {}
    for place, call in enumerate(calls):
        counts[call.name] = counts.get(call.name, 0) + 1
        if call.result >= 0 and (call.name != "openat" or "O_CREAT" in call.arguments[2]):
            yield place, call, counts[call.name]
