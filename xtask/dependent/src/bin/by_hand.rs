//! An election of three without a runtime: this program is the network, the arbiter and the clock.
//! All but `main` would do without `std`.

#![no_std]

extern crate alloc;
extern crate std;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use bellwether_election::{
    Config, ConfigError, Elector, Epoch, Instant, Link, Member, Message, Number, Output, Role, ServerId,
};
use rand::SeedableRng;
use rand::rngs::SmallRng;

/// Far longer than an election takes. Time costs nothing here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Time of a message in transit between any two servers.
const LATENCY: Duration = Duration::from_millis(1);

struct Cluster {
    now: Instant,
    electors: Vec<Elector<SmallRng>>,
    crashed: Vec<ServerId>,
    /// In the order in which they arrive, because all take equally long.
    under_way: VecDeque<(Instant, ServerId, ServerId, Message)>,
    granted: Epoch,
}

impl Cluster {
    /// Makes the servers. Every server draws the number of its place in `ids`, so the last one must
    /// win.
    fn of(ids: &[ServerId]) -> Result<Self, ConfigError> {
        let now = Instant::default();
        let elector = |(number, id): (u64, &ServerId)| {
            let rng = SmallRng::seed_from_u64(number);
            let peers = ids.iter().cloned();
            Elector::new(Config::default(), Member::new(id.clone(), Number(number)), peers, rng, now)
        };
        Ok(Self {
            now,
            electors: (1..).zip(ids).map(elector).collect::<Result<_, _>>()?,
            crashed: Vec::new(),
            under_way: VecDeque::new(),
            granted: Epoch::ZERO,
        })
    }

    /// Lets time pass until all servers alive have the same coordinator, in a later epoch than
    /// `above`, and returns that coordinator.
    fn elect(&mut self, above: Epoch) -> Option<(ServerId, Epoch)> {
        let until = self.now + PATIENCE;
        while self.now < until {
            self.carry_out();
            let agreed = self.agreed().filter(|(_, epoch)| *epoch > above);
            if agreed.is_some() {
                return agreed;
            }
            self.go_on()?;
        }
        None
    }

    /// Carries out the electors' outputs.
    fn carry_out(&mut self) {
        for elector in &mut self.electors {
            while let Some(output) = elector.poll_output() {
                match output {
                    Output::Send { to, message } => {
                        let from = elector.member().rank.id.clone();
                        self.under_way.push_back((self.now + LATENCY, from, to, message));
                    }
                    Output::Claim(claim) => {
                        self.granted = self.granted.max(claim.above).next();
                        elector.handle_claim(self.now, Some(self.granted));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Moves the clock to the next event: a message that arrives, or an elector's time-out.
    fn go_on(&mut self) -> Option<()> {
        let arrival = self.under_way.front().map(|(at, ..)| *at);
        let timeout = self.electors.iter().filter_map(Elector::poll_timeout).min();
        self.now = self.now.max(arrival.into_iter().chain(timeout).min()?);
        while self.under_way.front().is_some_and(|(at, ..)| *at <= self.now) {
            let (_, from, to, message) = self.under_way.pop_front()?;
            if self.crashed.contains(&from) {
                continue;
            }
            for elector in self
                .electors
                .iter_mut()
                .filter(|elector| elector.member().rank.id == to)
            {
                elector.handle_message(self.now, &from, message.clone());
            }
        }
        for elector in &mut self.electors {
            if elector.poll_timeout().is_some_and(|at| at <= self.now) {
                elector.handle_timeout(self.now);
            }
        }
        Some(())
    }

    /// Stops a server for good. Its host tells the others that no process listens there any more.
    fn crash(&mut self, id: &ServerId) {
        self.electors.retain(|elector| elector.member().rank.id != *id);
        self.crashed.push(id.clone());
        for elector in &mut self.electors {
            elector.handle_link(self.now, id, Link::Refused);
        }
    }

    fn agreed(&self) -> Option<(ServerId, Epoch)> {
        let mut sides = self.electors.iter().map(|elector| match elector.role() {
            Role::Coordinator { epoch } => Some((elector.member().rank.id.clone(), epoch)),
            Role::Follower { coordinator } => Some((coordinator.rank.id, coordinator.epoch)),
            _ => None,
        });
        let first = sides.next()??;
        sides.all(|side| side.as_ref() == Some(&first)).then_some(first)
    }
}

fn main() -> Result<(), std::boxed::Box<dyn core::error::Error>> {
    let ids: [ServerId; 3] = ["a".parse()?, "b".parse()?, "c".parse()?];
    let mut cluster = Cluster::of(&ids)?;
    let (first, epoch) = cluster.elect(Epoch::ZERO).ok_or("nobody was elected")?;
    assert_eq!(first, ids[2], "the largest number wins");
    cluster.crash(&first);
    let (second, later) = cluster.elect(epoch).ok_or("nobody took over")?;
    assert_eq!(second, ids[1], "the next largest takes over");
    std::println!("by hand: {first} was elected in epoch {epoch}, and {second} took over in epoch {later}");
    Ok(())
}
