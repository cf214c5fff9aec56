use crate::clock::micros;
use crate::explore::explore;
use crate::network::Hints;
use crate::world::Setup;

use super::{either, settled};

/// A quiet cluster costs each follower one heartbeat and one answer per interval, and nothing else.
#[test]
fn quiet_costs_two_messages_per_follower_and_heartbeat() {
    explore(100, |seed| {
        let mut setup = Setup::calm(6);
        setup.hints = either(seed, Hints::Honest, Hints::None);
        let (mut world, _) = settled(seed, setup)?;
        let (before, seconds) = (world.messages, 10);
        world.check_stays(seconds * 1_000)?;
        let beats = seconds * 1_000_000 / micros(world.setup.config.heartbeat);
        let most = 2 * 5 * (beats + 1);
        let sent = world.messages - before;
        world.expect("quiet", sent <= most, &format!("{sent} messages, {most} are due"))?;
        world.expect(
            "heard",
            sent >= most * 9 / 10,
            &format!("only {sent} of {most} messages"),
        )?;
        Ok(world.figures())
    });
}
