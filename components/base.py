"""The decorator of all components: they run in one image, which holds the project."""

import functools

from kfp import dsl

from segue.settings import image

# KFP would install itself into each container; the image has it, and a uv environment has no pip.
component = functools.partial(dsl.component, base_image=image(), install_kfp_package=False)
