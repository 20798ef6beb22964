"""The test PKI: closed files, a chain that holds, nothing overwritten."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest

from revere.core.errors import Refused, RevereError

x509 = pytest.importorskip("cryptography.x509", reason="cryptography is locked but not installed: run make setup")

from revere.app.pki import make_pki  # noqa: E402

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_one_root_signs_a_server_and_stations_and_later_ones_too(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    first = make_pki(folder, ["csms.example.org", "192.0.2.7"], ["ST-1"], days=30, now=NOW)
    before = {path: path.read_bytes() for path in first}
    later = make_pki(folder, None, ["ST.2"], days=90, now=NOW)
    assert [path.name for path in later] == ["ST.2.key", "ST.2.pem"]
    assert {path: path.read_bytes() for path in first} == before
    assert {path.stat().st_mode & 0o777 for path in (*first, *later)} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700

    root, server = read(folder / "root.pem"), read(folder / "server.pem")
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["csms.example.org", "192.0.2.7"]
    for station in ("ST-1", "ST.2"):
        certificate = read(folder / "stations" / f"{station}.pem")
        certificate.verify_directly_issued_by(root)
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        assert [name.value for name in common] == [station]
        assert certificate.not_valid_after_utc <= root.not_valid_after_utc  # 90 days asked, the root has 30
    server.verify_directly_issued_by(root)


@pytest.mark.parametrize(
    ("hosts", "stations", "days", "says"),
    [
        (None, ["ST-1"], 30, ("ST-1.pem", "already", "Move the old pair away")),
        (["csms.example.org"], [], 30, ("server.pem", "already")),
        (None, ["ST-2", "ST-2"], 30, ("named twice",)),
        (None, ["../root"], 30, ("not a usable identifier",)),
        (None, ["ST-2"], 0, ("days", "1 to 3650")),
        (None, ["half"], 30, ("half a pair", "half.pem")),
    ],
)
def test_what_is_there_or_makes_no_sense_is_refused_before_anything_is_written(
    hosts: list[str] | None, stations: list[str], days: int, says: tuple[str, ...], tmp_path: Path
) -> None:
    make_pki(tmp_path, None, ["ST-1"], days=30, now=NOW)
    (tmp_path / "stations" / "half.pem").write_text("")
    before = sorted(os.walk(tmp_path))
    with pytest.raises(RevereError) as caught:
        make_pki(tmp_path, hosts, stations, days=days, now=NOW)
    for words in says:
        assert words in caught.value.text()
    assert sorted(os.walk(tmp_path)) == before


def test_a_server_without_its_root_and_a_strange_key_are_refused(tmp_path: Path) -> None:
    make_pki(tmp_path / "a", None, [], days=30, now=NOW)
    make_pki(tmp_path / "b", None, [], days=30, now=NOW)
    (tmp_path / "a" / "root.key").write_bytes((tmp_path / "b" / "root.key").read_bytes())
    with pytest.raises(RevereError, match="another's"):
        make_pki(tmp_path / "a", None, ["ST-1"], days=30, now=NOW)
    for name in ("root.key", "root.pem"):
        (tmp_path / "b" / name).unlink()
    with pytest.raises(Refused, match="without its root"):
        make_pki(tmp_path / "b", None, ["ST-1"], days=30, now=NOW)
