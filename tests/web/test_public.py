"""What everybody may see: no figure holds anything of a handful of homes, totals included, as in the guide."""

from __future__ import annotations

import msgspec
import pytest

from revere.control.view import ConsoleView, SiteRow
from revere.web.guide.shapes import HOMES_LEAST
from revere.web.public import PublicView, public_view, publishable
from tests.web.fake_desk import FakeDesk

SCHOOL_KW, HOME_KW = -100.0, -8.0
PROMISED_KW, MEAN_KW = 140.0, 130.0


def _site(view: ConsoleView, kind: str, number: int, *, called: bool) -> SiteRow:
    model = next(site for site in view.sites if site.kind == kind)
    home = kind == "home"
    return msgspec.structs.replace(
        model,
        site_id=f"{kind}-{number}",
        stations_kw=HOME_KW if home else SCHOOL_KW,
        vehicles=1 if home else 8,
        discharge_kw=9.6 if home else 480.0,
        called=called,
        nominated_kw=(9.0 if home else 90.0) if called else None,
    )


def _view(homes: int, homes_called: int, schools: int = 1) -> ConsoleView:
    """In a running event that calls the schools and so many homes."""
    view = FakeDesk().view()
    assert view is not None
    assert view.event is not None
    sites = [_site(view, "school", n, called=True) for n in range(schools)]
    sites += [_site(view, "home", n, called=n < homes_called) for n in range(homes)]
    event = msgspec.structs.replace(view.event, phase="running", nominated_kw=PROMISED_KW, relief_mean_kw=MEAN_KW)
    return msgspec.structs.replace(view, sites=tuple(sites), event=event)


@pytest.mark.parametrize(
    ("homes", "homes_called", "shown"),
    [
        # homes, left out, power, relief, promised, mean, vehicles, nameplate
        (0, 0, (0, False, -100.0, 100.0, PROMISED_KW, MEAN_KW, 8, 480.0)),
        (2, 0, (0, True, -100.0, 100.0, PROMISED_KW, MEAN_KW, 8, 480.0)),
        (4, 4, (0, True, -100.0, 100.0, 90.0, None, 8, 480.0)),
        (5, 0, (5, False, -140.0, 100.0, PROMISED_KW, MEAN_KW, 13, 528.0)),
        (6, 2, (6, False, -148.0, 100.0, 90.0, None, 14, 537.6)),
        (6, 6, (6, False, -148.0, 148.0, PROMISED_KW, MEAN_KW, 14, 537.6)),
    ],
)
def test_a_handful_of_homes_is_in_no_figure(homes: int, homes_called: int, shown: tuple[object, ...]) -> None:
    assert HOMES_LEAST == 5
    found = public_view(_view(homes, homes_called))
    assert (
        found.homes, found.homes_left_out, found.power_kw, found.relief_kw,
        found.nominated_kw, found.relief_mean_kw, found.vehicles, found.discharge_nameplate_kw,
    ) == shown  # fmt: skip
    assert found.homes_equivalent == pytest.approx(found.relief_kw * 0.3, abs=0.1)
    assert found.event_phase == "running"


def test_an_event_of_a_few_homes_alone_is_not_shown() -> None:
    view = _view(6, 2)
    schools = [msgspec.structs.replace(s, called=False) for s in view.sites if s.kind == "school"]
    found = public_view(
        msgspec.structs.replace(view, sites=(*schools, *(site for site in view.sites if site.kind == "home")))
    )
    assert (found.event_phase, found.event_start, found.nominated_kw, found.relief_mean_kw) == (None, None, None, None)
    assert found.relief_kw == -found.power_kw


def test_what_a_few_homes_do_changes_nothing_that_is_public() -> None:
    """Whoever knows the rest could find them by difference otherwise."""

    def seen(kw: float) -> PublicView:
        view = _view(4, 4)
        moved = [msgspec.structs.replace(s, stations_kw=kw, vehicles=3) if s.kind == "home" else s for s in view.sites]
        return public_view(msgspec.structs.replace(view, sites=tuple(moved), power_kw=kw, relief_kw=-kw))

    assert seen(-9.6) == seen(11.0)


@pytest.mark.parametrize(("schools", "homes", "published"), [(0, 4, False), (0, 5, True), (1, 0, True), (1, 2, True)])
def test_a_programme_is_published_where_anybody_may_be_shown(schools: int, homes: int, published: bool) -> None:
    assert publishable(_view(homes, homes, schools)) is published
