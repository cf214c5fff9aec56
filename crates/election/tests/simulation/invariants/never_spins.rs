use super::{Fact, Invariant, Scene};

/// After a wake-up the next one lies in the future, so that no driver runs hot.
pub(super) struct NeverSpins;

impl Invariant for NeverSpins {
    fn name(&self) -> &'static str {
        "never_spins"
    }

    fn check(&mut self, scene: &Scene<'_>, facts: &[Fact]) -> Result<(), String> {
        for fact in facts {
            if let Fact::Woken { server } = fact
                && let Some(elector) = &scene.servers[*server].elector
                && let Some(deadline) = elector.poll_timeout()
                && deadline <= scene.servers[*server].clock.read(scene.at)
            {
                return Err(format!(
                    "s{server} wants to be woken at once: {:?}",
                    elector.role()
                ));
            }
        }
        Ok(())
    }
}
