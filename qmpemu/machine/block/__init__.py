"""The block layer: nodes and drives in memory (`graph`), real blocks by a back end that is started late (`store`).

start, queries, media, hot plug ──> graph
snapshot, commit, mirror, backup, NBD, ... ──> store ──BlockBackend──> a real block layer, given the graph first
"""
