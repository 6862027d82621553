"""`antiphon region`: what is done to a region as a whole."""

from antiphon.draining import drain, evict, show, undrain
from antiphon.killing import kill, start
from antiphon.problems import new_command_group

region = new_command_group(
    "Take a region out of service, and bring it back; kill it, on this machine."
)

region.command(epilog="Example: antiphon region show --json")(show)
region.command(
    epilog="Examples: antiphon region drain ap-south-1; "
    "antiphon region drain ap-south-1 --lost --adopt eu-west-1"
)(drain)
region.command(epilog="Example: antiphon region undrain ap-south-1")(undrain)
region.command(epilog="Example: antiphon region evict ap-south-1")(evict)
region.command(epilog="Example: antiphon region kill eu-west-1")(kill)
region.command(epilog="Example: antiphon region start eu-west-1")(start)
