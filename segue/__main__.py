"""`python -m segue` runs the installed `segue` command. The ground floor knows no command, so it asks the package."""

from importlib.metadata import entry_points

if __name__ == "__main__":
    (command,) = entry_points(group="console_scripts", name="segue")
    command.load()()
