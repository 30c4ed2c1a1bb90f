"""What is plugged into a machine.

table      the devices by id: plugging in, taking out        catalog    device types, as recorded
bus        places on a bus: slots, ports, ids                 options    option texts -> property values
processors CPU slots and hot-plugged ones                     memory     DIMM slots
netdevs    the host's side of network cards                   objects    what object-add makes
pci        what query-pci shows
"""
