"""Which projections there are. A team registers its own in one line.

Every aggregate needs exactly one projection that shows its state: Event B takes it from there.
"""

from projections.activity import ACTIVITY
from projections.network_inventory import NETWORK_INVENTORY
from projections.projection import Projection
from projections.subscriber_view import SUBSCRIBER_VIEW

PROJECTIONS: tuple[Projection, ...] = (SUBSCRIBER_VIEW, NETWORK_INVENTORY, ACTIVITY)
