"""Assets, users, tokens, station secrets; the doors for other threads."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from decimal import Decimal

import asyncpg
import msgspec
import pytest

from revere.control.directory import secret_mac
from revere.core.assets import (
    BlockGroupInputs,
    Card,
    Feeder,
    Fleet,
    Participant,
    Program,
    Programme,
    Site,
    Station,
    Trip,
    Vehicle,
)
from revere.core.errors import Refused
from revere.core.ids import FeederId, ParticipantId, ProgramId, SiteId, StationId, TenantId, VehicleId
from revere.core.ports import KnownCertificate
from revere.core.tariff import Tariff, Window
from revere.store import access
from revere.store.access import User, token_sha256
from revere.store.store import Store

from .samples import T0, reading
from .test_journal import query, with_store

HOUR = dt.timedelta(hours=1)


def fleet() -> Fleet:
    site = Site(
        id=SiteId("school"),
        name="Douglas School",
        kind="school",
        town="Acton",
        utility="Eversource",
        utility_kind="investor_owned",
        utility_account="1",
        feeder_id=FeederId("f1"),
        participant_id=ParticipantId("p1"),
        tariff_id="g3",
        import_limit_kw=500.0,
        load_shape="school",
        load_peak_kw=312.5,
    )
    stations = tuple(
        Station(
            id=StationId(name),
            site_id=site.id,
            vendor="V",
            model="M",
            serial=name,
            protocol="ocpp2.1",
            connector="ccs1",
            charge_kw=60.0,
            discharge_kw=60.0,
        )
        for name in ("st2", "st1", "st3")  # the scenario's order, not the alphabet's
    )
    vehicle = Vehicle(
        id=VehicleId("bus1"),
        name="Bus 1",
        kind="bus",
        make="B",
        station_id=StationId("st1"),
        token="t1",
        capacity_kwh=226.0,
        charge_kw=60.0,
        discharge_kw=60.0,
        trips=(Trip(name="am", days="school", depart=dt.time(6, 10), back=dt.time(8, 45), energy_kwh=40.1),),
    )
    tariff = Tariff(
        id="g3",
        name="G3",
        source="none",
        verified=False,
        base_usd_per_kwh=Decimal("0.10430"),
        windows=(Window(days="weekday", start=dt.time(9), end=dt.time(18), price_usd_per_kwh=Decimal("0.20")),),
    )
    return Fleet(
        programme=Programme(
            id=TenantId("acton"),
            name="MA",
            zone="America/New_York",
            school_closed=(dt.date(2023, 9, 25),),
            simulated=False,
        ),
        feeders=(Feeder(id=FeederId("f1"), name="F", import_limit_kw=900.0, export_limit_kw=900.0),),
        sites=(site,),
        stations=stations,
        vehicles=(vehicle,),
        participants=(Participant(id=ParticipantId("p1"), name="P", kind="school", grant_usd=Decimal("1000000.01")),),
        programs=(
            Program(
                id=ProgramId("cs"),
                name="CS",
                rule="cs-daily",
                utilities=("Eversource",),
                site_kinds=("school",),
                openadr_program="cs",
            ),
        ),
        tariffs=(tariff,),
        block_groups=(
            BlockGroupInputs(
                id="250173631011",
                income_usd=Decimal("48000"),
                minority=Decimal("0.255"),
                statewide_income_usd=Decimal("101341"),
                source="ACS",
            ),
        ),
        cards=(
            Card(id="0A1B", group="school", valid_until=dt.datetime(2027, 1, 1, tzinfo=dt.UTC)),
            Card(id="0A1C", blocked=True, stations=(StationId("st1"),), hours=(dt.time(6), dt.time(18, 30))),
        ),
    )


def test_a_fleet_comes_back_as_saved(pg_dsn: str) -> None:
    async def work(store: Store) -> None:
        assert await store.load_fleet() is None
        await store.save_fleet(fleet())
        assert await store.load_fleet() == fleet()
        await store.save_fleet(fleet())
        assert await store.load_fleet() == fleet()

    with_store(pg_dsn, work)


def test_assets_are_added_replaced_and_marked_deleted(pg_dsn: str) -> None:
    async def work(store: Store) -> None:
        await store.save_fleet(fleet())
        extra = msgspec.structs.replace(fleet().stations[0], id=StationId("st0"), serial="new")
        await store.save_assets([extra])
        assert [station.id for station in await store.assets(Station)] == ["st2", "st1", "st3", "st0"]
        changed = msgspec.structs.replace(fleet().stations[1], charge_kw=19.2)
        await store.save_assets([changed])
        assert (await store.assets(Station))[1] == changed
        assert await store.remove_asset(Station, "st2")
        assert not await store.remove_asset(Station, "st2")
        assert await store.asset(Station, "st2") is None
        assert (await query(pg_dsn, "SELECT count(*) AS n FROM asset WHERE kind = 'station'"))[0]["n"] == 4
        await store.save_fleet(fleet())
        assert await store.load_fleet() == fleet()  # st2 is back, st0 is gone

    with_store(pg_dsn, work)


def test_a_next_secret_stands_beside_the_one_in_force_until_it_is_settled(pg_dsn: str) -> None:
    old, new, other = (bytes([n]) * 32 for n in (1, 2, 3))

    async def work(store: Store) -> None:
        st1 = StationId("st1")
        assert not await store.offer_station_secret(st1, new)  # nothing in force, so nothing to stand beside
        await store.save_station_secret(st1, old)
        for used, left in ((False, old), (True, new)):
            assert await store.offer_station_secret(st1, new)
            assert (await store.station_macs(), await store.offered_macs()) == ({st1: old}, {st1: new})
            await store.settle_station_secret(st1, other, used=True)  # an offer that is no more
            assert (await store.station_macs(), await store.offered_macs()) == ({st1: old}, {st1: new})
            await store.settle_station_secret(st1, new, used=used)
            assert (await store.station_macs(), await store.offered_macs()) == ({st1: left}, {})
        await store.offer_station_secret(st1, other)
        await store.save_station_secret(st1, old)  # by hand: all that it had is void
        assert (await store.station_macs(), await store.offered_macs()) == ({st1: old}, {})

    with_store(pg_dsn, work)


def test_the_newest_certificate_is_kept_whatever_comes_late_and_a_revocation_stands(pg_dsn: str) -> None:
    def one(mark: int, hours: int) -> KnownCertificate:
        return KnownCertificate(fingerprint=bytes([mark]) * 32 if mark else b"", begins=T0 + hours * HOUR)

    async def work(store: Store) -> None:
        st1, st2 = StationId("st1"), StationId("st2")
        assert await store.station_certificates() == {}
        await store.save_station_certificate(st2, one(9, 0))
        for said, kept in (
            (one(1, 5), one(1, 5)),
            (one(2, 7), one(2, 7)),
            (one(1, 5), one(2, 7)),  # written late
            (one(3, 7), one(2, 7)),
            (one(0, 6), one(0, 7)),  # revoked: none becomes older by it
            (one(2, 7), one(0, 7)),  # its use, written late
            (one(0, 9), one(0, 9)),
            (one(4, 10), one(4, 10)),
        ):
            await store.save_station_certificate(st1, said)
            assert await store.station_certificates() == {st1: kept, st2: one(9, 0)}
        with pytest.raises(asyncpg.CheckViolationError):
            await store.save_station_certificate(st1, KnownCertificate(fingerprint=b"short", begins=T0 + 99 * HOUR))

    with_store(pg_dsn, work)


def test_station_secrets_are_kept_as_mac_only(pg_dsn: str) -> None:
    key = b"k" * 32

    async def work(store: Store) -> None:
        await store.save_station_secret(StationId("st1"), secret_mac(key, "st1", "0123456789abcdef"))
        assert await store.station_macs() == {"st1": secret_mac(key, "st1", "0123456789abcdef")}
        assert secret_mac(b"other", "st1", "0123456789abcdef") != secret_mac(key, "st1", "0123456789abcdef")
        kept = bytes((await query(pg_dsn, "SELECT mac FROM station_secret"))[0]["mac"])
        assert b"0123456789abcdef" not in kept

    with_store(pg_dsn, work)


def test_tokens_expire_are_revoked_and_bounded(pg_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = User(name="ada", role="operator", password_hash="$argon2id$x", site_id="school")

    async def work(store: Store) -> None:
        await store.save_user(ada)
        await store.save_token("secret", kind="api", user_name="ada", now=T0, expires_at=T0 + HOUR, label="ci")
        found = await store.find_token("secret", T0)
        assert found is not None
        assert (found[0].kind, found[0].label, found[1]) == ("api", "ci", ada)
        assert await store.find_token("wrong", T0) is None
        assert await store.find_token("secret", T0 + HOUR) is None
        assert await store.use_link("secret", T0) is None
        assert [token.label for token in await store.tokens("ada", T0)] == ["ci"]
        await store.save_user(msgspec.structs.replace(ada, disabled=True))
        assert await store.find_token("secret", T0) is None
        await store.save_user(ada)
        assert await store.revoke_token(token_sha256("secret"))
        assert await store.find_token("secret", T0) is None
        monkeypatch.setattr(access, "TOKENS_PER_USER_MAX", 1)
        await store.save_token("one", kind="session", user_name="ada", now=T0, expires_at=T0 + HOUR)
        with pytest.raises(Refused, match="too many tokens"):
            await store.save_token("two", kind="session", user_name="ada", now=T0, expires_at=T0 + HOUR)
        later = T0 + 2 * HOUR  # the expired one is swept
        await store.save_token("three", kind="session", user_name="ada", now=later, expires_at=later + HOUR)
        assert await store.remove_user("ada")
        assert await store.find_token("three", later) is None
        assert await store.users() == []

    with_store(pg_dsn, work)


def test_a_link_works_once(pg_dsn: str) -> None:
    async def work(store: Store) -> None:
        await store.save_user(User(name="ada", role="operator"))
        await store.save_token("link", kind="link", user_name="ada", now=T0, expires_at=T0 + HOUR)
        uses = await asyncio.gather(*(store.use_link("link", T0) for _ in range(5)))
        assert sum(use is not None for use in uses) == 1

    with_store(pg_dsn, work)


def test_other_threads_read_and_sign_in_by_doors_of_their_own(pg_dsn: str) -> None:
    seen: list[object] = []

    async def other_thread(store: Store) -> None:
        reader, desk = store.reader(), store.access_desk()
        try:
            rows = await asyncio.gather(*(reader.fleet_power(T0, T0 + HOUR, 300) for _ in range(20)))
            seen.extend(rows[0])
            seen.append(await reader.journal_hash())
            await desk.save_user(User(name="ada", role="viewer"))
            seen.append(await desk.user("ada"))
        finally:
            await reader.close()
            await desk.close()

    async def work(store: Store) -> None:
        await store.record([reading()])
        thread = threading.Thread(target=lambda: asyncio.run(other_thread(store)))
        thread.start()
        await asyncio.to_thread(thread.join)
        assert seen == [
            *(await store.fleet_power(T0, T0 + HOUR, 300)),
            await store.journal_hash(),
            User(name="ada", role="viewer"),
        ]
        assert await store.users() == [User(name="ada", role="viewer")]

    with_store(pg_dsn, work)
