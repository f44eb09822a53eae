"""Accept and reject cases of every format, made anew from fixed seeds by `gen_vectors.py`."""
