"""Collectors: how an enclave asks its hardware for evidence. Tested against fakes of each device.

Each source is one small module; `choose` picks one, and `apart` lets a process that has given up
its privileges collect all the same. Nothing here judges evidence, or trusts what a device says
beyond "this is about the 64 bytes that I asked for".
"""
