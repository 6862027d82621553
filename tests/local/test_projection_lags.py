"""How far read models are behind each other, as it is seen from outside."""

from infra.local.projection_lags import ProjectionLags

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")


def of(lags: ProjectionLags, region: str, now_ms: float) -> dict:
    (one,) = [one for one in lags.told(now_ms=now_ms) if one["region"] == region]
    return one


def test_a_region_is_behind_by_what_another_has_applied():
    lags = ProjectionLags(REGIONS)
    lags.committed("s.a.1", now_ms=1000)
    lags.applied("s.a.1", projection="view", region=US, now_ms=1010)
    lags.applied("s.a.1", projection="view", region=EU, now_ms=1050)
    assert of(lags, US, 2000)["behind"] == 0
    assert of(lags, US, 2000)["last_ms"] == 10
    assert (of(lags, AP, 2000)["behind"], of(lags, AP, 2000)["oldest_ms"]) == (1, 1000)
    lags.applied("s.a.1", projection="view", region=AP, now_ms=3000)
    assert (of(lags, AP, 3000)["behind"], of(lags, AP, 3000)["last_ms"]) == (0, 2000)


def test_one_write_over_a_gap_catches_up_with_all_of_it():
    lags = ProjectionLags(REGIONS)
    for position in (1, 2, 3):
        for region in (US, EU):
            lags.applied(f"s.a.{position}", projection="view", region=region, now_ms=position)
    assert of(lags, AP, 10)["behind"] == 3
    lags.applied("s.a.3", projection="view", region=AP, now_ms=9)
    assert of(lags, AP, 10)["behind"] == 0


def test_a_write_seen_twice_counts_once():
    lags = ProjectionLags(REGIONS)
    for _ in range(2):
        lags.applied("s.a.1", projection="view", region=US, now_ms=1)
    assert of(lags, AP, 10)["behind"] == 1


def test_what_is_applied_everywhere_and_then_written_into_another_build_lags_nowhere():
    lags = ProjectionLags(REGIONS)
    for region in REGIONS:
        lags.applied("s.a.1", projection="view", region=region, now_ms=1)
    lags.applied("s.a.1", projection="view", region=US, now_ms=5000)
    assert [one["behind"] for one in lags.told(now_ms=9000)] == [0, 0, 0]
    assert of(lags, US, 9000)["last_ms"] == 0
