"""What others may do in Ray's session folder, where everybody may write, to the token, its folder and the log: nothing."""

import os
import stat
import sys
from pathlib import Path

import pytest
from conftest import skip_or_fail

sys.path.insert(0, str(Path(__file__).parents[2] / "raylet_bridge" / "python"))

from netsense_ray import dashboard, private_file, shared_token
from netsense_ray.programs import NetsenseError

STRANGER = 65534


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_token, "ray_token", lambda: None)
    tmp_path.chmod(0o777)
    (tmp_path / "logs").mkdir()
    return tmp_path


@pytest.fixture
def stranger():
    if os.geteuid() != 0:
        skip_or_fail("NOT RUN: only root can give a file to another user")
    return STRANGER


def write(session, secret="ours"):
    shared_token.write_token(session / "netsense" / "token", secret)


def test_the_token_is_written_for_its_owner_alone(session):
    for secret in ("ours", "newer"):
        write(session, secret)
        assert (session / "netsense" / "token").read_text() == f"{secret}\n"
    assert stat.S_IMODE(os.stat(session / "netsense").st_mode) == 0o700
    assert stat.S_IMODE(os.stat(session / "netsense" / "token").st_mode) == 0o600
    assert os.listdir(session / "netsense") == ["token"]


def test_a_folder_that_others_may_enter_gets_no_token(session):
    (session / "netsense").mkdir()
    for mode in (0o777, 0o750, 0o701):
        (session / "netsense").chmod(mode)
        with pytest.raises(NetsenseError, match=f"mode {mode:04o}.*: chmod 700 {session}/netsense"):
            write(session)
    assert os.listdir(session / "netsense") == []


def test_a_folder_of_somebody_else_gets_no_token(session, stranger):
    (session / "netsense").mkdir(mode=0o700)
    os.chown(session / "netsense", stranger, stranger)
    with pytest.raises(NetsenseError, match=f"{session}/netsense belongs to user {stranger}, not to this one .*: remove it"):
        write(session)
    assert os.listdir(session / "netsense") == []


def test_a_link_in_the_place_of_the_folder_leads_nowhere(session):
    elsewhere = session / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (elsewhere / "token").write_text("not to be touched")
    (session / "netsense").symlink_to(elsewhere)
    with pytest.raises(NetsenseError, match="link"):
        write(session)
    private_file.remove_private(session / "netsense" / "token")
    assert (elsewhere / "token").read_text() == "not to be touched"


def test_what_was_written_is_removed(session):
    write(session)
    private_file.remove_private(session / "netsense" / "token")
    private_file.remove_private(session / "netsense" / "token")
    assert not (session / "netsense").exists()


def test_a_log_is_no_link_and_nobody_else_s(session, stranger):
    log, theirs = session / "logs" / "netsense-bridge.log", session / "theirs"
    for line in ("one\n", "two\n"):
        with open(private_file.open_log(log), "a") as file:
            file.write(line)
    assert log.read_text() == "one\ntwo\n"
    os.chown(log, stranger, stranger)
    with pytest.raises(NetsenseError, match=f"{log} belongs to user {stranger}"):
        private_file.open_log(log)
    log.unlink()
    theirs.write_text("")
    for make in (log.symlink_to, log.hardlink_to, lambda _: os.mkfifo(log)):
        make(theirs)
        with pytest.raises(NetsenseError, match="remove it"):
            private_file.open_log(log)
        log.unlink()
    assert theirs.read_text() == ""


def test_the_dashboard_sends_no_token_that_others_may_have_written(session, stranger, monkeypatch):
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "NETSENSE_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    path = session / "netsense" / "token"
    write(session)
    assert list(dashboard._tokens(session)) == [("ours", str(path))]
    for mode in (0o644, 0o620, 0o602):
        path.chmod(mode)
        assert list(dashboard._tokens(session)) == []
    path.chmod(0o440)
    assert list(dashboard._tokens(session)) == [("ours", str(path))]
    os.chown(path, stranger, stranger)
    assert list(dashboard._tokens(session)) == []
