"""Random schedules of requests, losses, late copies, crashes and replicas against the real program, compared step by
step with a model. $SESAM_SQL_TEST_SECONDS makes them longer, $SESAM_SQL_TEST_SEED repeats one."""

import contextlib

import pytest

import explorer
from pushing import power_off, seconds, seed


def killer(database):
    """Ends a replica by kill -9, waits until the database has noticed, and starts it again."""

    def kill(replica):
        power_off(replica, database)
        replica.start()

    return kill


@contextlib.contextmanager
def exploring(database, service, world, without=(), replicas=2, number=None):
    world.create(database)
    config = world.config(database)
    running = [service(config) for _ in range(replicas)]
    one = explorer.Explorer(world, database, running, seed() if number is None else number, without, killer(database))
    try:
        yield one
    finally:
        one.close()


@pytest.mark.parametrize("world", explorer.WORLDS, ids=lambda world: world.name.replace(" ", "-"))
def test_service_does_what_the_model_says(db, service, world):
    with exploring(db, service, world) as one:
        assert one.run(seconds(0.8)) >= 20


# Each world must be able to show what a service without the rule would do.
CONTROLS = [("incrementals_are_seen", explorer.SCOPES), ("receipts", explorer.SCOPES), ("retired", explorer.SCOPES),
            ("chain", explorer.SCOPES), ("conflicts_are_seen", explorer.LOCKED),
            ("equal_before_version", explorer.LOCKED), ("last_of_a_key", explorer.SHARED), ("scope", explorer.SCOPES),
            ("all_or_nothing", explorer.SHARED), ("new_forgets_old", explorer.SHARED)]


@pytest.mark.parametrize("rule, world", CONTROLS, ids=[rule for rule, _ in CONTROLS])
def test_explorer_notices_when_a_rule_is_not_kept(sqlite, service, rule, world):
    """The model without the rule stands for a service that keeps it and should not."""
    assert sorted(name for name, _ in CONTROLS) == sorted(explorer.RULES)
    with exploring(sqlite, service, world, [rule], replicas=1, number=1) as one:
        one.kill = None
        with pytest.raises(explorer.Difference):
            one.run(3600, most=20000)
