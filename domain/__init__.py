"""The rules of the field, pure: what a command does to an aggregate, and why it is refused.

One aggregate a module, always in one order: events, state, `evolve`, commands, `decide`.
Nothing here knows AWS, a clock, the environment, chance or a log; time comes in as an argument.
A new aggregate is a module like these and one line in `registry`.
"""
