"""The console's own authority, and those outside: what they sign, and what they do not."""

import base64
import datetime as dt
import http.server
import ssl
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pydantic import SecretStr, ValidationError

from edgeagent.console.authority import Authority, Revoked, issued_of, key_hash, request_of
from edgeagent.console.authority_roots import Root, client, named, new_root, pem_of
from edgeagent.console.errors import ConsoleError
from edgeagent.console.external_authority import AuthoritySettings, EstSettings, ExternalAuthority, signer_of
from edgeagent.fleet.identity_keys import make_key, request

NOW = time.time()
DAY = 86_400.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.init(tmp_path_factory.mktemp("made") / "authority", "tests", NOW)


def parsed(pem: str | bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem if isinstance(pem, bytes) else pem.encode())


def test_a_device_s_certificate_is_for_clients_and_names_device_and_fleet(authority: Authority) -> None:
    issued = authority.sign_device(request(make_key("file"), "x"), "home", "kitchen", NOW)
    found = parsed(issued.pem)
    assert found.subject.rfc4514_string() == "CN=kitchen,O=home"
    assert list(found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert (issued.not_after - NOW, NOW - issued.not_before) == pytest.approx((90 * DAY, DAY), abs=2)
    assert int(issued.serial, 16) == found.serial_number
    found.verify_directly_issued_by(parsed(authority.trusted))


def test_what_a_request_says_of_itself_is_not_read(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    greedy = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "console-1")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("broker.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = greedy.public_bytes(serialization.Encoding.PEM).decode()
    found = parsed(authority.sign_device(pem, "home", "kitchen", NOW).pem)
    assert found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "kitchen"
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    with pytest.raises(x509.ExtensionNotFound):
        found.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_requests_with_weak_keys_or_foreign_signatures_are_refused(authority: Authority) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    weak = x509.CertificateSigningRequestBuilder().subject_name(name)
    for key in (rsa.generate_private_key(65_537, 2_048), ec.generate_private_key(ec.SECP224R1())):
        pem = weak.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
        with pytest.raises(ConsoleError, match="P-256"):
            authority.sign_device(pem, "home", "kitchen", NOW)
    good = x509.load_pem_x509_csr(request(make_key("file"), "x").encode())
    other = x509.load_pem_x509_csr(request(make_key("file"), "x").encode())
    body = good.public_bytes(serialization.Encoding.DER).replace(good.signature, other.signature)
    if len(good.signature) == len(other.signature):
        pem = "-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(body).decode()
        with pytest.raises(ConsoleError, match=r"signed|read"):
            authority.sign_device(f"{pem}-----END CERTIFICATE REQUEST-----\n", "home", "kitchen", NOW)


def test_the_same_key_is_known_again_in_another_request() -> None:
    key = make_key("file")
    one, two = request(key, "x"), request(key, "y")
    assert one != two
    assert key_hash(one) == key_hash(two)
    assert key_hash(one) != key_hash(request(make_key("file"), "x"))


def test_claims_come_from_a_root_of_their_own(authority: Authority) -> None:
    claim = parsed(authority.claim_certificate("1", NOW).certificate)
    claim.verify_directly_issued_by(parsed(authority.claims))
    with pytest.raises(ValueError, match="subject"):
        claim.verify_directly_issued_by(parsed(authority.trusted))


def test_what_was_revoked_stays_on_the_list_although_a_database_that_was_put_back_does_not_know_it(
    authority: Authority,
) -> None:
    listed = [Revoked("ab", NOW), Revoked("cd", NOW, is_passing=True), Revoked("ef", NOW - 92 * DAY)]
    first = authority.crl(listed, b"", NOW)
    second = authority.crl([Revoked("12", NOW)], first, NOW + 1)
    assert {f"{one.serial_number:x}" for one in x509.load_pem_x509_crl(first)} == {"ab", "cd", "ef"}
    assert {f"{one.serial_number:x}" for one in x509.load_pem_x509_crl(second)} == {"ab", "12"}


def test_a_list_is_newer_than_the_one_before_even_within_a_second_or_with_a_clock_set_back(
    authority: Authority,
) -> None:
    first = authority.crl([], b"", NOW)
    second = authority.crl([Revoked("ab", NOW)], first, NOW)
    third = authority.crl([Revoked("ab", NOW), Revoked("cd", NOW)], second, NOW - 10 * DAY)
    lists = [x509.load_pem_x509_crl(one) for one in (first, second, third)]
    began = [one.last_update_utc for one in lists]
    assert began == sorted(set(began))
    assert began[1].timestamp() < NOW  # one from the future would lock everybody out
    assert [len(list(one)) for one in lists] == [0, 1, 2]
    numbers = [one.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for one in lists]
    assert numbers == [1, 2, 3]


def test_an_authority_is_made_once_and_read_again(tmp_path: Path) -> None:
    made = Authority.init(tmp_path / "a", "one", NOW)
    assert Authority.open(tmp_path / "a").trusted == made.trusted
    with pytest.raises(ConsoleError, match="holds an authority already"):
        Authority.init(tmp_path / "a", "two", NOW)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a").glob("*.key")} == {0o600}


@pytest.mark.parametrize("what", ["missing", "damaged", "swapped", "open to others"])
def test_an_authority_that_is_not_whole_says_what(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "a"
    Authority.init(folder, "one", NOW)
    match what:
        case "missing":
            (folder / "ca.key").unlink()
        case "damaged":
            (folder / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
        case "swapped":
            (folder / "ca.key").write_bytes((folder / "claims.key").read_bytes())
        case _:
            (folder / "claims.key").chmod(0o644)
    expected = {"missing": "cannot be read", "damaged": "is damaged", "swapped": "is not the key of"}
    with pytest.raises(ConsoleError, match=expected.get(what, "others can read")) as caught:
        Authority.open(folder)
    assert caught.value.remedy


SIGNER = """
import sys, time
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pathlib import Path
from edgeagent.console.authority import Authority
csr, (fleet, device) = sys.stdin.read(), sys.argv[2:]
if device == "slow": time.sleep(60)
if device == "broken": sys.exit("no such card")
if device == "loud": print("x" * 100_000)
name = "somebody" if device == "renamed" else device
if device == "rekeyed":
    from edgeagent.fleet.identity_keys import make_key, request
    csr = request(make_key("file"), "x")
at = time.time() - (200 * 86_400 if device == "late" else 0)
print(Authority.open(Path(sys.argv[1])).sign_device(csr, fleet, name, at).pem, end="")
"""


def outside(tmp_path: Path) -> tuple[AuthoritySettings, Authority]:
    Authority.init(tmp_path / "broker" / "authority", "own", NOW)
    other = Authority.init(tmp_path / "outside", "outside", NOW)
    (tmp_path / "signer.py").write_text(SIGNER)
    (tmp_path / "roots.pem").write_text(other.trusted)
    command = (sys.executable, str(tmp_path / "signer.py"), str(tmp_path / "outside"))
    return AuthoritySettings(folder=tmp_path / "broker", command=command, roots=tmp_path / "roots.pem"), other


def test_a_command_signs_and_the_own_authority_stays_for_the_rest(tmp_path: Path) -> None:
    settings, other = outside(tmp_path)
    own, signer = signer_of(settings)
    issued = signer.sign_device(request(make_key("file"), "x"), "home", "kitchen", NOW)
    parsed(issued.pem).verify_directly_issued_by(parsed(other.trusted))
    assert signer.trusted == own.trusted + other.trusted


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("broken", "no such card"),
        ("loud", "prints more"),
        ("renamed", "is for .'somebody'"),
        ("rekeyed", "another key"),
        ("late", "not valid now"),
    ],
)
def test_a_command_that_fails_or_signs_something_else_is_refused(tmp_path: Path, device: str, said: str) -> None:
    _, signer = signer_of(outside(tmp_path)[0])
    with pytest.raises(ConsoleError, match=said):
        signer.sign_device(request(make_key("file"), "x"), "home", device, NOW)


def test_a_command_that_hangs_or_is_not_there_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _ = outside(tmp_path)
    monkeypatch.setattr("edgeagent.console.external_authority.DEADLINE_S", 1.0)
    with pytest.raises(ConsoleError, match="timed out"):
        signer_of(settings)[1].sign_device(request(make_key("file"), "x"), "home", "slow", NOW)
    absent = settings.model_copy(update={"command": ("/nowhere/signer",)})
    with pytest.raises(ConsoleError, match="does not run"):
        signer_of(absent)[1].sign_device(request(make_key("file"), "x"), "home", "kitchen", NOW)


def test_a_root_that_was_not_named_is_refused(tmp_path: Path) -> None:
    settings, _ = outside(tmp_path)
    (tmp_path / "roots.pem").write_text(Authority.init(tmp_path / "third", "third", NOW).trusted)
    with pytest.raises(ConsoleError, match="roots that were named"):
        signer_of(settings)[1].sign_device(request(make_key("file"), "x"), "home", "kitchen", NOW)


def between(above: Root, name: str, *, ca: bool, lasts_s: float = DAY) -> Root:
    """What stands between a root and a device: an authority, or what passes itself off as one."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(above.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime.fromtimestamp(NOW - 2 * DAY, dt.UTC))
        .not_valid_after(dt.datetime.fromtimestamp(NOW + lasts_s, dt.UTC))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Root(key, builder.sign(above.key, hashes.SHA256()))


def top(name: str) -> Root:
    """A root that may have authorities below it."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime.fromtimestamp(NOW - 2 * DAY, dt.UTC))
        .not_valid_after(dt.datetime.fromtimestamp(NOW + DAY, dt.UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return Root(key, builder.sign(key, hashes.SHA256()))


@pytest.mark.parametrize(
    ("what", "is_taken"),
    [("a chain", True), ("a rogue", False), ("a device", False), ("an expired one", False), ("a deep chain", False)],
)
def test_authorities_that_come_along_count_only_below_the_roots_that_were_named(
    authority: Authority, what: str, *, is_taken: bool
) -> None:
    root = top("outside")
    match what:
        case "a rogue":
            chain = [new_root("rogue", NOW)]
        case "a device":
            chain = [between(root, "hall", ca=False)]
        case "an expired one":
            chain = [between(root, "middle", ca=True, lasts_s=-DAY)]
        case "a deep chain":  # the upper one lets none stand below it
            chain = [between(root, "upper", ca=True)]
            chain.insert(0, between(chain[0], "lower", ca=True))
        case _:
            chain = [between(root, "middle", ca=True)]

    def sign(csr_pem: str, fleet: str, device: str) -> str:  # noqa: ARG001  # as the seam has it
        leaf = chain[0].sign(client(named(device), request_of(csr_pem).public_key(), NOW, 3_600))
        return b"".join(pem_of(one) for one in (leaf, *(link.certificate for link in chain))).decode()

    signer = ExternalAuthority(authority, sign, pem_of(root.certificate).decode())
    if is_taken:
        assert signer.sign_device(request(make_key("file"), "x"), "home", "kitchen", NOW).serial
        return
    with pytest.raises(ConsoleError, match="roots that were named"):
        signer.sign_device(request(make_key("file"), "x"), "home", "kitchen", NOW)


def test_a_name_that_is_an_option_does_not_get_to_the_command(tmp_path: Path) -> None:
    _, signer = signer_of(outside(tmp_path)[0])
    with pytest.raises(ConsoleError, match="for an option"):
        signer.sign_device(request(make_key("file"), "x"), "home", "--help", NOW)


class _Est(http.server.BaseHTTPRequestHandler):
    root: Root
    status = 200
    asked: list[tuple[str, str | None]]

    def do_POST(self) -> None:
        type(self).asked.append((self.path, self.headers["Authorization"]))
        body = base64.b64decode(self.rfile.read(int(self.headers["Content-Length"])))
        request = x509.load_der_x509_csr(body)
        leaf = self.root.sign(client(request.subject, request.public_key(), time.time(), 90 * DAY))
        found = pkcs7.serialize_certificates([self.root.certificate, leaf], serialization.Encoding.DER)
        answer = base64.encodebytes(found)
        self.send_response(self.status)
        if self.status == 302:
            self.send_header("Location", "https://127.0.0.1:1/elsewhere")
        self.send_header("Content-Type", "application/pkcs7-mime; smime-type=certs-only")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002, ARG002  # the library's own names
        return


@contextmanager
def est_server(tmp_path: Path, root: Root, status: int = 200) -> Iterator[tuple[EstSettings, type[_Est]]]:
    pair = root.server_pair(["127.0.0.1"], NOW, DAY)
    (tmp_path / "est.pem").write_bytes(pair.certificate + pair.key)
    (tmp_path / "est-ca.pem").write_bytes(pem_of(root.certificate))
    serving = type("Est", (_Est,), {"root": root, "status": status, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serving)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "est.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        port = server.server_address[1]
        yield (
            EstSettings(
                url=f"https://127.0.0.1:{port}/.well-known/est",
                ca=tmp_path / "est-ca.pem",
                username="console",
                password=SecretStr("secret"),
            ),
            serving,
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def est_settings(tmp_path: Path, est: EstSettings) -> AuthoritySettings:
    Authority.init(tmp_path / "broker" / "authority", "own", NOW)
    return AuthoritySettings(folder=tmp_path / "broker", est=est, roots=tmp_path / "est-ca.pem")


def test_a_server_signs_by_est(tmp_path: Path) -> None:
    root = new_root("est root", NOW)
    with est_server(tmp_path, root) as (est, serving):
        _, signer = signer_of(est_settings(tmp_path, est))
        assert signer.signs_subjects
        issued = signer.sign_device(request(make_key("file"), "kitchen"), "home", "kitchen", NOW)
    assert issued_of(issued.pem).serial == issued.serial
    parsed(issued.pem).verify_directly_issued_by(root.certificate)
    assert serving.asked == [("/.well-known/est/simpleenroll", "Basic " + base64.b64encode(b"console:secret").decode())]


@pytest.mark.parametrize(("status", "said"), [(202, "answers 202"), (401, "answers 401"), (302, "answers 302")])
def test_a_server_that_does_not_sign_is_told_of_and_its_redirects_are_not_followed(
    tmp_path: Path, status: int, said: str
) -> None:
    with est_server(tmp_path, new_root("est root", NOW), status) as (est, _):
        _, signer = signer_of(est_settings(tmp_path, est))
        with pytest.raises(ConsoleError, match=said) as caught:
            signer.sign_device(request(make_key("file"), "x"), "home", "kitchen", NOW)
    assert "secret" not in f"{caught.value}{caught.value.remedy}"


def test_a_server_that_does_not_prove_who_it_is_is_not_asked(tmp_path: Path) -> None:
    with est_server(tmp_path, new_root("est root", NOW)) as (est, serving):
        settings = est_settings(tmp_path, est)
        (tmp_path / "est-ca.pem").write_bytes(pem_of(new_root("another", NOW).certificate))
        with pytest.raises(ConsoleError, match="cannot be asked"):
            signer_of(settings)[1].sign_device(request(make_key("file"), "x"), "home", "kitchen", NOW)
        assert serving.asked == []


def test_settings_of_an_authority_that_contradict_one_another_are_refused(tmp_path: Path) -> None:
    est = EstSettings(url="https://ca.example/.well-known/est", ca=tmp_path)
    for given in (
        {"command": ("x",)},
        {"roots": tmp_path},
        {"command": ("x",), "est": est, "roots": tmp_path},
    ):
        with pytest.raises(ValidationError):
            AuthoritySettings(folder=tmp_path, **given)
    with pytest.raises(ValidationError):
        EstSettings(url="http://ca.example/est", ca=tmp_path)
