//! Where orders can be kept, for tests that mean every place.

use std::{any::Any, sync::Arc};

use devservices::{Postgres, Redis, RedisCluster};
use x402_core::order::OrderStore;
use x402_store::StoreUrl;

/// A place for the orders of one test.
pub(crate) struct Place {
    pub(crate) url: String,
    /// What ends with the test.
    _server: Box<dyn Any + Send>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder is made");
        let url = format!("sqlite:{}", folder.path().join("orders.db").display());
        Self { url, _server: Box::new(folder) }
    }

    pub(crate) fn redis() -> Self {
        let redis = Redis::start().expect("a node starts");
        Self { url: redis.url(), _server: Box::new(redis) }
    }

    pub(crate) fn cluster() -> Self {
        let cluster = RedisCluster::start().expect("a cluster starts");
        Self { url: cluster.urls().join(","), _server: Box::new(cluster) }
    }

    pub(crate) fn postgres() -> Self {
        let url = Postgres::shared().and_then(Postgres::database).expect("there is a database");
        Self { url, _server: Box::new(()) }
    }

    pub(crate) async fn store(&self) -> Arc<dyn OrderStore> {
        let url: StoreUrl = self.url.parse().expect("it is a store's");
        url.connect().await.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Each story once per place.
macro_rules! over_every_place {
    ($($story:ident)*) => {
        $crate::places::over_every_place! { @ sqlite: $($story)* }
        $crate::places::over_every_place! { @ redis: $($story)* }
        $crate::places::over_every_place! { @ cluster: $($story)* }
        $crate::places::over_every_place! { @ postgres: $($story)* }
    };
    (@ $place:ident: $($story:ident)*) => {
        mod $place {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$story(super::World::at(super::Place::$place()).await).await;
            })*
        }
    };
}

pub(crate) use over_every_place;
