use std::{os::unix::fs::chown, os::unix::process::CommandExt, path::Path, process::Command};

use nix::unistd::{User, geteuid};

use crate::ServiceError;

/// The account a service runs under: ours, or `postgres` where we are root, since PostgreSQL refuses to serve root.
#[derive(Clone, Debug)]
pub(crate) enum Account {
    Ours,
    Other { user: u32, group: u32 },
}

impl Account {
    pub(crate) fn for_postgres() -> Result<Self, ServiceError> {
        if !geteuid().is_root() {
            return Ok(Self::Ours);
        }
        match User::from_name("postgres") {
            Ok(Some(found)) => Ok(Self::Other { user: found.uid.as_raw(), group: found.gid.as_raw() }),
            Ok(None) => Err(ServiceError::Refused {
                command: "postgres".to_owned(),
                answer: "it does not run as root, and there is no user named postgres".to_owned(),
            }),
            Err(errno) => Err(ServiceError::io("looking up the user postgres")(errno.into())),
        }
    }

    /// Makes a command run under this account. The standard library drops root's other groups by itself.
    pub(crate) fn apply(&self, command: &mut Command) {
        if let Self::Other { user, group } = *self {
            command.uid(user).gid(group);
        }
    }

    pub(crate) fn give(&self, path: &Path) -> Result<(), ServiceError> {
        match *self {
            Self::Ours => Ok(()),
            Self::Other { user, group } => {
                chown(path, Some(user), Some(group)).map_err(ServiceError::io("giving a folder to postgres"))
            }
        }
    }
}
