"""The formats in which images take their first settings; each writes files and words of the command line, and no more.

Source: rpi-imager (`doc/os_customisation_formats.md`), raspberrypi-sys-mods, rpi-preseed (`schema/rpi-preseed.schema`).
"""
