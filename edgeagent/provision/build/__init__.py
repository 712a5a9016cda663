"""A bootable image from Debian's packages, our locked wheels and our units: the same bytes every time."""
