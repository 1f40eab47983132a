"""A page on this machine where photographs are dropped, looked at and fetched in colour: the
command (`__main__`), the server and its guard, the photographs that it holds, the one thread
that colours them, and the page itself.
"""
