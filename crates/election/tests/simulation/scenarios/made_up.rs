use bellwether_election::{Epoch, Quorum};

use crate::explore::explore;
use crate::world::{Setup, World};

use super::{either, settled};

/// A follower says again and again that it is coordinator under an epoch that was never granted.
/// Within seconds there is a real coordinator, while the false messages go on, and its epoch is the
/// arbiter's.
#[test]
fn an_epoch_that_was_made_up_is_forgotten() {
    explore(300, |seed| {
        let mut setup = Setup::calm(4);
        setup.config.quorum =
            [Quorum::None, Quorum::Majority, Quorum::Arbiter][usize::try_from(seed % 3).unwrap()];
        let (mut world, best) = settled(seed, setup)?;
        let liar = (best + 1) % 4;
        let epoch = either(seed / 3, Epoch(1_000_000_000_000_000), Epoch(u64::MAX));
        world.name_epoch(liar, epoch, 100);
        world.run_for_ms(4_000)?;
        let led = world.coordinators() == 1;
        world.expect(
            "led_all_the_same",
            led,
            "the liar keeps the others from their work",
        )?;
        world.run_for_ms(40_000)?;
        world.check_converged()?;
        for server in 0..4 {
            world.expect(
                "forgotten",
                world.seen(server) < Some(epoch),
                "the epoch is still known",
            )?;
        }
        Ok(world.figures())
    });
}

/// Without the arbiter no server can tell, and the servers use the epoch. They forget it as soon as
/// the arbiter answers.
#[test]
fn an_arbiter_that_comes_back_is_asked_again() {
    explore(100, |seed| {
        let (mut world, best) = settled(seed, Setup::calm(3))?;
        world.servers.iter_mut().for_each(|server| server.cut_off = true);
        let epoch = Epoch(1_000_000_000_000_000);
        world.name_epoch((best + 1) % 3, epoch, 10);
        world.run_for_ms(5_000)?;
        let believed = world.seen(best) == Some(epoch);
        world.expect("believed", believed, "nobody could refute it")?;
        world.servers.iter_mut().for_each(|server| server.cut_off = false);
        world.run_for_ms(10_000)?;
        world.check_converged()?;
        world.expect(
            "forgotten",
            world.seen(best) < Some(epoch),
            "the epoch is still known",
        )?;
        Ok(world.figures())
    });
}

/// If all peers tell the truth, each server asks once for each coordinator it comes to know, and
/// not for each heartbeat.
#[test]
fn the_truth_costs_one_question() {
    explore(100, |seed| {
        let (mut world, _) = settled(seed, Setup::calm(3))?;
        world.run_for_ms(60_000)?;
        let (asked, grants) = (world.arbiter.asked(), world.arbiter.grants());
        world.expect(
            "one_question",
            asked <= 3 * grants,
            "more questions than coordinators",
        )?;
        Ok(world.figures())
    });
}

impl World {
    fn seen(&self, server: usize) -> Option<Epoch> {
        let elector = self.servers[server].elector.as_ref()?;
        Some(elector.seen_epoch())
    }
}
