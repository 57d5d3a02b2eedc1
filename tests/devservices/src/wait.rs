use std::{
    thread,
    time::{Duration, Instant},
};

use crate::ServiceError;

/// Asks again until something is there; `Err` in the inner result says how things stand.
pub(crate) fn until<T>(
    waited_for: &'static str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<Result<T, String>, ServiceError>,
) -> Result<T, ServiceError> {
    let end = Instant::now() + limit;
    loop {
        match ask()? {
            Ok(found) => return Ok(found),
            Err(last) if Instant::now() >= end => {
                return Err(ServiceError::TooLate { waited_for, limit, last });
            }
            Err(_) => thread::sleep(POLL),
        }
    }
}

const POLL: Duration = Duration::from_millis(5);
