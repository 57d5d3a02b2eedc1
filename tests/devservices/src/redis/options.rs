use crate::{Redis, ServiceError};

/// How to start a [`Redis`]. As it stands: appends to its file and syncs it every second, never evicts, no password.
#[derive(Clone, Debug)]
#[must_use = "nothing is started before `start`"]
pub struct RedisOptions {
    directives: Vec<(String, String)>,
    password: Option<String>,
}

impl RedisOptions {
    pub(crate) fn new() -> Self {
        let directives = DEFAULTS.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { directives, password: None }
    }

    /// The most memory for data, as in `"32mb"`.
    pub fn max_memory(self, limit: &str) -> Self {
        self.directive("maxmemory", limit)
    }

    /// What happens when the memory is full: `"noeviction"`, `"allkeys-lru"`, `"volatile-ttl"`, ..
    pub fn max_memory_policy(self, policy: &str) -> Self {
        self.directive("maxmemory-policy", policy)
    }

    /// Whether every write is appended to a file. Without it and without [`save`](Self::save) a restart forgets all.
    pub fn append_only(self, on: bool) -> Self {
        self.directive("appendonly", if on { "yes" } else { "no" })
    }

    /// When that file is synced: `"always"`, `"everysec"` or `"no"`.
    pub fn append_fsync(self, when: &str) -> Self {
        self.directive("appendfsync", when)
    }

    /// When snapshots are written: `"60 1"` for one change in 60 seconds, `""` for never.
    pub fn save(self, points: &str) -> Self {
        self.directive("save", if points.is_empty() { "\"\"" } else { points })
    }

    /// Demands a password. It is part of [`Redis::url`].
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Any other line of `redis.conf`. The last value given counts.
    pub fn directive(mut self, name: &str, value: &str) -> Self {
        self.directives.retain(|(known, _)| known != name);
        self.directives.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When `redis-server` is missing or does not listen, as with a directive it does not know.
    pub fn start(&self) -> Result<Redis, ServiceError> {
        Redis::with(self, None)
    }

    /// A node of a cluster. A dead node is noticed after two seconds.
    pub(crate) fn cluster_node(self) -> Self {
        self.directive(CLUSTER, "yes")
            .directive("cluster-config-file", "nodes.conf")
            .directive("cluster-node-timeout", "2000")
    }

    pub(crate) fn is_cluster_node(&self) -> bool {
        self.directives.iter().any(|(name, _)| name == CLUSTER)
    }

    pub(crate) fn secret(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The text of `redis.conf`, without port and role.
    pub(crate) fn text(&self) -> String {
        let mut text: String =
            self.directives.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
        if let Some(password) = &self.password {
            text += &format!("requirepass \"{password}\"\nmasterauth \"{password}\"\n");
        }
        text
    }
}

const CLUSTER: &str = "cluster-enabled";
/// `DEBUG` is for tests; the rest keeps starts, copies to replicas and stops short.
const DEFAULTS: [(&str, &str); 9] = [
    ("bind", "127.0.0.1"),
    ("daemonize", "no"),
    ("enable-debug-command", "local"),
    ("maxmemory-policy", "noeviction"),
    ("appendonly", "yes"),
    ("appendfsync", "everysec"),
    ("save", "\"\""),
    ("repl-diskless-sync-delay", "0"),
    ("shutdown-timeout", "1"),
];

#[cfg(test)]
mod tests {
    use super::RedisOptions;

    #[test]
    fn last_value_of_a_directive_counts() {
        let text = RedisOptions::new().append_only(false).save("60 1").save("").password("p").text();
        let lines = |name: &str| text.lines().filter(|line| line.starts_with(name)).collect::<Vec<_>>();
        assert_eq!(lines("appendonly"), ["appendonly no"]);
        assert_eq!(lines("save"), ["save \"\""]);
        assert_eq!(lines("requirepass"), ["requirepass \"p\""]);
    }
}
