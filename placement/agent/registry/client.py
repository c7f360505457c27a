"""One registry: what it holds, its bytes, and how content is put there and removed.

Every method raises RegistryUnreachableError, RegistryRefusedError (401, 403),
NotThereError (404) and RegistryError (any other answer), unless it says otherwise.
"""

from placement.agent.registry.listing import Listing
from placement.agent.registry.reading import Reading
from placement.agent.registry.relaying import Relaying
from placement.agent.registry.writing import Writing


class Registry(Listing, Reading, Relaying, Writing):
    """A registry, with all of its API that we use."""
