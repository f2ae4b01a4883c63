"""The demo: the main job of each part on real input, shown on one page.

``python -m handheld.demo --out report`` writes ``report/index.html``: hands tracked through a clip,
a classifier of handwritten digits made into a family of small ones, replies to messages, texts
sorted, labels spread over a graph, digits learned on fifty devices, and by five real ones that hide
their updates from a server. One file a part; ``__main__`` puts them together, and says of a part
whose packages are missing what to install.
"""
