use rand::Rng;

use crate::chaos::any_setup;
use crate::explore::explore;
use crate::invariants::converges::bound;
use crate::world::World;

/// First every fault, and only the invariants must hold. Then no faults, and all must agree within
/// a time that the configuration gives, and must keep the agreement.
#[test]
fn every_fault_and_then_agreement() {
    explore(3_000, |seed| {
        let mut world = World::new(seed, any_setup(seed));
        world.start_all()?;
        let faults = world.rng.random_range(5..40);
        world.suffer(faults)?;
        world.heal()?;
        let healed = world.now();
        let bound = bound(&world.setup.config, world.arbiter.longest());
        world.run_until(healed + bound)?;
        world.check_converged()?;
        let mut figures = world.figures();
        figures.converged = world.last_role_change.saturating_sub(healed) as f64 / bound as f64;
        world.check_stays(5_000)?;
        Ok(figures)
    });
}
