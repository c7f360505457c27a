"""Expected failures keep what they say, wherever they are raised."""

import pickle

from placement.core.errors import InputError


def test_error_of_an_input_crosses_processes_as_it_is() -> None:
    """A worker's complaint names the same field, value and remedy in its parent."""
    error = InputError("--down", "mars", "name a region").within("simulate")

    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert type(again) is InputError
    assert str(again) == str(error)
    assert (again.field, again.value, again.remedy) == (
        "simulate.--down",
        error.value,
        "name a region",
    )
    assert again.metadata == error.metadata
    assert again.reason == error.reason
