"""`python -m watari` is the command `watari`."""

from watari.cli.main import main

if __name__ == "__main__":
    main()
