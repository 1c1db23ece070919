"""Campaign on the device: settings in alternating order, pauses, repeats after a lost link."""
from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from android_bench.device.facts import QUERY_HEALTH, Health, allow, read_health
from android_bench.device.phone import Phone
from android_bench.errors import DeviceTrouble, LinkLost, NotUnderstood
from android_bench.log.parse import FAILED, OK, TRUNCATED, parse_log
from android_bench.settings import CACHE_NAME, SERIALIZED, Setting, command, why_absent
from android_bench.verdict import (
    THROTTLED,
    Budgets,
    Repetition,
    Row,
    absent,
    check_options,
    from_record,
    judge,
)

_LOG = logging.getLogger(__name__)
_TRIES = 3  # of one repetition, when the link is lost
_COOL_STEP_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignOptions:
    """How to measure: counts, pauses in seconds, conditions let through.

    Attributes:
      runs, warmup: timed and untimed inferences of a repetition.
      repetitions: of every setting.
      pause_s: before every run, to cool.
      cool_s: how long at most to wait for the thermal status to fall.
      limit_s: after which a run is ended.
      allowed: names of conditions that are let through.
      profile: whether a short extra run with the operator profile is made.
    """

    runs: int = 10
    warmup: int = 2
    repetitions: int = 2
    pause_s: float = 1.5
    cool_s: float = 120.0
    limit_s: float = 180.0
    allowed: tuple[str, ...] = ()
    profile: bool = True


