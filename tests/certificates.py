"""Certificates for tests, made by the openssl program: authorities, servers, clients, and what is wrong with some."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

CA = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
SERVER = (
    "basicConstraints=critical,CA:FALSE",
    "keyUsage=critical,digitalSignature,keyEncipherment",
    "extendedKeyUsage=serverAuth",
    "subjectAltName=DNS:localhost,IP:127.0.0.1",
)
CLIENT = (*SERVER[:2], "extendedKeyUsage=clientAuth")
VALID = ("20200101000000Z", "20991231000000Z")
EXPIRED, FUTURE = ("20200101000000Z", "20210101000000Z"), ("20900101000000Z", "20991231000000Z")
CONFIG = """
[ca]
default_ca = d
[d]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = p
unique_subject = no
[p]
commonName = supplied
organizationName = optional
[req]
distinguished_name = dn
[dn]
"""


class Certificates:
    """Keys and certificates in `folder`, by name; `directory` puts some together as QEMU looks for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "config").write_text(CONFIG)
        (folder / "index").write_text("")
        (folder / "serial").write_text("1000\n")

    def authority(self, name: str, extensions: tuple[str, ...] = CA) -> None:
        """A certificate that signs itself."""
        self._make(name, f"/CN={name}", extensions, VALID, "-selfsign", "-keyfile", f"{name}.key")

    def signed(
        self,
        name: str,
        by: str,
        extensions: tuple[str, ...],
        valid: tuple[str, str] = VALID,
        subject: str = "/O=qmp/CN=localhost",
    ) -> None:
        """A certificate that an authority signs."""
        self._make(name, subject, extensions, valid, "-cert", f"{by}.pem", "-keyfile", f"{by}.key")

    def directory(self, name: str, ca: str, server: str = "", client: str = "") -> str:
        """`dir` of tls-creds-x509."""
        made = self.folder / f"{name}.d"
        made.mkdir()
        shutil.copy(self.folder / f"{ca}.pem", made / "ca-cert.pem")
        for role, which in (("server", server), ("client", client)):
            if which:
                shutil.copy(self.folder / f"{which}.pem", made / f"{role}-cert.pem")
                shutil.copy(self.folder / f"{which}.key", made / f"{role}-key.pem")
        return str(made)

    def _make(
        self, name: str, subject: str, extensions: tuple[str, ...], valid: tuple[str, str], *signer: str
    ) -> None:
        (self.folder / "extensions").write_text("\n".join(extensions) + "\n")
        self._run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
        self._run("req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr")
        dates = "-startdate", valid[0], "-enddate", valid[1]
        files = "-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", "extensions", "-notext"
        self._run("ca", "-batch", *signer, *dates, *files)

    def _run(self, *words: str) -> None:
        extra = ("-config", "config") if words[0] in ("req", "ca") else ()
        subprocess.run(
            ["openssl", words[0], *extra, *words[1:]], cwd=self.folder, check=True, capture_output=True
        )


def usual(folder: Path) -> Certificates:
    """An authority `ca` and one that nobody trusts, `other`; directory `good`, and the parts of it."""
    made = Certificates(folder)
    made.authority("ca")
    made.authority("other")
    made.signed("server", "ca", SERVER)
    made.signed("client", "ca", CLIENT, subject="/O=qmp/CN=client")
    made.directory("good", "ca", "server", "client")
    return made
