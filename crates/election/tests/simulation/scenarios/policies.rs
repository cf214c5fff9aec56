use std::time::Duration;

use bellwether_election::{Detection, Preemption, Role, Succession};

use crate::clock::{MS, micros};
use crate::explore::explore;
use crate::network::Hints;
use crate::world::{Kind, Setup, World};

use super::{either, settled};

/// Returns a cluster whose best server comes late.
fn late_comer(seed: u64, preemption: Preemption) -> World {
    let mut setup = Setup::calm(3);
    setup.config.preemption = preemption;
    setup.kinds[2].priority = 1;
    setup.hints = either(seed, Hints::Honest, Hints::None);
    World::new(seed, setup)
}

#[test]
fn preemption_never_leaves_the_coordinator_alone() {
    explore(100, |seed| {
        let mut world = late_comer(seed, Preemption::Never);
        world.start(0)?;
        world.start(1)?;
        world.run_for_ms(3_000)?;
        let (grants, first) = (world.arbiter.grants(), usize::from(world.leads(1)));
        world.start(2)?;
        world.run_for_ms(10_000)?;
        let stays = world.leads(first) && world.arbiter.grants() == grants;
        world.expect("sticky", stays, "the first should still lead")?;
        world.crash(first)?;
        world.run_for_ms(2_000)?;
        world.expect(
            "best_of_the_rest",
            world.leads(2),
            "the best of the others is next",
        )?;
        Ok(world.figures())
    });
}

#[test]
fn preemption_after_a_while_waits_so_long_and_no_longer() {
    explore(100, |seed| {
        let time_limit = Duration::from_secs(5);
        let mut world = late_comer(seed, Preemption::After(time_limit));
        world.start(0)?;
        world.start(1)?;
        world.run_for_ms(3_000)?;
        let first = usize::from(world.leads(1));
        world.start(2)?;
        world.run_until(world.now() + micros(time_limit))?;
        world.expect("sticky", world.leads(first), "it is too early")?;
        world.run_until(world.now() + 2 * world.timeout())?;
        world.expect("preempts", world.leads(2), "it is time")?;
        world.check_converged()?;
        Ok(world.figures())
    });
}

/// Every order of priorities, whatever the numbers are.
#[test]
fn priorities_go_before_numbers() {
    explore(100, |seed| {
        let mut setup = Setup::calm(4);
        let first = usize::try_from(seed % 4).unwrap();
        setup.kinds[first].priority = 200;
        setup.kinds[(first + 1) % 4].priority = 100;
        let (mut world, best) = settled(seed, setup)?;
        world.expect("priority", best == first, "the largest priority should lead")?;
        world.crash(first)?;
        world.run_for_ms(200)?;
        world.expect(
            "priority",
            world.leads((first + 1) % 4),
            "the second largest is next",
        )?;
        Ok(world.figures())
    });
}

/// However large its rank, an observer never becomes a candidate, not even alone; it learns the
/// coordinator, and also that there is none.
#[test]
fn observers_watch() {
    explore(100, |seed| {
        let mut setup = Setup::calm(4);
        let observer = Kind {
            priority: 9,
            observer: true,
        };
        (setup.kinds[2], setup.kinds[3]) = (observer, observer);
        let (mut world, best) = settled(seed, setup)?;
        world.expect("observes", best < 2, "an observer leads")?;
        world.crash(best)?;
        world.run_for_ms(100)?;
        world.expect("observes", world.leads(1 - best), "the other should lead")?;
        world.check_converged()?;
        world.crash(1 - best)?;
        world.run_for_ms(10_000)?;
        for observer in 2..4 {
            let electing = world.role(observer) == Some(Role::Electing);
            world.expect("observes", electing, "there is nobody to follow")?;
        }
        Ok(world.figures())
    });
}

/// The classic algorithm finds the same coordinator, with the messages that the literature
/// describes.
#[test]
fn classic_succession_costs_what_it_costs() {
    explore(200, |seed| {
        let mut setup = Setup::calm(5);
        setup.config.succession = Succession::Classic;
        let (mut world, best) = settled(seed, setup)?;
        let sent = world.election_messages;
        world.crash(best)?;
        world.run_for_ms(2_000)?;
        world.check_converged()?;
        let used = world.election_messages - sent;
        // m² + m − 1 for m = 4, when the lowest detects; here all do, and each begins a round.
        world.expect("classic", used <= 4 * 19, &format!("{used} messages"))?;
        world.expect(
            "classic",
            used > 6,
            &format!("only {used} messages: that is not the classic way"),
        )?;
        Ok(world.figures())
    });
}

/// On a steady network adaptive detection finds a silent crash near its floor.
#[test]
fn adaptive_detection_finds_silence_early() {
    explore(200, |seed| {
        let floor = Duration::from_millis(220);
        let mut setup = Setup::calm(5);
        setup.hints = Hints::None;
        setup.config.timeout = Duration::from_millis(2_000);
        setup.config.detection = Detection::Adaptive { floor };
        let (mut world, best) = settled(seed, setup)?;
        world.check_stays(10_000)?;
        world.crash(best)?;
        let bound = micros(floor) + 2 * micros(world.setup.config.heartbeat) + 40 * MS;
        world.run_until(world.now() + bound)?;
        world.check_converged()?;
        Ok(world.figures())
    });
}
