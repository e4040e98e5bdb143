"""`python -m crfrnn` is the `crfrnn` command, also where the command is not on the path."""

from crfrnn.cli import main

if __name__ == "__main__":
    main()
