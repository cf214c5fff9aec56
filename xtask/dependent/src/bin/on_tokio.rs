//! An election of three on tokio, within one process.

use std::error::Error;
use std::time::Duration;

use bellwether_election::{Config, Election, Epoch, LocalArbiter, Member, Number, Role, ServerId, memory};

/// No measured figure, but a guard against an endless wait.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let network = memory::Network::new();
    let ids: [ServerId; 3] = ["a".parse()?, "b".parse()?, "c".parse()?];
    let mut elections = Vec::new();
    for id in &ids {
        let transport = network.join(id.clone());
        elections.push(Election::start(
            Config::default(),
            Member::new(id.clone(), Number::random()),
            ids.clone(),
            transport,
            LocalArbiter,
        )?);
    }
    let (first, epoch) = tokio::time::timeout(PATIENCE, agreed(&elections, Epoch::ZERO)).await??;
    // Dropping the last handle is like a crash.
    elections.retain(|election| election.view().member.rank.id != first);
    let (second, later) = tokio::time::timeout(PATIENCE, agreed(&elections, epoch)).await??;
    assert_ne!(second, first, "somebody else takes over");
    println!("on tokio: {first} was elected in epoch {epoch}, and {second} took over in epoch {later}");
    #[cfg(feature = "json")]
    json(&elections[0])?;
    Ok(())
}

/// Waits until all have the same coordinator, in a later epoch than `above`.
async fn agreed(elections: &[Election], above: Epoch) -> Result<(ServerId, Epoch), Box<dyn Error>> {
    loop {
        let mut coordinators = Vec::new();
        for election in elections {
            let mut role = election.role();
            let later = role.wait_for(|role| epoch(role).is_some_and(|epoch| epoch > above));
            coordinators.push(match later.await?.clone() {
                Role::Follower { coordinator } => (coordinator.rank.id, coordinator.epoch),
                role => (election.view().member.rank.id, epoch(&role).unwrap_or(above)),
            });
        }
        coordinators.dedup();
        if let [coordinator] = &coordinators[..] {
            return Ok(coordinator.clone());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn epoch(role: &Role) -> Option<Epoch> {
    match role {
        Role::Follower { coordinator } => Some(coordinator.epoch),
        Role::Coordinator { epoch } => Some(*epoch),
        _ => None,
    }
}

/// Checks the need of a user's own transport: messages stay the same after encoding and decoding.
#[cfg(feature = "json")]
fn json(election: &Election) -> Result<(), Box<dyn Error>> {
    use bellwether_election::{Body, Message};

    let message = Message {
        sender: election.view().member,
        body: Body::Query,
    };
    let text = serde_json::to_string(&message)?;
    assert_eq!(serde_json::from_str::<Message>(&text)?, message, "{text}");
    println!("as JSON: {text}");
    Ok(())
}
