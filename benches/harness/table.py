"""The table of results: a line each."""

from . import results as statistics

HEADER = ("bench", "case", "subject", "workers", "unit", "median", "min", "max", "to rival", "to limit")
COLUMNS = "{:<12} {:<18} {:<24} {:>7} {:<7} {:>9} {:>9} {:>9} {:>9} {:>9}"


def number(value):
    """Four digits that are easy to read."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def render(results):
    """The lines of the table, the header first."""
    yield COLUMNS.format(*HEADER)
    for result in results:
        yield COLUMNS.format(
            result.bench,
            result.case,
            result.subject,
            result.workers,
            result.unit,
            number(result.median),
            number(result.min),
            number(result.max),
            _times(statistics.ratio_to_best_rival(result, results)),
            _times(statistics.ratio_to_limit(result, results)),
        )


def _times(ratio):
    return "-" if ratio is None else f"{ratio:.2f}"
