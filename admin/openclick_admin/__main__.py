"""`python -m openclick_admin`: the same as the command openclick."""

from openclick_admin.main import main

main()
