"""`segue settings` and `segue doctor`: the settings in force, and whether each part works."""

import os
from dataclasses import asdict

import click

from segue.files import json_text
from segue.settings import Home
from segue.terminal import say


@click.command("settings")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def settings_(as_json: bool) -> None:
    """Print the settings in force and where each comes from; secrets are masked.

    The file is segue.yaml in the working directory, or the file that SEGUE_SETTINGS names. A variable SEGUE_NAME goes
    over the setting `name`. Secrets come from their variables, or from a file that SEGUE_NAME_FILE names.
    """
    from stores.settings import read, shown

    found = read(os.environ)
    values = {name: getattr(found.settings, name) for name in type(found.settings).model_fields}
    if as_json:
        click.echo(json_text({name: [value and shown(value), found.origins[name]] for name, value in values.items()}))
        return
    for name, value in values.items():
        say(f"{name}: {'unset' if value is None else shown(value)}  ({found.origins[name]})")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Check each part that holds state: reachable, version, rights, free disk.

    The exit code is 0 if all parts work, 2 if a setting or a right must be corrected, and 75 if a part does not answer.
    """
    from stores.doctor import examine
    from stores.settings import settings

    findings = []
    for finding in examine(settings(), Home.from_env().root):
        findings.append(finding)
        if not as_json:
            verdict = "fault" if finding.fix else "ok"
            say(f"{verdict}  {finding.part}  {finding.where}: {finding.detail} {finding.fix}".rstrip())
    if as_json:
        click.echo(json_text([asdict(finding) for finding in findings]))
    codes = {finding.exit_code for finding in findings} - {0}
    context.exit(min(codes) if codes else 0)
