//! What is asked of a server at the start: whether it can keep orders, and how many a crash can lose. Pure.

/// What a server says of itself in `INFO`, and of its disk in `CONFIG`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Survey {
    version: Option<String>,
    mode: Option<String>,
    role: Option<String>,
    max_memory: Option<u64>,
    policy: Option<String>,
    append_only: Option<bool>,
    replicas: Option<u64>,
    /// `appendfsync`, if it may be asked.
    pub(super) fsync: Option<String>,
    /// `save`, if it may be asked.
    pub(super) save: Option<String>,
}

/// What the log is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Notice {
    pub(super) text: String,
    /// Whether somebody should do something about it.
    pub(super) warns: bool,
}

impl Survey {
    pub(super) fn read(info: &str) -> Self {
        let field = |name: &str| {
            let value = |line: &str| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned);
            info.lines().find_map(|line| value(line.trim_end()))
        };
        let number = |name| field(name).and_then(|value| value.parse().ok());
        Self {
            version: field("redis_version"),
            mode: field("redis_mode"),
            role: field("role"),
            max_memory: number("maxmemory"),
            policy: field("maxmemory_policy"),
            append_only: number("aof_enabled").map(|on| on == 1),
            replicas: number("connected_slaves"),
            fsync: None,
            save: None,
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.mode.as_deref() == Some("cluster")
    }

    /// Why the server cannot keep orders, and what to do about it.
    pub(super) fn objection(&self) -> Option<String> {
        let version = self.version.as_deref().unwrap_or_default();
        let policy = self.policy.as_deref().unwrap_or("noeviction");
        if self.mode.as_deref() == Some("sentinel") {
            return Some("it is a Sentinel; give the address of the primary".into());
        }
        if self.role.as_deref() == Some("slave") {
            return Some("it is a read-only replica; give the address of the primary".into());
        }
        if self.version.is_some() && number(version) < OLDEST {
            return Some(format!("it is Redis {version}; 6.2 or later is needed"));
        }
        if policy != "noeviction" && self.max_memory != Some(0) {
            return Some(format!(
                "its maxmemory-policy is {policy}, so it may drop live orders when memory is short, and sell twice for \
                 one payment; set `maxmemory-policy noeviction`"
            ));
        }
        None
    }

    /// What an operator should know: what a crash can lose, and what could not be checked.
    pub(super) fn notices(&self) -> Vec<Notice> {
        let mut notices = vec![self.loss()];
        let policy = self.policy.as_deref();
        if policy.is_none() {
            let text =
                "maxmemory-policy could not be checked; it must be noeviction, or live orders may be dropped";
            notices.push(Notice { text: text.into(), warns: true });
        } else if policy != Some("noeviction") {
            let text =
                "maxmemory-policy would drop live orders as soon as maxmemory is set; make it noeviction";
            notices.push(Notice { text: text.into(), warns: true });
        }
        if self.replicas.is_some_and(|count| count > 0) || self.is_cluster() {
            let text = "replication is asynchronous: a failover can lose the claims of its last moments; \
                        min-replicas-to-write bounds that";
            notices.push(Notice { text: text.into(), warns: false });
        }
        notices
    }

    fn loss(&self) -> Notice {
        let fsync = self.fsync.as_deref();
        let (text, warns) = match (self.append_only, fsync, self.save.as_deref()) {
            (Some(true), Some("always"), _) => {
                ("no claim is lost in a crash: appendfsync always".into(), false)
            }
            (Some(true), Some("no"), _) => {
                ("some 30 s of claims can be lost in a crash of the machine: appendfsync no".into(), true)
            }
            (Some(true), _, _) => {
                let at = fsync.unwrap_or("could not be asked");
                (format!("up to 1 s of claims can be lost in a crash: appendfsync {at}"), false)
            }
            (Some(false), _, Some("")) => (
                "all claims are lost in a restart of Redis: it writes nothing to disk; set `appendonly yes`"
                    .into(),
                true,
            ),
            (Some(false), _, save) => {
                let at = save.unwrap_or("could not be asked");
                let text = format!(
                    "all claims since the last snapshot can be lost in a crash: save {at}; set `appendonly yes`"
                );
                (text, true)
            }
            (None, _, _) => ("how many claims can be lost in a crash could not be asked".into(), true),
        };
        Notice { text, warns }
    }
}

/// Major and minor version.
fn number(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

const OLDEST: (u32, u32) = (6, 2);

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(lines: &[&str]) -> Survey {
        let usual = ["redis_version:7.0.15", "redis_mode:standalone", "role:master", "aof_enabled:1"];
        let mut text: Vec<_> = lines.to_vec();
        text.extend(usual);
        text.extend(["connected_slaves:0", "maxmemory:0", "maxmemory_policy:noeviction", "# End"]);
        Survey::read(&text.join("\r\n"))
    }

    #[test]
    fn servers_that_cannot_keep_orders_are_refused_with_what_to_do() {
        assert_eq!(survey(&[]).objection(), None);
        assert_eq!(Survey::default().objection(), None, "what could not be asked is not held against it");
        for (lines, wanted) in [
            (&["redis_mode:sentinel"][..], "Sentinel"),
            (&["role:slave"], "primary"),
            (&["redis_version:6.0.16"], "6.2"),
            (&["redis_version:5.0.3"], "6.2"),
            (&["maxmemory:1000", "maxmemory_policy:allkeys-lru"], "noeviction"),
            (&["maxmemory:1000", "maxmemory_policy:volatile-ttl"], "noeviction"),
        ] {
            let objection = survey(lines).objection().unwrap();
            assert!(objection.contains(wanted), "{objection}");
        }
        for lines in [
            &["maxmemory:1000"][..],
            &["redis_version:10.0.1"],
            &["redis_version:6.2.0"],
            &["maxmemory:0", "maxmemory_policy:allkeys-lru"],
        ] {
            assert_eq!(survey(lines).objection(), None, "{lines:?}");
        }
    }

    #[test]
    fn what_a_crash_can_lose_is_told() {
        for (append, fsync, save, wanted, warns) in [
            (1, Some("always"), None, "no claim is lost", false),
            (1, Some("everysec"), Some("3600 1"), "up to 1 s", false),
            (1, Some("no"), None, "30 s", true),
            (1, None, None, "up to 1 s", false),
            (
                0,
                Some("everysec"),
                Some("3600 1 300 100"),
                "last snapshot can be lost in a crash: save 3600 1 300 100",
                true,
            ),
            (0, Some("everysec"), Some(""), "all claims are lost", true),
            (0, None, None, "could not be asked", true),
        ] {
            let mut survey = survey(&[&format!("aof_enabled:{append}")]);
            survey.fsync = fsync.map(str::to_owned);
            survey.save = save.map(str::to_owned);
            let notices = survey.notices();
            assert_eq!(notices.len(), 1, "{notices:?}");
            assert!(notices[0].text.contains(wanted) && notices[0].warns == warns, "{notices:?}");
        }
        let unknown = Survey::default().notices();
        assert!(unknown.iter().all(|notice| notice.warns) && unknown.len() == 2, "{unknown:?}");
        let replicated = survey(&["connected_slaves:2"]).notices();
        assert!(replicated[1].text.contains("failover"), "{replicated:?}");
        let idle = survey(&["maxmemory_policy:allkeys-lru"]).notices();
        assert!(idle[1].warns && idle[1].text.contains("noeviction"), "{idle:?}");
    }
}
