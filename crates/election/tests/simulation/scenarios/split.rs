use crate::explore::explore;
use crate::network::Hints;
use crate::world::Setup;

use super::{either, settled};

/// Two coordinators meet: the newer epoch stays, the older gives way, and then the better rank
/// takes over in order.
#[test]
fn when_two_coordinators_meet_one_stays() {
    explore(300, |seed| {
        let mut setup = Setup::calm(5);
        setup.hints = either(seed, Hints::Honest, Hints::None);
        setup.drift = true;
        let (mut world, best) = settled(seed, setup)?;
        let sides: Vec<bool> = (0..5)
            .map(|server| server == best || server == (best + 1) % 5)
            .collect();
        world.partition(&sides, false);
        // Both sides reach the arbiter, so each fences the other off in turn.
        let mut other_side = false;
        for _ in 0..100 {
            world.run_for_ms(50)?;
            other_side |= (0..5).any(|server| !sides[server] && world.leads(server));
        }
        world.expect("both_sides_live", other_side, "nobody ever led the other side")?;
        world.mend();
        world.run_for_ms(4_000)?;
        world.check_converged()?;
        world.check_stays(5_000)?;
        Ok(world.figures())
    });
}

/// One server sends but receives nothing, or the other way round: neither may disturb the rest for
/// good.
#[test]
fn a_one_way_cut_heals() {
    explore(300, |seed| {
        let mut setup = Setup::calm(4);
        setup.hints = either(seed, Hints::Honest, Hints::None);
        let (mut world, _) = settled(seed, setup)?;
        let deaf = usize::try_from(seed / 2 % 4).unwrap();
        let side: Vec<bool> = (0..4)
            .map(|server| (server == deaf) == either(seed / 8, true, false))
            .collect();
        world.partition(&side, true);
        world.run_for_ms(10_000)?;
        world.mend();
        world.run_for_ms(8_000)?;
        world.check_converged()?;
        Ok(world.figures())
    });
}
