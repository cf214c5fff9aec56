//! The hello of the servers that the tests play.

use bellwether_protocol::{HelloOk, Limits, MAX_MESSAGE_BYTES, RoleName};

/// Returns the hello of a coordinator in epoch 1.
pub(crate) fn hello_ok() -> HelloOk {
    let limits = Limits {
        max_message_bytes: MAX_MESSAGE_BYTES as u64,
        max_depth: 100,
        max_result_bytes: 1 << 22,
        max_deadline_ms: 60_000,
        retention_ms: 86_400_000,
    };
    HelloOk {
        cluster: "demo".into(),
        server: "s1".into(),
        role: RoleName::Coordinator,
        epoch: Some(1),
        coordinator: None,
        server_time_ms: 1_795_000_000_000,
        limits,
        identity: None,
    }
}
