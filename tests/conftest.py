"""What every Python test gets: the programs, and a directory with a short name (Unix sockets and Ray need one).

NETSENSE_BIN: folder with the three programs. In CI a test that cannot run here fails; elsewhere it says why and is skipped.
NETSENSE_TIMING_ONLY=1: only the tests that judge time (pytest.mark.timing), for `make test-timing`.
"""

import os
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "lab"))

import netlab
import pace


def skip_or_fail(reason):
    if os.environ.get("CI"):
        pytest.fail(f"cannot run here, and CI must not lose it: {reason}", pytrace=False)
    pytest.skip(reason)


def pytest_configure(config):
    config.addinivalue_line("markers", "timing: it judges time, by the machine's pace")


def pytest_collection_modifyitems(config, items):
    if os.environ.get("NETSENSE_TIMING_ONLY"):
        others = [item for item in items if not item.get_closest_marker("timing")]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.fixture(autouse=True)
def time_is_judged_only_where_marked(request, monkeypatch):
    if not request.node.get_closest_marker("timing"):

        def refuse(what, *_):
            pytest.fail(f"judges time ({what}): mark it pytest.mark.timing, and its CTest entry JUDGES_TIME", pytrace=False)

        monkeypatch.setattr(pace, "judge", refuse)


@pytest.fixture(autouse=True, scope="session")
def nothing_from_outside(tmp_path_factory):
    """A token, an address or a setting of the person who runs the tests (Ray writes ~/.ray/auth_token) is none of ours."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RAY_") or name == "NETSENSE_TOKEN_FILE"]:
            patch.delenv(name)
        for name, value in pace.environment().items():
            patch.setenv(name, value)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def bin_dir():
    return Path(os.environ["NETSENSE_BIN"])


@pytest.fixture(scope="session")
def namespaces():
    why_not = netlab.namespaces_allowed()
    if why_not is not None:
        skip_or_fail(f"network namespaces are needed (run as root): {why_not}")


@pytest.fixture(scope="module")
def directory():
    with tempfile.TemporaryDirectory(prefix="nst-", ignore_cleanup_errors=True) as made:
        yield Path(made)


@pytest.fixture(autouse=True, scope="session")
def nothing_is_left_behind():
    """No namespace of this process outlives its tests."""
    yield
    left = [n for n in os.listdir("/run/netns") if f"netsense-{os.getpid()}-" in n] if os.path.isdir("/run/netns") else []
    assert not left, f"network namespaces left behind: {left}"
