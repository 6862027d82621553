"""A seeded run of EVENTUAL mode: commands, partitions, takeovers, planned moves, in virtual time.

Everything that happens is drawn from one seed. While it runs, and at its end, what producers and
replicas saw is held against what the mode promises; nothing of the code under test is asked.
"""

import logging
import random
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

from antiphon.region_moves import comparison_of
from eventstore.commits import parse_commit_id
from eventstore.errors import StoreUnavailable
from eventstore.scanning import LogScan
from handlers.dependencies import Dependencies
from projections.adoption import Adoption
from projections.catching_up import Comparison
from projections.draining import RegionMoves, Step
from projections.homes import slot_of
from projections.regions import RegionRefused, RegionState
from projections.rehoming import HomeMoves
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.eventual import EventualNetwork
from tests.handlers.network import ACTIVATION, REGIONS
from tests.handlers.operator import one_after_another

SUBSCRIBERS = 2
STEPS = 140
PUT_S = 2.0


class Broken(AssertionError):
    """A promise was broken in a run."""


class EventualRun:
    """One run; `play` raises Broken, naming the promise, if one does not hold."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.net = EventualNetwork(InProcessRegions(trusting=True), seed=seed)
        self.sent: list[dict[str, Any]] = []
        self.accepted: dict[str, str] = {}
        self.operator: Iterator[Step] | None = None
        self.happened: Counter[str] = Counter()
        self.taken: set[int] = set()
        self.net.before_put = self._put_takes_time
        self._may_evict = self.chance.random() < 0.7

    def play(self) -> Counter[str]:
        for _ in range(STEPS):
            self._step()
            if self.chance.random() < 0.3:
                self._check_answered()
        self._end()
        self._check_answered()
        self._check_end()
        return self.happened

    def _step(self) -> None:
        acts = {
            self._post: 30,
            self._pass: 25,
            self._deliver: 40,
            self._sweep: 4,
            self._cut: 4,
            self._heal: 3,
            self._lose_the_states: 2,
            self._operate: 25,
        }
        [act] = self.chance.choices(list(acts), list(acts.values()))
        act()

    # What happens.

    def _post(self, region: str | None = None) -> None:
        region = region or self.chance.choice(REGIONS)
        if self.sent and self.chance.random() < 0.3:
            body = self.chance.choice(self.sent)
        else:
            body = self._new_command()
            self.sent.append(body)
        _, told = self.net[region].post(body)
        if "commit" not in told:
            self.happened[told["code"]] += 1
            return
        self.happened[told["status"]] += 1
        self._check_in_time(told)
        self.accepted[told["commit"]] = body["command_id"]

    def _new_command(self) -> dict[str, Any]:
        imsi = f"26201123456{self.chance.randrange(SUBSCRIBERS):04}"
        number = len(self.sent)
        head = {"command_id": f"c{number}", "producer": "crm"}
        if self.chance.random() < 0.2:
            return {**ACTIVATION, **head, "data": {**ACTIVATION["data"], "imsi": imsi}}
        data = {"imsi": imsi, "service_profile": f"profile-{number}"}
        return {"type": "ChangeServiceProfile", **head, "data": data}

    def _pass(self) -> None:
        self.net.pass_ms(self.chance.choice((10, 60, 150, 700)))

    def _deliver(self) -> None:
        region = self.chance.choice(REGIONS)
        stream = self.net.streams[region]
        if stream and self.chance.random() < 0.2:
            stream.append(self.chance.choice(stream))
        self.chance.shuffle(stream)
        self.net.stream(region, most=self.chance.choice((1, 2, 100)))
        if self.chance.random() < 0.5:
            self.net.deliver(region)

    def _sweep(self) -> None:
        self.net.pass_ms(6_000)
        self.net[self.chance.choice(REGIONS)].sweep()

    def _cut(self) -> None:
        if self.chance.random() < 0.5:
            self.net.cut(*self.chance.sample(REGIONS, 2))
        else:
            self._cut_off(self.chance.choice(REGIONS))

    def _cut_off(self, region: str) -> None:
        self.net.isolate(region)
        self.net.without_states.add(region)

    def _put_takes_time(self, region: str) -> None:
        if self.chance.random() < 0.2:
            self.net.pass_ms(self.chance.choice((100, 400)))
            for one in (region, *REGIONS):
                self.net.deliver(one)

    def _lose_the_states(self) -> None:
        self.net.without_states.add(self.chance.choice(REGIONS))

    def _heal(self) -> None:
        self.net.heal()
        for _ in range(self.chance.choice((0, 0, 3))):
            # While what was held back is on its way.
            self._post()

    # What operators do.

    def _operate(self) -> None:
        if self.operator is None:
            self.operator = self._begin()
        try:
            for _ in range(self.chance.choice((1, 4, 12))):
                next(self.operator)
                self.net.pass_ms(1_000)
                if self.chance.random() < 0.5:
                    self.net.deliver(self.chance.choice(REGIONS))
        except StopIteration:
            self.happened["operated"] += 1
            self.operator = None
        except (RegionRefused, StoreUnavailable) as why:
            self.happened[f"operator: {type(why).__name__}"] += 1
            self.operator = None
        if self.operator is not None and self.chance.random() < 0.05:
            # Left off half way, for ever.
            self.operator = None

    def _begin(self) -> Iterator[Step]:
        region = self.chance.choice(REGIONS)
        state = self.net.states.read().state(region)
        if state is not RegionState.ACTIVE:
            return self._bring_back(region)
        if self._may_evict and self.chance.random() < 0.5:
            return self._evict(region)
        return self._move(region)

    def _evict(self, region: str) -> Iterator[Step]:
        self.taken |= set(self.net.homes.read().at(region))
        via = self.chance.choice([one for one in REGIONS if one != region])
        if self.chance.random() < 0.7:
            # Its last words: taken by it, and known to few or none.
            self._cut_off(region)
            for _ in range(3):
                self._post(region)
        yield from self.homes(via).take(region)
        for _ in range(self.chance.choice((0, 0, 3))):
            self._post(via)
        if self.chance.random() < 0.3:
            self._heal()
        yield from self.regions(via).drain_lost(region)
        self.happened["evicted"] += 1

    def _move(self, region: str) -> Iterator[Step]:
        moves = self.homes(region)
        wanted = moves.spread(moves.homes.read(), region, by_force=False)
        if self.chance.random() < 0.3:
            self.net.cut(region, self.chance.choice([one for one in REGIONS if one != region]))
            for _ in range(3):
                self._post(region)
        yield from moves.move(wanted)
        self.happened["moved"] += 1
        for one in REGIONS:
            self._post(one)

    def _bring_back(self, region: str) -> Iterator[Step]:
        via = next(one for one in self.net.states.read().serving if one != region)
        standing = self.net.states.read().standings[region]
        if standing.adopter is not None and not standing.taken_over:
            # Somebody was stopped half way: as the refusal says, that is ended first.
            yield from self.regions(via).drain_lost(region)
        yield from self.regions(via).undrain(region)
        yield from self.homes(region).settle(region)
        self.happened["brought back"] += 1

    def homes(self, via: str) -> HomeMoves:
        deps = self.net[via].deps
        return HomeMoves(
            homes=self.net.homes,
            states=self.net.states,
            comparison_of=lambda region: self._comparison(deps, region),
            fresh_s=deps.settings.homes_fresh_s,
            put_s=PUT_S,
            elapsed_s=lambda: self.net.elapsed_s,
        )

    def regions(self, via: str) -> RegionMoves:
        deps = self.net[via].deps
        return RegionMoves(
            states=self.net.states,
            comparison=self._comparison(deps, via),
            responses_of=deps.responses_of,
            queued=lambda _region: 0,
            letters_of=lambda region: self.net[region].deps.letters,
            sweep=lambda region: self.net[region].sweep(),
            adoption=Adoption(
                scan=self._scan(deps, deps.settings.region),
                responses_of=deps.responses_of,
                together=one_after_another,
                now_ms=deps.edge.now_ms,
                pause=deps.edge.clock.pause,
                bounds=deps.settings,
            ),
            fresh_s=deps.settings.control_fresh_s,
            append_s=PUT_S,
            elapsed_s=lambda: self.net.elapsed_s,
            now_ms=deps.edge.now_ms,
        )

    def _comparison(self, deps: Dependencies, region: str) -> Comparison:
        return comparison_of(deps, scan=self._scan(deps, region), log=deps.log_of(region))

    def _scan(self, deps: Dependencies, region: str) -> LogScan:
        client = deps._clients.dynamodb(region)
        return LogScan(client, table=self.net.events, together=one_after_another, segments=2)

    # How it ends.

    def _end(self) -> None:
        """Heal everything, bring every region back, and let everything arrive."""
        self.net.heal()
        # What was failing is tried again no sooner than after a while.
        self.net.pass_ms(10_000)
        if self.operator is not None:
            self._drive(self.operator)
        self.homes(REGIONS[0]).stay()
        for region in REGIONS * 2:
            # Twice: one may be refused until the one that was to answer for it is back.
            if self.net.states.read().state(region) is not RegionState.ACTIVE:
                self._drive(self._bring_back(region))
            else:
                self._drive(self.homes(region).settle(region))
        if self.net.states.read().serving != REGIONS:
            raise Broken("a region cannot be brought back")
        for _ in range(4):
            # What is looked at again later the older it is, is.
            self.net.pass_ms(120_000)
            self.net.come_to_rest()

    def _drive(self, way: Iterator[Step]) -> None:
        try:
            for at, _ in enumerate(way):
                self.net.pass_ms(1_000)
                for region in REGIONS:
                    self.net.deliver(region)
                if at > 300:
                    raise Broken("an operator waits for ever")
        except RegionRefused:
            return

    # What must hold.

    def told(self) -> dict[str, set[str]]:
        """Return the answer ids that were published of each commit.

        More than one body there may be, where a region that was lost had published one.
        """
        told: dict[str, set[str]] = {}
        for region in REGIONS:
            for answer in self.net[region].answers:
                told.setdefault(answer["command"]["commit"], set()).add(answer["answer_id"])
        return told

    def outcomes(self) -> dict[str, str]:
        outcomes = {}
        for region in REGIONS:
            for answer in self.net[region].answers:
                outcomes[answer["command"]["commit"]] = answer["outcome"]
        return outcomes

    def _check_in_time(self, told: dict[str, Any]) -> None:
        """What is told as decided was decided before another region could begin to append."""
        aggregate_id, position = parse_commit_id(told["commit"]) or ("", 0)
        epoch = self.net.homes.read().of(aggregate_id).epoch
        if not told["duplicate"] and position // 10**12 != epoch:
            raise Broken(f"{told['commit']} was told as decided in epoch {epoch}")

    def _check_answered(self) -> None:
        """Whatever was answered is shown by every region that serves, from then on."""
        topology = self.net.states.read()
        for commit_id, outcome in self.outcomes().items():
            if outcome == "superseded":
                continue
            aggregate_id, position = parse_commit_id(commit_id) or ("", 0)
            for region in topology.serving:
                deps = self.net[region].deps
                for projection in deps.projections:
                    if projection.covers(aggregate_id):
                        key = {"k": {"S": projection.key(aggregate_id)}, "s": {"S": "head"}}
                        head = self.net.replicas[region].get_item(
                            TableName=deps.settings.views_table, Key=key, ConsistentRead=True
                        )
                        if not _shows(head.get("Item"), position):
                            raise Broken(f"{region} does not show {commit_id}, which was answered")

    def _check_end(self) -> None:
        logs = [self._items(region) for region in REGIONS]
        if any(log != logs[0] for log in logs):
            raise Broken("the replicas are not the same at the end")
        for region in REGIONS:
            if any(letter.source == "log" for letter in self.net[region].letters.values()):
                raise Broken("a commit was written over")
        counted = self._counted(logs[0])
        self._check_told(logs[0], counted)
        self._check_once(logs[0], counted)
        self._check_views(counted)

    def _items(self, region: str) -> dict[tuple[str, int], Any]:
        page = self.net.replicas[region].scan(TableName=self.net.events)
        return {(item["a"]["S"], int(item["q"]["N"])): item for item in page["Items"]}

    def _counted(self, log: dict[tuple[str, int], Any]) -> dict[str, list[int]]:
        """Return the positions that count, by aggregate: back from the last one put."""
        counted: dict[str, list[int]] = {}
        for aggregate_id in {key[0] for key in log}:
            ends = {
                position + len(item["e"]["L"]) - 1: position
                for (a, position), item in log.items()
                if a == aggregate_id
            }
            at, run = max(ends), []
            while at:
                if at not in ends:
                    raise Broken(f"the chain of {aggregate_id} has a hole before {at}")
                run.append(ends[at])
                at = int(log[aggregate_id, ends[at]]["p"]["N"])
            counted[aggregate_id] = run[::-1]
        return counted

    def _check_told(self, log: dict[tuple[str, int], Any], counted: dict[str, list[int]]) -> None:
        told, outcomes = self.told(), self.outcomes()
        for commit_id, answers in told.items():
            if len(answers) != 1:
                raise Broken(f"{commit_id} was told under {len(answers)} ids")
        for aggregate_id, position in log:
            commit_id = f"{aggregate_id}.{position}"
            counts = position in counted[aggregate_id]
            if commit_id not in outcomes:
                raise Broken(f"{commit_id} was never told of (it counts: {counts})")
            if (outcomes[commit_id] != "superseded") is not counts:
                raise Broken(f"{commit_id} was told as {outcomes[commit_id]}; it counts: {counts}")
            if not counts and slot_of(aggregate_id) not in self.taken:
                raise Broken(f"{commit_id} was superseded, and nothing was taken by force")
            self.happened["superseded in the end"] += not counts
        if lost := set(self.accepted) - {f"{a}.{position}" for a, position in log}:
            raise Broken(f"accepted and not in the log: {lost}")

    def _check_once(self, log: dict[tuple[str, int], Any], counted: dict[str, list[int]]) -> None:
        for aggregate_id, run in counted.items():
            tokens = Counter(bytes(log[aggregate_id, position]["k"]["B"]) for position in run)
            if tokens and max(tokens.values()) > 1:
                raise Broken(f"a command of {aggregate_id} was decided twice")

    def _check_views(self, counted: dict[str, list[int]]) -> None:
        for region in REGIONS:
            for item in self._views(region):
                name, _, rest = item["k"]["S"].partition("#")
                aggregate_id = rest.partition("#")[2]
                if item["s"]["S"] == "head" and int(item["f"]["N"]) != counted[aggregate_id][-1]:
                    raise Broken(f"{name} of {aggregate_id} in {region} is not at the end")

    def _views(self, region: str) -> list[dict[str, Any]]:
        table = self.net[region].deps.settings.views_table
        return self.net.replicas[region].scan(TableName=table)["Items"]


def _shows(head: dict[str, Any] | None, position: int) -> bool:
    """Say whether a view has a commit: in each epoch, all up to where it was left."""
    if head is None:
        return False
    ends = [int(head["n"]["N"]), *(int(one["N"]) for one in head.get("b", {"L": []})["L"])]
    return any(end // 10**12 == position // 10**12 and position <= end for end in ends)


def main(first: int, last: int) -> None:
    """Play the runs of these seeds, and say which broke a promise."""
    happened: Counter[str] = Counter()
    for seed in range(first, last):
        try:
            happened += EventualRun(seed).play()
        except Exception as why:  # noqa: BLE001 - whatever it is, the next seed is played, too
            sys.stdout.write(f"seed {seed}: {type(why).__name__}: {why}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{dict(sorted(happened.items()))}\n")


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    main(int(sys.argv[1]), int(sys.argv[2]))
