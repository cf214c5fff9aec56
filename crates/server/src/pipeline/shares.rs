//! Places that sources share: no source can take all.
//!
//! A source may have as many places as are still free (the dynamic threshold of Choudhury and
//! Hahne, 1998). An eighth of the places is for sources without a place, and for other groups. It
//! is at least one place, if there are two or more. So the sources of one group, such as the
//! connections from one address, never have all places together. A place that becomes free goes to
//! the waiting source that has the fewest places.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::SourceId;

/// One in this many places is for sources without a place.
const RESERVED: usize = 8;

#[derive(Debug)]
pub(super) struct Shares {
    max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    by_source: HashMap<SourceId, usize>,
    by_group: HashMap<u64, usize>,
    waiting: VecDeque<(SourceId, oneshot::Sender<Place>)>,
}

/// One place, until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    shares: Arc<Shares>,
    source: SourceId,
}

impl Shares {
    /// Returns the shares of `max` places, but of one at least.
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max: max.max(1),
            state: Mutex::default(),
        })
    }

    /// Takes a place, if this source may have one more now.
    pub(super) fn try_take(self: &Arc<Self>, source: SourceId) -> Option<Place> {
        let mut state = self.lock();
        state
            .admits(self.max, source)
            .then(|| self.give(&mut state, source))
    }

    /// Waits for a place. May be dropped at any time.
    pub(super) async fn take(self: &Arc<Self>, source: SourceId) -> Option<Place> {
        let given = {
            let mut state = self.lock();
            if state.admits(self.max, source) {
                return Some(self.give(&mut state, source));
            }
            state.waiting.retain(|(_, sender)| !sender.is_closed());
            let (sender, given) = oneshot::channel();
            state.waiting.push_back((source, sender));
            given
        };
        // The sender is kept until a place is given.
        given.await.ok()
    }

    fn give(self: &Arc<Self>, state: &mut State, source: SourceId) -> Place {
        state.take(source);
        Place {
            shares: Arc::clone(self),
            source,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives free places to those that wait.
    fn serve(self: &Arc<Self>) {
        loop {
            let mut state = self.lock();
            state.waiting.retain(|(_, sender)| !sender.is_closed());
            let next = (0..state.waiting.len())
                .filter(|at| state.admits(self.max, state.waiting[*at].0))
                .min_by_key(|at| state.has(state.waiting[*at].0));
            let Some((source, sender)) = next.and_then(|at| state.waiting.remove(at)) else {
                return;
            };
            let place = self.give(&mut state, source);
            // A place whose waiting task is gone is given back, which needs the lock.
            drop(state);
            let _ = sender.send(place);
        }
    }
}

impl State {
    fn admits(&self, max: usize, source: SourceId) -> bool {
        let free = max - self.taken.min(max);
        if free == 0 {
            return false;
        }
        let reserved = (max / RESERVED).max(usize::from(max > 1));
        let group = self.by_group.get(&source.group()).copied().unwrap_or_default();
        let of_group = group == 0 || group < max - reserved;
        let own = self.has(source);
        of_group && (own == 0 || own < free.saturating_sub(reserved))
    }

    fn has(&self, source: SourceId) -> usize {
        self.by_source.get(&source).copied().unwrap_or_default()
    }

    fn take(&mut self, source: SourceId) {
        self.taken += 1;
        *self.by_source.entry(source).or_default() += 1;
        *self.by_group.entry(source.group()).or_default() += 1;
    }

    fn give_back(&mut self, source: SourceId) {
        self.taken -= 1;
        if let Some(own) = self.by_source.get_mut(&source) {
            *own -= 1;
            if *own == 0 {
                self.by_source.remove(&source);
            }
        }
        if let Some(group) = self.by_group.get_mut(&source.group()) {
            *group -= 1;
            if *group == 0 {
                self.by_group.remove(&source.group());
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shares.lock().give_back(self.source);
        self.shares.serve();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn fill(shares: &Arc<Shares>, source: SourceId) -> Vec<Place> {
        std::iter::from_fn(|| shares.try_take(source)).collect()
    }

    #[test]
    fn no_source_has_all_places() {
        let shares = Shares::new(32);
        let first = fill(&shares, SourceId::new());
        assert_eq!(first.len(), 14);
        let second = fill(&shares, SourceId::new());
        assert_eq!(second.len(), 7);
        let others: Vec<_> = (0..11).map(|_| shares.try_take(SourceId::new())).collect();
        assert!(others.iter().all(Option::is_some));
        assert!(shares.try_take(SourceId::new()).is_none(), "all are taken");
        drop(first);
        assert!(shares.try_take(SourceId::new()).is_some());
    }

    #[test]
    fn no_group_has_all_places() {
        let shares = Shares::new(32);
        let of_one_group: Vec<_> = std::iter::from_fn(|| shares.try_take(SourceId::in_group(7))).collect();
        assert_eq!(of_one_group.len(), 28);
        let other_group = shares.try_take(SourceId::in_group(8));
        assert!(other_group.is_some());
    }

    #[test]
    fn one_place_is_for_anybody() {
        let shares = Shares::new(0);
        let place = shares.try_take(SourceId::new()).unwrap();
        assert!(shares.try_take(SourceId::new()).is_none());
        drop(place);
        assert!(shares.try_take(SourceId::in_group(1)).is_some());
    }

    #[test]
    fn a_free_place_goes_to_the_source_that_has_fewest() {
        let shares = Shares::new(4);
        let (greedy, modest) = (SourceId::new(), SourceId::new());
        let mut taken = fill(&shares, greedy);
        taken.extend((0..4).filter_map(|_| shares.try_take(SourceId::new())));
        let mut again = Box::pin(shares.take(greedy));
        assert!((&mut again).now_or_never().is_none());
        let mut gone = Box::pin(shares.take(modest));
        assert!((&mut gone).now_or_never().is_none());
        drop(gone);
        let mut first = Box::pin(shares.take(modest));
        assert!((&mut first).now_or_never().is_none());
        taken.pop();
        let place = first.now_or_never().expect("it has none").unwrap();
        assert!((&mut again).now_or_never().is_none(), "it has some already");
        drop(place);
        drop(taken);
        assert!(again.now_or_never().is_some());
        assert!(shares.lock().by_source.is_empty() && shares.lock().by_group.is_empty());
    }
}
