"""The web console: what happens between the regions, and whatever an operator does about it.

A process of its own beside the local regions, on their base port. It decides nothing and keeps
nothing: it reads what the regions' APIs and the WAN tell, and what it changes it changes by the
WAN's orders and by the command line. Opened by nobody, it does nothing.
"""
