//! Every state is at the same moment: the times that a server remembers are moved so that now is
//! always then.

use std::time::Duration;

use bellwether_election::{Body, Instant};

pub(crate) const NOW: Instant = Instant::since_origin(Duration::from_secs(3600));

/// Moves a timestamp into the past. Beyond the horizon all are alike.
pub(crate) fn age(body: &mut Body, passed: Duration, horizon: Duration) {
    let (Body::Coordinator { sent_at, .. }
    | Body::HeartbeatAck { sent_at, .. }
    | Body::Heartbeat {
        echo: Some(sent_at), ..
    }) = body
    else {
        return;
    };
    let oldest = micros(NOW.elapsed_since_origin().saturating_sub(horizon));
    sent_at.0 = sent_at.0.saturating_sub(micros(passed)).max(oldest);
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).expect("an hour is a small number")
}
