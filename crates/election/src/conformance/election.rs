//! Checks that the election itself works over the transport.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::pending;
use core::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::Fixture;
use super::cluster::{Cluster, Fault, wrong};
use crate::{Config, Election, Event, LocalArbiter, Member, Message, Number, Role, ServerId, Transport};

pub(super) async fn election<F: Fixture>(cluster: &mut Cluster<'_, F>) -> Result<(), Fault> {
    let mut servers = Vec::new();
    for server in 0..3 {
        servers.push(start(cluster, server).await?);
    }
    settle(cluster, &servers).await.map_err(context("at the start"))?;
    let Some(coordinator) = servers.iter().position(|server| is_coordinator(&server.election)) else {
        return Err(Fault::Unclear("the coordinator changed without a cause".into()));
    };
    let crashed = servers.remove(coordinator);
    let index = crashed.index;
    crash(cluster, crashed).await?;
    settle(cluster, &servers)
        .await
        .map_err(context("after the coordinator had crashed"))?;
    servers.push(start(cluster, index).await?);
    settle(cluster, &servers)
        .await
        .map_err(context("after the crashed server had come back"))?;
    for server in servers {
        crash(cluster, server).await?;
    }
    Ok(())
}

fn context(when: &str) -> impl Fn(String) -> Fault + '_ {
    move |seen| Fault::Wrong(format!("{when} {seen}"))
}

struct Server<T> {
    index: usize,
    election: Election,
    /// Receives each transport when its election has ended.
    back: oneshot::Receiver<T>,
}

async fn start<F: Fixture>(
    cluster: &mut Cluster<'_, F>,
    index: usize,
) -> Result<Server<F::Transport>, Fault> {
    let transport = cluster.start_apart(index).await?;
    let (back_tx, back) = oneshot::channel();
    let lent = Lent {
        transport: Some(transport),
        back: Some(back_tx),
    };
    let me = Member::new(cluster.ids[index].clone(), Number::random());
    let members = cluster.ids.clone();
    match Election::start(Config::default(), me, members, lent, LocalArbiter) {
        Ok(election) => Ok(Server {
            index,
            election,
            back,
        }),
        Err(error) => Err(Fault::Unclear(format!("cannot start an election: {error}"))),
    }
}

async fn crash<F: Fixture>(cluster: &mut Cluster<'_, F>, server: Server<F::Transport>) -> Result<(), Fault> {
    drop(server.election);
    match timeout(cluster.limits.time_limit, server.back).await {
        Ok(Ok(transport)) => cluster.stop_apart(server.index, transport).await,
        _ => wrong(
            "the election did not give its transport back: its recv panicked or does not return to the runtime",
        ),
    }
}

fn is_coordinator(election: &Election) -> bool {
    matches!(election.view().role, Role::Coordinator { .. })
}

/// Waits until one of the servers is coordinator, all others follow it, and that is stable. The
/// error names their roles instead.
async fn settle<F: Fixture>(
    cluster: &Cluster<'_, F>,
    servers: &[Server<F::Transport>],
) -> Result<(), String> {
    let began = Instant::now();
    let mut agreed: Option<Instant> = None;
    loop {
        let views: Vec<(ServerId, Role)> = servers
            .iter()
            .map(|server| (cluster.ids[server.index].clone(), server.election.view().role))
            .collect();
        if !agree(&views) {
            agreed = None;
        } else if agreed.get_or_insert_with(Instant::now).elapsed() >= cluster.limits.quiet {
            return Ok(());
        }
        for (server, (_, role)) in servers.iter().zip(&views) {
            if let Role::Draining { epoch, .. } = role {
                server.election.drained(*epoch);
            }
        }
        if began.elapsed() >= cluster.limits.time_limit {
            return Err(format!(
                "the servers did not agree on a coordinator within {:?}: {views:?}",
                cluster.limits.time_limit
            ));
        }
        sleep(Duration::from_millis(10)).await;
    }
}

fn agree(views: &[(ServerId, Role)]) -> bool {
    let mut coordinators = views.iter().filter_map(|(id, role)| match role {
        Role::Coordinator { epoch } => Some((id, *epoch)),
        _ => None,
    });
    let (Some((leader, epoch)), None) = (coordinators.next(), coordinators.next()) else {
        return false;
    };
    views.iter().all(|(id, role)| match role {
        Role::Follower { coordinator } => coordinator.rank.id == *leader && coordinator.epoch == epoch,
        _ => id == leader,
    })
}

/// A transport that returns when the election drops it, so that the fixture can stop it.
struct Lent<T> {
    transport: Option<T>,
    back: Option<oneshot::Sender<T>>,
}

impl<T: Transport> Transport for Lent<T> {
    fn send(&mut self, to: &ServerId, message: Message) {
        if let Some(transport) = &mut self.transport {
            transport.send(to, message);
        }
    }

    async fn recv(&mut self) -> Option<Event> {
        match &mut self.transport {
            Some(transport) => transport.recv().await,
            None => pending().await,
        }
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        if let (Some(transport), Some(back)) = (self.transport.take(), self.back.take()) {
            // The caller has stopped waiting if this took too long.
            let _ = back.send(transport);
        }
    }
}
