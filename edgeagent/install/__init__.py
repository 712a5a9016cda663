"""edgeagent put on a running Debian or Raspberry Pi OS, or into an image: `nouns`, `rules`, `plan`, then the shell.

Only the standard library is needed, so that the Python of a fresh system can run this from the wheel itself:
PYTHONPATH=edgeagent-VERSION-py3-none-any.whl python3 -m edgeagent.install install --bundle FOLDER
"""
