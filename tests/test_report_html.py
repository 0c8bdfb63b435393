"""Reports as HTML pages: one file, everything escaped, every figure drawn, nothing asked of the network."""

import functools
import html.parser
import re

import numpy as np
import pytest
from browser import open_page, print_page

import accel_sim
from accel_sim.ir import RELU, Conv2D, ElementType, FullyConnected, Graph, Node, Padding2D, QuantParams, Reshape, Tensor
from accel_sim.quantization import get_recipe

HOSTILE = (
    '<script>document.title = "taken"</script>',
    '"><img src="http://192.0.2.1/x.png" onerror="document.title = 1">',
    "</svg></style><b>&amp;]]>--> $\\alpha_1$ \x00\x07\ud800 \u202e",
    "a_layer_with_a_name_of_" + "many_words_" * 12,
)


def hostile_network():
    """Two convolutions and a fully connected layer, whose names try everything."""
    rng = np.random.default_rng(5)
    grid = QuantParams.per_tensor(0.05, 3)
    tensors = {}

    def tensor(name, shape, quant, data=None, element=ElementType.INT8):
        tensors[name] = Tensor(name, shape, element, quant, data)

    def weights(name, *shape):
        codes = rng.integers(-127, 128, shape).astype(np.int8)
        tensor(name, shape, QuantParams.per_tensor(0.004), codes)
        bias = rng.integers(-900, 900, shape[0]).astype(np.int32)
        tensor(f"{name} bias", bias.shape, QuantParams.per_tensor(0.0002), bias, ElementType.INT32)

    names = [f"{name} out" for name in HOSTILE]
    tensor("x", (1, 8, 8, 3), grid)
    weights("w0", 6, 3, 3, 3)
    weights("w1", 4, 1, 1, 6)
    weights("w2", 5, 256)
    for name, shape in zip(names, ((1, 8, 8, 6), (1, 8, 8, 4), (1, 256), (1, 5)), strict=True):
        tensor(name, shape, grid)
    nodes = (
        Node(HOSTILE[0], Conv2D(padding=Padding2D(1, 1, 1, 1), activation=RELU), ("x", "w0", "w0 bias"), (names[0],)),
        Node(HOSTILE[1], Conv2D(), (names[0], "w1", "w1 bias"), (names[1],)),
        Node(HOSTILE[2], Reshape(), (names[1],), (names[2],)),
        Node(HOSTILE[3], FullyConnected(), (names[2], "w2", "w2 bias"), (names[3],)),
    )
    return Graph(f"model {HOSTILE[0]}", nodes, tensors, ("x",), (names[3],))


def hostile_float_network():
    """The same in floats: what is quantized and debugged."""
    rng = np.random.default_rng(5)
    names = [f"{name} out" for name in HOSTILE]
    shapes = {"x": (1, 8, 8, 3), names[0]: (1, 8, 8, 6), names[1]: (1, 8, 8, 4), names[2]: (1, 256), names[3]: (1, 5)}
    tensors = {name: Tensor(name, shape, ElementType.FLOAT32, None) for name, shape in shapes.items()}
    for name, shape in (("w0", (6, 3, 3, 3)), ("w1", (4, 1, 1, 6)), ("w2", (5, 256))):
        values = rng.normal(0, 1, shape).astype(np.float32)
        tensors[name] = Tensor(name, shape, ElementType.FLOAT32, None, values)
    nodes = (
        Node(HOSTILE[0], Conv2D(padding=Padding2D(1, 1, 1, 1), activation=RELU), ("x", "w0"), (names[0],)),
        Node(HOSTILE[1], Conv2D(), (names[0], "w1"), (names[1],)),
        Node(HOSTILE[2], Reshape(), (names[1],), (names[2],)),
        Node(HOSTILE[3], FullyConnected(), (names[2], "w2"), (names[3],)),
    )
    return Graph(f"model {HOSTILE[0]}", nodes, tensors, ("x",), (names[3],))


@pytest.fixture(scope="module")
def reports():
    """Every kind of report that has a page."""
    graph = hostile_network()
    inputs, labels = accel_sim.random_inputs(graph, 6), np.arange(6) % 5
    program = accel_sim.compile(graph, profile="tflite")
    result = accel_sim.run(program, inputs)
    floating, pictures = hostile_float_network(), np.random.default_rng(6).normal(0, 1, (8, 8, 8, 3))
    recipe = get_recipe("fast", ("weights.per_channel=false", "weights.bits=4"))
    return {
        "quantize": accel_sim.quantize_with_report(floating, pictures, recipe).report,
        "debug": accel_sim.debug(floating, pictures, recipe=recipe, labels=np.arange(8) % 5),
        "run": accel_sim.RunReport(accel_sim.api.provenance(program, HOSTILE[0]), result),
        "compare": accel_sim.compare(graph, inputs, profile="tflite", labels=labels, source=HOSTILE[1]),
        "profiles": accel_sim.compare_profiles(graph, inputs, ["tflite", "onnxruntime", "paper"]),
        "overflow": accel_sim.overflow(graph, inputs, [16, 20, 24], profile="tflite", source=HOSTILE[2]),
    }


