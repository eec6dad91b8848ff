"""HTTPS on a port of its own, with a certificate that changes."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.library.certificates import certificate_pem, key_pem, make_certificate, make_key
from tests.library.faulty_upstream import FaultyUpstream
from tests.library.gateway import Gateway
from tests.library.programs import attempt
from tests.library.servers import RabbitMQ, free_port
from tests.library.support import wait_until

pytestmark = pytest.mark.usefixtures("topology")
ORDER = '{"user_id": "20", "number_of_items": "99", "total_amount": "250"}'
UNKNOWN_LENGTH = ("--header", "Content-Length:", "--header", "Transfer-Encoding: chunked")


class SecureGateway(Gateway):
    """A gateway with HTTPS on `tls_port`."""

    def __init__(self, directory: Path, broker: RabbitMQ, inventory: FaultyUpstream) -> None:
        self.tls_port = free_port()
        variables = {"WORKERS": "1", "TLS_PORT": str(self.tls_port), "INVENTORY_SERVICE_URL": inventory.url}
        super().__init__(directory, broker, variables)
        self.certificate_file.write_text(make_certificate("the first"))

    def replace_certificate(self, text: str) -> None:
        """Replace the file as Ansible does."""
        new = self.certificate_file.with_suffix(".new")
        new.write_text(text)
        new.replace(self.certificate_file)

    def renew(self, name: str) -> None:
        """Replace it by a good one; returns when that is shown."""
        renewed = make_certificate(name)
        self.replace_certificate(renewed)
        wait_until(lambda: self.shown_certificate() in renewed, "the new certificate is shown", 5)

    def shown_certificate(self) -> str:
        """Return the certificate that a new client gets to see."""
        return ssl.get_server_certificate(("127.0.0.1", self.tls_port))

    def curl(self, *arguments: str, path: str = "/api/movies") -> str:
        """Ask by HTTPS, trusting the certificate of the file alone; return status, version and body."""
        options = ("--silent", "--show-error", "--write-out", "\n%{http_code} %{http_version}", *arguments)
        url = f"https://127.0.0.1:{self.tls_port}{path}"
        run = attempt("curl", *options, "--cacert", self.certificate_file, url)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def connect(self) -> http.client.HTTPSConnection:
        """Return a connection that takes any certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.tls_port, timeout=10, context=context)


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, rabbitmq: RabbitMQ, shared_upstream: FaultyUpstream
) -> Iterator[SecureGateway]:
    gateway = SecureGateway(tmp_path_factory.mktemp("gateway"), rabbitmq, shared_upstream)
    gateway.start()
    yield gateway
    gateway.kill()


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_the_api_is_there_by_https_with_both_versions_of_http(gateway: SecureGateway, version: str) -> None:
    assert gateway.curl(f"--http{version}").endswith(f"\n200 {version}")
    json = ("--header", "Content-Type: application/json")
    posted = gateway.curl(f"--http{version}", *json, "--data", ORDER, path="/api/billing")
    assert posted.endswith(f"\n200 {version}")
    # Without a length, as a program does that makes the body while it sends it.
    posted = gateway.curl(f"--http{version}", *json, *UNKNOWN_LENGTH, "--data", ORDER, path="/api/billing")
    assert posted.endswith(f"\n200 {version}")


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_what_is_refused_is_refused_by_https_too(
    gateway: SecureGateway, version: str, tmp_path: Path
) -> None:
    too_large = tmp_path / "too-large"
    too_large.write_bytes(b" " * 200_000)
    sent = ("--header", "Content-Type: application/json", "--data-binary", f"@{too_large}")
    asks_first = ("--header", "Expect: 100-continue")
    for more in ((), UNKNOWN_LENGTH, asks_first):
        answer = gateway.curl(f"--http{version}", *sent, *more)
        assert answer.endswith(f"\n413 {version}"), answer
        assert "131,072 bytes" in answer
    long = ("--header", f"X-Long: {'a' * 20_000}")
    assert gateway.curl(f"--http{version}", *long).endswith(f"\n400 {version}")


def test_http_2_is_not_spoken_in_the_clear(gateway: SecureGateway) -> None:
    options = ("--silent", "--http2-prior-knowledge", "--write-out", "%{http_code}")
    answer = attempt("curl", *options, f"{gateway.url}/api/movies").stdout
    assert answer.endswith("400")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_of_tls_are_refused(gateway: SecureGateway) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        pytest.raises(ssl.SSLError),
        closing(
            http.client.HTTPSConnection("127.0.0.1", gateway.tls_port, timeout=10, context=context)
        ) as connection,
    ):
        connection.connect()


def test_a_new_certificate_is_shown_within_seconds_and_breaks_no_request(gateway: SecureGateway) -> None:
    answered: list[int | str] = []
    stop = threading.Event()

    def ask(*, anew: bool) -> None:
        with closing(gateway.connect()) as connection:
            while not stop.is_set():
                try:
                    connection.request("GET", "/api/movies")
                    response = connection.getresponse()
                    response.read()
                    answered.append(response.status)
                except OSError as error:
                    answered.append(str(error))
                if anew:
                    connection.close()

    askers = [threading.Thread(target=ask, kwargs={"anew": anew}) for anew in (True, False, True, False)]
    for asker in askers:
        asker.start()
    try:
        for number in range(3):
            gateway.renew(f"renewed {number}")
    finally:
        stop.set()
        for asker in askers:
            asker.join(20)
    assert len(answered) > 100
    assert set(answered) == {200}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "The certificate stays as it was"),
        ("no certificate\n", "The proxy does not take the new certificate"),
        (make_certificate()[:-60], "The proxy does not take the new certificate"),
        (certificate_pem(make_key()) + key_pem(make_key()), "The proxy does not take the new certificate"),
    ],
    ids=["empty", "text", "cut", "another's key"],
)
def test_a_certificate_that_cannot_be_used_changes_nothing(
    gateway: SecureGateway, content: str, said: str
) -> None:
    before, times = gateway.shown_certificate(), gateway.output.count(said)
    gateway.replace_certificate(content)
    wait_until(lambda: gateway.output.count(said) > times, "the log says so")
    assert gateway.shown_certificate() == before
    gateway.renew("after all")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no certificate\n",
        certificate_pem(make_key()),
        certificate_pem(make_key()) + key_pem(make_key()),
        certificate_pem(key := make_key()) + key_pem(key, "with a passphrase"),
    ],
    ids=["empty", "text", "no key", "another's key", "encrypted key"],
)
def test_a_gateway_does_not_start_with_a_certificate_that_cannot_be_used(
    tmp_path: Path, rabbitmq: RabbitMQ, upstream: FaultyUpstream, content: str
) -> None:
    gateway = SecureGateway(tmp_path, rabbitmq, upstream)
    gateway.certificate_file.write_text(content)
    with pytest.raises(
        RuntimeError, match=r"The secret file .*tls_certificate (holds no certificate|is empty)"
    ):
        gateway.start()
