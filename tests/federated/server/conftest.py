"""Federations for the tests: whole numbers, real servers in processes of their own, real TLS."""

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
# pytest's importlib mode leaves the path alone
for folder in (TESTS, TESTS / "service", Path(__file__).parent):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

from federations import Book, Device, Server, together, write_federation  # noqa: E402
from private_postgres import missing, private_postgres  # noqa: E402

from handheld.federated.server.pki import write_certificates  # noqa: E402


@pytest.fixture(scope="session")
def postgres():
    if problem := missing():
        pytest.skip(problem)
    with private_postgres() as new_database:
        yield new_database


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request):
    if request.param == "sqlite":
        return "federation.sqlite"
    return request.getfixturevalue("postgres")()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    write_certificates(folder, ["localhost", "127.0.0.1"])
    return folder


@pytest.fixture
def federation(tmp_path, certificates):
    """Write a configuration; return its folder."""
    return lambda **changes: write_federation(tmp_path / "federation", certificates, **changes)


@pytest.fixture
def start():
    """Start servers; all end with the test."""
    servers = []

    def begin(folder, port=0):
        servers.append(Server(folder, port))
        return servers[-1]

    yield begin
    for server in servers:
        server.end()


@pytest.fixture
def device():
    """Make devices; their connections end with the test."""
    devices = []

    def make(server, **options):
        devices.append(Device(server.url, server.folder, **options).enrol())
        return devices[-1]

    yield make
    for made in devices:
        made.connection.close()


@pytest.fixture
def stranger():
    """Make devices that are not enrolled."""
    devices = []

    def make(server, **options):
        devices.append(Device(server.url, server.folder, **options))
        return devices[-1]

    yield make
    for made in devices:
        made.connection.close()


@pytest.fixture(name="together")
def _together():
    return together


@pytest.fixture
def book():
    books = []

    def opened(folder, url="federation.sqlite"):
        books.append(Book(folder, url))
        return books[-1]

    yield opened
    for made in books:
        made.database.close()
