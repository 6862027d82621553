"""The command line: everything a person does with Antiphon, local or on AWS."""
