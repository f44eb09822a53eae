from mc2 import errors


def test_codes_are_unique_and_exit_codes_stable():
    found = errors.error_types()
    assert all(code == kind.code for code, kind in found.items())
    assert {k.__name__ for k in found.values()} == {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.Mc2Error)
    }
    by_exit: dict[int, set[str]] = {}
    for kind in found.values():
        by_exit.setdefault(kind.exit_code, set()).add(kind.__name__)
    assert {code: names for code, names in by_exit.items() if len(names) > 1} == {
        8: {"AttestationError", "EvidenceError", "AppraisalError"}
    }


def test_a_plan_error_says_where():
    error = errors.PlanError("no such column", line=3, column=7, hint="write y")
    assert str(error) == "line 3, column 7: no such column"
    assert error.hint == "write y"
