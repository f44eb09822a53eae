"""What all tests share."""


def pytest_make_parametrize_id(config, val, argname):
    """Name cases of bytes or long text by their argument: fresh keys would make fresh names, and
    parallel workers must collect the same tests."""
    if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 40):
        return argname
    return None
