"""Runner: all sets through all models, photographs to workers, results to journal and list."""
from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from oace_tf import __version__
from oace_tf.evaluation.journal import Journal, key_of
from oace_tf.evaluation.object_trials import (
    EvaluationOptions,
    GroupResult,
    ObjectRecord,
    measure,
    open_models,
)
from oace_tf.evaluation.predictors import ModelFile
from oace_tf.samples.sample import SampleFile
from oace_tf.workers import Pool, pool_size

Group = tuple[SampleFile, ...]


@dataclass(slots=True, kw_only=True)
class SetResult:
    """What was measured on one set."""

    records: list[ObjectRecord] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    resumed: int = 0  # photographs that the journal had
    total_s: float = 0.0  # the sum over all workers
    models_s: float = 0.0
    baselines_s: float = 0.0

    def harness(self, workers: int) -> dict[str, Any]:
        """Return where the time went; `over_inference` leaves out the baselines."""
        ratio = (self.total_s - self.baselines_s) / self.models_s if self.models_s else None
        return {"workers": workers, "total_s": self.total_s, "models_s": self.models_s,
                "baselines_s": self.baselines_s, "over_inference": ratio,
                "photographs_resumed": self.resumed}


def photographs(files: Sequence[SampleFile], limit: int | None = None) -> list[Group]:
    """Return the objects of each photograph, in the order of the listing; the first `limit`."""
    groups = [tuple(objects) for _, objects in groupby(files, lambda f: f.group or f.id)]
    return groups[:limit]


def run_sets(models: Sequence[ModelFile], sets: Mapping[str, Sequence[Group]],
             options: EvaluationOptions, workers: int, journal: Journal,
             progress: Callable[[str], None] | None = None) -> dict[str, SetResult]:
    """Return what was measured on each set; only figures stay in memory.

    Args:
      models: opened once in every worker.
      sets: the photographs of each set, by its name.
      options: what is measured.
      workers: processes, one interpreter of each model in each.
      journal: results that it has are not measured again.
      progress: called with the set's name after every photograph.
    Raises:
      UsageError: an object cannot be read; the journal keeps what was measured before.
    """
    results = {name: SetResult() for name in sets}
    work = [(name, group, key_of(group)) for name, groups in sets.items() for group in groups]
    left = [group for _, group, key in work if key not in journal.finished]
    pool = Pool(processes=pool_size(workers, len(left)), setup=open_models,
                setup_args=(tuple(models), options))
    fresh = pool.map(measure, left)
    for name, key, part, known in _joined(work, fresh, journal):
        result = results[name]
        result.records += part.records
        result.left_out += part.left_out
        result.resumed += known
        result.total_s += part.total_s
        result.models_s += part.models_s
        result.baselines_s += part.baselines_s
        if not known:
            journal.add(key, part)
        if progress is not None:
            progress(name)
    return results


def _joined(work: Sequence[tuple[str, Group, str]], fresh: Iterator[GroupResult],
            journal: Journal) -> Iterator[tuple[str, str, GroupResult, bool]]:
    """Yield the results of all photographs in order: from the journal, else from the workers."""
    for name, _, key in work:
        known = journal.finished.get(key)
        yield name, key, known if known is not None else next(fresh), known is not None


def name_of_run(models: Sequence[ModelFile], options: EvaluationOptions) -> dict[str, Any]:
    """Return what must be equal for one run to go on with the journal of another."""
    return {"version": __version__, "plan": dataclasses.asdict(options),
            "models": [[model.name, model.sha256] for model in models]}
