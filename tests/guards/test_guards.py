"""Every guarantee's line is broken, in a copy, and the test that guards it must fail.

A guarantee that no test misses is a wish. `docs/ARCHITECTURE.md` says why each line holds.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
COPIED = (
    "antiphon", "domain", "eventstore", "projections", "handlers", "infra", "docs", "tests",
    "pyproject.toml",
)  # fmt: skip


# Only whether it fails counts, so nothing is rewritten for it to say why.
_CHEAPLY = ("-q", "-x", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist")
Run = Callable[[str], tuple[int, str]]
_WARM = Path(__file__).with_name("warm_pytest.py")


@dataclass(frozen=True)
class Guard:
    """A guarantee: the line that gives it, the line broken, and the test that must fail.

    Where two lines give it, each alone, `also` is the second one with what it is broken to.
    """

    guarantee: str
    file: str
    line: str
    broken: str
    test: str
    also: tuple[str, str] | None = None

    def breaks(self) -> list[tuple[str, str]]:
        return [(self.line, self.broken), *([self.also] if self.also else [])]


GUARDS = [
    Guard(
        "a commit is never written over",
        "eventstore/log.py",
        'ConditionExpression="attribute_not_exists(a)"',
        'ConditionExpression="attribute_not_exists(a) OR attribute_exists(a)"',
        "tests/contract/test_log.py::test_a_second_put_at_a_position_changes_nothing_and_returns_what_is_there[ministack]",
    ),
    Guard(
        "a decision is appended right behind what it was decided on",
        "eventstore/decisions.py",
        "position=attempted.tenure.next_position(fold.last_position),",
        "position=attempted.tenure.next_position(fold.last_position) + 1,",
        "tests/eventstore/test_decisions.py::test_sixteen_writers_racing_lose_no_command_and_leave_no_hole",
    ),
    Guard(
        "a hole in the log stops the aggregate",
        "eventstore/folding.py",
        "if not commit.follows(fold.last_position):",
        "if False:",
        "tests/eventstore/test_decisions.py::test_a_log_with_a_hole_is_corrupt_and_takes_nothing",
    ),
    Guard(
        "a known token gets its first decision",
        "eventstore/decisions.py",
        "for position in fold.tokens.positions(attempted.token):",
        "for position in ():",
        "tests/eventstore/test_decisions.py::test_a_duplicate_is_found_though_the_replica_lags",
    ),
    Guard(
        "a time-out is not ambiguous",
        "eventstore/decisions.py",
        "if there is None or there == commit:",
        "if there is None:",
        "tests/eventstore/test_decisions.py::test_a_time_out_is_never_ambiguous",
    ),
    Guard(
        "a key used for other content is refused",
        "eventstore/decisions.py",
        "if first.content_hash != attempted.content_hash:",
        "if False:",
        "tests/eventstore/test_decisions.py::test_the_same_key_with_other_content_is_refused_in_every_order",
    ),
    Guard(
        "a right expectation is not refused from a stale fold",
        "eventstore/decisions.py",
        "if expected is not None and expected != fold.changed_at:",
        "if expected not in (None, fold.changed_at):\n            raise ExpectationNotMet",
        "tests/handlers/test_commands.py::test_a_warm_region_that_is_behind_does_not_refuse_a_right_expectation",
    ),
    Guard(
        "a snapshot is trusted only with every page that the window needs",
        "eventstore/snapshots.py",
        "return kept if covered == upto else None",
        "return kept",
        "tests/eventstore/test_snapshots.py::test_a_snapshot_whose_window_misses_a_page_is_not_trusted",
    ),
    Guard(
        "late work is looked for in the log",
        "eventstore/decisions.py",
        "first = self._decided_long_ago(attempted, fold, now)",
        "first = None",
        "tests/eventstore/test_snapshots.py::test_work_redelivered_after_the_window_is_found_by_the_time_it_was_first_received",
    ),
    Guard(
        "a view moves only from where its writer has read it",
        "projections/views.py",
        '"n = :before" if before',
        '"n >= :before" if before',
        "tests/contract/test_views.py::test_of_sixteen_writers_at_one_position_one_wins[ministack]",
    ),
    Guard(
        "a snapshot is used only with its own last commit in the log",
        "eventstore/loading.py",
        "if first is not None and start.ends_with(first):",
        "if True:",
        "tests/eventstore/test_snapshots.py::test_a_snapshot_ahead_of_a_restored_log_is_never_used",
    ),
    Guard(
        "a token from before a restore is refused",
        "eventstore/identity.py",
        "if generation > 1:",
        "if False:",
        "tests/eventstore/test_generations.py::test_a_token_of_another_generation_is_refused",
    ),
    Guard(
        "what was answered before a restore is not answered again",
        "projections/restoring.py",
        "self.responses_of(region).put_back(item)",
        "pass",
        "tests/handlers/test_restore.py::test_what_was_answered_is_kept_and_what_was_owed_is_given",
    ),
    Guard(
        "a repair never lowers a view",
        "projections/repair.py",
        "if not commits or commits[-1].last_position != stands:",
        "if not commits:",
        "tests/handlers/test_repair.py::test_a_view_that_is_ahead_of_the_log_is_not_lowered",
    ),
    Guard(
        "a repair never undoes what a projector applies",
        "projections/repair.py",
        "before=stands, view=view",
        "before=self.views.read(build, aggregate_id, consistent=True).applied, view=view",
        "tests/handlers/test_repair.py::test_a_view_that_moves_while_it_is_folded_again_is_folded_once_more",
    ),
    Guard(
        "a gap is filled from the log",
        "projections/gaps.py",
        "if not commit.follows(at):",
        "if False:",
        "tests/handlers/test_one_event_a.py::test_the_last_commit_alone_is_enough_since_gaps_are_read_from_the_log",
    ),
    Guard(
        "a commit is acknowledged only after it is applied",
        "projections/applying.py",
        "for build in covering:",
        "for build in ():",
        "tests/handlers/test_one_event_a.py::test_no_answer_before_the_last_region_has_applied_then_one",
    ),
    Guard(
        "an answer is pending before anything is applied",
        "projections/applying.py",
        "before_a_write(part)",
        "pass",
        "tests/handlers/test_sweeper.py::test_an_answer_is_pending_before_any_acknowledgement_is_heard",
    ),
    Guard(
        "no answer before every required region has applied it",
        "projections/responder.py",
        "if response.lacks(need.required(self.region)):\n                    continue",
        "if False:\n                    continue",
        "tests/handlers/test_one_event_a.py::test_no_answer_before_the_last_region_has_applied_then_one",
        also=(
            "{r: response.applied_at_ms[r] for r in need.required(self.region)}",
            "response.applied_at_ms",
        ),
    ),
    Guard(
        "no answer from a view that has not applied it, whatever was acknowledged",
        "projections/responder.py",
        "if not view.has(commit.last_position):",
        "if False:",
        "tests/handlers/test_one_event_a.py::test_acknowledgements_alone_are_no_proof_for_the_own_view",
    ),
    Guard(
        "one body for one answer",
        "projections/responses.py",
        "attribute_exists(pending) AND attribute_not_exists(body)",
        "attribute_exists(pending)",
        "tests/contract/test_responses.py::test_the_body_that_is_stored_first_stays[ministack]",
    ),
    Guard(
        "what is published stays published",
        "projections/responses.py",
        'attribute_not_exists(published)",\n            "ExpressionAttributeValues": values,',
        'attribute_exists(c) OR attribute_not_exists(c)",\n'
        '            "ExpressionAttributeValues": values,',
        "tests/contract/test_responses.py::test_nothing_opens_a_published_item_again[ministack]",
    ),
    Guard(
        "a read with a token is never older",
        "projections/reading.py",
        "if view.has(token.last_position):",
        "if True:",
        "tests/handlers/test_queries.py::test_a_read_with_a_token_never_answers_from_before_it",
    ),
    Guard(
        "a strong read is as of the head",
        "projections/reading.py",
        "after=view.applied, consistent=True",
        "after=view.applied, upto=0, consistent=True",
        "tests/handlers/test_queries.py::test_a_strong_read_is_as_of_the_head_though_the_region_lags",
    ),
    Guard(
        "a token is genuine",
        "eventstore/identity.py",
        "return payload if genuine and self.seal(payload, purpose=purpose) == text else None",
        "return payload",
        "tests/handlers/test_queries.py::test_a_token_of_another_installation_is_refused",
    ),
    Guard(
        "no number stands in a key",
        "eventstore/identity.py",
        'return f"{tag}.{base64.b32encode(digest).decode().lower()[:_ID_CHARACTERS]}"',
        'return f"{tag}.{natural_key}"',
        "tests/handlers/test_one_event_a.py::test_a_command_is_accepted_with_its_place_and_a_token",
    ),
    Guard(
        "an origin out of reach is acknowledged later",
        "projections/projector.py",
        "self.redeliver(again)",
        "pass",
        "tests/handlers/test_one_event_a.py::test_an_acknowledgement_that_cannot_be_sent_comes_back_later",
    ),
    Guard(
        "no answer by regions' states that are too old",
        "projections/freshness.py",
        "if read is None or self._elapsed_s() - read.asked_at_s > self._fresh_s:",
        "if read is None:",
        "tests/handlers/test_region_states.py::test_a_responder_whose_states_are_too_old_answers_late_and_by_the_new_ones",
    ),
    Guard(
        "the age of the states counts from before they were asked for",
        "projections/freshness.py",
        "read = _Read(self._ask(), now_s)",
        "read = _Read(self._ask(), self._elapsed_s())",
        "tests/projections/test_regions.py::test_the_age_of_states_counts_from_before_they_were_asked_for",
    ),
    Guard(
        "a region on its way is required",
        "projections/regions.py",
        "if one.state is not RegionState.DRAINED",
        "if one.state is RegionState.ACTIVE",
        "tests/handlers/test_region_states.py::test_no_answer_without_a_region_that_is_on_its_way",
    ),
    Guard(
        "a region on its way does not serve",
        "handlers/queries.py",
        "deps.control.known().check_serves(deps.settings.region)",
        "pass",
        "tests/handlers/test_region_states.py::test_a_region_that_is_not_active_refuses_commands_and_queries_and_names_those_that_do_not",
    ),
    Guard(
        "who proves an answer elsewhere needs the same regions",
        "handlers/waiting.py",
        "need.required(answering)",
        "frozenset()",
        "tests/handlers/test_region_states.py::test_the_proof_made_elsewhere_needs_the_same_regions_by_states_as_fresh",
    ),
    Guard(
        "a state is held until nobody goes by an older one",
        "projections/draining.py",
        "until_s = self.elapsed_s() + seconds",
        "until_s = self.elapsed_s() - seconds",
        "tests/handlers/test_draining.py::test_a_region_leaves_only_when_every_function_has_stopped_to_serve_by_old_states",
    ),
    Guard(
        "the log is compared only when every publisher requires the region again",
        "projections/draining.py",
        'yield from self._hold(region, joining, phase="joining", seconds=seconds)',
        "pass",
        "tests/handlers/test_draining.py::test_the_log_is_compared_only_once_every_publisher_requires_the_region_again",
    ),
    Guard(
        "a hold counts for the state that was held alone",
        "projections/draining.py",
        "if standing.version != held.version:",
        "if False:",
        "tests/handlers/test_draining.py::test_a_hold_that_was_for_an_earlier_state_counts_for_nothing",
    ),
    Guard(
        "a drain ends as safe only in a region that is drained still",
        "projections/draining.py",
        "self._check_still(region, drained)",
        "pass",
        "tests/handlers/test_draining.py::test_a_drain_does_not_end_as_safe_if_the_region_was_brought_back_meanwhile",
    ),
    Guard(
        "no command that is only a letter is taken away with a region",
        "projections/draining.py",
        "empty = 0 if queued or pending or buried else empty + 1",
        "empty = 0 if queued or pending else empty + 1",
        "tests/handlers/test_draining_letters.py::test_a_region_is_not_drained_while_a_command_is_only_a_letter_there",
    ),
    Guard(
        "a drain that was left off in a drained region goes on",
        "projections/draining.py",
        "if drained.state is not RegionState.DRAINED:\n            leaving",
        "if True:\n            leaving",
        "tests/handlers/test_draining.py::test_a_drain_that_was_left_off_in_a_drained_region_waits_for_the_last_answers",
    ),
    Guard(
        "what a region taken away will never hear does not come back for ever",
        "projections/projector.py",
        "if topology.state(r) is not RegionState.DRAINED)",
        "if True)",
        "tests/handlers/test_region_states.py::test_what_a_drained_region_has_not_heard_comes_back_to_nobody_and_its_sweeper_answers",
    ),
    Guard(
        "a region that comes back serves nothing older than the log",
        "projections/catching_up.py",
        "while behind := self._behind(views, heads):",
        "while behind := {}:",
        "tests/handlers/test_draining.py::test_a_region_that_comes_back_serves_only_what_was_answered_without_it_and_more",
    ),
    Guard(
        "what came in at a lost region is answered",
        "projections/adoption.py",
        "if here.gather(entry.commit_id, {}, due_ms=self.now_ms()) is None:",
        "if True:",
        "tests/handlers/test_losing_a_region.py::test_a_lost_region_is_left_out_and_a_survivor_answers_what_came_in_there",
    ),
    Guard(
        "a lost region that is there after all gives no second body",
        "projections/responder.py",
        "if need.topology.may_answer(self.region, commit.origin):",
        "if True:",
        "tests/handlers/test_losing_a_region.py::test_a_region_that_was_only_cut_off_and_comes_back_never_gives_a_second_body",
    ),
    Guard(
        "what another region has answered is closed where an acknowledgement went astray",
        "projections/sweeper.py",
        "if given is not None and given.published_at_ms is not None:",
        "if given is None:",
        "tests/handlers/test_sweeper.py::test_what_another_region_has_answered_is_closed_where_an_acknowledgement_went_astray",
    ),
    Guard(
        "its answers are home before a region answers for itself again",
        "projections/draining.py",
        "yield from self._brought_home(region)",
        "pass",
        "tests/handlers/test_losing_a_region.py::test_a_region_does_not_serve_while_another_still_owes_its_answers",
    ),
    Guard(
        "who adopts a region begins when it has what was built there",
        "projections/regions.py",
        "all(self.standings[one].taken_over for one in lost)",
        "True",
        "tests/handlers/test_losing_a_region.py::test_nobody_answers_for_a_lost_region_before_what_it_had_built_was_looked_at",
    ),
    Guard(
        "what a lost region owed for long is owed by who adopts it",
        "projections/adoption.py",
        "return not forgotten or entry.commit_id in owed",
        "return not forgotten",
        "tests/handlers/test_losing_a_region.py::test_an_answer_owed_for_longer_than_the_tokens_are_known_is_adopted",
    ),
    Guard(
        "one read that fails makes no region silent",
        "projections/adoption.py",
        "for pause_s in (*_PAUSES_S, None):",
        "for pause_s in (None,):",
        "tests/handlers/test_losing_a_region.py::test_a_read_that_fails_a_few_times_does_not_make_a_lost_region_silent",
    ),
    Guard(
        "two operators cannot both be right",
        "projections/versioned.py",
        '"v = :before" if before else',
        '"v >= :before" if before else',
        "tests/contract/test_regions.py::test_whoever_has_read_older_states_changes_nothing",
    ),
    Guard(
        "what is folded again long after is not answered again",
        "projections/projector.py",
        "== self.region and not self.bounds.may_be_forgotten(",
        "== self.region and self.bounds.may_be_forgotten(",
        "tests/handlers/test_sweeper.py",
    ),
    Guard(
        "one answer that cannot be made holds up no other",
        "projections/sweeper.py",
        "except Exception as error:",
        "except ZeroDivisionError as error:",
        "tests/handlers/test_sweeper.py::test_one_answer_that_cannot_be_made_holds_up_no_other",
    ),
    Guard(
        "a poisoned aggregate does not hold up the others",
        "projections/projector.py",
        "except Exception as error:",
        "except ZeroDivisionError as error:",
        "tests/handlers/test_projector.py::test_a_poisoned_aggregate_does_not_stop_the_others",
    ),
    Guard(
        "a failure that comes in meanwhile is not ended unseen",
        "projections/letters.py",
        '"ConditionExpression": "n = :n AND attribute_not_exists(ed)",',
        '"ConditionExpression": "n <= :n OR n > :n",',
        "tests/contract/test_letters.py::test_a_failure_that_comes_in_meanwhile_is_not_ended_unseen",
    ),
    Guard(
        "a letter that has ended holds nothing personal",
        "projections/letters.py",
        "(*ATTRIBUTES, 'ob', 'p', 'se')",
        "('ob', 'p', 'se')",
        "tests/contract/test_letters.py::test_a_letter_that_is_done_holds_nothing_personal_and_expires",
    ),
    Guard(
        "one subject has one key, whoever makes it",
        "eventstore/subject_keys.py",
        'ConditionExpression="attribute_not_exists(a)",',
        'ConditionExpression="attribute_not_exists(nothing)",',
        "tests/contract/test_subject_keys.py::test_whoever_makes_a_key_at_the_same_time_gets_the_one_that_is_stored",
    ),
    Guard(
        "a destroyed key opens nothing once its time in memory is over",
        "eventstore/subject_keys.py",
        "young = self._elapsed_s() - known.at_s < self._fresh_s",
        "young = True",
        "tests/contract/test_subject_keys.py::test_a_key_in_memory_opens_nothing_any_more_once_its_time_is_over",
    ),
    Guard(
        "what is personal in an event is sealed",
        "eventstore/folding.py",
        "orjson.dumps(data | dict.fromkeys(personal, FORGOTTEN)),",
        "orjson.dumps(data),",
        "tests/handlers/test_forgetting.py::test_no_number_stands_anywhere_at_rest_while_the_subscriber_is_served",
    ),
    Guard(
        "what cannot be sealed any more is not stored",
        "projections/views.py",
        "gone = View(view.applied, view.commit, left=view.left, gone=True)",
        "return False",
        "tests/handlers/test_forgetting.py::test_a_region_that_never_applied_anything_folds_the_forgotten_to_nothing",
    ),
    Guard(
        "nothing is erased while a function may still go by the key",
        "projections/forgetting.py",
        "        yield from self._held()\n",
        "",
        "tests/handlers/test_forgetting.py::test_nothing_is_erased_before_no_function_goes_by_the_key",
    ),
    Guard(
        "replaying twice does nothing more",
        "handlers/replays.py",
        'if letter.state in {"done", "dropped"}:',
        'if letter.state == "never":',
        "tests/handlers/test_letters_of_messages.py::test_a_replayed_command_is_the_same_command_and_is_decided_once",
    ),
    Guard(
        "a replayed command is the same command",
        "handlers/replays.py",
        "for name, text in carried.items()",
        "for name, text in ()",
        "tests/handlers/test_letters_of_messages.py::test_a_replayed_command_is_the_same_command_and_is_decided_once",
    ),
    Guard(
        "what stands in the log is never dropped",
        "handlers/replays.py",
        "if letter.source in {PROJECTOR, STREAM} and self._settling.stands_in_the_log(letter):",
        "if False:",
        "tests/handlers/test_letters_of_the_log.py::test_what_stands_for_the_log_is_never_dropped",
    ),
    Guard(
        "a message leaves its dead-letter queue only once it is kept",
        "handlers/dead_letters.py",
        "        return False\n    return True",
        "        return True\n    return True",
        "tests/handlers/test_letters_of_messages.py::test_what_cannot_be_taken_in_now_stays_in_its_queue",
    ),
    Guard(
        "readers change over only when the new build has caught up",
        "projections/rebuild.py",
        "if not progress or not all(one.done for one in progress):",
        "if not progress:",
        "tests/handlers/test_rebuild.py::test_readers_cannot_change_over_before_the_second_pass_is_over",
    ),
    Guard(
        "a commit is acknowledged only after both builds have it",
        "projections/builds.py",
        "labels = [state.other, state.live]",
        "labels = [state.live]",
        "tests/handlers/test_rebuild.py::test_from_both_on_a_commit_is_acknowledged_only_after_both_builds_have_it",
    ),
    Guard(
        "the new build is never behind the old one",
        "projections/builds.py",
        "labels = [state.other, state.live]",
        "labels = [state.live, state.other]",
        "tests/handlers/test_rebuild.py::test_the_new_build_is_written_before_the_old_one",
    ),
    Guard(
        "nobody goes by states of builds that are too old",
        "projections/freshness.py",
        "if read is None or self._elapsed_s() - read.asked_at_s > self._fresh_s:",
        "if read is None:",
        "tests/projections/test_builds.py",
    ),
    Guard(
        "the second pass begins when every projector writes both builds",
        "projections/rebuild.py",
        "        if state.phase is not Phase.FILLING:\n            self._require_held(name, state)",
        "        pass",
        "tests/handlers/test_rebuild.py::test_the_second_pass_waits_until_every_projector_writes_both",
    ),
    Guard(
        "what somebody may still read is written",
        "projections/rebuild.py",
        "        self._require_held(name, state)\n        changes = {",
        "        changes = {",
        "tests/handlers/test_rebuild.py::test_the_build_that_readers_have_left_is_written_while_somebody_may_still_read_it",
    ),
    Guard(
        "who goes on in another's place holds the phase once more",
        "projections/holding.py",
        "if seen != version:",
        "if False:",
        "tests/handlers/test_rebuild.py::test_the_second_pass_waits_until_every_projector_writes_both",
    ),
    Guard(
        "a build that readers may get stops an acknowledgement",
        "projections/projector.py",
        "        failures.again.update(self._give_up(applied))\n",
        "",
        "tests/handlers/test_rebuild.py::test_nothing_is_acknowledged_past_a_build_that_readers_could_still_be_given",
    ),
    Guard(
        "new code that is wrong stops nobody",
        "projections/applying.py",
        "if build.build not in spare or may_pass(error):",
        "if True:",
        "tests/handlers/test_rebuild.py::test_new_code_that_is_wrong_stops_neither_readers_nor_answers",
    ),
    Guard(
        "old code that is wrong stops nobody who reads the new build",
        "projections/builds.py",
        "if state.phase is not None and state.phase is not Phase.FILLING",
        "if state.phase is Phase.BOTH",
        "tests/handlers/test_rebuild.py::test_old_code_that_is_wrong_stops_nobody_who_reads_the_new_build",
    ),
    Guard(
        "a build that somebody may still read is not given up",
        "projections/builds.py",
        "if state.phase is not Phase.BOTH and holds.left_s(build.name, state.version) > 0:",
        "if False:",
        "tests/handlers/test_rebuild.py::test_old_code_that_is_wrong_stops_nobody_who_reads_the_new_build",
    ),
    Guard(
        "readers who get the old build again do not go back in time",
        "projections/rebuild.py",
        "return self._move(name, state, phase=Phase.RETURNING, generation=generation)",
        "return self._move(name, state, live=state.other, other=state.live, phase=Phase.RETURNED)",
        "tests/handlers/test_rebuild.py::test_readers_who_are_brought_back_do_not_go_back_in_time",
    ),
    Guard(
        "what is written first stays live until a rebuild replaces it",
        "projections/known_builds.py",
        "unstored = builds.unstored()",
        "unstored = ()",
        "tests/handlers/test_rebuild.py::test_code_without_the_version_that_is_live_gives_nobody_empty_views",
    ),
    Guard(
        "a build that was left behind is never read",
        "projections/rebuild.py",
        "behind += [state.broken] if state.broken is not None else []",
        "",
        "tests/handlers/test_rebuild.py::test_nobody_changes_over_after_a_projector_has_left_the_new_build_behind",
    ),
    Guard(
        "what proves that a region has a commit looks at every build that readers may be given",
        "projections/proof.py",
        "self.views_of(region).read_every(covering)",
        "self.views_of(region).read_many(covering)",
        "tests/handlers/test_rebuild_proofs.py",
    ),
    Guard(
        "measuring never fails what is measured",
        "handlers/metrics.py",
        "except Exception as error:",
        "except ZeroDivisionError as error:",
        "tests/handlers/test_metrics.py::test_measuring_never_fails_what_is_measured",
    ),
    Guard(
        "an answer that is put off is no younger for that",
        "projections/responses.py",
        "first_due = if_not_exists(first_due, :due)",
        "first_due = :due",
        "tests/contract/test_responses.py::test_the_backlog_is_as_old_as_its_oldest_answer_however_often_that_was_put_off",
    ),
    Guard(
        "nothing is told as decided that another region could have gone on without",
        "eventstore/decisions.py",
        "self._check_tenure(attempted)\n        return decision",
        "return decision",
        "tests/handlers/test_eventual_mode.py::test_nothing_is_told_as_decided_that_came_into_the_log_too_late",
    ),
    Guard(
        "the first commit of an epoch leaves nothing aside that is just arriving",
        "eventstore/tenure.py",
        "return self.taken * EPOCH_SPAN + last % EPOCH_SPAN + 1",
        "return None",
        "tests/handlers/test_eventual_mode.py::test_what_arrives_at_the_very_moment_of_the_first_commit_is_not_left_aside",
    ),
    Guard(
        "an adopter that was lost itself closes what it had opened",
        "projections/draining.py",
        "for origin in sorted(topology.left_behind(region)):",
        "for origin in ():",
        "tests/handlers/test_losing_a_region.py::test_what_an_adopter_had_opened_before_it_was_lost_itself_is_closed_when_it_returns",
    ),
    Guard(
        "a region applies what its own replica shows as the chain",
        "projections/gaps.py",
        "return chain_after(applied, list(here))",
        "return Chain([one for one in arrived if one.last_position > applied])",
        "tests/handlers/test_eventual_mode.py::test_a_takeover_supersedes_what_it_did_not_receive_and_tells_its_producer_once",
    ),
    Guard(
        "nothing is decided for a caller without a grant for it",
        "handlers/commands.py",
        "caller.check_sends(request)",
        "pass",
        "tests/handlers/test_access.py::test_without_a_grant_nothing_is_decided",
    ),
    Guard(
        "no query is answered to a caller without a grant to read",
        "handlers/queries.py",
        "deps.access.by_http(event).check_reads()",
        "pass",
        "tests/handlers/test_access.py::test_queries_need_a_grant_to_read",
    ),
    Guard(
        "a message is decided only with a grant of who has sent it",
        "handlers/command_queue.py",
        "deps.access.by_queue(record).check_sends(request)",
        "pass",
        "tests/handlers/test_access.py::test_a_message_without_a_grant_is_set_aside_undecided",
    ),
    Guard(
        "a command goes one hop and no more",
        "handlers/commands.py",
        "if request.origin is not None:",
        "if False:",
        "tests/handlers/test_eventual_mode.py::test_a_command_goes_one_hop_and_no_more",
    ),
    Guard(
        "what is remembered of an older epoch is read again",
        "eventstore/loading.py",
        "if warm is not None and epoch_of(warm.last_position) >= tenure.epoch:",
        "if warm is not None:",
        "tests/handlers/test_eventual_mode.py::test_what_a_region_remembers_of_an_older_epoch_is_not_gone_by",
    ),
    Guard(
        "whoever takes over takes what others have",
        "eventstore/loading.py",
        "            self._fetch(aggregate_id)",
        "            pass",
        "tests/handlers/test_eventual_mode.py::test_whoever_takes_over_takes_what_other_regions_have",
    ),
    Guard(
        "a home is required in every state",
        "projections/regions.py",
        "return self.topology.required(answering) | self.homes",
        "return self.topology.required(answering)",
        "tests/handlers/test_eventual_mode.py::test_a_home_is_required_though_it_is_drained",
    ),
    Guard(
        "superseded is what every required region has left aside",
        "projections/sweeper.py",
        "return set(self.prover.look(commit, required).superseded) == required",
        "return True",
        "tests/handlers/test_eventual_mode.py::test_nothing_is_told_as_superseded_that_a_region_still_has",
    ),
    Guard(
        "a view knows which branch it is of",
        "projections/views.py",
        "return on_chain(last_position, applied=self.applied, left=self.left)",
        "return last_position <= self.applied",
        "tests/handlers/test_eventual_mode.py::test_a_read_with_the_token_of_a_superseded_commit_is_told_so",
    ),
]


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("broken")
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            # With what is compiled: it is valid as long as a file is as it was copied.
            ignored = shutil.ignore_patterns("guards")
            shutil.copytree(source, directory / name, ignore=ignored)
        else:
            shutil.copy(source, directory / name)
    return directory


@pytest.fixture(scope="session")
def run(copy: Path) -> Iterator[Run]:
    """Runs a test in the copy, and nothing of the project itself; gives its exit code and words."""
    warm = subprocess.Popen(  # noqa: S603 - our own tests
        [sys.executable, _WARM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with warm:

        def run_one(test: str) -> tuple[int, str]:
            warm.stdin.write(json.dumps([str(copy), [*_CHEAPLY, test]]) + "\n")
            warm.stdin.flush()
            code, printed = json.loads(warm.stdout.readline())
            return code, printed

        yield run_one
        warm.stdin.close()


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.guarantee)
def test_a_broken_guarantee_is_missed_by_its_test(copy: Path, run: Run, guard: Guard):
    file = copy / guard.file
    sound = file.read_text()
    broken = sound
    for line, instead in guard.breaks():
        assert sound.count(line) == 1, f"{guard.file} does not hold this just once: {line}"
        broken = broken.replace(line, instead)
    file.write_text(broken)
    try:
        code, printed = run(guard.test)
    finally:
        file.write_text(sound)

    # 1: tests ran and one failed. Anything else (no such test, no import) is no proof.
    assert code == 1, printed[-2000:]


def test_the_copy_is_what_is_tested_and_sound_it_passes(run: Run):
    code, printed = run("tests/eventstore/test_decisions.py")

    assert code == 0, printed[-2000:]
