"""CI judges the same generated examples every time; a developer's runs look further."""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if "EDGEAGENT_CI" in os.environ:
    settings.load_profile("ci")
