"""The edges: Lambda functions, each a thin `make_handler(deps)`.

`entry` is what Lambda loads; `settings` is the only reader of the environment;
`dependencies` builds clients once. What a function decides stands further in.
"""
