use std::{thread, time::Duration};

use crate::{Redis, RedisOptions, ServiceError, wait};

/// A running Redis Cluster on loopback. Dropping it ends its nodes; see the [crate docs](crate) for an example.
///
/// Each node is a [`Redis`] that can be killed, paused and restarted alone.
#[derive(Debug)]
#[must_use = "the cluster ends when this is dropped"]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts three masters that share the slots evenly, in order. While one is down, none takes commands.
    ///
    /// # Errors
    ///
    /// When `redis-server` is missing, or the nodes do not find each other.
    pub fn start() -> Result<Self, ServiceError> {
        Self::start_with(Redis::options(), false)
    }

    /// Starts three masters with a replica each, which takes its master's place a few seconds after its death.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_with_replicas() -> Result<Self, ServiceError> {
        Self::start_with(Redis::options(), true)
    }

    /// Starts three masters, and three replicas if wanted, with options of their own.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_with(options: RedisOptions, replicas: bool) -> Result<Self, ServiceError> {
        let options = options.cluster_node();
        let count = if replicas { 2 * MASTERS } else { MASTERS };
        let nodes = (0..count).map(|_| options.start()).collect::<Result<Vec<_>, _>>()?;
        let cluster = Self { nodes };
        cluster.assign()?;
        cluster.meet()?;
        cluster.wait_until_ok()?;
        if replicas {
            cluster.replicate()?;
        }
        Ok(cluster)
    }

    /// Where the nodes listen, as `redis://127.0.0.1:port`; the masters first, in the order of their slots.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::url).collect()
    }

    /// The nodes: the three masters first, then their replicas in the same order.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The node that was given the slot of a key at the start. After a failover it is another one.
    ///
    /// # Errors
    ///
    /// When no node answers.
    pub fn master_of(&self, key: &str) -> Result<&Redis, ServiceError> {
        let slot = self.ask(&["CLUSTER", "KEYSLOT", key])?;
        let slot: usize = slot.parse().expect("a slot is a number");
        Ok(&self.nodes[(0..MASTERS).rfind(|index| first_slot(*index) <= slot).expect("the first slot is 0")])
    }

    /// Forgets every key of every master that runs.
    ///
    /// # Errors
    ///
    /// When a master refuses.
    pub fn flush(&self) -> Result<(), ServiceError> {
        for node in self.running() {
            if node.info("replication", "role")? == "master" {
                node.flush()?;
            }
        }
        Ok(())
    }

    /// Waits until every node that runs finds the cluster in order and all slots served.
    ///
    /// # Errors
    ///
    /// When that does not come about.
    pub fn wait_until_ok(&self) -> Result<(), ServiceError> {
        wait::until("the cluster to be ok", OK_LIMIT, || {
            for node in self.running() {
                let info = node.command(&["CLUSTER", "INFO"])?;
                let has = |line: &str| info.lines().any(|found| found == line);
                let known = format!("cluster_known_nodes:{}", self.nodes.len());
                if !["cluster_state:ok", "cluster_slots_ok:16384", &known].into_iter().all(has) {
                    return Ok(Err(info.lines().take(6).collect::<Vec<_>>().join(" ")));
                }
            }
            Ok(Ok(()))
        })
    }

    /// The nodes that were neither stopped nor killed.
    fn running(&self) -> impl Iterator<Item = &Redis> {
        self.nodes.iter().filter(|node| node.process_id().is_ok())
    }

    fn ask(&self, words: &[&str]) -> Result<String, ServiceError> {
        let mut answers = self.running().map(|node| node.command(words));
        answers.find(Result::is_ok).unwrap_or(Err(ServiceError::NotRunning("the cluster")))
    }

    /// Different epochs from the start, or the nodes would take seconds to agree on some.
    fn assign(&self) -> Result<(), ServiceError> {
        for (index, node) in self.nodes.iter().enumerate() {
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()])?;
            if index < MASTERS {
                let slots = [first_slot(index), first_slot(index + 1) - 1].map(|slot| slot.to_string());
                node.command(&["CLUSTER", "ADDSLOTSRANGE", &slots[0], &slots[1]])?;
            }
        }
        Ok(())
    }

    /// Each meets each, since word of mouth takes a second per hop.
    fn meet(&self) -> Result<(), ServiceError> {
        for node in &self.nodes {
            for other in self.nodes.iter().filter(|other| other.port() != node.port()) {
                let bus = other.bus().expect("a cluster's node has a bus");
                let [port, bus] = [other.port(), bus].map(|port| port.to_string());
                node.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
            }
        }
        Ok(())
    }

    fn replicate(&self) -> Result<(), ServiceError> {
        for (master, replica) in self.nodes.iter().zip(&self.nodes[MASTERS..]) {
            let id = master.command(&["CLUSTER", "MYID"])?;
            replica.command(&["CLUSTER", "REPLICATE", &id])?;
            replica.synced(master)?;
        }
        thread::sleep(GOSSIP); // nodes that do not know a replica yet would not vote for it
        self.wait_until_ok()
    }
}

const fn first_slot(index: usize) -> usize {
    index * SLOTS / MASTERS
}

const MASTERS: usize = 3;
const SLOTS: usize = 16_384;
const OK_LIMIT: Duration = Duration::from_secs(60);
const GOSSIP: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::{MASTERS, SLOTS, first_slot};

    #[test]
    fn slots_are_shared_without_a_gap() {
        assert_eq!([0, 1, 2, 3].map(first_slot), [0, 5461, 10_922, SLOTS]);
        assert_eq!(first_slot(MASTERS), SLOTS);
    }
}
