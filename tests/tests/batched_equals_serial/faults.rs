//! Faults that MongoDB or the network may have at any time and that no client may notice.

use anyhow::Result;
use bellwether_testkit::FailPoint;
use bson::doc;
use mongodb::Client;
use proptest::prelude::*;
use proptest::sample::select;

/// The next commands of this name fail.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    command: &'static str,
    how: How,
    times: i32,
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// As if another transaction had been faster.
    Conflict,
    /// As if the connection had broken before the command arrived.
    Disconnect,
}

pub(crate) fn maybe_a_fault() -> impl Strategy<Value = Option<Fault>> {
    let conflict = select(vec![
        "insert",
        "update",
        "delete",
        "findAndModify",
        "commitTransaction",
    ])
    .prop_map(|command| (command, How::Conflict));
    let disconnect = select(vec![
        "insert",
        "update",
        "find",
        "aggregate",
        "delete",
        "commitTransaction",
    ])
    .prop_map(|command| (command, How::Disconnect));
    let fault = (prop_oneof![conflict, disconnect], 1..3_i32).prop_map(|((command, how), times)| Fault {
        command,
        how,
        times,
    });
    prop_oneof![2 => Just(None), 1 => fault.prop_map(Some)]
}

impl Fault {
    /// Makes the connection break at the next command of this name.
    pub(crate) fn disconnect(command: &'static str) -> Self {
        Self {
            command,
            how: How::Disconnect,
            times: 1,
        }
    }

    pub(crate) async fn begin(&self, client: &Client) -> Result<FailPoint> {
        let mut data = doc! { "failCommands": [self.command], "appName": "bellwether" };
        match self.how {
            How::Conflict => data.insert("errorCode", 112),
            How::Disconnect => data.insert("closeConnection", true),
        };
        FailPoint::times(client, "failCommand", self.times, data).await
    }
}
