"""The running node, the only package that does I/O.

Its rooms, each of which imports only from those below it; siblings on one line do not know each other:

    process | health                    a node as a process | whether it answers
    logs | own_names                    what it says to people | whether it has one name
    api                                 the HTTP edge
    node.node                           one node, put together
    gossip_driver                       what gossip wants done
    operations | repair | retention     what clients ask for | moving records | what may be forgotten
    diagnosis                           beside those three: what is wrong, in words
    replication                         co-owners in step
    views                               which view holds
    storage | net                       what is durable | what nodes say
    timing                              clock, limits of time, pauses
    values                              pure data
    environment, config, errors         what a node is told, the numbers it goes by, its faults

`python -m node`, see `__main__`, stands above them all. The contracts in `setup.cfg` keep these directions.
"""
