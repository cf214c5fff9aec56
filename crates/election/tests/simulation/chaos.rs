//! Every fault there is, at random.

use std::ops::RangeInclusive;
use std::time::Duration;

use bellwether_election::{Config, Detection, Epoch, Link, Preemption, Quorum, Succession};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::arbiter::{Memory, Reach};
use crate::clock::MS;
use crate::invariants::Violation;
use crate::network::{Faults, Hints};
use crate::resource::Fencing;
use crate::world::{Kind, Setup, World};

/// The longest pause, in milliseconds.
const LONGEST_PAUSE: u64 = 3_000;

/// Returns the setup of a cluster of any kind.
pub(crate) fn any_setup(seed: u64) -> Setup {
    let mut rng = SmallRng::seed_from_u64(seed ^ 0x5eed);
    let servers = rng.random_range(1..=7);
    let kinds = (0..servers).map(|index| Kind {
        priority: [0, 0, 0, 1, 2][rng.random_range(0..5)],
        // At least one server must be able to become coordinator.
        observer: index > 0 && rng.random_bool(0.15),
    });
    let kinds = kinds.collect();
    let mut config = any_config(&mut rng);
    let patient_arbiter = config.quorum == Quorum::Arbiter && rng.random_bool(0.5);
    if patient_arbiter {
        // It refuses the claim that ends a handover, so a better server could try endlessly to
        // become coordinator.
        config.preemption = Preemption::Never;
    }
    Setup {
        kinds,
        config,
        hints: [Hints::None, Hints::Honest, Hints::Lying][rng.random_range(0..3)],
        memory: Memory::Durable,
        fencing: [Fencing::AtGrant, Fencing::AtWrite][rng.random_range(0..2)],
        drift: rng.random_bool(0.8),
        patient_arbiter,
        numbers_below: [2, 4, u64::MAX, u64::MAX][rng.random_range(0..4)],
    }
}

fn any_config(rng: &mut SmallRng) -> Config {
    let preemption = match rng.random_range(0..4) {
        0 => Preemption::Never,
        1 => Preemption::After(ms(rng, 0..=3_000)),
        _ => Preemption::Always,
    };
    let heartbeat = ms(rng, 20..=150);
    let quorum = [Quorum::None, Quorum::None, Quorum::Majority, Quorum::Arbiter][rng.random_range(0..4)];
    let timeout = match quorum {
        Quorum::None => heartbeat * 2 + ms(rng, 0..=500),
        // A lease is renewed by messages sent up to two heartbeats ago.
        _ => heartbeat * 3 + ms(rng, 20..=500),
    };
    Config {
        heartbeat,
        timeout,
        probe: heartbeat + ms(rng, 0..=300),
        startup_grace: ms(rng, 0..=1_500),
        claim_timeout: ms(rng, 500..=5_000),
        claim_retry: ms(rng, 50..=800),
        drain_timeout: ms(rng, 500..=5_000),
        ineligible_timeout: ms(rng, 100..=3_000),
        ineligible_grace: ms(rng, 500..=20_000),
        preemption,
        quorum,
        succession: if rng.random_bool(0.2) {
            Succession::Classic
        } else {
            Succession::Direct
        },
        detection: if rng.random_bool(0.3) {
            let floor = rng.random_range(heartbeat * 2..=timeout);
            Detection::Adaptive { floor }
        } else {
            Detection::Fixed
        },
    }
}

fn ms(rng: &mut SmallRng, range: RangeInclusive<u64>) -> Duration {
    Duration::from_millis(rng.random_range(range))
}

impl World {
    /// Injects faults for a while. They are not healed.
    pub(crate) fn suffer(&mut self, faults: u32) -> Result<(), Violation> {
        for _ in 0..faults {
            self.random_fault()?;
            let ms = self.rng.random_range(1..1_500);
            self.run_for_ms(ms)?;
        }
        Ok(())
    }

    fn random_fault(&mut self) -> Result<(), Violation> {
        let n = self.servers.len();
        let (server, other) = (self.rng.random_range(0..n), self.rng.random_range(0..n));
        let belongs = self.cluster.contains(&server);
        let running = self.servers[server].runs();
        let awake = self.servers[server].is_awake(self.now());
        match self.rng.random_range(0..23) {
            0 => return self.crash(server),
            1 | 2 if belongs && !running => return self.start(server),
            // A new life before the others have noticed the end of the last.
            3 if belongs => {
                self.crash(server)?;
                return self.start(server);
            }
            4 | 5 => {
                let ms = self.rng.random_range(1..LONGEST_PAUSE);
                self.pause_ms(server, ms);
            }
            6 => self.cut_one_way(server, other),
            7 => self.cut(server, other),
            8 | 9 => {
                let halves: Vec<bool> = (0..n).map(|_| self.rng.random()).collect();
                let one_way = self.rng.random_bool(0.3);
                self.partition(&halves, one_way);
            }
            10 => {
                let only: Vec<bool> = (0..n).map(|each| each == server).collect();
                let one_way = self.rng.random_bool(0.3);
                self.partition(&only, one_way);
            }
            11 => {
                let loss = self.rng.random_range(0.1..0.9);
                self.network.make_lossy(server, other, loss);
            }
            12 => self.mend(),
            13 => {
                let faults = Faults::some(&mut self.rng);
                self.network.set_faults(faults);
            }
            14 if awake => {
                let eligible = self.rng.random_bool(0.6);
                return self.set_eligible(server, eligible);
            }
            15 if awake => return self.resign(server),
            16 if awake => return self.leave(server),
            17 => {
                let reach = Reach::bad(&mut self.rng);
                self.arbiter.set_reach(reach);
                self.servers[server].cut_off = self.rng.random_bool(0.3);
            }
            18 => {
                self.servers[server].stuck = self.rng.random_bool(0.5);
                self.latest_wake = [MS / 5, 5 * MS, 60 * MS, 700 * MS][self.rng.random_range(0..4)];
            }
            19 if server != other && awake && self.network.hints() == Hints::Lying => {
                let link = [Link::Refused, Link::Down, Link::Up][self.rng.random_range(0..3)];
                return self.lie(server, other, link);
            }
            // One change at a time, as the documentation requires; and an eligible server remains.
            20 if belongs && server > 0 && self.all_know_the_cluster() => return self.remove(server),
            20 | 21 if !belongs && self.all_know_the_cluster() => return self.add(server),
            22 if running => {
                let epoch = self.made_up_epoch();
                let times = self.rng.random_range(1..12);
                self.name_epoch(server, epoch, times);
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns an epoch that the arbiter has not granted: the next, which it may grant soon, or one
    /// that it never will.
    pub(crate) fn made_up_epoch(&mut self) -> Epoch {
        let newest = self.arbiter.granted();
        [
            newest.next(),
            newest.next().next(),
            Epoch(1_000_000_000_000_000),
            Epoch(u64::MAX),
        ][self.rng.random_range(0..4)]
    }
}
