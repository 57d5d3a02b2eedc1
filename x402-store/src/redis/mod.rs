//! Orders in Redis, one node or a cluster: many machines.
