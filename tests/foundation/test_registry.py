"""Registries: live tables by short name, aliases, refusals, and what an argument means."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import pytest

from vi.foundation.registry import Registry, import_modules


class Shape:
    """A kind of part."""


@pytest.fixture
def shapes():
    registry = Registry("shape", of=Shape)

    @registry.register
    @dataclass(frozen=True)
    class Circle(Shape):
        radius: float = 1.0
        short_name = "circle"
        aliases = ("disc",)

    @registry.register
    @dataclass(frozen=True)
    class Polygon(Shape):
        corners: int
        short_name = "polygon"

    return registry


def test_it_is_a_mapping_by_short_name(shapes):
    assert list(shapes) == ["circle", "polygon"]
    assert len(shapes) == 2
    assert [name for name, _ in shapes.items()] == list(dict(shapes)) == list(shapes)
    assert "circle" in shapes
    assert "square" not in shapes
    assert 3 not in shapes
    with pytest.raises(KeyError):
        shapes["square"]


def test_aliases_and_case(shapes):
    assert shapes["disc"] is shapes["DISC"] is shapes["Circle"] is shapes["circle"]
    assert shapes.aliases == {"disc": "circle"}
    assert shapes.standalone == ("circle",)
    assert shapes.name_of(shapes["disc"]) == "circle"
    assert shapes.name_of(Shape) is None


def test_it_is_live(shapes):
    view = shapes.items()

    @shapes.register(name="blob", aliases=("spot",))
    @dataclass(frozen=True)
    class Blob(Shape):
        pass

    assert shapes["spot"] is Blob
    assert "blob" in dict(view)


def test_another_entry_under_one_name_is_refused(shapes):
    @dataclass(frozen=True)
    class Disc(Shape):
        short_name = "circle"

    @dataclass(frozen=True)
    class Other(Shape):
        short_name = "disc"

    circle = shapes["circle"]
    for item in (Disc, Other):
        with pytest.raises(ValueError, match=rf"{item.__name__}.*that is.*Circle.*replace=True"):
            shapes.register(item)
    assert shapes["circle"] is shapes["disc"] is circle
    shapes.register(replace=True)(Disc)
    assert shapes["circle"] is Disc
    assert "disc" not in shapes


def test_an_entry_can_be_taken_out(shapes):
    shapes.unregister("circle")
    assert list(shapes) == ["polygon"]
    assert "disc" not in shapes
    with pytest.raises(KeyError):
        shapes.unregister("circle")


def test_a_child_has_to_be_named_and_does_not_take_its_parents_aliases(shapes):
    circle = shapes["circle"]

    @dataclass(frozen=True)
    class Child(circle):
        pass

    with pytest.raises(ValueError, match="circle"):
        shapes.register(Child)
    shapes.register(name="child")(Child)
    assert shapes["disc"] is circle


def test_a_cell_can_be_run_again():
    registry = Registry("shape", of=Shape)

    def cell():
        @registry.register
        @dataclass(frozen=True)
        class Circle(Shape):
            short_name = "circle"
            aliases = ("disc",)

        return Circle

    first, second = cell(), cell()
    assert registry["circle"] is registry["disc"] is second
    assert first is not second


@pytest.mark.parametrize(
    ("item", "match"),
    [
        (3, "subclass of Shape"),
        (int, "subclass of Shape"),
        (type("Loose", (Shape,), {"short_name": "loose"}), "frozen=True"),
        (dataclass(type("Thawed", (Shape,), {"short_name": "thawed"})), "frozen=True"),
        (dataclass(frozen=True)(type("Shouted", (Shape,), {"short_name": "LOUD"})), "lower case"),
    ],
)
def test_what_is_not_of_the_kind_is_refused(shapes, item, match):
    with pytest.raises(TypeError, match=match):
        shapes.register(item)
    assert list(shapes) == ["circle", "polygon"]


def test_functions_are_entries_where_no_class_is_said():
    registry = Registry("tool")

    @registry.register
    def hammer(weight=1.0):
        return ("hammer", weight)

    assert registry["hammer"](2.0) == ("hammer", 2.0)
    assert registry.instance("tool", "hammer") == ("hammer", 1.0)
    with pytest.raises(TypeError, match="function"):
        registry.register(3)


def test_names_classes_and_objects_mean_objects(shapes):
    circle, polygon = shapes["circle"], shapes["polygon"]
    assert shapes.instance("shape", "Disc") == circle()
    assert shapes.instance("shape", circle) == circle()
    assert shapes.instance("shape", circle(2.0)) == circle(2.0)
    assert shapes.instance("shape", polygon(3)) == polygon(3)


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        ("square", ValueError, "figure='square' is unknown; use None, 'circle', or"),
        (3, TypeError, r"figure=3: give a shape by name \(None, 'circle'\)"),
        (int, TypeError, "figure=<class 'int'>"),
        ("polygon", TypeError, r"figure='polygon': Polygon has settings .*corners.*Polygon\(...\)"),
    ],
)
def test_what_means_no_object_is_refused(shapes, value, error, match):
    with pytest.raises(error, match=match):
        shapes.instance("figure", value, also="None")


def test_modules_of_a_package_are_imported(tmp_path, monkeypatch):
    package = tmp_path / "a_room"
    package.mkdir()
    (package / "__init__.py").write_text("seen = []\n")
    (package / "part.py").write_text("import a_room\na_room.seen.append('part')\n")
    monkeypatch.syspath_prepend(tmp_path)
    import a_room

    import_modules(a_room.__name__, a_room.__path__)
    assert a_room.seen == ["part"]


def test_what_could_not_be_made_is_refused(shapes):
    class Open(Shape, abc.ABC):
        @abc.abstractmethod
        def area(self):
            """What a shape has."""

    with pytest.raises(TypeError, match="Open cannot be registered: it lacks area"):
        shapes.register(name="open")(Open)


def test_fields_without_a_decorator_are_refused(shapes):
    @dataclass(frozen=True)
    class Parent(Shape):
        radius: float = 1.0

    class Child(Parent):
        height: float = 2.0
        short_name = "child"

    with pytest.raises(TypeError, match="frozen=True"):
        shapes.register(Child)
    # none of its own: the parent's decorator is enough
    shapes.register(name="plain")(type("Plain", (Parent,), {}))
    assert "plain" in shapes


def test_a_name_in_the_place_of_a_class(shapes):
    with pytest.raises(TypeError, match=r"write register\(name='square'\)"):
        shapes.register("square")


@pytest.mark.parametrize(("what", "article"), [("optimiser", "an"), ("kernel", "a")])
def test_words(what, article):
    registry = Registry(what, of=Shape)
    with pytest.raises(TypeError, match=f"registered as {article} {what}"):
        registry.register(int)
