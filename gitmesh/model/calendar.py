"""Time zones and cron expressions as people write them: what is wrong with them.

Stage: none (pure).
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError


def zone_problem(name: str) -> str:
    """Say why a time zone is none; empty when it is one."""
    return "" if zone_named(name) else f"there is no time zone {name[:60]!r}"


@lru_cache(maxsize=256)
def cron_problem(cron: str) -> str:
    """Say why a cron expression is none, or has no moment at all; empty when it has."""
    if len(cron.split()) != 5:
        return "it has five fields: minute, hour, day of month, month, day of week"
    try:
        next(CronSim(cron, datetime(2024, 1, 1, tzinfo=UTC)))
    except StopIteration:
        return "there is no such day"
    except (CronSimError, ValueError, OverflowError) as error:
        return f"{str(error)[:1].lower()}{str(error)[1:80]}"
    return ""


@lru_cache(maxsize=256)
def zone_named(name: str) -> ZoneInfo | None:
    """Return the time zone of this name in the IANA data base."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # no such zone, or a name that leads out of their directory
        return None
