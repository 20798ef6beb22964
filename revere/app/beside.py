"""A house beside its world, in one process: fresh secrets for its stations, the world's utility to listen to."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec

from revere.app.house import House, UtilityAccess, open_house
from revere.control.commissioning import WAIVER_MAX
from revere.control.desk import CommissionSite
from revere.control.directory import new_station_secret, secret_mac

if TYPE_CHECKING:
    from revere.core.scenario import Scenario
    from revere.core.time import Clock
    from revere.store.store import Store
    from revere.twin.world import World


def of_the_twin(scenario: Scenario) -> Scenario:
    """The same, its registry saying that vehicles and buildings are simulated, whatever its author said."""
    replace = msgspec.structs.replace
    fleet = scenario.fleet
    return replace(scenario, fleet=replace(fleet, programme=replace(fleet.programme, simulated=True)))


async def commission_all(house: House) -> None:
    """Commission the sites of a simulated programme; what is not clean is waived by name, for as long as may be.

    An earlier life's decision stands.
    """
    now = house.heart.clock.now()
    for site_id in house.image.sites:
        found = await house.office.commissioning(site_id)
        if found.state == "no":
            until = None if found.clean else now + WAIVER_MAX
            why = "" if found.clean else "simulated: nobody is stranded"
            await house.office.do(CommissionSite(site_id=site_id, by="the twin", waive_until=until, why=why))


async def open_beside(
    world: World,
    scenario: Scenario,
    store: Store,
    clock: Clock,
    *,
    port: int = 0,
    speed: float = 1.0,
    publish: bool = True,
) -> tuple[House, dict[str, str]]:
    """The house, wired to ``world``'s utility, and each station's secret for ``world.start``."""
    key = secrets.token_bytes(32)
    station_secrets = {str(station.id): new_station_secret() for station in scenario.fleet.stations}
    url = await world.utility.start()
    house = await open_house(
        store,
        scenario.fleet,
        clock,
        key=key,
        macs={station: secret_mac(key, station, secret) for station, secret in station_secrets.items()},
        utility=UtilityAccess(
            base_url=url, client_id=world.utility.client_id, client_secret=world.utility.client_secret
        ),
        port=port,
        ping_interval_s=None,
        speed=speed,
        publish=publish,
    )
    await commission_all(house)
    return house, station_secrets
