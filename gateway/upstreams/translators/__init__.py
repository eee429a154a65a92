"""From one shape of request and answer to another: a folder for each shape besides chat, and in it a file a direction.

The files are named `<caller's shape>_to_<upstream's shape>`; what stands beside them is theirs.
"""
