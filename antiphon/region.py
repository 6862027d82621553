"""`antiphon region`: what is done to a region as a whole."""

from antiphon.draining import drain, show, undrain
from antiphon.problems import new_command_group

region = new_command_group("Take a region out of service, and bring it back.")

region.command(epilog="Example: antiphon region show --json")(show)
region.command(
    epilog="Examples: antiphon region drain ap-south-1; "
    "antiphon region drain ap-south-1 --lost --adopt eu-west-1"
)(drain)
region.command(epilog="Example: antiphon region undrain ap-south-1")(undrain)
