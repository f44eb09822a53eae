"""Tables that owners bring: files and frames, read twice, with their schema found and shown.

`open.open_source` takes anything that is supported. Nothing here writes plaintext anywhere.
"""
