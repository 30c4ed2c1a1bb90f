"""Images named by a protocol (`nbd://host/export`), as the options of the node that opens them.

Texts as measured on QEMU 7.2. Whether a driver is there is for the real block layer to say.
"""

from __future__ import annotations

from qmpemu.core.table import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from urllib.parse import SplitResult

NULL = ("null-co", "null-aio")
NBD = ("nbd", "nbd+tcp", "nbd+unix")
WEB = ("http", "https", "ftp", "ftps")
GLUSTER = ("gluster", "gluster+tcp")
NBD_PORT, SSH_PORT, ISCSI_PORT, GLUSTER_PORT = 10809, 22, 3260, 24007
INVALID = "No valid URL specified"


def named(head: str, path: str) -> dict[str, object]:
    """Options of `path`, whose protocol is `head`. Raises Refused."""
    if head in NULL:
        return {"driver": head}
    if head == "nbd" and not path.startswith("nbd://"):
        return _old_nbd(path.removeprefix("nbd:"))
    if head == "fat":
        return _fat(path)
    if head in WEB:
        return {"driver": head, "url": path}
    if head == "rbd":
        pool, _, image = path.removeprefix("rbd:").partition("/")
        return {"driver": "rbd", "pool": pool, "image": image}
    if head not in (*NBD, *GLUSTER, "ssh", "iscsi", "nfs"):
        raise Refused(f"Unknown protocol '{head}'")
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(path)
        return _nbd(parts) if head in NBD else _other(head, parts)
    except ValueError:
        raise Refused(INVALID) from None


def _fat(path: str) -> dict[str, object]:
    """A folder as a disk: `fat:floppy:32:rw:FOLDER`."""
    *words, folder = path.split(":")
    sizes = [int(word) for word in words if word in ("12", "16", "32")]
    size = sizes[-1] if sizes else 0
    return {
        "driver": "vvfat",
        "dir": folder,
        "fat-type": size,
        "floppy": "floppy" in words,
        "rw": "rw" in words,
    }


def _old_nbd(rest: str) -> dict[str, object]:
    """`HOST:PORT` or `unix:PATH`, and `:exportname=NAME`."""
    where, _, export = rest.partition(":exportname=")
    if not where:
        raise Refused("NBD server address missing")
    more = {"export": export} if export else {}
    if where.startswith("unix:"):
        return {"driver": "nbd", "server": {"type": "unix", "path": where.removeprefix("unix:")}, **more}
    host, colon, port = where.rpartition(":")
    if not colon or not port:
        raise Refused(f"error parsing address '{where}'")
    return {"driver": "nbd", "server": {"type": "inet", "host": host.strip("[]"), "port": port}, **more}


def _nbd(parts: SplitResult) -> dict[str, object]:
    export = parts.path.lstrip("/")
    more = {"export": export} if export else {}
    if parts.scheme == "nbd+unix":
        key, _, socket = parts.query.partition("=")
        if parts.netloc or key != "socket" or "&" in socket:
            raise Refused(INVALID)
        return {"driver": "nbd", "server": {"type": "unix", "path": socket}, **more}
    if not parts.hostname or parts.query:
        raise Refused(INVALID)
    port = str(parts.port or NBD_PORT)
    return {"driver": "nbd", "server": {"type": "inet", "host": parts.hostname, "port": port}, **more}


def _other(head: str, parts: SplitResult) -> dict[str, object]:
    host, path = parts.hostname or "", parts.path.lstrip("/")
    if head == "ssh":
        user = {"user": parts.username} if parts.username else {}
        server = {"host": host, "port": str(parts.port or SSH_PORT)}
        return {"driver": "ssh", "server": server, "path": f"/{path}", **user}
    if head == "iscsi":
        target, _, lun = path.rpartition("/")
        portal = f"{host}:{parts.port or ISCSI_PORT}"
        return {
            "driver": "iscsi",
            "transport": "tcp",
            "portal": portal,
            "target": target,
            "lun": int(lun or 0),
        }
    if head == "nfs":
        return {"driver": "nfs", "server": {"type": "inet", "host": host}, "path": f"/{path}"}
    volume, _, image = path.partition("/")
    server = {"type": "inet", "host": host, "port": str(parts.port or GLUSTER_PORT)}
    return {"driver": "gluster", "volume": volume, "path": image, "server": [server]}
