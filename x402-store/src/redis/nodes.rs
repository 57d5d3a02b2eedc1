//! URLs of nodes, and what may be shown of them.

use std::time::Duration;

use redis::{ConnectionInfo, IntoConnectionInfo, io::tcp::TcpSettings};

/// The nodes of a URL, or of several separated by commas. An error says what is wrong, and never with what.
pub(super) fn parse(urls: &str, patience: Duration) -> Result<Vec<ConnectionInfo>, &'static str> {
    let nodes = urls.split(',').map(str::trim).filter(|url| !url.is_empty());
    let nodes: Vec<_> = nodes.map(|url| node(url, patience)).collect::<Result<_, _>>()?;
    if nodes.is_empty() { Err(MALFORMED) } else { Ok(nodes) }
}

fn node(url: &str, patience: Duration) -> Result<ConnectionInfo, &'static str> {
    let encrypted = ["rediss:", "valkeys:"].iter().any(|scheme| url.starts_with(scheme));
    if encrypted && !cfg!(feature = "redis-tls") {
        return Err("`rediss://` needs the feature `redis-tls` of x402-store");
    }
    #[cfg(feature = "redis-tls")]
    if encrypted {
        // Where a process has two, rustls panics unless one is chosen. One that is chosen stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let info = url.into_connection_info().map_err(|_| MALFORMED)?;
    Ok(info.set_tcp_settings(settings(patience)))
}

/// A step is small and waited for; a connection nobody answers on any more ends by itself.
fn settings(patience: Duration) -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(patience * 2);
    #[cfg(not(target_os = "linux"))]
    let _ = patience;
    settings
}

/// Hosts and ports, without user and password.
pub(super) fn place(nodes: &[ConnectionInfo]) -> String {
    nodes.iter().map(|node| node.addr().to_string()).collect::<Vec<_>>().join(", ")
}

const MALFORMED: &str = "not `redis://user:password@host:6379/0`, or several such, separated by commas (special characters as %XX)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_hosts_without_secrets() {
        let urls = "redis://shop:hunter2@10.0.0.7:7000/0, redis://shop:hunter2@10.0.0.8";
        let nodes = parse(urls, Duration::from_secs(1)).unwrap();
        assert_eq!(place(&nodes), "10.0.0.7:7000, 10.0.0.8:6379");
        assert_eq!(nodes[0].redis_settings().password(), Some("hunter2"));
    }

    #[test]
    fn what_is_no_url_of_redis_is_refused_without_being_repeated() {
        let urls =
            ["", ",", "hunter2", "http://hunter2@host", "redis://", "redis://h:hunter2", "redis://h,hunter2"];
        for urls in urls {
            let problem = parse(urls, Duration::from_secs(1)).unwrap_err();
            assert!(!problem.contains("hunter2"), "{urls}");
        }
    }

    #[test]
    #[cfg(not(feature = "redis-tls"))]
    fn tls_without_its_feature_names_the_feature() {
        assert!(parse("rediss://host", Duration::from_secs(1)).unwrap_err().contains("redis-tls"));
    }
}