class Campaign:
    """All runs of the matrix on one device; keeps what is finished, whatever happens then."""

    def __init__(self, phone: Phone, binary: str, models: Mapping[str, str],
                 flags: Collection[str], plan: CampaignOptions) -> None:
        """Make it.

        Args:
          phone: prepared, with the files pushed.
          binary: name of the tool in the phone's folder.
          models: names of the files there, by int8 and float.
          flags: that the tool knows.
          plan: how to measure.
        """
        self.trouble = ""
        self._phone, self._binary, self._models = phone, binary, dict(models)
        self._flags, self._plan = flags, plan
        self._done: dict[str, list[Repetition]] = {}
        self._notes: dict[str, list[str]] = {}
        self._conditions: dict[str, dict[str, None]] = {}

    def run(self, settings: Sequence[Setting]) -> None:
        """Measure all settings; `rows` then has the results.

        A device that is lost for good, or not fit to measure, ends the campaign: `trouble` says so
        in words, and what was finished is kept.
        """
        able = [setting for setting in settings if not why_absent(setting, self._flags)]
        try:
            for count in range(self._plan.repetitions):
                for setting in able if count % 2 == 0 else reversed(able):
                    if all(one.outcome == OK for one in self._done.get(setting.name, ())):
                        self._repetition(setting, count)
            if self._plan.profile:
                for setting in able:
                    self._profile(setting)
        except DeviceTrouble as error:
            self.trouble = str(error)
            _LOG.error("%s", error)

    def rows(self, settings: Sequence[Setting], budgets: Budgets) -> list[Row]:
        """Return a row per setting; one that was not reached says so."""
        entries = []
        for setting in settings:
            why = why_absent(setting, self._flags)
            done = self._done.get(setting.name, [])
            if why:
                entries.append(absent(setting.name, why, setting.model, setting.unit,
                                      setting.threads))
                continue
            notes = list(self._notes.get(setting.name, ()))
            if 0 < len(done) < self._plan.repetitions and done[-1].outcome == OK:
                notes.append(f"{len(done)} of {self._plan.repetitions} repetitions")
            entries.append(judge(
                setting.name, done, budgets, model=setting.model, unit=setting.unit,
                threads=setting.threads, notes=notes,
                allowed=tuple(self._conditions.get(setting.name, ()))))
        return entries

    def _repetition(self, setting: Setting, count: int) -> None:
        if setting.cache and count == 0:
            first = self._fresh_cache(setting)
            if first.outcome != OK:
                self._done.setdefault(setting.name, []).append(first)
                return
            note = f"load while the cache is written: {first.load_ms or 0:.2f} ms"
            self._notes.setdefault(setting.name, []).append(note)
        done = self._retried(setting, f"{setting.name}.{count}", self._plan.runs, {})
        self._done.setdefault(setting.name, []).append(done)
        _LOG.info("%s, repetition %d: %s", setting.name, count + 1,
                  f"{done.mean_ms:.1f} ms" if done.mean_ms is not None else done.reason)

    def _fresh_cache(self, setting: Setting) -> Repetition:
        """Return the run that writes the cache; what an earlier campaign left is removed."""
        path = f"{self._phone.folder}/{SERIALIZED}"
        self._phone.remove([CACHE_NAME])
        self._phone.shell(f"rm -rf {path}; mkdir -p {path}", "an empty cache")
        return self._retried(setting, f"{setting.name}.cold", 1, {})

    def _retried(self, setting: Setting, job: str, runs: int, more: Mapping[str, str]
                 ) -> Repetition:
        """Return one repetition; one that is lost with the link is made again."""
        for attempt in range(_TRIES):
            try:
                return self._once(setting, job, runs, more)
            except LinkLost as error:
                _LOG.warning("%s was lost: %s", job, error)
                if attempt + 1 == _TRIES:
                    raise
                self._phone.recover()
                self._notes.setdefault(setting.name, []).append(
                    "a repetition was lost with the link and made again")
        raise AssertionError("not reached")

    def _once(self, setting: Setting, job: str, runs: int, more: Mapping[str, str]) -> Repetition:
        for name in self._cool():
            self._conditions.setdefault(setting.name, {})[name] = None
        line = command(self._absolute(setting), self._binary, self._models[setting.model], runs,
                       self._plan.warmup, {"report_peak_memory_footprint": "true", **more})
        finished = self._phone.run(job, line, self._plan.limit_s)
        try:
            record = parse_log(finished.stdout, finished.stderr, finished.code, " ".join(line))
        except NotUnderstood as error:
            return Repetition(outcome=FAILED, reason=f"the log is not understood: {error}")
        if record.outcome == TRUNCATED:  # a full disk cuts logs without a word
            self._phone.check_space(2**20)
        if finished.code is None and record.outcome == OK:
            return Repetition(outcome=FAILED, reason="the run was ended without an exit code")
        done = check_options(from_record(record))
        if done.outcome == OK and done.n != runs:
            return Repetition(outcome=FAILED, reason=f"{done.n} timed runs instead of {runs}")
        after = self._health()
        if done.outcome == OK and "thermal" in after.complaints() and (
                "thermal" not in self._plan.allowed):
            return replace(done, outcome=THROTTLED, reason="throttled: after the run "
                           + after.complaints()["thermal"])
        return done

    def _absolute(self, setting: Setting) -> Setting:
        """Return the setting with its files named in the phone's folder."""
        own = (CACHE_NAME, SERIALIZED)
        options = tuple((name, f"{self._phone.folder}/{value}" if value in own else value)
                        for name, value in setting.options)
        return replace(setting, options=options)

    def _profile(self, setting: Setting) -> None:
        """Add the operator profile to the first repetition; profiling slows a run, so apart."""
        done = self._done.get(setting.name, [])
        if not done or any(one.outcome != OK for one in done) or (
                "enable_op_profiling" not in self._flags):
            return
        extra = self._retried(setting, f"{setting.name}.profile", 3,
                              {"enable_op_profiling": "true"})
        done[0] = replace(done[0], profile=extra.profile)

    def _cool(self) -> tuple[str, ...]:
        """Pause; return the bad conditions that are allowed by name.

        Raises:
          DeviceTrouble: a condition is bad and not allowed, the heat also after waiting.
        """
        self._phone.pause(self._plan.pause_s)
        waited = 0.0
        health = self._health()
        while (health.thermal_status or 0) > 0 and waited < self._plan.cool_s and (
                "thermal" not in self._plan.allowed):
            self._phone.pause(_COOL_STEP_S)
            waited += _COOL_STEP_S
            health = self._health()
        return allow(health, self._plan.allowed)

    def _health(self) -> Health:
        return read_health(self._phone.shell(QUERY_HEALTH, "the device's state")[1])
