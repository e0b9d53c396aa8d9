"""Runs the image's commands in what an engine would make of the image; no engine is needed.

    unshare --net --mount python -m tests.supply_chain.rehearsal TREE

Everything of the last stage of config/image/Containerfile is taken from there: its environment, its
checks, its entrypoint. The root is made of an interpreter, the C library and the tree, with no
shell and no pip in it, and read-only to its last mount; the user is 65532; the network has loopback
and nothing else, where the embedded API server listens. Prints what it found as JSON.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.supply_chain.containerfile import CONTAINERFILE, stages

from warmclaim.testing.api import FakeApiServer
from warmclaim.testing.builders import a_claim, a_pool, a_template
from warmclaim.testing.fake_nodes import FakeNodes
from warmclaim.testing.http_front import serve

USER = 65532
FLAGS = ("--leader-elect=true", "--leader-election-namespace=default", "--extensions")
READY_S_MAX = 40.0
STOP_S_MAX = 10.0
CLAIMS = "sandboxclaims.extensions.agents.x-k8s.io"

# Told by the inside, with the image's interpreter and user.
INSIDE = """
import json, os, socket
def is_writable(folder):
    try:
        os.close(os.open(folder + "/probe", os.O_CREAT | os.O_WRONLY))
    except OSError:
        return False
    return True
def is_read_only(folder):
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
folders = [path for path, _, _ in os.walk("/") if not path.startswith("/proc")]
try:
    socket.create_connection(("192.0.2.1", 443), 2)
    reached = True
except OSError as error:
    reached = False
print(json.dumps({
    "user": [os.getuid(), os.getgid(), os.getgroups()],
    "folders": len(folders),
    "writable": [folder for folder in folders if is_writable(folder)],
    "on a writable mount": [folder for folder in folders if not is_read_only(folder)],
    "interfaces": [name for _, name in socket.if_nameindex()],
    "reaches others": reached,
}))
"""


def main() -> None:
    """The program; a command that fails ends it with a traceback."""
    tree = Path(sys.argv[1]).resolve()
    _loopback_up()
    root = Path("/mnt")
    _mount("-t", "tmpfs", "-o", "mode=755,size=16m", "tmpfs", str(root))
    _fill(root, tree)
    print(json.dumps(asyncio.run(_rehearsed(root))))


def _fill(root: Path, tree: Path) -> None:
    """What a base image without a shell has, and the tree where the Containerfile puts it."""
    interpreter = Path(os.path.realpath(sys.executable))
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    for folder in map(Path, ("/lib", "/lib64", "/usr/lib", "/usr/lib64")):
        if folder.is_symlink():
            (root / folder.relative_to("/")).symlink_to(folder.readlink())
        elif folder.is_dir():
            _bind(folder, root / folder.relative_to("/"))
    if not library.is_relative_to("/usr/lib"):
        _bind(library.parent, root / library.parent.relative_to("/"))
    for packages in (library / "site-packages", library.parent / "python3" / "dist-packages"):
        if packages.is_dir():
            _mount("-t", "tmpfs", "-o", "ro", "tmpfs", str(root / packages.relative_to("/")))
    _bind(interpreter, root / interpreter.relative_to("/"))
    (root / "usr/bin").mkdir(parents=True, exist_ok=True)
    (root / "usr/bin/python3").symlink_to(interpreter)
    _bind(tree, root / "opt/warmclaim")
    for device in ("null", "urandom"):
        _bind(Path("/dev", device), root / "dev" / device)
    (root / "proc").mkdir()
    _mount("--rbind", "/proc", str(root / "proc"))


def _bind(source: Path, target: Path) -> None:
    """Show `source` at `target`, read-only."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.touch()
    _mount("--bind", str(source), str(target))
    _mount("-o", "remount,bind,ro", str(target))


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def _loopback_up() -> None:
    """A new network has its loopback switched off."""
    get, put, up = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh14x", b"lo", 0)
        _, flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, get, asked))
        fcntl.ioctl(any_socket, put, struct.pack("16sh14x", b"lo", flags | up))


async def _rehearsed(root: Path) -> dict[str, Any]:
    """The checks, the look from inside, then a manager that hands out a sandbox and is stopped."""
    stage = stages(CONTAINERFILE.read_text(encoding="utf-8"))[-1]
    environ = {"PATH": "/usr/bin", **stage.environ()}
    server = FakeApiServer()
    async with FakeNodes(server.cluster, count=3), serve(server) as front:
        front.write_kubeconfig(root / "kubeconfig").chmod(0o644)
        _mount("-o", "remount,ro", str(root))
        for check in stage.checks():
            await _said(root, check, environ)
        found: dict[str, Any] = json.loads(await _said(root, ["python3", "-c", INSIDE], environ))
        entrypoint = stage.entrypoint()
        found["help"] = (await _said(root, [*entrypoint, "--help"], environ)).splitlines()[0]
        manager = await _started(root, [*entrypoint, "--kubeconfig=/kubeconfig", *FLAGS], environ)
        for thing in (a_template(), a_pool(replicas=2), a_claim()):
            server.cluster.put(thing)
        found["claim is ready"] = await _until(lambda: _is_ready(server), manager)
        if manager.returncode is None:
            manager.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_S_MAX):
            _, log = await manager.communicate()
        found["exit code"] = manager.returncode
        found["log"] = log.decode().splitlines()[-20:]
    return found


async def _started(
    root: Path, words: Sequence[str], environ: Mapping[str, str]
) -> asyncio.subprocess.Process:
    user = f"--userspec={USER}:{USER}"
    return await asyncio.create_subprocess_exec(
        *("setpriv", "--no-new-privs", "chroot", user, "--groups=", str(root), *words),
        # chroot itself is found here, what it starts inside.
        env={**environ, "PATH": f"{environ['PATH']}:/usr/sbin:/sbin:/bin"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _said(root: Path, words: Sequence[str], environ: Mapping[str, str]) -> str:
    """What the command prints. It must succeed."""
    process = await _started(root, words, environ)
    out, err = await process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(words)[:200]} failed: {err.decode()[-2000:]}")
    return out.decode()


async def _until(holds: Callable[[], bool], manager: asyncio.subprocess.Process) -> bool:
    """Whether it holds in time, and while the manager runs."""
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + READY_S_MAX
    while not holds() and manager.returncode is None and loop.time() < ends_s:  # noqa: ASYNC110 - another process makes it so
        await asyncio.sleep(0.05)
    return holds()


def _is_ready(server: FakeApiServer) -> bool:
    found = server.cluster.store.get(CLAIMS, "default/claim")
    status: dict[str, Any] = found.object.get("status", {}) if found else {}
    conditions: list[dict[str, str]] = status.get("conditions", [])
    return any((c["type"], c["status"]) == ("Ready", "True") for c in conditions)


if __name__ == "__main__":
    main()
