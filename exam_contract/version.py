"""The one place that names the version: the distribution, the images and the APIs read it here.

An image holds packages and no installed distribution, so no metadata could be asked there.
"""

VERSION = "0.1.0"
