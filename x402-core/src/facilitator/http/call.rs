//! One call: credentials, then the exchange, all in one time.

use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::time::{sleep, timeout};

use super::{
    HttpFacilitator,
    auth::{FacilitatorCall, FacilitatorEndpoint},
    exchange::{Answer, Deadline, exchange, request},
    fault::Fault,
};
use crate::entropy;

impl HttpFacilitator {
    /// Sends a question once.
    pub(super) async fn send(
        &self,
        endpoint: FacilitatorEndpoint,
        json: Option<Vec<u8>>,
        limit: Duration,
    ) -> Result<Answer, Fault> {
        let deadline = Deadline::within(limit);
        let credentials = self.credentials(endpoint, deadline).await?;
        exchange(request(&self.client, &self.address, endpoint, credentials, json), deadline).await
    }

    /// Sends a question, and again while no connection can be made: then nothing was sent.
    pub(super) async fn send_until_reached(
        &self,
        endpoint: FacilitatorEndpoint,
        json: Vec<u8>,
        limit: Duration,
    ) -> Result<Answer, Fault> {
        let deadline = Deadline::within(limit);
        let credentials = self.credentials(endpoint, deadline).await?;
        let request = request(&self.client, &self.address, endpoint, credentials, Some(json));
        let again = || request.try_clone().expect("a body of bytes can be sent again");
        let mut answer = exchange(again(), deadline).await;
        for _ in 0..TRIES_MORE {
            let pause = jitter(entropy::draw());
            if !matches!(answer, Err(Fault::Unreachable(_))) || deadline.left() <= pause {
                break;
            }
            sleep(pause).await;
            answer = exchange(again(), deadline).await;
        }
        answer
    }

    /// What lets a call in. Its time is part of the call's.
    async fn credentials(
        &self,
        endpoint: FacilitatorEndpoint,
        deadline: Deadline,
    ) -> Result<HeaderMap, Fault> {
        let Some(authenticate) = &self.authenticate else { return Ok(HeaderMap::new()) };
        let call = FacilitatorCall {
            endpoint,
            method: endpoint.method(),
            host: self.address.host(),
            path: self.address.endpoint(endpoint.as_str()).path().to_owned(),
        };
        let made = timeout(deadline.left().min(TO_AUTHENTICATE), authenticate.headers(call)).await;
        let headers = match made {
            Ok(Ok(headers)) => headers,
            // Its words may hold secrets.
            Ok(Err(_)) => return Err(Fault::NoCredentials("the hook failed")),
            Err(_) => return Err(Fault::NoCredentials("the hook took too long")),
        };
        headers.build().map_err(Fault::NoCredentials)
    }
}

/// Between two tries: spread out, so that the instances of a service do not come back all at once.
fn jitter(random: [u8; 32]) -> Duration {
    let (number, _) = random.split_first_chunk().expect("32 bytes hold 8");
    Duration::from_millis(SHORTEST_MS + u64::from_be_bytes(*number) % (LONGEST_MS - SHORTEST_MS + 1))
}

const TRIES_MORE: usize = 2;
const SHORTEST_MS: u64 = 50;
const LONGEST_MS: u64 = 250;
const TO_AUTHENTICATE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pauses_are_short_and_differ(random in any::<[u8; 32]>()) {
            let pause = jitter(random);
            prop_assert!((Duration::from_millis(50)..=Duration::from_millis(250)).contains(&pause));
        }
    }

    #[test]
    fn every_length_of_pause_comes_up() {
        let drawn: std::collections::HashSet<_> = (0..5000).map(|_| jitter(entropy::draw())).collect();
        assert!(drawn.len() > 190, "{}", drawn.len());
    }
}