@pytest.fixture(scope="module")
def pages(reports):
    return {kind: accel_sim.to_html(report) for kind, report in reports.items()}


@pytest.fixture(scope="module")
def opened(pages, tmp_path_factory):
    """kind -> its page as a light screen shows it; each is opened once."""

    @functools.cache
    def on_screen(kind):
        return open_page(pages[kind], tmp_path_factory.mktemp(kind))

    return on_screen


KINDS = ("run", "compare", "profiles", "overflow", "quantize", "debug")


class Elements(html.parser.HTMLParser):
    """All elements of a page, with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.found, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_one_file_and_its_names_are_text(pages, kind):
    elements = Elements(pages[kind])
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"script", "img", "link", "iframe", "object", "embed", "b", "image", "foreignobject"}
    for tag, attributes in elements.found:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("href", "src", "xlink:href", "action", "data", "style"):
                assert "//" not in value, (tag, name, value)
    assert "default-src 'none'" in dict(elements.found[[t for t, _ in elements.found].index("meta") + 1][1])["content"]
    assert "url(" not in re.sub(r'url\(#[^)"]*\)', "", pages[kind])
    assert f"model {HOSTILE[0]}" in "".join(elements.text)


@pytest.mark.parametrize("kind", ["run", "compare", "overflow"])
def test_lines_end_behind_the_parts_of_a_name(pages, kind):
    elements = Elements(pages[kind])
    assert ("wbr", {}) in elements.found
    assert all(HOSTILE[node] in "".join(elements.text) for node in (0, 1, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_equal_reports_are_equal_bytes(reports, pages, kind):
    assert accel_sim.to_html(reports[kind]) == pages[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_drawn_and_nothing_is_asked_of_the_network(pages, opened, kind):
    assert opened(kind).requests == set()
    found = opened(kind).found
    assert len(found["figures"]) == pages[kind].count("<figure>") > 0
    for figure in found["figures"]:
        assert figure["width"] > 600, figure
        assert figure["height"] > 100, figure
        assert figure["marks"] > 10, figure
        assert figure["texts"] > 4, figure
        assert figure["beyond"] == [], figure
        assert figure["contrast"] > 3, figure
    assert (found["scripts"], found["errors"], found["wide"], found["cut"]) == (1, 0, False, [])
    assert "img" not in found["elements"]


@pytest.mark.parametrize("kind", KINDS)
def test_on_a_narrow_screen_figures_keep_their_size_and_scroll(pages, opened, tmp_path, kind):
    narrow = open_page(pages[kind], tmp_path, width=500).found
    assert narrow["inner"] <= 640
    assert not narrow["wide"], "the page itself does not scroll sideways"
    for figure in narrow["figures"]:
        assert figure["width"] >= 640, figure
        assert figure["hidden"] >= 640 - narrow["inner"], figure
        assert figure["scrolled"] == pytest.approx(figure["hidden"], abs=1), figure
        assert figure["down"] == 0, figure
    assert all(figure["scrolled"] == figure["hidden"] == 0 for figure in opened(kind).found["figures"])


def test_names_of_widths_cover_the_lines_that_they_cross(pages):
    """The name of one width may reach as far as the line of the next."""
    named = re.findall(
        r'<path d="[^"]*" style="([^"]*)" />\s*</g>\s*<text [^>]*>\d+ bits [a-z ]+</text>', pages["overflow"]
    )
    assert named
    assert set(named) == {"fill: var(--ground)"}


def test_a_dark_screen_has_light_text_on_dark_ground(pages, opened, tmp_path):
    light = opened("overflow").found
    dark = open_page(pages["overflow"], tmp_path, dark=True).found
    assert light["ground"] > 0.9
    assert dark["ground"] < 0.05
    assert all(figure["contrast"] > 4 for figure in dark["figures"])


def test_a_page_is_printed(pages, tmp_path):
    printed = print_page(pages["compare"], tmp_path)
    assert printed.startswith(b"%PDF-")
    assert printed.count(b"/Type /Page\n") >= 2


def test_the_browser_would_see_a_request(pages, tmp_path):
    leaking = pages["run"].replace("</main>", '<img src="http://192.0.2.1/x.png"></main>')
    assert open_page(leaking, tmp_path).requests == {"http://192.0.2.1/x.png"}


def test_what_is_no_report_has_no_page():
    with pytest.raises(TypeError, match="has no page"):
        accel_sim.to_html(3)
