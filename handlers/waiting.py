"""Hold a reply until Event B is there: in its region of origin, or in any other.

In the region of origin the responder is at work, and this only looks. Elsewhere it looks into
the origin's response item, and if no answer comes it proves the answer itself: it asks every
required region's views and stores the body in the origin's item, where there is one for all.
The origin publishes it; nobody else does.
"""

from dataclasses import replace

from botocore.exceptions import ClientError

from eventstore.commits import Commit
from eventstore.errors import EventStoreError
from handlers.dependencies import Dependencies
from projections.response_items import Response


def await_answer(deps: Dependencies, commit: Commit, *, wait_s: float) -> str | None:
    """Return the stored body of Event B once it is there, None if it does not come in time."""
    settings, clock = deps.settings, deps.edge.clock
    if commit.origin not in settings.regions:
        return None
    answering = deps.control.known().answering_region(commit.origin)
    responses = deps.responses_of(answering)
    elsewhere = answering != settings.region
    deadline_s = clock.elapsed_s() + wait_s
    prove_at_s = clock.elapsed_s() + settings.prove_after_ms / 1000
    while True:
        try:
            response = responses.get(commit.commit_id)
            if response is not None and (response.body or response.published_at_ms):
                # Of an answer of somebody forgotten only that it was given is left.
                return response.body
            if elsewhere and clock.elapsed_s() >= prove_at_s:
                prove_at_s = clock.elapsed_s() + settings.prove_after_ms / 1000
                if body := _proven(deps, commit, response, answering):
                    return body
        except (EventStoreError, ClientError):
            # Without the origin there is no proof, since it is a required region itself. And
            # whatever went wrong, the command is decided: the reply must say so.
            return None
        if clock.elapsed_s() >= deadline_s:
            return None
        clock.pause(settings.answer_poll_ms / 1000)


def _proven(
    deps: Dependencies, commit: Commit, response: Response | None, answering: str
) -> str | None:
    if response is None:
        # Not opened yet, or answered so long ago that it has expired: never open it from here.
        return None
    responses = deps.responses_of(answering)
    # As whoever answers would: the same regions are required, by states that are as fresh.
    responder = replace(deps.responder, region=answering, responses=responses)
    need = responder.need(commit.commit_id)
    proof = deps.prover.look(commit, response.lacks(need.required(answering)))
    if proof.lagging or proof.silent:
        return None
    due_ms = deps.prover.now_ms() + deps.settings.answer_due_ms
    gathered = responses.gather(commit.commit_id, proof.applied_at_ms, due_ms=due_ms)
    return responder.complete(gathered) if gathered else None
