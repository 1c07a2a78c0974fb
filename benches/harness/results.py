"""Results: the samples of a case and subject, their statistics, and JSON."""

import dataclasses
import json
import statistics


@dataclasses.dataclass(frozen=True)
class Result:
    """The fields are the JSON's keys."""

    bench: str
    case: str
    subject: str
    workers: int
    unit: str
    median: float
    min: float
    max: float

    @property
    def is_limit(self):
        return self.subject.startswith("limit")

    @property
    def is_rival(self):
        return not self.subject.startswith("weft") and not self.is_limit

    @property
    def group(self):
        """Results of one group compare."""
        return (self.bench, self.case, self.workers)


def summarize(bench, case, subject, workers, samples):
    """The result of `samples`, to four significant digits."""
    low, middle, high = (
        float(f"{value:.4g}") for value in (min(samples), statistics.median(samples), max(samples))
    )
    return Result(bench, case.name, subject, workers, case.unit, middle, low, high)


def ratio(result, others):
    """The median of `result` to the least of those of `others`; None without any."""
    least = min((other.median for other in others), default=0)
    return result.median / least if least else None


def ratio_to_best_rival(result, results):
    return ratio(result, [other for other in results if other.group == result.group and other.is_rival])


def ratio_to_limit(result, results):
    return ratio(result, [other for other in results if other.group == result.group and other.is_limit])


def write_json(path, results):
    """A list with an object a result."""
    lines = ",\n".join(json.dumps(dataclasses.asdict(result)) for result in results)
    path.write_text(f"[\n{lines}\n]\n" if lines else "[]\n")
