"""Checks that run for minutes or hours, by hand; pytest does not collect them.

    python -m tests.long.fuzz all                 every reader of files, fed with broken ones
    python -m tests.long.gradcheck_faults         planted wrong gradients: caught, named, explained?
    python -m tests.long.gradcheck_false_alarms   right gradients with many seeds
    python -m tests.long.kill_training            a run that is killed again and again
    python -m tests.long.soak                     100,000 steps: does memory grow?
    python -m tests.long.doctor                   the doctor on healthy trainings

Each has --help. To be run from the root of a clone; short forms of all of them are in tests/.
"""
