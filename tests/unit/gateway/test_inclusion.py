from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from gateway.inclusion import FileWatch
from gateway.settings import Settings, SettingsError, files, load, parse

HEAD = "upstreams: {offline: {kind: echo}}\nmodels: {m: {upstream: offline}}\n"
KEY = "keys: [{name: ci, secret: sk-tw-0123456789abcdef}]"


def write(folder: Path, **texts: str) -> Path:
    """Write files, `__` in a name standing for a slash, and return the settings file's path."""
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder / "tierway.yaml"


def problem(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load(path)
    return str(caught.value)


def served(path: Path) -> Settings:
    return load(path)[0]


def test_the_organisation_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, tierway=HEAD + "organisation: policy.yaml", policy="name: acme\nteams: {search: {}}")

    assert served(path).organisation.name == "acme"


def test_a_team_may_stand_in_a_file_beside_the_one_that_names_it(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        tierway=HEAD + "organisation: policies/org.yaml",
        policies__org="teams: {search: search.yaml}",
        policies__search=KEY,
    )

    assert served(path).organisation.teams["search"].keys[0].name == "ci"


def test_references_in_an_included_file_are_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORGANISATION", "acme")
    path = write(tmp_path, tierway=HEAD + "organisation: policy.yaml", policy="name: ${ORGANISATION}")

    assert served(path).organisation.name == "acme"


def test_an_edit_of_an_included_file_changes_the_fingerprint(tmp_path: Path) -> None:
    path = write(tmp_path, tierway=HEAD + "organisation: policy.yaml", policy="name: acme")
    before = load(path)[1]

    write(tmp_path, policy="name: umbrella")

    assert load(path)[1] != before


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, tierway=HEAD + "organisation: policy.yaml")

    assert problem(path) == "organisation: 'policy.yaml' cannot be read (No such file or directory)"


@pytest.mark.parametrize("outside", ["../policy.yaml", "/etc/policy.yaml", "a/../../policy.yaml"])
def test_a_file_outside_of_the_folder_is_refused(tmp_path: Path, outside: str) -> None:
    path = write(tmp_path, tierway=HEAD + f"organisation: {outside}")

    assert problem(path) == f"organisation: '{outside}' lies outside of the folder of the settings file"


def test_a_file_that_includes_itself_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, tierway=HEAD + "organisation: policy.yaml", policy="teams: {a: ./policy.yaml}")

    found = problem(path)

    assert found.startswith("organisation.teams.a: './policy.yaml' includes itself")
    assert "tierway.yaml > policy.yaml > policy.yaml" in found


def test_the_settings_file_cannot_include_itself(tmp_path: Path) -> None:
    path = write(tmp_path, tierway=HEAD + "organisation: tierway.yaml")

    assert "includes itself (tierway.yaml > tierway.yaml)" in problem(path)


@pytest.mark.parametrize("text", ["", "other.yaml", "[1]"])
def test_an_included_file_must_hold_a_mapping(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, tierway=HEAD + "organisation: policy.yaml", policy=text)

    assert "must hold the mapping that stands for 'organisation'" in problem(path)


def test_a_wrong_value_in_an_included_file_is_named_by_its_path(tmp_path: Path) -> None:
    path = write(tmp_path, tierway=HEAD + "organisation: {teams: {a: a.yaml}}", a="limits: {concurrency: 0}")

    assert problem(path).startswith("organisation.teams.a.limits.concurrency: ")


def test_a_path_without_a_file_that_names_it_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^organisation: "):
        parse((HEAD + "organisation: policy.yaml").encode(), {})


def test_files_lists_what_is_read_and_what_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path, tierway=HEAD + "organisation: policy.yaml", policy="teams: {a: a.yaml}")

    assert files(path) == (path, tmp_path / "policy.yaml", tmp_path / "a.yaml")


@pytest.mark.parametrize("text", ["[", "5"])
def test_files_of_a_broken_settings_file_are_the_file_itself(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, tierway=text)

    assert files(path) == (path,)


def test_a_watch_sees_an_edit_of_an_included_file_once(tmp_path: Path) -> None:
    path = write(tmp_path, tierway=HEAD + "organisation: policy.yaml", policy="name: acme")
    watch = FileWatch(partial(files, path))

    write(tmp_path, policy="name: umbrella")

    assert [watch.has_changed(), watch.has_changed()] == [True, False]


def test_a_watch_follows_files_that_an_edit_brought_in(tmp_path: Path) -> None:
    path = write(tmp_path, tierway=HEAD)
    watch = FileWatch(partial(files, path))
    write(tmp_path, tierway=HEAD + "organisation: policy.yaml")
    assert watch.has_changed()

    write(tmp_path, policy="name: acme")

    assert watch.has_changed()


def test_a_watch_sees_a_link_that_is_swapped(tmp_path: Path) -> None:
    write(tmp_path, one=HEAD, two=HEAD)
    link = tmp_path / "tierway.yaml"
    link.symlink_to("one.yaml")
    watch = FileWatch(partial(files, link))
    scratch = tmp_path / "scratch"
    scratch.symlink_to("two.yaml")

    scratch.replace(link)

    assert watch.has_changed()


def test_a_watch_sees_a_file_go(tmp_path: Path) -> None:
    path = write(tmp_path, tierway=HEAD)
    watch = FileWatch(partial(files, path))

    path.unlink()

    assert watch.has_changed()
