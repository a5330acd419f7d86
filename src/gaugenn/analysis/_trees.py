"""What decision trees of the `ai.onnx.ml` domain cost."""

from collections.abc import Mapping

from gaugenn.analysis._node_view import UnknownShapeError
from gaugenn.graph import Node

_Child = tuple[int, int]


def tree_operations(node: Node) -> int:
    """Comparisons on the longest path of each tree, and one addition a tree.

    **Source:** https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleRegressor.html and
    https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
    """
    roots = _list(node, "tree_roots")
    if roots:
        return _flat(node, roots)
    trees, nodes = _list(node, "nodes_treeids"), _list(node, "nodes_nodeids")
    yes, no = _list(node, "nodes_truenodeids"), _list(node, "nodes_falsenodeids")
    modes = node.attributes.get("nodes_modes")
    if not len(trees) == len(nodes) == len(yes) == len(no) or not isinstance(modes, tuple):
        raise UnknownShapeError("a tree without its nodes")
    if not trees or len(modes) != len(trees):
        raise UnknownShapeError("a tree without its nodes")
    children: dict[_Child, tuple[_Child, _Child]] = {}
    inner: set[_Child] = set()
    for tree, name, left, right, mode in zip(trees, nodes, yes, no, modes, strict=True):
        if mode != "LEAF":
            children[tree, name] = ((tree, left), (tree, right))
            inner |= {(tree, left), (tree, right)}
    starts = [key for key in children if key not in inner]
    return sum(_depth(children, start) for start in starts) + len(set(trees))


def _flat(node: Node, roots: tuple[int, ...]) -> int:
    yes, no = _list(node, "nodes_truenodeids"), _list(node, "nodes_falsenodeids")
    yes_leaf, no_leaf = _list(node, "nodes_trueleafs"), _list(node, "nodes_falseleafs")
    if not len(yes) == len(no) == len(yes_leaf) == len(no_leaf):
        raise UnknownShapeError("a tree without its nodes")
    leaf = (-1, -1)
    children: dict[_Child, tuple[_Child, _Child]] = {
        (0, i): (leaf if yes_leaf[i] else (0, yes[i]), leaf if no_leaf[i] else (0, no[i]))
        for i in range(len(yes))
    }
    return sum(_depth(children, (0, root)) for root in roots) + len(roots)


def _depth(children: Mapping[_Child, tuple[_Child, _Child]], start: _Child) -> int:
    level, depth, visited = {start}, 0, 0
    while level := {key for key in level if key in children}:
        depth += 1
        visited += len(level)
        if visited > len(children):
            raise UnknownShapeError("a tree that grows into itself")
        level = {child for key in level for child in children[key]}
    return depth


def _list(node: Node, name: str) -> tuple[int, ...]:
    value = node.attributes.get(name)
    return tuple(x for x in value if isinstance(x, int)) if isinstance(value, tuple) else ()
