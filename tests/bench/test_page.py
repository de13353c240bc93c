"""Pages that several commands write."""

import page


def test_a_section_is_replaced_and_the_others_stay(tmp_path):
    path = tmp_path / "p.md"
    path.write_text("# Page\n\nWhat it is.\n")
    page.write_section(path, "One", "first")
    page.write_section(path, "Two", "second")
    page.write_section(path, "One", "third\n\n### under it")
    assert (
        path.read_text() == "# Page\n\nWhat it is.\n\n## One\n\nthird\n\n### under it\n\n## Two\n\nsecond\n"
    )
    page.write_section(path, "Two", "fourth")
    assert path.read_text().endswith("## Two\n\nfourth\n")


def test_the_command_names_no_folder_of_this_machine(monkeypatch):
    monkeypatch.setattr(
        "sys.argv",
        [str(page.PAGES.parents[1] / "bench" / "x.py"), "/some/where/data", "--n", "3", "--cache", "there"],
    )
    assert page.command() == "python bench/x.py data --n 3"


def test_a_table_has_a_line_a_row():
    assert page.table(["a", "b"], [[1, "x"]]) == "| a | b |\n| --- | --- |\n| 1 | x |"
