"""Where the boxes and lines of a layered drawing go: the steps of Sugiyama, Tagawa and Toda (1981).

Boxes stand in rows, every line runs downwards from row to row. A line that passes rows without stopping there
gets a place of its own in each of them, so that no line ever crosses a box. All of it is plain Python with a
fixed order of operations: the same network gives the same drawing on every machine.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Item", "Layout", "layout"]

BOX_GAP = 18.0  # between neighboring boxes of a row
LINE_GAP = 17.0  # between a line and its neighbor
TRACK = 11.0  # between horizontal lines below each other
STEM = 9.0  # a line leaves its box straight for at least this length
ARROW = 17.0  # and reaches the next one straight for this length
SIDE = 12.0  # between lines that enter a box from the same side
Point = tuple[float, float]


@dataclass
class Item:
    """A box before it has a place.

    width, height   of the box
    left, right     what it needs to the left and right of its center
    label           width of a label to the right of the line that leaves it, and
    below           the height of that label, right under the row of the box
    symbol          a small sign such as "+": one line enters from above, all others from its sides
    stretch         the box becomes wide enough that lines from above enter without a bend
    """

    width: float
    height: float
    left: float = 0.0
    right: float = 0.0
    label: float = 0.0
    below: float = 0.0
    symbol: bool = False
    stretch: bool = False


@dataclass
class Layout:
    """Centers and sizes of the boxes, one list of corner points for each line, and the whole size."""

    centers: list[Point]
    sizes: list[Point]
    routes: list[list[Point]]
    width: float
    height: float
    bottoms: list[float]  # lower edge of the row of each box
    sides: list[set[str]]  # on which sides of each box lines enter: "top", "left", "right"


@dataclass
class _Vertex:
    """A box, or the place of a passing line, in one row."""

    rank: int
    left: float
    right: float
    item: int = -1  # -1 for the place of a line
    edge: int = -1
    x: float = 0.0
    y: float = 0.0


@dataclass
class _Drawing:
    items: Sequence[Item]
    edges: list[tuple[int, int]]
    ranks: list[int]
    vertices: list[_Vertex] = field(default_factory=list)
    rows: list[list[int]] = field(default_factory=list)
    paths: list[list[int]] = field(default_factory=list)  # edge -> its vertices, from source to target
    entry: list[str] = field(default_factory=list)  # edge -> "top", "left" or "right"


def layout(items: Sequence[Item], edges: Sequence[tuple[int, int]]) -> Layout:
    """Place boxes and lines. `edges` are pairs (source, target) of a graph without cycles, each only once."""
    items = [dataclasses.replace(item) for item in items]  # some grow
    edges = list(edges)
    ranks = _ranks(len(items), edges)
    skips = _skips(len(items), edges)
    main_in, main_out = _main(items, edges, skips)
    drawing = _Drawing(items, edges, ranks)
    _make_rows(drawing, skips)
    _order(drawing, skips)
    _choose_entries(drawing, skips, main_in)
    narrow = [item.width for item in items]
    _place_across(drawing, skips, main_in, main_out)
    for _ in range(4):  # widths follow from places, and places from widths
        if not _stretch(drawing, narrow):
            break
        _place_across(drawing, skips, main_in, main_out)
    return _place_down(drawing)


# ---- rows ------------------------------------------------------------------------------------------------


def _neighbors(n: int, edges) -> tuple[list[list[int]], list[list[int]]]:
    """For each box the edges that enter it and the edges that leave it."""
    into, out = [[] for _ in range(n)], [[] for _ in range(n)]
    for e, (u, v) in enumerate(edges):
        out[u].append(e)
        into[v].append(e)
    return into, out


def _sorted_boxes(n: int, edges) -> list[int]:
    """The boxes, each after all that lead to it. Raises ValueError where the edges form a cycle."""
    into, out = _neighbors(n, edges)
    waiting = [len(e) for e in into]
    ready = [v for v in range(n) if not waiting[v]]
    done = []
    while ready:
        u = ready.pop(0)
        done.append(u)
        for e in out[u]:
            v = edges[e][1]
            waiting[v] -= 1
            if not waiting[v]:
                ready.append(v)
    if len(done) < n:
        raise ValueError("edges: expected a graph without cycles")
    return done


def _ranks(n: int, edges) -> list[int]:
    """Row of each box: the longest path that leads to it, then as low as what follows allows."""
    into, out = _neighbors(n, edges)
    order = _sorted_boxes(n, edges)
    ranks = [0] * n
    for v in order:
        ranks[v] = max((ranks[edges[e][0]] + 1 for e in into[v]), default=0)
    for v in reversed(order):
        if out[v]:
            ranks[v] = min(ranks[edges[e][1]] - 1 for e in out[v])
    first = min(ranks, default=0)
    return [r - first for r in ranks]


def _skips(n: int, edges) -> list[bool]:
    """Whether an edge only repeats what a longer path also connects: a shortcut."""
    _, out = _neighbors(n, edges)
    reach = [0] * n  # sets of boxes as the bits of a number
    for u in reversed(_sorted_boxes(n, edges)):
        for e in out[u]:
            reach[u] |= reach[edges[e][1]] | 1 << edges[e][1]
    return [
        any(reach[edges[other][1]] >> v & 1 for other in out[u] if other != e)
        for e, (u, v) in enumerate(edges)
    ]


def _main(items: Sequence[Item], edges, skips) -> tuple[list[int], list[int]]:
    """For each box the edge that enters it and the edge that leaves it straight, -1 where none should.

    A single branch goes on straight, and so does the longer of two that meet in a symbol. In all other cases
    the box stands in the middle of its branches.
    """
    n = len(items)
    into, out = _neighbors(n, edges)

    def follow(e: int, forward: bool) -> tuple[int, int]:
        """How many boxes a branch has, and where it meets others."""
        steps, v = 0, edges[e][1 if forward else 0]
        while len(into[v]) == len(out[v]) == 1:
            steps += 1
            v = edges[(out if forward else into)[v][0]][1 if forward else 0]
        return steps, v

    def choose(v: int, forward: bool) -> int:
        candidates = (out if forward else into)[v]
        real = [e for e in candidates if not skips[e]] or candidates
        if len(real) == 2:
            lengths, meet = zip(*(follow(e, forward) for e in real), strict=True)
            if items[meet[0] if forward else v].symbol:
                real = [e for e, k in zip(real, lengths, strict=True) if k == max(lengths)]
        return real[0] if len(real) == 1 else -1

    return [choose(v, False) for v in range(n)], [choose(v, True) for v in range(n)]


def _make_rows(drawing: _Drawing, skips: list[bool]) -> None:
    """Boxes and the places of passing lines, row by row, in the order of a walk along the branches."""
    items, edges, ranks = drawing.items, drawing.edges, drawing.ranks
    drawing.vertices = [
        _Vertex(r, max(i.left, i.width / 2), max(i.right, i.width / 2), item=k)
        for k, (i, r) in enumerate(zip(items, ranks, strict=True))
    ]
    drawing.rows = [[] for _ in range(max(ranks, default=-1) + 1)]
    drawing.paths = [[] for _ in edges]
    into, out = _neighbors(len(items), edges)
    seen: set[int] = set()

    def lay(e: int) -> None:
        u, v = edges[e]
        drawing.paths[e] = [u]
        for rank in range(ranks[u] + 1, ranks[v]):
            drawing.vertices.append(_Vertex(rank, LINE_GAP / 2, LINE_GAP / 2, edge=e))
            drawing.paths[e].append(len(drawing.vertices) - 1)
            drawing.rows[rank].append(len(drawing.vertices) - 1)
        drawing.paths[e].append(v)

    starts = [v for v in range(len(items)) if not into[v]]
    for start in starts:
        stack = [(start, -1)]
        while stack:
            v, e = stack.pop()
            if e >= 0:
                lay(e)
            if v in seen:
                continue
            seen.add(v)
            drawing.rows[ranks[v]].append(v)
            later = sorted(out[v], key=lambda e: (skips[e], edges[e][1]))
            stack += [(edges[e][1], e) for e in reversed(later)]


def _segments(drawing: _Drawing) -> list[list[tuple[int, int, int]]]:
    """For each gap between rows the pieces of lines (upper vertex, lower vertex, edge) that cross it."""
    gaps = [[] for _ in drawing.rows]
    for e, path in enumerate(drawing.paths):
        for a, b in itertools.pairwise(path):
            if drawing.vertices[a].rank != drawing.vertices[b].rank:
                gaps[drawing.vertices[a].rank].append((a, b, e))
    return gaps


def _crossings(upper: list[int], lower: list[int], gap, weight) -> float:
    """How often the lines between two rows cross; crossing the straight way counts more than a shortcut."""
    top = {v: i for i, v in enumerate(upper)}
    bottom = {v: i for i, v in enumerate(lower)}
    pieces = sorted((top[a], bottom[b], weight[a, b]) for a, b, _ in gap)
    count = 0.0
    for i, (a, x, w) in enumerate(pieces):
        for b, y, other in pieces[i + 1 :]:
            if x > y and a < b:
                count += w * other
    return count


def _order(drawing: _Drawing, skips) -> None:
    """Reorder rows by the mean place of their neighbors, and swap neighbors, as long as crossings vanish."""
    gaps = _segments(drawing)
    above, below = defaultdict(list), defaultdict(list)
    weight = {}
    for a, b, e in itertools.chain(*gaps):
        below[a].append(b)
        above[b].append(a)
        passing = drawing.vertices[a].item < 0 and drawing.vertices[b].item < 0
        weight[a, b] = (1.0 if skips[e] else 4.0) * (2.0 if passing else 1.0)

    def total(rows) -> float:
        return sum(_crossings(rows[r], rows[r + 1], gaps[r], weight) for r in range(len(rows) - 1))

    def swap(rows) -> None:
        """Exchange neighbors where that removes crossings."""
        for r, row in enumerate(rows):
            around = [k for k in (r - 1, r) if 0 <= k < len(rows) - 1]
            cost = sum(_crossings(rows[k], rows[k + 1], gaps[k], weight) for k in around)
            for i in range(len(row) - 1):
                if not cost:
                    break
                row[i], row[i + 1] = row[i + 1], row[i]
                new = sum(_crossings(rows[k], rows[k + 1], gaps[k], weight) for k in around)
                if new < cost:
                    cost = new
                else:
                    row[i], row[i + 1] = row[i + 1], row[i]

    best = total(drawing.rows)
    small = len(drawing.vertices) <= 600
    rows = [list(row) for row in drawing.rows]
    for sweep in range(10 if best else 0):
        if sweep:  # the first time only swap, so that an order that is nearly right stays
            down = sweep % 2 == 1
            table = above if down else below
            for row in rows if down else reversed(rows):
                place = {v: i for r in rows for i, v in enumerate(r)}
                mean = {v: sum(place[w] for w in table[v]) / len(table[v]) for v in row if table[v]}
                row.sort(key=lambda v: (mean.get(v, place[v]), place[v]))
        for _ in range(2 if small else 0):
            swap(rows)
        count = total(rows)
        if count < best:
            best, drawing.rows = count, [list(row) for row in rows]


def _choose_entries(drawing: _Drawing, skips, main_in) -> None:
    """Which lines enter a box from above and which from a side; the latter get a place beside the box."""
    into, _ = _neighbors(len(drawing.items), drawing.edges)
    place = {v: i for row in drawing.rows for i, v in enumerate(row)}
    drawing.entry = ["top"] * len(drawing.edges)
    for v, entering in enumerate(into):
        if len(entering) < 2:
            continue
        ordered = sorted(entering, key=lambda e: place[drawing.paths[e][-2]])
        direct = [e for e in ordered if len(drawing.paths[e]) == 2 or not skips[e]]
        at = {e: place[drawing.paths[e][-2]] for e in ordered}
        half = len(direct) // 2
        if not drawing.items[v].symbol:
            top = direct
        elif main_in[v] >= 0:
            top = [main_in[v]]
        else:
            top = direct[half : half + 1] if len(direct) % 2 else []
        low = at[top[0]] if top else at[direct[half]] - 0.5
        high = at[top[-1]] if top else low
        left = [e for e in ordered if at[e] < low]
        right = [e for e in ordered if at[e] > high]
        row = drawing.rows[drawing.ranks[v]]
        for side, group in (("left", left[::-1]), ("right", right)):  # the nearest first
            for k, e in enumerate(group):
                drawing.entry[e] = side
                gap = LINE_GAP / 2 + (4 if k == 0 else 0)
                drawing.vertices.append(_Vertex(drawing.ranks[v], gap, gap, edge=e))
                new = len(drawing.vertices) - 1
                row.insert(_place_beside(drawing, row, v, side, k, at[e], place), new)
                drawing.paths[e].insert(-1, new)
        item = drawing.items[v]
        item.height = max(item.height, SIDE * max(len(left), len(right)) + 4)


def _place_beside(drawing: _Drawing, row: list[int], v: int, side: str, k: int, at: int, place) -> int:
    """Where in its row line number k, which enters v from a side, comes down.

    Where no other box stands on this side, lines that only pass may stay between, and are crossed;
    elsewhere it comes down right beside the box.
    """
    here = row.index(v)
    step = -1 if side == "left" else 1
    beyond = row[:here][::-1] if side == "left" else row[here + 1 :]
    if any(drawing.vertices[w].item >= 0 for w in beyond):
        return here - k if side == "left" else here + 1 + k
    before = 0
    for i, w in enumerate(beyond):
        path = drawing.paths[drawing.vertices[w].edge]
        above = path[path.index(w) - 1]
        if above in place and (place[above] - at) * step < 0:
            before = i + 1
    before = max(before, k)
    return here - before if side == "left" else here + 1 + before


# ---- across ----------------------------------------------------------------------------------------------


def _align(drawing: _Drawing, main_in, main_out) -> list[int]:
    """Vertices that stand exactly below each other get the same number: lines are straight where they can."""
    place = {v: i for row in drawing.rows for i, v in enumerate(row)}
    head = list(range(len(drawing.vertices)))

    def find(v: int) -> int:
        while head[v] != v:
            v = head[v]
        return v

    def wanted(a: int, b: int, e: int) -> int:
        """0: both are places of one line; 1: the straight way out of or into a box; 2: not wanted."""
        upper, lower = drawing.vertices[a].item, drawing.vertices[b].item
        if upper < 0 and lower < 0:
            return 0
        out_ok = upper < 0 or main_out[upper] == e
        in_ok = lower < 0 or (main_in[lower] == e and drawing.entry[e] == "top")
        return 1 if out_ok and in_ok else 2

    for gap in _segments(drawing):
        taken: list[tuple[int, int]] = []
        for kind in (0, 1):
            for a, b, e in gap:
                if wanted(a, b, e) != kind:
                    continue
                i, j = place[a], place[b]
                if all((i < p and j < q) or (i > p and j > q) for p, q in taken):
                    taken.append((i, j))
                    head[find(b)] = find(a)
    return [find(v) for v in range(len(drawing.vertices))]


def _place_across(drawing: _Drawing, skips, main_in, main_out) -> None:
    """The x of every vertex: lines short and straight, neighbors apart, branches around their middle."""
    block = _align(drawing, main_in, main_out)
    vertices = drawing.vertices
    apart: dict[tuple[int, int], float] = {}
    for row in drawing.rows:
        for a, b in itertools.pairwise(row):
            boxes = vertices[a].item >= 0 and vertices[b].item >= 0
            gap = vertices[a].right + vertices[b].left + (BOX_GAP if boxes else 4)
            if vertices[a].item >= 0:
                gap = max(gap, drawing.items[vertices[a].item].label + 8)
            key = block[a], block[b]
            apart[key] = max(apart.get(key, 0), gap)
    pulls = defaultdict(list)
    for e, path in enumerate(drawing.paths):
        for a, b in itertools.pairwise(path):
            if block[a] != block[b]:
                ends = vertices[a].item >= 0 or vertices[b].item >= 0
                weight = 0.03 if skips[e] and ends else 1.0
                lower = vertices[b].item
                if lower >= 0 and drawing.items[lower].stretch and drawing.entry[e] == "top":
                    weight *= 3.0  # a box that joins branches stands in their middle
                if vertices[a].rank == vertices[b].rank:
                    weight = 0.0001 if skips[e] else 0.3
                pulls[block[a]].append((block[b], weight))
                pulls[block[b]].append((block[a], weight))
    blocks = sorted(set(block))
    mass = {b: max(0.001, sum(w for _, w in pulls[b])) for b in blocks}
    x = _start(drawing, block, apart)
    rounds = 200 if len(blocks) < 400 else 40
    for step in range(rounds):  # pulled by their neighbors along lines, pushed apart beside them
        moved = {b: sum(w * (x[other] - x[b]) for other, w in pulls[b]) / mass[b] for b in blocks}
        for b in blocks:
            x[b] += 0.5 * moved[b]
        for _ in range(4 if step < rounds - 1 else 60):
            for (a, b), gap in apart.items():
                push = gap - (x[b] - x[a])
                if push > 0:
                    share = mass[b] / (mass[a] + mass[b])
                    x[a] -= push * share
                    x[b] += push * (1 - share)
    _settle(x, apart)
    _center_joins(drawing, block, x, apart)
    for v, vertex in enumerate(vertices):
        vertex.x = _round(x[block[v]])


def _center_joins(drawing: _Drawing, block, x: dict[int, float], apart) -> None:
    """Move boxes that join branches over the middle of these, and what is in their way aside."""
    into, _ = _neighbors(len(drawing.items), drawing.edges)
    for v in sorted(range(len(drawing.items)), key=lambda v: (drawing.ranks[v], v)):
        top = [block[drawing.paths[e][-2]] for e in into[v] if drawing.entry[e] == "top"]
        if not drawing.items[v].stretch or len(top) < 2 or block[v] in top:
            continue
        places = [x[b] for b in top]
        before, target = x.copy(), (min(places) + max(places)) / 2
        sign = 1 if target > x[block[v]] else -1
        x[block[v]] = target
        todo = [block[v]]
        while todo:
            b = todo.pop()
            for (left, right), gap in apart.items():
                near, far = (left, right) if sign > 0 else (right, left)
                if near == b and x[right] - x[left] < gap - 1e-9:
                    x[far] = x[near] + sign * gap
                    todo.append(far)
        if any(x[b] != before[b] for b in top):  # its own branches would have to move: leave it
            x.update(before)


def _start(drawing: _Drawing, block, apart) -> dict[int, float]:
    """A first place for each block: every row laid out around 0."""
    sums, counts = defaultdict(float), defaultdict(int)
    for row in drawing.rows:
        at, places = 0.0, []
        for a, b in itertools.pairwise([*row, None]):
            places.append(at)
            if b is not None:
                at += apart[block[a], block[b]]
        for v, place in zip(row, places, strict=True):
            sums[block[v]] += place - at / 2
            counts[block[v]] += 1
    return {b: sums[b] / counts[b] for b in sorted(set(block))}


def _settle(x: dict[int, float], apart: dict[tuple[int, int], float]) -> None:
    """Remove what is left of overlaps, from left to right."""
    names = {b: i for i, b in enumerate(x)}
    pairs = [(names[a], names[b]) for a, b in apart]
    order, blocks = _sorted_boxes(len(x), pairs), list(x)
    right_of = defaultdict(list)
    for (a, b), gap in apart.items():
        right_of[b].append((a, gap))
    for i in order:
        b = blocks[i]
        x[b] = max([x[b], *(x[a] + gap for a, gap in right_of[b])])


def _round(value: float) -> float:
    """Half units, with a fixed side for values in the middle."""
    return round(2 * value + 1e-4) / 2


def _stretch(drawing: _Drawing, narrow: list[float]) -> bool:
    """Widen the boxes that ask for it, so that lines from above reach them straight. Whether any changed."""
    changed = False
    into, _ = _neighbors(len(drawing.items), drawing.edges)
    for v, item in enumerate(drawing.items):
        top = [drawing.vertices[drawing.paths[e][-2]].x for e in into[v] if drawing.entry[e] == "top"]
        if not item.stretch or len(top) < 2:
            continue
        half = max(narrow[v] / 2, (max(top) - min(top)) / 2 + 22)
        if abs(item.width / 2 - half) > 1 and half <= 900:
            vertex = drawing.vertices[v]
            item.width = 2 * half
            vertex.left = half + max(0.0, item.left - narrow[v] / 2)
            vertex.right = half + max(0.0, item.right - narrow[v] / 2)
            changed = True
    return changed


# ---- down ------------------------------------------------------------------------------------------------


def _ports(drawing: _Drawing) -> dict[int, float]:
    """The x at which each edge enters its box from above."""
    into, _ = _neighbors(len(drawing.items), drawing.edges)
    ports: dict[int, float] = {}
    for v, entering in enumerate(into):
        box, item = drawing.vertices[v], drawing.items[v]
        top = [e for e in entering if drawing.entry[e] == "top"]
        top.sort(key=lambda e: (drawing.vertices[drawing.paths[e][-2]].x, e))
        inner = max(0.0, item.width / 2 - 12)
        sources = [drawing.vertices[drawing.paths[e][-2]].x for e in top]
        fits = all(abs(x - box.x) <= inner for x in sources)
        if len(top) > 1 and fits and all(b - a >= 10 for a, b in itertools.pairwise(sources)):
            ports |= dict(zip(top, sources, strict=True))
        else:
            step = min(2 * inner / len(top), 30.0) if top else 0
            for k, e in enumerate(top):
                ports[e] = _round(box.x + (k - (len(top) - 1) / 2) * step)
    return ports


def _tracks(nets: dict[int, tuple[float, list[float]]]) -> dict[int, int]:
    """A row for the horizontal line of each net (x of its start, x of its ends): no two lie on each other."""
    bent = {n: (top, ends) for n, (top, ends) in nets.items() if any(x != top for x in ends)}
    first = {n: min([top, *ends]) for n, (top, ends) in bent.items()}
    last = {n: max([top, *ends]) for n, (top, ends) in bent.items()}
    above = {  # where one line ends below the start of another, the other has to turn away above it
        n: {m for m in bent if m != n and any(abs(x - bent[m][0]) < 3 for x in ends)}
        for n, (_, ends) in bent.items()
    }
    rows: dict[int, int] = {}
    todo = sorted(bent, key=lambda n: (last[n] - first[n], first[n], n))
    while todo:
        ready = next((n for n in todo if not (above[n] - rows.keys())), todo[0])
        todo.remove(ready)
        row = max((rows[m] + 1 for m in above[ready] if m in rows), default=0)
        while any(rows[m] == row and first[ready] < last[m] + 6 and first[m] < last[ready] + 6 for m in rows):
            row += 1
        rows[ready] = row
    return rows


def _place_down(drawing: _Drawing) -> Layout:
    """The y of every row and the corner points of every line."""
    items, vertices = drawing.items, drawing.vertices
    ports = _ports(drawing)
    gaps = _segments(drawing)

    def lower_x(b: int, e: int) -> float:
        return ports[e] if vertices[b].item >= 0 else vertices[b].x

    heights = [
        max((items[vertices[v].item].height for v in row if vertices[v].item >= 0), default=0)
        for row in drawing.rows
    ]
    y = 0.0
    bottoms: dict[int, float] = {}
    track_y: dict[tuple[int, int], float] = {}  # (upper vertex, gap) -> y of its horizontal line
    for rank, row in enumerate(drawing.rows):
        middle = y + heights[rank] / 2
        for v in row:
            vertices[v].y = middle
        nets: dict[int, tuple[float, list[float]]] = {}
        for a, b, e in gaps[rank]:
            nets.setdefault(a, (vertices[a].x, []))[1].append(lower_x(b, e))
        rows = _tracks(nets)
        label = max((items[vertices[v].item].below for v in row if vertices[v].item >= 0), default=0)
        bottoms |= dict.fromkeys(row, y + heights[rank])
        top = y + heights[rank] + max(STEM, label)
        for a, k in rows.items():
            track_y[a, rank] = top + k * TRACK
        count = max(rows.values(), default=-1) + 1
        y = top + max(0, count - 1) * TRACK + ARROW
    into, _ = _neighbors(len(items), drawing.edges)
    routes: list[list[Point]] = [[] for _ in drawing.edges]
    for v, entering in enumerate(into):
        beside: dict[str, list[int]] = {"left": [], "right": []}
        for e in entering:
            if drawing.entry[e] != "top":
                beside[drawing.entry[e]].append(e)
        end: dict[int, float] = {}
        for group in beside.values():
            group.sort(key=lambda e: abs(vertices[drawing.paths[e][-2]].x - vertices[v].x))
            for k, e in enumerate(group):  # the nearest line enters highest
                end[e] = vertices[v].y + (k - (len(group) - 1) / 2) * SIDE
        for e in entering:
            routes[e] = _route(drawing, e, ports, track_y, end.get(e))
    return _finish(drawing, routes, bottoms)


def _route(drawing: _Drawing, e: int, ports, track_y, side_y: float | None) -> list[Point]:
    """The corner points of one line."""
    vertices, items, path = drawing.vertices, drawing.items, drawing.paths[e]
    source, target = path[0], path[-1]
    points = [(vertices[source].x, vertices[source].y + items[source].height / 2)]
    for a, b in itertools.pairwise(path):
        if vertices[a].rank == vertices[b].rank:  # from beside the box into its side
            sign = -1 if drawing.entry[e] == "left" else 1
            points.append((vertices[a].x, side_y))
            points.append((vertices[b].x + sign * items[b].width / 2, side_y))
            return _corners(points)
        x = ports[e] if b == target else vertices[b].x
        if x != points[-1][0]:
            at = track_y[a, vertices[a].rank]
            points += [(points[-1][0], at), (x, at)]
    points.append((points[-1][0], vertices[target].y - items[target].height / 2))
    return _corners(points)


def _corners(points: list[Point]) -> list[Point]:
    """Only the points at which a line turns."""
    kept = points[:1]
    for before, p, after in zip(points, points[1:], points[2:], strict=False):
        straight = (before[0] == p[0] == after[0]) or (before[1] == p[1] == after[1])
        if p != kept[-1] and not straight:
            kept.append(p)
    return [*kept, points[-1]]


def _finish(drawing: _Drawing, routes, bottoms) -> Layout:
    """Move everything so that it begins at (0, 0)."""
    boxes = [v for v in drawing.vertices if v.item >= 0]
    xs = [x for route in routes for x, _ in route]
    left = min([b.x - b.left for b in boxes] + xs, default=0)
    right = max([b.x + max(b.right, drawing.items[b.item].label) for b in boxes] + xs, default=0)
    top = min([b.y - drawing.items[b.item].height / 2 for b in boxes], default=0)
    bottom = max([bottoms[v] + i.below for v, i in enumerate(drawing.items)], default=0)
    n = len(drawing.items)
    sides: list[set[str]] = [set() for _ in range(n)]
    for (_, v), entry in zip(drawing.edges, drawing.entry, strict=True):
        sides[v].add(entry)
    return Layout(
        centers=[(drawing.vertices[v].x - left, drawing.vertices[v].y - top) for v in range(n)],
        sizes=[(item.width, item.height) for item in drawing.items],
        routes=[[(x - left, y - top) for x, y in route] for route in routes],
        width=right - left,
        height=bottom - top,
        bottoms=[bottoms[v] - top for v in range(n)],
        sides=sides,
    )
