"""A certificate authority that lives for one test run, made with the openssl command."""

import os
import shutil
import ssl
import subprocess
import tempfile

P256 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")  # options of openssl req for the key


class Authority:
    def __init__(self, folder, name="Streamgate test CA"):
        self.folder = folder
        self.certificate = os.path.join(folder, "ca.pem")
        self._key = os.path.join(folder, "ca.key")
        self._openssl(
            "req",
            "-x509",
            "-newkey",
            *P256,
            "-nodes",
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
            "-keyout",
            self._key,
            "-out",
            self.certificate,
        )
        os.chmod(self.certificate, 0o644)

    def issue(self, *names, days=1, key=P256):
        """A server's SSLContext for these names (`IP:127.0.0.1` for an address). Its
        `names_asked_for` has the SNI name of each connection, or None."""
        return server_context(*self.issue_files(*names, days=days, key=key))

    def issue_files(self, *names, days=1, key=P256):
        """The PEM files of a certificate for these names, and of its key."""
        stem = os.path.join(self.folder, names[0].replace(":", "_").replace("*", "_"))
        alternatives = ",".join(n if n.startswith("IP:") else "DNS:" + n for n in names)
        with open(stem + ".ext", "w", encoding="ascii") as file:
            file.write(f"subjectAltName={alternatives}\n")
        self._openssl(
            "req",
            "-newkey",
            *key,
            "-nodes",
            "-subj",
            "/CN=ignored",
            "-keyout",
            stem + ".key",
            "-out",
            stem + ".csr",
        )
        self._openssl(
            "x509",
            "-req",
            "-in",
            stem + ".csr",
            "-CA",
            self.certificate,
            "-CAkey",
            self._key,
            "-days",
            str(days),
            "-extfile",
            stem + ".ext",
            "-CAcreateserial",
            "-out",
            stem + ".pem",
        )
        return stem + ".pem", stem + ".key"

    def issue_between(self, first, last, *names):
        """A server's SSLContext with a certificate that is valid from `first` to `last`
        (`20200102030405Z`)."""
        _, key = self.issue_files(*names)
        stem = key.removesuffix(".key")
        with open(stem + ".cnf", "w", encoding="ascii") as file:
            file.write(
                "[ca]\ndefault_ca=here\n[here]\ndatabase=" + stem + ".db\nnew_certs_dir="
                f"{self.folder}\nrand_serial=yes\ndefault_md=sha256\npolicy=any\n[any]\n"
                "commonName=supplied\n"
            )
        with open(stem + ".db", "w", encoding="ascii"):
            pass
        self._openssl(
            *("ca", "-batch", "-notext", "-config", stem + ".cnf", "-cert", self.certificate),
            *("-keyfile", self._key, "-in", stem + ".csr", "-out", stem + ".dated.pem"),
            *("-extfile", stem + ".ext", "-startdate", first, "-enddate", last),
        )
        return server_context(stem + ".dated.pem", key)

    def client_context(self):
        """An SSLContext for a client that trusts only this authority."""
        return ssl.create_default_context(cafile=self.certificate)

    def self_signed(self, name):
        stem = os.path.join(self.folder, "self-signed")
        self._openssl(
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "1",
            "-subj",
            f"/CN={name}",
            "-addext",
            f"subjectAltName=DNS:{name},IP:127.0.0.1",
            "-keyout",
            stem + ".key",
            "-out",
            stem + ".pem",
        )
        return server_context(stem + ".pem", stem + ".key")

    @staticmethod
    def _openssl(*arguments):
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"openssl {' '.join(arguments)}:\n{done.stderr}")


def server_context(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # for tests of weak keys and old versions
    context.load_cert_chain(certificate, key)
    context.names_asked_for = []
    context.sni_callback = lambda _socket, name, _context: context.names_asked_for.append(name)
    return context


class WithAuthority:
    """A base of test classes with a certificate authority, in a folder that every user can read."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.mkdtemp(prefix="streamgate-ca-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        os.chmod(cls.folder, 0o755)
        cls.authority = Authority(cls.folder)
