"""Run the command line as `python -m gitmesh`."""

from gitmesh.cli.main import main

if __name__ == "__main__":
    main()
