"""The blocks of a Markdown document, and the addresses that tests put in place of its examples."""

import os
import re
from urllib.parse import quote

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DOCUMENTS = ["README.md", "deploy/RECIPES.md"]


class Block:
    def __init__(self, language, heading, text):
        self.language = language
        self.heading = heading
        self.text = text

    def __repr__(self):
        return f"{self.language} block below '{self.heading}'"


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def blocks(path):
    """The fenced blocks, each with the heading above it."""
    found, heading, fence = [], "", None
    for line in read(path).splitlines():
        if fence is not None:
            if line == "```":
                found.append(Block(language, heading, "\n".join(fence) + "\n"))
                fence = None
            else:
                fence.append(line)
        elif line.startswith("```"):
            language, fence = line[3:], []
        elif line.startswith("#"):
            heading = line.lstrip("# ")
    return found


def replaced(text, addresses):
    """`text` with each address as it is and percent-encoded."""
    for old, new in addresses.items():
        text = text.replace(old, new).replace(quote(old, safe=""), quote(new, safe=""))
    return text


def anchors(path):
    """The anchors that a page of this document has for its headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", read(path), flags=re.S), re.M)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


def links(path):
    """The targets of the links to other files and headings."""
    text = re.sub(r"```.*?```", "", read(path), flags=re.S)
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
