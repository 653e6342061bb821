"""What all components share: one image with the project inside."""

import functools

from kfp import dsl

IMAGE = "segue:0.1.0"  # built from k8s/Dockerfile

# KFP would install itself into each container; the image has it, and a uv environment has no pip.
component = functools.partial(dsl.component, base_image=IMAGE, install_kfp_package=False)
