"""Print what the house looks like at some commits, and now: files, circles, comments and so on.

``python .ci/rooms.py [COMMIT...]``. Each column is a commit, the last one the working tree. Then
the rooms of the working tree.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOMES = ("vi/", "callbacks/")
WIDTH = 100

sys.path.insert(0, str(ROOT / "tests"))
from test_architecture import circles, floors, room_in  # noqa: E402


def sources_of(commit):
    """The library's files by path: of a commit, or of the working tree."""
    if commit is None:
        paths = [path for home in HOMES for path in (ROOT / home).rglob("*.py")]
        return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}
    listed = _git("ls-tree", "-r", "--name-only", commit, *HOMES).splitlines()
    return {path: _git("show", f"{commit}:{path}") for path in listed if path.endswith(".py")}


def design_of(commit):
    """The page with the table of rooms."""
    page = "docs/design.md"
    return (
        (ROOT / page).read_text(encoding="utf-8")
        if commit is None
        else _git("show", f"{commit}:{page}")
    )


def _git(*arguments):
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def module_of(path):
    """The name under which a file is imported."""
    name = ("vi/" if path.startswith("callbacks/") else "") + path.removesuffix(".py")
    return name.replace("/", ".").removesuffix(".__init__")


class Imports(ast.NodeVisitor):
    """The library's modules that a file imports, and whether at its top, where all see them."""

    def __init__(self, name, is_package, known):
        self.package = name if is_package else name.rpartition(".")[0]
        self.known, self.found, self.depth = known, [], 0

    def visit_ImportFrom(self, node):
        base = ".".join(filter(None, [self.package, node.module])) if node.level else node.module
        if base and base.partition(".")[0] == "vi":
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                self.found.append((inner if inner in self.known else base, self.depth > 0))

    def visit_Import(self, node):
        names = [alias.name for alias in node.names if alias.name.partition(".")[0] == "vi"]
        self.found += [(name, self.depth > 0) for name in names]

    def _inside(self, node):
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    def visit_FunctionDef(self, node):
        self._inside(node)

    def visit_If(self, node):
        is_typing = "TYPE_CHECKING" in ast.unparse(node.test)
        (self._inside if is_typing else self.generic_visit)(node)


def private_accesses(trees):
    """Uses of ``x._name`` where another file of the library has the name and this one has not."""
    own, used = {}, {}
    for path, tree in trees.items():
        nodes = list(ast.walk(tree))
        attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
        selves = ("self", "cls")
        own[path] = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
        own[path] |= {
            node.attr
            for node in attributes
            if isinstance(node.value, ast.Name) and node.value.id in selves
        }
        own[path] |= {
            target.id
            for node in nodes
            if isinstance(node, ast.ClassDef)
            for each in node.body
            if isinstance(each, ast.Assign | ast.AnnAssign)
            for target in (each.targets if isinstance(each, ast.Assign) else [each.target])
            if isinstance(target, ast.Name)
        }
        used[path] = [
            node.attr
            for node in attributes
            if re.match(r"_[^_]", node.attr)
            and not (isinstance(node.value, ast.Name) and node.value.id in selves)
        ]
    everywhere = set().union(*own.values())
    return sum(
        name in everywhere and name not in own[path]
        for path, names in used.items()
        for name in names
    )


def arguments_of_fit(trees):
    """How many arguments the function ``fit`` has, ``**options`` not counted."""
    for path, tree in trees.items():
        for node in tree.body if path.endswith("/fit.py") and "bambi" not in path else ():
            if isinstance(node, ast.FunctionDef) and node.name == "fit":
                return len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs)
    return None


def measured(commit):
    """The measures of one commit, by name."""
    sources = sources_of(commit)
    trees = {path: ast.parse(text) for path, text in sources.items()}
    lines = {path: text.count("\n") for path, text in sources.items()}
    known = {module_of(path) for path in sources}
    graph, deferred = defaultdict(set), 0
    for path, tree in trees.items():
        name = module_of(path)
        visitor = Imports(name, path.endswith("__init__.py"), known)
        visitor.visit(tree)
        graph[name] |= {other for other, _ in visitor.found} - {name}
        deferred += sum(inside for _, inside in visitor.found)
    floor = floors(design_of(commit))
    upward = sum(
        floor[room_in(floor, other)] > floor[room_in(floor, name)]
        for name, others in graph.items()
        for other in others
        if {room_in(floor, name), room_in(floor, other)} <= set(floor)
    )
    comments = sum(
        token.type == tokenize.COMMENT
        for text in sources.values()
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
    )
    total = sum(lines.values())
    return {
        "files": len(sources),
        "lines of a file, mean": round(total / len(sources)),
        "lines of a file, most": max(lines.values()),
        "files above 300 lines": sum(count > 300 for count in lines.values()),
        "files in import circles": sum(len(each) for each in circles(dict(graph))),
        "imports of a higher floor": upward if floor else "no table",
        "private names used from outside": private_accesses(trees),
        "deferred and typing imports": deferred,
        "arguments of vi.fit": arguments_of_fit(trees),
        "comments per 100 lines": f"{100 * comments / total:.1f}",
        f"lines over {WIDTH} columns": sum(
            len(line) > WIDTH for text in sources.values() for line in text.splitlines()
        ),
    }


def rooms():
    """Files, mean lines and most lines of each room of the working tree, from the top down."""
    floor, found = floors(design_of(None)), defaultdict(list)
    for path, text in sources_of(None).items():
        found[room_in(floor, module_of(path))].append(text.count("\n"))
    return [
        (floor[room], room.replace(".", "/") if room != "__init__.py" else room, counts)
        for room, counts in sorted(found.items(), key=lambda item: (-floor[item[0]], item[0]))
    ]


def main():
    """Print both tables."""
    commits = [*sys.argv[1:], None]
    columns = [measured(commit) for commit in commits]
    names = ["now" if commit is None else commit[:7] for commit in commits]
    print(f"{'':34}" + "".join(f"{name:>10}" for name in names))
    for measure in columns[0]:
        print(f"{measure:34}" + "".join(f"{column[measure]!s:>10}" for column in columns))
    print(f"\n{'room':30}{'floor':>6}{'files':>7}{'mean':>7}{'most':>7}")
    for number, room, counts in rooms():
        mean = round(sum(counts) / len(counts))
        print(f"{room:30}{number:>6}{len(counts):>7}{mean:>7}{max(counts):>7}")


if __name__ == "__main__":
    main()
