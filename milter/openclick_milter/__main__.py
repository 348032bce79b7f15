"""`python -m openclick_milter`: the same as the command openclick-milter."""

from openclick_milter.main import main

main()
