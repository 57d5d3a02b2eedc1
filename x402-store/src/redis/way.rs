//! The way to a server: connect, ask whether it can keep orders, and tell what it may lose.

use std::{collections::BTreeMap, time::Duration};

use redis::{ConnectionInfo, RedisError, cmd};
use tracing::{info, warn};
use x402_core::error::ConfigError;

use super::{
    keys::Keys,
    link::{ClusterLink, Link, NodeLink},
    nodes,
    script::PROBE,
    survey::Survey,
    trouble::Trouble,
};

/// From URLs to a link that is checked.
pub(super) struct Way {
    /// Hosts and ports, without anything secret.
    pub(super) place: String,
    /// How long a link waits for an answer.
    pub(super) limit: Duration,
}

impl Way {
    pub(super) async fn open(&self, nodes: Vec<ConnectionInfo>, keys: &Keys) -> Result<Link, ConfigError> {
        let survey = self.first_answer(&nodes).await?;
        let (link, surveys) = self.link(nodes, survey).await?;
        for survey in &surveys {
            self.check(survey)?;
        }
        let probe = link.run::<i64>(&PROBE, &[keys.probe()], &[]).await;
        probe.map_err(|error| self.failed(&error))?;
        self.claim_format(&link, keys).await?;
        self.tell(&surveys);
        Ok(link)
    }

    /// What the first node says that can be reached.
    async fn first_answer(&self, nodes: &[ConnectionInfo]) -> Result<Survey, ConfigError> {
        let mut last = None;
        for node in nodes {
            let trouble = match NodeLink::new(node.clone(), AT_START).map(Link::Node) {
                Ok(link) => match survey(&link).await {
                    Ok(survey) => return Ok(survey),
                    Err(error) => Trouble::new(&nodes::place(std::slice::from_ref(node)), &error),
                },
                Err(error) => Trouble::new(&self.place, &error),
            };
            if !trouble.is_of_the_network() {
                return Err(failed(trouble));
            }
            last = Some(trouble);
        }
        Err(failed(last.expect("there is at least one node")))
    }

    async fn link(
        &self,
        mut nodes: Vec<ConnectionInfo>,
        survey: Survey,
    ) -> Result<(Link, Vec<Survey>), ConfigError> {
        if nodes.len() == 1 && !survey.is_cluster() {
            let link = NodeLink::new(nodes.remove(0), self.limit).map_err(|error| self.failed(&error))?;
            return Ok((Link::Node(link), vec![survey]));
        }
        if survey != Survey::default() && !survey.is_cluster() {
            let problem =
                format!("several URLs are those of a cluster, and {} is none; give one URL", self.place);
            return Err(ConfigError::new(NAME, problem));
        }
        let connect = ClusterLink::connect(nodes, self.limit);
        let link = tokio::time::timeout(AT_START, connect).await.map_err(|_| self.late())?;
        let link = link.map_err(|error| self.failed(&error))?;
        let surveys = surveys(&link).await.unwrap_or_else(|_| vec![survey]);
        Ok((Link::Cluster(link), surveys))
    }

    fn check(&self, survey: &Survey) -> Result<(), ConfigError> {
        let refused = |objection| ConfigError::new(format!("Redis at {}", self.place), objection);
        survey.objection().map_or(Ok(()), |objection| Err(refused(objection)))
    }

    /// Leaves a mark for programs to come, and reads that of programs that may have been.
    async fn claim_format(&self, link: &Link, keys: &Keys) -> Result<(), ConfigError> {
        let key = keys.format();
        let there: Option<String> =
            link.command(cmd("GET").arg(&key)).await.map_err(|error| self.failed(&error))?;
        match there.map(|format| format.parse::<u32>()) {
            Some(Ok(FORMAT)) => return Ok(()),
            Some(format) => {
                let by = if format.is_ok_and(|format| format > FORMAT) {
                    "a newer version"
                } else {
                    "something else"
                };
                let problem = format!("its keys are {by}'s; update this program, or choose another prefix");
                return Err(ConfigError::new(format!("Redis at {}", self.place), problem));
            }
            None => {}
        }
        let written: Result<redis::Value, _> = link.command(cmd("SET").arg(&key).arg(FORMAT)).await;
        match written.map_err(|error| Trouble::new(&self.place, &error)) {
            // Orders that are there must come to their end.
            Err(trouble) if trouble.is_full() => warn!(%trouble, "order store takes no new orders"),
            Err(trouble) => return Err(failed(trouble)),
            Ok(_) => {}
        }
        Ok(())
    }

    fn tell(&self, surveys: &[Survey]) {
        let mut notices: Vec<_> = surveys.iter().flat_map(Survey::notices).collect();
        notices.dedup();
        for notice in notices {
            if notice.warns {
                warn!(place = %self.place, notice = %notice.text, "order store connected");
            } else {
                info!(place = %self.place, notice = %notice.text, "order store connected");
            }
        }
    }

    fn failed(&self, error: &RedisError) -> ConfigError {
        failed(Trouble::new(&self.place, error))
    }

    fn late(&self) -> ConfigError {
        let problem = format!("no node of the cluster at {} could be asked in time", self.place);
        ConfigError::new(NAME, problem)
    }
}

/// What a server says of itself; nothing, where it may not be asked.
async fn survey(link: &Link) -> Result<Survey, RedisError> {
    let mut survey = match link.command::<String>(&cmd("INFO")).await {
        Ok(info) => Survey::read(&info),
        Err(error) if Trouble::new("", &error).is_forbidden() => Survey::default(),
        Err(error) => return Err(error),
    };
    survey.fsync = setting(link, "appendfsync").await;
    survey.save = setting(link, "save").await;
    Ok(survey)
}

async fn setting(link: &Link, name: &str) -> Option<String> {
    let mut command = cmd("CONFIG");
    let answer: (String, String) = link.command(command.arg("GET").arg(name)).await.ok()?;
    Some(answer.1)
}

/// What every node of a cluster says of itself.
async fn surveys(link: &ClusterLink) -> Result<Vec<Survey>, RedisError> {
    let infos: BTreeMap<String, String> = redis::from_redis_value(link.everywhere(cmd("INFO")).await?)?;
    let (fsync, save) = (everywhere(link, "appendfsync").await, everywhere(link, "save").await);
    let survey = |(node, info): (String, String)| {
        let mut survey = Survey::read(&info);
        survey.fsync = fsync.get(&node).cloned();
        survey.save = save.get(&node).cloned();
        survey
    };
    Ok(infos.into_iter().map(survey).collect())
}

async fn everywhere(link: &ClusterLink, name: &str) -> BTreeMap<String, String> {
    let mut command = cmd("CONFIG");
    command.arg("GET").arg(name);
    let answers = link.everywhere(command).await.ok().map(redis::from_redis_value);
    let answers: BTreeMap<String, (String, String)> = answers.and_then(Result::ok).unwrap_or_default();
    answers.into_iter().map(|(node, (_, value))| (node, value)).collect()
}

fn failed(trouble: Trouble) -> ConfigError {
    ConfigError::new(NAME, trouble.to_string()).with_source(trouble)
}

/// The part of a configuration that errors name.
pub(super) const NAME: &str = "Redis order store";
/// How long a server may take at the start.
const AT_START: Duration = Duration::from_secs(3);
/// Grows when rows change so that programs before cannot read them.
const FORMAT: u32 = 1;
