"""``python -m tests.reference``: write the pages of docs/reference anew."""

from tests.reference.pages import FOLDER, PAGES, made

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in PAGES:
        (FOLDER / name).write_text(made(name))
