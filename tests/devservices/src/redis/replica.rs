use std::time::Duration;

use crate::{Redis, ServiceError, wait};

/// A second server that copies a first one, for failovers.
impl Redis {
    /// Starts a server with the options of another one that copies its data, and waits until it has them.
    ///
    /// # Errors
    ///
    /// When it does not listen, or the copy does not arrive.
    pub fn start_replica_of(primary: &Self) -> Result<Self, ServiceError> {
        let replica = Self::with(&primary.options, Some(primary.port()))?;
        replica.synced(primary)?;
        Ok(replica)
    }

    /// Waits until it has what its primary had when this was called. What is written after that arrives a little later,
    /// or never: that is what a failover loses.
    ///
    /// # Errors
    ///
    /// When that does not come about.
    pub fn synced(&self, primary: &Self) -> Result<(), ServiceError> {
        let online = format!("port={},state=online", self.port());
        wait::until("the primary to send its replica what it writes", SYNC_LIMIT, || {
            let info = primary.command(&["INFO", "replication"])?;
            Ok(if info.contains(&online) { Ok(()) } else { Err(info) })
        })?;
        let wanted = primary.offset()?;
        wait::until("the replica to catch up", SYNC_LIMIT, || {
            let found = self.offset()?;
            Ok(if found >= wanted { Ok(()) } else { Err(format!("it is at {found} of {wanted}")) })
        })
    }

    /// Makes it a primary of its own, on its own port.
    ///
    /// # Errors
    ///
    /// As [`command`](Self::command).
    pub fn promote(&self) -> Result<(), ServiceError> {
        self.command(&["REPLICAOF", "NO", "ONE"])?;
        self.change(|settings| settings.primary = None);
        Ok(())
    }

    /// A failover as clients with one address see it: kills the primary if it still runs, promotes this server, and
    /// moves it to the primary's port. The primary cannot be started again.
    ///
    /// # Errors
    ///
    /// As [`command`](Self::command).
    pub fn take_over(&self, primary: &Self) -> Result<(), ServiceError> {
        match primary.kill() {
            Ok(()) | Err(ServiceError::NotRunning(_)) => {}
            Err(error) => return Err(error),
        }
        self.promote()?;
        let port = primary.port();
        self.command(&["CONFIG", "SET", "port", &port.to_string()])?;
        self.change(|settings| settings.port = port);
        Ok(())
    }

    /// How much of the stream of changes it has written or received.
    fn offset(&self) -> Result<u64, ServiceError> {
        Ok(self.info("replication", "master_repl_offset")?.parse().expect("an offset is a number"))
    }
}

const SYNC_LIMIT: Duration = Duration::from_secs(30);
