use bellwether_protocol::{RoleName, Status};
use bellwether_testkit::Cluster;
use futures_util::future::join_all;

/// A server as the table shows it.
pub(crate) struct Row {
    server: String,
    pid: u32,
    url: String,
    state: State,
}

enum State {
    Running(Box<Status>),
    /// It runs and does not answer: it starts, or is paused.
    Silent,
    Down,
}

/// Asks every server.
pub(crate) async fn rows(cluster: &mut Cluster) -> Vec<Row> {
    join_all(cluster.servers.iter_mut().map(async |server| {
        let state = match server.process.is_running() {
            false => State::Down,
            true => server
                .status()
                .await
                .map_or(State::Silent, |status| State::Running(Box::new(status))),
        };
        Row {
            server: server.id.clone(),
            pid: server.process.pid(),
            url: server.url(),
            state,
        }
    }))
    .await
}

/// Returns the table, and below it the possible actions of the user.
pub(crate) fn render(rows: &[Row], enter_restarts: bool) -> String {
    let heads = ["SERVER", "NUMBER", "ROLE", "EPOCH", "PID", "CLIENT URL"].map(str::to_owned);
    let lines: Vec<[String; 6]> = std::iter::once(heads)
        .chain(rows.iter().map(Row::cells))
        .collect();
    let widths: [usize; 6] = std::array::from_fn(|column| {
        lines
            .iter()
            .map(|cells| cells[column].chars().count())
            .max()
            .unwrap_or(0)
    });
    let mut text = String::new();
    for cells in lines {
        let padded = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text.push('\n');
    if let Some(coordinator) = rows.iter().find(|row| row.role() == Some(RoleName::Coordinator)) {
        let Row { server, pid, .. } = coordinator;
        text.push_str(&format!(
            "Kill the coordinator:         kill -9 {pid}   # {server}; then send again\n"
        ));
    }
    if enter_restarts {
        text.push_str("Start killed servers again:   press Enter here\n");
    }
    text.push_str("End everything:               Ctrl-C here\n");
    text
}

impl Row {
    fn role(&self) -> Option<RoleName> {
        match &self.state {
            State::Running(status) => Some(status.role),
            State::Silent | State::Down => None,
        }
    }

    fn cells(&self) -> [String; 6] {
        let (number, role, epoch) = match &self.state {
            State::Running(status) => (status.number.as_str(), status.role.as_str(), status.epoch),
            State::Silent => ("", "no answer", None),
            State::Down => ("", "down", None),
        };
        let epoch = epoch.map(|epoch| epoch.to_string()).unwrap_or_default();
        let pid = if matches!(self.state, State::Down) {
            String::new()
        } else {
            self.pid.to_string()
        };
        [
            self.server.clone(),
            number.to_owned(),
            role.to_owned(),
            epoch,
            pid,
            self.url.clone(),
        ]
    }
}
