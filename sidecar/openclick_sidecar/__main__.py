"""`python -m openclick_sidecar`: the same as the command openclick-sidecar."""

from openclick_sidecar.main import main

main()
